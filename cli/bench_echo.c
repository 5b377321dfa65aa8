/* sluice bench echo: how many small tasks a second, how long each takes, at what
 * CPU cost, with every reply checked. `bench latency` is the same with one task
 * at a time. */
#include "cli/bench.h"
#include "cli/bench_result.h"
#include "cli/failure.h"
#include "cli/progress.h"
#include "cli/record.h"

#include <stdlib.h>
#include <string.h>

#define STALL_MS 30000 /* no outcome for so long: what is missing is lost */
#define WATCH_MS 250   /* between two looks at that, and two lines of progress */

struct echo {
    struct cli *cli;
    struct fleet_options fleet;
    struct bench_result result;
    uint64_t window;
    uint64_t payload_bytes;
    uint64_t tasks;
    uint64_t depth; /* tasks that wait meanwhile, in a second pass; 0: there is none */
    struct sluice_submit_options options;
    bool failure_shown; /* one is enough */
};

struct slot {
    uint64_t sequence;
    uint64_t sent_ns;
};

/* Outlives the passes: a handle belongs to the loop until it has been closed. */
static uv_timer_t watchdog;

/* One pass of `tasks` tasks. What is under way is in the first `open` slots. */
struct pass {
    struct echo *echo;
    struct sluice *sluice;
    struct sluice_future **futures; /* of the slots */
    struct slot *slots;
    size_t open;
    uint8_t *payload;
    uint64_t tasks, sent, done, failed;
    bool broken; /* no memory: the rest is lost */
    struct echo_check check;
    struct histogram latency_ns;
    struct progress progress;
    uint64_t watched_done; /* what the watchdog saw the last time, */
    uint64_t moved_ms;     /* and since when */
};

static void pass_free_memory(struct pass *pass)
{
    free(pass->futures);
    free(pass->slots);
    free(pass->payload);
}

static bool pass_init(struct pass *pass, struct echo *echo, struct sluice *sluice, uint64_t tasks)
{
    memset(pass, 0, sizeof(*pass));
    pass->echo = echo;
    pass->sluice = sluice;
    pass->tasks = tasks;
    pass->futures = calloc(echo->window, sizeof(struct sluice_future *));
    pass->slots = calloc(echo->window, sizeof(struct slot));
    pass->payload = malloc(echo->payload_bytes);
    if (pass->futures == NULL || pass->slots == NULL || pass->payload == NULL ||
        !echo_check_init(&pass->check, tasks, echo->payload_bytes)) {
        pass_free_memory(pass);
        fprintf(stderr, "sluice bench: out of memory\n");
        return false;
    }
    return true;
}

static void pass_deinit(struct pass *pass)
{
    for (size_t i = 0; i < pass->open; i++) {
        sluice_future_free(pass->futures[i]);
    }
    echo_check_deinit(&pass->check);
    pass_free_memory(pass);
}

/* Submits the next task in slot `at`. False: there is none, or no memory. */
static bool submit_next(struct pass *pass, size_t at)
{
    struct slot *slot = &pass->slots[at];
    struct sluice_bytes payload = {pass->payload, pass->echo->payload_bytes};

    if (pass->sent == pass->tasks || pass->broken) {
        return false;
    }
    echo_check_fill(&pass->check, pass->sent, pass->payload);
    slot->sequence = pass->sent;
    slot->sent_ns = bench_now_ns();
    pass->futures[at] = sluice_submit(pass->sluice, pass->echo->fleet.service, payload,
                                      &pass->echo->options);
    if (pass->futures[at] == NULL) {
        pass->broken = true;
        return false;
    }
    pass->sent++;
    return true;
}

static void settle(struct pass *pass, const struct slot *slot, struct sluice_future *future)
{
    enum sluice_outcome outcome = sluice_future_outcome(future);
    struct sluice_bytes payload = sluice_future_payload(future);
    uint64_t sequence;

    if (outcome != SLUICE_DONE) {
        pass->failed++;
        if (!pass->echo->failure_shown) {
            failure_print(pass->echo->result.bench, outcome, sluice_future_error(future));
            pass->echo->failure_shown = true;
        }
    } else if (echo_check_reply(&pass->check, payload.data, payload.size, &sequence)) {
        if (sequence == slot->sequence) {
            histogram_add(&pass->latency_ns, bench_now_ns() - slot->sent_ns);
        } else {
            pass->check.corrupt++; /* a good reply, to another task */
            pass->check.received--;
        }
    }
    sluice_future_free(future);
    pass->done++;
}

