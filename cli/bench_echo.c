/* sluice bench echo: how many small tasks a second, how long each takes, at what
 * CPU cost, with every reply checked. `bench latency` is the same with one task
 * at a time. */
#include "cli/bench.h"
#include "cli/bench_result.h"
#include "cli/failure.h"
#include "cli/progress.h"

#include <stdlib.h>
#include <string.h>

#define STALL_MS 30000      /* no outcome for so long: what is missing is lost */
#define PROGRESS_EVERY 4096 /* replies between two looks at the clock */

struct echo {
    struct cli *cli;
    struct fleet_options fleet;
    struct bench_result result;
    uint64_t window;
    uint64_t payload_bytes;
    uint64_t tasks;
    bool submitter_error; /* a failure has been shown; one is enough */
};

struct slot {
    struct sluice_future *future;
    uint64_t sent_ns;
};

/* One pass of `tasks` tasks. The slots are a ring: task n is in slot n % window. */
struct pass {
    struct echo *echo;
    struct sluice *sluice;
    struct slot *slots;
    uint8_t *payload;
    uint64_t tasks, sent, done, failed;
    struct echo_check check;
    struct histogram latency_ns;
    struct progress progress;
};

static bool pass_init(struct pass *pass, struct echo *echo, struct sluice *sluice, uint64_t tasks)
{
    memset(pass, 0, sizeof(*pass));
    pass->echo = echo;
    pass->sluice = sluice;
    pass->tasks = tasks;
    pass->slots = calloc(echo->window, sizeof(pass->slots[0]));
    pass->payload = malloc(echo->payload_bytes);
    if (pass->slots == NULL || pass->payload == NULL ||
        !echo_check_init(&pass->check, tasks, echo->payload_bytes)) {
        free(pass->slots);
        free(pass->payload);
        return false;
    }
    return true;
}

static void pass_deinit(struct pass *pass)
{
    for (uint64_t i = pass->done; i < pass->sent; i++) {
        sluice_future_free(pass->slots[i % pass->echo->window].future);
    }
    echo_check_deinit(&pass->check);
    free(pass->slots);
    free(pass->payload);
}

static bool submit_one(struct pass *pass)
{
    struct slot *slot = &pass->slots[pass->sent % pass->echo->window];
    struct sluice_bytes payload = {pass->payload, pass->echo->payload_bytes};

    echo_check_fill(&pass->check, pass->sent, pass->payload);
    slot->sent_ns = bench_now_ns();
    slot->future = sluice_submit(pass->sluice, pass->echo->fleet.service, payload, NULL);
    if (slot->future == NULL) {
        return false;
    }
    pass->sent++;
    return true;
}

/* Judges the outcome of task number `done`, the oldest one. */
static void settle_one(struct pass *pass)
{
    struct slot *slot = &pass->slots[pass->done % pass->echo->window];
    enum sluice_outcome outcome = sluice_future_outcome(slot->future);
    struct sluice_bytes payload = sluice_future_payload(slot->future);
    uint64_t sequence;

    if (outcome != SLUICE_DONE) {
        pass->failed++;
        if (!pass->echo->submitter_error) {
            failure_print("bench echo", outcome, sluice_future_error(slot->future));
            pass->echo->submitter_error = true;
        }
    } else if (echo_check_reply(&pass->check, payload.data, payload.size, &sequence)) {
        if (sequence == pass->done) {
            histogram_add(&pass->latency_ns, bench_now_ns() - slot->sent_ns);
        } else {
            pass->check.corrupt++; /* a good reply, to another task */
            pass->check.received--;
        }
    }
    sluice_future_free(slot->future);
    pass->done++;
}

static void show_progress(struct pass *pass)
{
    char text[64];

    if (pass->progress.tty && pass->done % PROGRESS_EVERY == 0) {
        snprintf(text, sizeof(text), "%llu of %llu tasks", (unsigned long long)pass->done,
                 (unsigned long long)pass->tasks);
        progress_set(&pass->progress, text);
    }
}

/* SUSPENDS until all tasks have ended, or nothing comes any more. Outcomes are
 * taken in the order of submission, so a latency includes the wait for older ones. */
static void pass_run(struct pass *pass)
{
    progress_init(&pass->progress, "starting");
    while (pass->done < pass->tasks) {
        while (pass->sent < pass->tasks && pass->sent - pass->done < pass->echo->window) {
            if (!submit_one(pass)) {
                fprintf(stderr, "sluice bench: out of memory\n");
                return;
            }
        }
        if (sluice_await_ms(pass->slots[pass->done % pass->echo->window].future, STALL_MS) ==
            SLUICE_PENDING) {
            break;
        }
        settle_one(pass);
        show_progress(pass);
    }
    progress_clear(&pass->progress);
}

