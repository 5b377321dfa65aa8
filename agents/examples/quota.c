/* quota: an API that allows ten calls at once and fails for a while. The broker holds the eleventh
 * call back, leaves the API alone when it fails, tries again with a probe, and resumes gently;
 * neither the callers nor the worker know of any of it. */
#include "agents/examples/example.h"

#define CALLS 60
#define AT_ONCE 10
#define BROKEN_FROM 20 /* calls: this one fails, and those after it */
#define BROKEN_TO 30   /* up to here */

/* The API as it sees itself; one thread. */
static struct {
    int calls, running, running_most, failed;
    uint64_t last_ms, silent_most_ms; /* between the begins of two calls */
} api;

static void count_begin(struct sluice *sluice)
{
    uint64_t now_ms = sluice_now_ms(sluice);

    api.running++;
    if (api.running > api.running_most) {
        api.running_most = api.running;
    }
    if (api.calls > 0 && now_ms - api.last_ms > api.silent_most_ms) {
        api.silent_most_ms = now_ms - api.last_ms;
    }
    api.last_ms = now_ms;
}

static void call(struct sluice_task *task, void *arg)
{
    int number;

    count_begin(sluice_task_peer(task));
    number = api.calls++;
    if (example_work(task, example_work_ms() / 50)) {
        if (number >= BROKEN_FROM && number < BROKEN_TO) {
            api.failed++;
            sluice_fail(task, &(struct sluice_error){.code = "http_503",
                                                        .message = "come back later",
                                                        .retryable = true});
        } else {
            sluice_done_json(task, json_pack("{s:i}", "call", number));
        }
    }
    api.running--;
}

/* What the broker is to know of the API; `sluice limit` does the same. */
static int set_limits(struct sluice *sluice)
{
    struct sluice_control_options options = {.service = "example.api"};
    json_t *reply = NULL;
    int result;

    options.limits = json_pack("{s:i, s:i, s:I}", "concurrency", AT_ONCE, "breaker_failures", 5,
                               "breaker_open_ms", (json_int_t)(example_work_ms() / 2));
    result = sluice_control(sluice, "limit", &options, &reply);
    json_decref(options.limits);
    json_decref(reply);
    return result;
}

static void many_calls(struct sluice_task *task, void *arg)
{
    const struct sluice_submit_options patient = {.attempts = 10, .backoff_ms = 5};
    struct sluice *sluice = sluice_task_peer(task);
    struct sluice_scope *scope = sluice_scope_open(sluice, 0);
    struct sluice_future *futures[CALLS];
    size_t missing;

    if (set_limits(sluice) != 0) {
        sluice_failf(task, "no_limit", "the broker did not take the limits");
        sluice_scope_close(scope, SLUICE_SCOPE_WAIT);
        return;
    }
    for (size_t i = 0; i < CALLS; i++) {
        futures[i] = sluice_submit_json(sluice, "example.api", json_object(), &patient);
    }
    missing = sluice_gather(futures, CALLS);
    sluice_scope_close(scope, SLUICE_SCOPE_WAIT);
    sluice_done_json(task, json_pack("{s:i, s:i, s:i, s:i, s:I}", "done",
                                     (int)(CALLS - missing), "calls", api.calls, "failed",
                                     api.failed, "at_once", api.running_most, "silent_ms",
                                     (json_int_t)api.silent_most_ms));
}

static int ask(struct sluice *sluice, void *arg)
{
    return example_ask(sluice, "example.calls", json_object());
}

static const struct sluice_service services[] = {
    {.name = "example.api", .handler = call, .credit = 50, .about = "Ten at once, no more"},
    {.name = "example.calls", .handler = many_calls, .about = "Sixty calls"},
};

static const struct example example = {
    .name = "quota",
    .about = "Sixty calls of an API that allows ten at once and fails in the middle. The broker\n"
             "holds back what is too much, opens its breaker, probes, resumes; all are done.\n",
    .services = services,
    .service_count = sizeof services / sizeof *services,
    .ask = ask,
};

int main(int argc, char **argv)
{
    return example_main(&example, argc, argv);
}