/* Settles every task that has ended and puts the next one in its place. */
static void settle_ended(struct pass *pass)
{
    size_t at = 0;

    while (at < pass->open) {
        if (sluice_future_outcome(pass->futures[at]) == SLUICE_PENDING) {
            at++;
            continue;
        }
        settle(pass, &pass->slots[at], pass->futures[at]);
        if (submit_next(pass, at)) {
            at++;
        } else {
            pass->open--;
            pass->futures[at] = pass->futures[pass->open];
            pass->slots[at] = pass->slots[pass->open];
        }
    }
}

static void show_progress(struct pass *pass)
{
    char text[64];

    if (pass->progress.tty) {
        snprintf(text, sizeof(text), "%llu of %llu tasks", (unsigned long long)pass->done,
                 (unsigned long long)pass->tasks);
        progress_set(&pass->progress, text);
    }
}

static void on_watchdog(uv_timer_t *timer)
{
    struct pass *pass = timer->data;
    uint64_t now_ms = uv_now(timer->loop);

    show_progress(pass);
    if (pass->done != pass->watched_done) {
        pass->watched_done = pass->done;
        pass->moved_ms = now_ms;
    } else if (now_ms - pass->moved_ms > STALL_MS) {
        fprintf(stderr, "sluice bench: nothing has ended for %d s\n", STALL_MS / 1000);
        sluice_stop(pass->sluice); /* ends the wait in pass_run */
    }
}

