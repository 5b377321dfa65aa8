/* sluice bench echo: how many small tasks a second, how long each takes, at what
 * CPU cost, with every reply checked. `bench latency` is the same with one task
 * at a time. */
#include "cli/bench.h"
#include "cli/bench_clients.h"
#include "cli/bench_pass.h"

#define WINDOW_TASKS 1000
/* Payloads under way, if nothing is said; and at most, for a submitter's window at the broker has
 * so much, and all processes together some times that. */
#define WINDOW_BYTES (64 * 1024 * 1024)
#define WINDOW_BYTES_MAX (256 * 1024 * 1024)
#define TASKS 1000000
#define TASKS_BYTES (16ULL * 1024 * 1024 * 1024) /* of large payloads fewer will do */

struct echo {
    struct cli *cli;
    struct fleet_options fleet;
    struct bench_plan plan; /* window, tasks 0: not said */
    uint64_t clients;
};

static int print(const struct echo *echo, const struct bench_result *result)
{
    bench_result_print(result, stdout, echo->cli->json);
    return bench_result_good(result) ? EXIT_DONE : EXIT_TASK;
}

static struct bench_result result_of(const struct echo *echo)
{
    const struct bench_plan *plan = &echo->plan;

    return (struct bench_result){
        .bench = plan->bench,
        .transport = echo->cli->broker_given ? echo->cli->broker : echo->fleet.transport,
        .payload_bytes = plan->payload_bytes,
        .window = plan->window,
        .workers = echo->fleet.workers,
        .clients = echo->clients,
        .tasks = plan->tasks,
    };
}

static int echo_passes(struct sluice *sluice, struct bench_pass *pass, void *arg)
{
    struct echo *echo = arg;
    struct bench_result result = result_of(echo);
    int code;

    if (!bench_pass_warm_up(pass, &echo->plan, sluice) ||
        !bench_pass_init(pass, &echo->plan, sluice, echo->plan.tasks)) {
        return EXIT_TASK;
    }
    bench_pass_measure(pass, &result);
    code = print(echo, &result);
    bench_pass_deinit(pass);
    return code;
}

static int echo_clients(const struct echo *echo, struct sluice *sluice)
{
    struct bench_result result = result_of(echo);

    return bench_clients_run(sluice, &echo->plan, echo->clients, &result) ? print(echo, &result)
                                                                          : EXIT_TASK;
}

static int echo_main(struct sluice *sluice, void *arg)
{
    struct echo *echo = arg;
    int code = bench_wait_workers(sluice, echo->fleet.service, echo->fleet.workers);

    if (code != EXIT_DONE) {
        return code;
    }
    return echo->clients > 1 ? echo_clients(echo, sluice)
                             : bench_with_pass(sluice, echo_passes, echo);
}

/* What was not said. */
static void set_sizes(struct echo *echo)
{
    struct bench_plan *plan = &echo->plan;
    uint64_t window = WINDOW_BYTES / plan->payload_bytes;
    uint64_t tasks = TASKS_BYTES / plan->payload_bytes;

    if (plan->window == 0) {
        plan->window = window < WINDOW_TASKS ? window : WINDOW_TASKS;
    }
    if (plan->tasks == 0) {
        plan->tasks = tasks < TASKS ? tasks : TASKS;
    }
}

static int echo_parse(struct echo *echo, const struct command *self, int argc, char **argv)
{
    bool latency = self == &command_bench_latency;
    struct option_spec specs[] = {
        OPTION_UINT_SPEC("payload", &echo->plan.payload_bytes, "BYTES", ECHO_PAYLOAD_MIN,
                         16 * 1024 * 1024, "size of a payload (64)"),
        OPTION_UINT_SPEC("window", &echo->plan.window, "N", 1, 1000000,
                         latency ? "tasks under way (1)"
                                 : "tasks under way (1,000, or 64 MiB of payloads); several of "
                                   "them have 256 MiB at most"),
        OPTION_UINT_SPEC("clients", &echo->clients, "N", 1, FLEET_HELPERS_MAX,
                         "submitters, which divide window and tasks (1)"),
        OPTION_UINT_SPEC("workers", &echo->fleet.workers, "N", 1, FLEET_WORKERS_MAX,
                         latency ? "worker processes (1)" : "worker processes (2)"),
        OPTION_UINT_SPEC("tasks", &echo->plan.tasks, "N", 1, 1000000000,
                         latency ? "how many (20,000)"
                                 : "how many (1,000,000, or 16 GiB of payloads)"),
        OPTION_UINT_SPEC("credit", &echo->fleet.credit, "N", 1, 65535,
                         "tasks a worker holds (the window)"),
        BENCH_TRANSPORT_SPEC(&echo->fleet),
    };
    struct option_set set = {specs, sizeof(specs) / sizeof(specs[0])};
    struct arguments arguments;
    int code;

    if (!command_parse(echo->cli, self, &set, argc, argv, &arguments, &code)) {
        return code;
    }
    set_sizes(echo);
    if (echo->plan.window > 1 &&
        echo->plan.window * echo->plan.payload_bytes > WINDOW_BYTES_MAX) {
        return command_usage(self, "%llu payloads under way are more than 256 MiB: --window %llu",
                             (unsigned long long)echo->plan.window,
                             (unsigned long long)(WINDOW_BYTES_MAX / echo->plan.payload_bytes));
    }
    if (echo->plan.window < echo->clients || echo->plan.tasks < echo->clients) {
        return command_usage(self, "there is nothing for some of %llu clients to do: they divide "
                             "--window and --tasks", (unsigned long long)echo->clients);
    }
    if (echo->fleet.credit == 0) {
        echo->fleet.credit = echo->plan.window < 65535 ? echo->plan.window : 65535;
    }
    /* A broker that is not ours may be started anew meanwhile; then the workers' offers
     * may come a moment after our tasks. */
    echo->plan.wait_absent = echo->cli->broker_given;
    return bench_visit(echo->cli, self, &echo->fleet, echo_main, echo);
}

static int echo_run(struct cli *cli, const struct command *self, int argc, char **argv)
{
    bool latency = self == &command_bench_latency;
    const char *service = bench_service("echo");
    struct echo echo = {
        .cli = cli,
        .fleet = {.transport = "tcp", .service = service, .work = "echo",
                  .workers = latency ? 1 : 2},
        .plan = {.bench = latency ? "latency" : "echo", .service = service,
                 .window = latency ? 1 : 0, .payload_bytes = 64, .tasks = latency ? 20000 : 0},
        .clients = 1,
    };

    return echo_parse(&echo, self, argc, argv);
}

#define ABOUT                                                                                      \
    "A payload carries its number and a pattern, and every reply is checked byte\n"                \
    "for byte. Latency is from submit to checked reply, in the submitter. CPU is user\n"           \
    "and system time of each process while the tasks ran, for a million of them.\n"                \
    "Exit code 1: something was lost, duplicated, corrupt or failed.\n"

const struct command command_bench_echo = {
    .name = "bench echo",
    .arguments = "",
    .summary = "throughput of small tasks, many under way (1,000,000 tasks, window 1,000)",
    .about = ABOUT,
    .run = echo_run,
};

const struct command command_bench_latency = {
    .name = "bench latency",
    .arguments = "",
    .summary = "round trip of one task at a time (20,000 tasks, 1 worker)",
    .about = ABOUT,
    .run = echo_run,
};
