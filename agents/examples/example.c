#include "agents/examples/example.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum role { ROLE_BOTH, ROLE_SERVE, ROLE_ASK };

struct arguments {
    struct sluice_options peer;
    enum role role;
};

static uint64_t work_ms = 1000;

static void print_usage(const struct example *example)
{
    printf("usage: %s [OPTION]...\n\n%s\n\n"
           "Serves what it needs and asks for it, both in one process; or each in its own:\n\n"
           "  --serve          only serve, until stopped\n"
           "  --ask            only ask: somebody else serves\n"
           "  --ms N           how long one call of a provider takes; default 1000\n"
           "  --broker E       the broker's endpoint; default $SLUICE_BROKER, else\n"
           "                   tcp://127.0.0.1:5570\n"
           "  --version        print the version\n"
           "  --help           print this\n",
           example->name, example->about);
}

static bool parse_ms(const char *text)
{
    char *end;
    unsigned long long ms = strtoull(text, &end, 10);

    if (*text < '0' || *text > '9' || *end != '\0' || ms == 0 || ms > 60000) {
        return false;
    }
    work_ms = ms;
    return true;
}

/* -1: go on; else the program's exit status. */
static int arguments_parse(const struct example *example, int argc, char **argv,
                           struct arguments *arguments)
{
    enum { SERVE = 1, ASK, MS, BROKER, VERSION, HELP };
    static const struct option options[] = {
        {"serve", no_argument, NULL, SERVE},         {"ask", no_argument, NULL, ASK},
        {"ms", required_argument, NULL, MS},         {"broker", required_argument, NULL, BROKER},
        {"version", no_argument, NULL, VERSION},     {"help", no_argument, NULL, HELP},
        {0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case SERVE:
            arguments->role = ROLE_SERVE;
            break;
        case ASK:
            arguments->role = ROLE_ASK;
            break;
        case MS:
            if (!parse_ms(optarg)) {
                fprintf(stderr, "%s: --ms takes 1 to 60000, not '%s'\n", example->name, optarg);
                return 2;
            }
            break;
        case BROKER:
            arguments->peer.broker = optarg;
            break;
        case VERSION:
            printf("%s %s\n", example->name, sluice_version());
            return 0;
        case HELP:
            print_usage(example);
            return 0;
        default:
            fprintf(stderr, "Try '%s --help'.\n", example->name);
            return 2;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "%s: what is '%s'? Try '%s --help'.\n", example->name, argv[optind],
                example->name);
        return 2;
    }
    return -1;
}

static int run(const struct example *example, struct sluice *sluice, enum role role)
{
    int rc = sluice_stop_on_signals(sluice);

    for (size_t i = 0; rc == 0 && role != ROLE_ASK && i < example->service_count; i++) {
        rc = sluice_serve(sluice, &example->services[i]);
    }
    if (rc != 0) {
        return rc;
    }
    return sluice_run(sluice, role == ROLE_SERVE ? NULL : example->ask, NULL);
}

int example_main(const struct example *example, int argc, char **argv)
{
    struct arguments arguments = {
        .peer = {.name = example->name, .connect_ms = 5000, .quiet = true},
    };
    int status = arguments_parse(example, argc, argv, &arguments);
    struct sluice *sluice;

    if (status >= 0) {
        return status;
    }
    if (arguments.role == ROLE_SERVE) {
        arguments.peer.connect_ms = 0; /* a server waits for its broker */
    }
    sluice = sluice_new(&arguments.peer);
    if (sluice == NULL) {
        fprintf(stderr, "%s: '%s' is no endpoint\n", example->name, arguments.peer.broker);
        return 2;
    }
    status = run(example, sluice, arguments.role);
    if (status == -ETIMEDOUT) {
        fprintf(stderr, "%s: no broker at %s. Start one: build/bin/sluice-broker\n", example->name,
                sluice_endpoint(sluice));
    } else if (status < 0) {
        fprintf(stderr, "%s: %s\n", example->name, strerror(-status));
    }
    sluice_free(sluice);
    return status == 0 ? 0 : 1;
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
