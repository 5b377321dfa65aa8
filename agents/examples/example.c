#include "agents/examples/example.h"
#include "agents/program/program.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static uint64_t work_ms = 1000;

static int offer(const struct example *example, struct sluice *sluice)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < example->service_count; i++) {
        rc = sluice_serve(sluice, &example->services[i]);
    }
    return rc;
}

int example_main(const struct example *example, int argc, char **argv)
{
    bool serve = false, ask = false;
    const struct option_spec options[] = {
        OPTION_FLAG_SPEC("serve", &serve, "serve what it needs, until stopped, and do not ask"),
        OPTION_FLAG_SPEC("ask", &ask, "ask, and do not serve: somebody else does"),
        OPTION_UINT_SPEC("ms", &work_ms, "N", 1, 60000,
                         "how long one call of a provider takes (1000)"),
    };
    const struct program program = {
        .name = example->name,
        .about = example->about,
        .options = {options, sizeof options / sizeof options[0]},
    };
    struct sluice_options peer = {.name = example->name, .connect_ms = 5000, .quiet = true};
    struct sluice *sluice;
    int status;

    if (!program_parse(&program, argc, argv, &peer, &status)) {
        return status;
    }
    if (serve && ask) {
        return program_usage(&program, "--serve or --ask; without them it does both");
    }
    if (serve) {
        peer.connect_ms = 0; /* a server waits for its broker */
    }
    sluice = program_peer(&program, &peer, &status);
    if (sluice == NULL) {
        return status;
    }
    status = program_run(&program, sluice, ask ? 0 : offer(example, sluice),
                         serve ? NULL : example->ask, NULL);
    sluice_free(sluice);
    return status;
}

uint64_t example_work_ms(void)
{
    return work_ms;
}

static void print_outcome(struct sluice_future *future)
{
    const struct sluice_error *error = sluice_future_error(future);
    struct sluice_timing timing = sluice_future_timing(future);
    json_t *line = json_pack("{s:s, s:s, s:I}", "service", sluice_future_service(future), "outcome",
                             sluice_outcome_name(sluice_future_outcome(future)), "ran_ms",
                             (json_int_t)timing.ran_ms);

    if (error != NULL) {
        json_object_set_new(line, "error",
                            json_pack("{s:s, s:s}", "code", error->code, "message",
                                      error->message));
    } else {
        json_object_set(line, "result", sluice_future_json(future));
    }
    json_dumpf(line, stdout, JSON_COMPACT);
    putchar('\n');
    fflush(stdout);
    json_decref(line);
}

int example_ask(struct sluice *sluice, const char *service, json_t *arguments)
{
    static const struct sluice_submit_options options = {.wait_absent = true};
    struct sluice_future *future = sluice_submit_json(sluice, service, arguments, &options);
    int rc;

    if (future == NULL) {
        return -ENOMEM;
    }
    rc = sluice_await(future) == SLUICE_DONE ? 0 : 1;
    print_outcome(future);
    sluice_future_free(future);
    return rc;
}

bool example_work(struct sluice_task *task, uint64_t ms)
{
    if (sluice_sleep_ms(sluice_task_peer(task), ms) == 0) {
        return true;
    }
    sluice_failf(task, "cancelled", "stopped before it was ready");
    return false;
}

void example_fail_as(struct sluice_task *task, struct sluice_future *future)
{
    const struct sluice_error *error = sluice_future_error(future);

    if (error == NULL) {
        sluice_failf(task, "cancelled", "%s has not ended", sluice_future_service(future));
    } else {
        sluice_failf(task, error->code, "%s: %s", sluice_future_service(future), error->message);
    }
}