static double cpu_spent(double before_s, double after_s)
{
    return before_s < 0 || after_s < 0 ? CPU_UNKNOWN : after_s - before_s;
}

static void pass_measure(struct pass *pass, struct bench_result *result)
{
    double broker_s = fleet_broker_cpu_s(), workers_s = fleet_workers_cpu_s();
    double submitter_s = bench_cpu_s(0);
    uint64_t begun_ns = bench_now_ns();

    pass_run(pass);
    result->wall_s = (double)(bench_now_ns() - begun_ns) / 1e9;
    result->broker_cpu_s = cpu_spent(broker_s, fleet_broker_cpu_s());
    result->workers_cpu_s = cpu_spent(workers_s, fleet_workers_cpu_s());
    result->submitter_cpu_s = cpu_spent(submitter_s, bench_cpu_s(0));
    result->failed = pass->failed;
    result->check = &pass->check;
    result->latency_ns = &pass->latency_ns;
}

static int echo_passes(struct echo *echo, struct sluice *sluice, struct pass *pass)
{
    bool good;

    /* A full window first, so that nobody's first steps are measured. */
    if (!pass_init(pass, echo, sluice, echo->window)) {
        return EXIT_TASK;
    }
    pass_run(pass);
    pass_deinit(pass);
    if (!pass_init(pass, echo, sluice, echo->tasks)) {
        return EXIT_TASK;
    }
    pass_measure(pass, &echo->result);
    bench_result_print(&echo->result, stdout, echo->cli->json);
    good = bench_result_good(&echo->result);
    pass_deinit(pass);
    return good ? EXIT_DONE : EXIT_TASK;
}

static int echo_main(struct sluice *sluice, void *arg)
{
    struct echo *echo = arg;
    int code = bench_wait_workers(sluice, echo->fleet.service, echo->fleet.workers);
    struct pass *pass;

    if (code != EXIT_DONE) {
        return code;
    }
    pass = malloc(sizeof(*pass)); /* its histogram is too large for a fiber's stack */
    if (pass == NULL) {
        return EXIT_TASK;
    }
    code = echo_passes(echo, sluice, pass);
    free(pass);
    return code;
}

static int echo_parse(struct echo *echo, const struct command *self, int argc, char **argv)
{
    struct option_spec specs[] = {
        OPTION_UINT_SPEC("payload", &echo->payload_bytes, "BYTES", ECHO_PAYLOAD_MIN,
                         16 * 1024 * 1024, "size of a payload (64)"),
        OPTION_UINT_SPEC("window", &echo->window, "N", 1, 1000000, "tasks under way"),
        OPTION_UINT_SPEC("workers", &echo->fleet.workers, "N", 1, FLEET_WORKERS_MAX,
                         "worker processes (2)"),
        OPTION_UINT_SPEC("tasks", &echo->tasks, "N", 1, 1000000000, "how many"),
        OPTION_UINT_SPEC("credit", &echo->fleet.credit, "N", 1, 65535,
                         "tasks a worker holds (the window)"),
        OPTION_TEXT_SPEC("transport", &echo->fleet.transport, "tcp|ipc",
                         "how to reach the private broker (tcp)"),
    };
    struct option_set set = {specs, sizeof(specs) / sizeof(specs[0])};
    struct arguments arguments;
    int code;

    if (!command_parse(echo->cli, self, &set, argc, argv, &arguments, &code)) {
        return code;
    }
    if (echo->fleet.credit == 0) {
        echo->fleet.credit = echo->window < 65535 ? echo->window : 65535;
    }
    echo->result.transport = echo->cli->broker_given ? echo->cli->broker : echo->fleet.transport;
    echo->result.payload_bytes = echo->payload_bytes;
    echo->result.window = echo->window;
    echo->result.workers = echo->fleet.workers;
    echo->result.tasks = echo->tasks;
    return bench_visit(echo->cli, self, &echo->fleet, echo_main, echo);
}

static int echo_run(struct cli *cli, const struct command *self, int argc, char **argv)
{
    bool latency = self == &command_bench_latency;
    struct echo echo = {
        .cli = cli,
        .fleet = {.transport = "tcp", .service = bench_service("echo"), .work = "echo",
                  .workers = latency ? 1 : 2},
        .result = {.bench = latency ? "latency" : "echo"},
        .window = latency ? 1 : 1000,
        .payload_bytes = 64,
        .tasks = latency ? 20000 : 1000000,
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