/* SUSPENDS until all tasks have ended, or nothing comes any more. */
static void pass_run(struct pass *pass)
{
    progress_init(&pass->progress, "starting");
    watchdog.data = pass;
    pass->moved_ms = uv_now(sluice_loop(pass->sluice));
    uv_timer_start(&watchdog, on_watchdog, WATCH_MS, WATCH_MS);
    while (pass->open < pass->echo->window && submit_next(pass, pass->open)) {
        pass->open++;
    }
    /* In any order: a worker's answers come together, between those of the others. */
    while (pass->open > 0 && sluice_as_completed(pass->futures, pass->open) < pass->open) {
        settle_ended(pass);
    }
    uv_timer_stop(&watchdog);
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

/* Until the broker has all of them. SUSPENDS. */
static bool wait_queued(struct sluice *sluice, uint64_t tasks)
{
    uint64_t queued = 0;

    while (queued < tasks) {
        json_t *reply = NULL;
        bool answered = sluice_query(sluice, "stats", NULL, NULL, &reply) == 0;

        queued = record_uint(reply, "queued");
        json_decref(reply);
        if (!answered || !fleet_intact()) {
            fprintf(stderr, "sluice bench: the broker has taken %llu of %llu tasks\n",
                    (unsigned long long)queued, (unsigned long long)tasks);
            return false;
        }
    }
    return true;
}

/* Tasks for a service that nobody offers. Their futures are left to the process's end: this is
 * the last that it does. SUSPENDS. */
static bool pile_up(struct echo *echo, struct sluice *sluice)
{
    struct sluice_submit_options options = {.wait_absent = true};
    uint8_t *payload = calloc(1, echo->payload_bytes);
    bool good = payload != NULL;

    for (uint64_t i = 0; good && i < echo->depth; i++) {
        good = sluice_submit(sluice, "bench.depth.nobody",
                             (struct sluice_bytes){payload, echo->payload_bytes},
                             &options) != NULL;
    }
    free(payload);
    return good && wait_queued(sluice, echo->depth);
}

static int depth_passes(struct echo *echo, struct sluice *sluice, struct pass *pass)
{
    struct bench_result *result = &echo->result;
    double empty_s, empty_cpu_s, each;
    uint64_t before;
    bool good;

    if (!pass_init(pass, echo, sluice, echo->tasks)) {
        return EXIT_TASK;
    }
    pass_measure(pass, result);
    good = bench_result_good(result);
    empty_s = result->wall_s;
    empty_cpu_s = result->broker_cpu_s;
    pass_deinit(pass);
    before = fleet_broker_bytes();
    if (!pile_up(echo, sluice) || !pass_init(pass, echo, sluice, echo->tasks)) {
        return EXIT_TASK;
    }
    each = ((double)fleet_broker_bytes() - (double)before) / (double)echo->depth -
           (double)echo->payload_bytes;
    pass_measure(pass, result);
    good &= bench_result_good(result);
    pass_deinit(pass);
    printf(echo->cli->json
               ? "{\"bench\": \"depth\", \"tasks\": %llu, \"payload\": %llu, "
                 "\"bytes_per_task_overhead\": %.1f, \"tasks_per_s_empty\": %.0f, "
                 "\"tasks_per_s\": %.0f, \"ratio\": %.3f, \"broker_cpu_ratio\": %.3f, "
                 "\"good\": %s}\n"
               : "depth: %llu waiting tasks of %llu bytes take %.1f bytes more each; echo %.0f "
                 "tasks/s without them, %.0f with them, %.3f times as many, at %.3f times the "
                 "broker's CPU; all good: %s\n",
           (unsigned long long)echo->depth, (unsigned long long)echo->payload_bytes, each,
           (double)echo->tasks / empty_s, (double)echo->tasks / result->wall_s,
           empty_s / result->wall_s, result->broker_cpu_s / empty_cpu_s, good ? "true" : "false");
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
    uv_timer_init(sluice_loop(sluice), &watchdog);
    code = echo->depth > 0 ? depth_passes(echo, sluice, pass) : echo_passes(echo, sluice, pass);
    uv_close((uv_handle_t *)&watchdog, NULL);
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
    /* A broker that is not ours may be started anew meanwhile; then the workers' offers
     * may come a moment after our tasks. */
    echo->options.wait_absent = echo->cli->broker_given;
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

static int depth_run(struct cli *cli, const struct command *self, int argc, char **argv)
{
    static const char *const unbounded[] = {
        "--window-tasks", "67108864", "--window-bytes", "64G", "--service-max-tasks", "67108864",
        "--service-max-bytes", "64G", "--max-tasks", "67108864", "--memory", "64G", NULL};
    struct echo echo = {
        .cli = cli,
        .fleet = {.transport = "tcp", .service = bench_service("depth"), .work = "echo",
                  .workers = 2, .broker_options = unbounded},
        .result = {.bench = "depth"},
        .window = 1000,
        .payload_bytes = 64,
        .tasks = 300000,
        .depth = 1000000,
    };
    struct option_spec specs[] = {
        OPTION_UINT_SPEC("tasks", &echo.depth, "N", 1000, 20000000, "tasks that wait (1,000,000)"),
        OPTION_UINT_SPEC("payload", &echo.payload_bytes, "BYTES", ECHO_PAYLOAD_MIN, 65536,
                         "size of a payload (64)"),
        OPTION_UINT_SPEC("echo", &echo.tasks, "N", 1000, 1000000000,
                         "tasks of each measurement of throughput (300,000)"),
    };
    struct option_set set = {specs, sizeof(specs) / sizeof(specs[0])};
    struct arguments arguments;
    int code;

    if (!command_parse(cli, self, &set, argc, argv, &arguments, &code)) {
        return code;
    }
    echo.fleet.credit = echo.window;
    echo.result.tasks = echo.tasks;
    return bench_visit(cli, self, &echo.fleet, echo_main, &echo);
}

const struct command command_bench_depth = {
    .name = "bench depth",
    .arguments = "",
    .summary = "what a million waiting tasks take, of memory and of echo's throughput",
    .about = "Measures echo, then piles up tasks for a service that nobody offers and measures\n"
             "again beside them. Memory is the broker's resident memory, by task, beyond the\n"
             "payload. Always a broker of its own.\n",
    .run = depth_run,
};

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
