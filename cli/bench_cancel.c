/* sluice bench cancel: many tasks, under way and waiting, are cancelled at once. */
#include "cli/bench.h"
#include "cli/bench_pass.h"
#include "cli/failure.h"

#include <stdlib.h>

#define LOOK_MS 1
#define ECHO_SERVICE_SIZE 96

struct storm {
    struct cli *cli;
    struct fleet_options fleet;
    char echo_service[ECHO_SERVICE_SIZE];
    struct bench_plan plan;   /* of echo, before and after */
    uint64_t tasks, running;  /* to be cancelled; of them under way */
    struct sluice_future **futures;
    uint64_t begun_ns;        /* of the storm; 0: not yet */
    uint64_t ended, cancelled;
    double asked_s, all_s;    /* until all had been asked to stop, and until all had */
    double before_per_s, after_per_s;
    bool echo_good;
    struct histogram latency_ns; /* from the beginning to each outcome */
};

static void on_ended(struct sluice_future *future, void *arg)
{
    struct storm *storm = arg;

    storm->ended++;
    storm->cancelled += sluice_future_outcome(future) == SLUICE_CANCELLED;
    histogram_add(&storm->latency_ns, bench_now_ns() - storm->begun_ns);
}

static void tell_early(const struct storm *storm)
{
    uint64_t at = 0;

    while (at + 1 < storm->tasks && sluice_future_outcome(storm->futures[at]) == SLUICE_PENDING) {
        at++;
    }
    fprintf(stderr, "sluice bench cancel: a task ended before it was cancelled\n");
    failure_print("bench cancel", sluice_future_outcome(storm->futures[at]),
                  sluice_future_error(storm->futures[at]));
}

/* Until as many as can be are under way, and all others wait. SUSPENDS. */
static bool pile_up(struct storm *storm, struct sluice *sluice)
{
    static const char *const names[] = {"leased", "queued"};
    struct sluice_submit_options options = {.on_ended = on_ended, .arg = storm};
    struct bench_stall stall = {0, 0};
    uint64_t now[2] = {0, 0};

    for (uint64_t i = 0; i < storm->tasks; i++) {
        storm->futures[i] = sluice_submit(sluice, storm->fleet.service,
                                          (struct sluice_bytes){"", 0}, &options);
        if (storm->futures[i] == NULL) {
            fprintf(stderr, "sluice bench cancel: out of memory\n");
            return false;
        }
    }
    while (now[0] != storm->running || now[0] + now[1] != storm->tasks) {
        if (!bench_stats(sluice, names, now, 2)) {
            return false;
        }
        if (storm->ended > 0) {
            tell_early(storm);
            return false;
        }
        if (bench_stalls(&stall, sluice, now[0] + now[1])) {
            fprintf(stderr, "sluice bench cancel: %llu of %llu tasks are under way, %llu wait\n",
                    (unsigned long long)now[0], (unsigned long long)storm->tasks,
                    (unsigned long long)now[1]);
            return false;
        }
        sluice_sleep_ms(sluice, LOOK_MS);
    }
    return true;
}

/* SUSPENDS. */
static void cancel_all(struct storm *storm, struct sluice *sluice)
{
    struct bench_stall stall = {0, 0};

    storm->begun_ns = bench_now_ns();
    for (uint64_t i = 0; i < storm->tasks; i++) {
        sluice_cancel(storm->futures[i], "bench");
    }
    storm->asked_s = (double)(bench_now_ns() - storm->begun_ns) / 1e9;
    while (storm->ended < storm->tasks && sluice_sleep_ms(sluice, LOOK_MS) == 0 &&
           !bench_stalls(&stall, sluice, storm->ended)) {
    }
    storm->all_s = (double)storm->latency_ns.max / 1e9;
}

/* SUSPENDS. */
static bool echo(struct storm *storm, struct sluice *sluice, struct bench_pass *pass,
                 double *per_s)
{
    struct bench_result result = {.bench = "cancel", .tasks = storm->plan.tasks};

    if (!bench_pass_init(pass, &storm->plan, sluice, storm->plan.tasks)) {
        return false;
    }
    bench_pass_measure(pass, &result);
    *per_s = bench_result_per_s(&result);
    storm->echo_good = storm->echo_good && bench_result_good(&result);
    bench_pass_deinit(pass);
    return true;
}

static double percentile_ms(const struct storm *storm, double percent)
{
    return (double)histogram_percentile(&storm->latency_ns, percent) / 1e6;
}

/* `left`: tasks that the broker still has; `told`: those that it says were cancelled. */
static bool print(const struct storm *storm, uint64_t left, uint64_t told)
{
    uint64_t lost = storm->tasks - storm->ended, other = storm->ended - storm->cancelled;
    bool good = lost == 0 && other == 0 && left == 0 && told == storm->tasks && storm->echo_good;

    printf(storm->cli->json
               ? "{\"bench\": \"cancel\", \"tasks\": %llu, \"running\": %llu, \"asked_s\": %.4f, "
                 "\"all_s\": %.4f, \"cancelled_per_s\": %.0f, \"p50_ms\": %.2f, \"p99_ms\": %.2f, "
                 "\"max_ms\": %.2f, \"lost\": %llu, \"other_outcomes\": %llu, \"left\": %llu, "
                 "\"tasks_per_s_before\": %.0f, \"tasks_per_s_after\": %.0f, \"ratio\": %.3f, "
                 "\"good\": %s}\n"
               : "cancel: %llu tasks, %llu of them under way; all were asked to stop in %.4f s, "
                 "and had in %.4f s, %.0f a second\n"
                 "  outcomes after  p50 %.2f ms  p99 %.2f ms  max %.2f ms; %llu lost, %llu not "
                 "cancelled, %llu left at the broker\n"
                 "  echo %.0f tasks/s before, %.0f right after, %.3f times as many; all good: %s\n",
           (unsigned long long)storm->tasks, (unsigned long long)storm->running, storm->asked_s,
           storm->all_s, (double)storm->ended / storm->all_s, percentile_ms(storm, 50),
           percentile_ms(storm, 99), percentile_ms(storm, 100), (unsigned long long)lost,
           (unsigned long long)other, (unsigned long long)left, storm->before_per_s,
           storm->after_per_s, storm->after_per_s / storm->before_per_s, good ? "true" : "false");
    return good;
}

static int storm_passes(struct sluice *sluice, struct bench_pass *pass, void *arg)
{
    static const char *const names[] = {"cancelled", "leased", "queued", "cancelling"};
    struct storm *storm = arg;
    uint64_t before[4], after[4];

    if (!bench_pass_warm_up(pass, &storm->plan, sluice) ||
        !echo(storm, sluice, pass, &storm->before_per_s) || !pile_up(storm, sluice) ||
        !bench_stats(sluice, names, before, 4)) {
        return EXIT_TASK;
    }
    cancel_all(storm, sluice);
    if (!echo(storm, sluice, pass, &storm->after_per_s) || !bench_stats(sluice, names, after, 4)) {
        return EXIT_TASK;
    }
    return print(storm, after[1] + after[2] + after[3], after[0] - before[0]) ? EXIT_DONE
                                                                              : EXIT_TASK;
}

static int storm_main(struct sluice *sluice, void *arg)
{
    struct storm *storm = arg;
    int code = bench_wait_workers(sluice, storm->echo_service, storm->fleet.workers);

    if (code != EXIT_DONE) {
        return code;
    }
    storm->futures = calloc(storm->tasks, sizeof(storm->futures[0]));
    if (storm->futures == NULL) {
        fprintf(stderr, "sluice bench cancel: out of memory\n");
        return EXIT_TASK;
    }
    code = bench_with_pass(sluice, storm_passes, storm);
    for (uint64_t i = 0; i < storm->tasks; i++) {
        sluice_future_free(storm->futures[i]);
    }
    free(storm->futures);
    return code;
}

static int storm_run(struct cli *cli, const struct command *self, int argc, char **argv)
{
    static struct storm storm; /* a histogram is too large for the stack */
    const char *service = bench_service("cancel");
    struct option_spec specs[] = {
        OPTION_UINT_SPEC("tasks", &storm.tasks, "N", 1, 10000000, "to cancel (100,000)"),
        OPTION_UINT_SPEC("running", &storm.running, "N", 1, 60000,
                         "of them under way, the same number at each worker (2,000)"),
        BENCH_WORKERS_SPEC(&storm.fleet),
        OPTION_UINT_SPEC("echo", &storm.plan.tasks, "N", 1000, 1000000000,
                         "tasks of each measurement of throughput (200,000)"),
        BENCH_TRANSPORT_SPEC(&storm.fleet),
    };
    struct option_set set = {specs, sizeof(specs) / sizeof(specs[0])};
    struct arguments arguments;
    int code;

    storm = (struct storm){
        .cli = cli,
        .fleet = {.transport = "tcp", .service = service, .work = "hold", .workers = 2,
                  .broker_options = bench_unbounded},
        .plan = {.bench = "cancel", .service = storm.echo_service, .window = 1000,
                 .payload_bytes = 64, .tasks = 200000},
        .tasks = 100000,
        .running = 2000,
        .echo_good = true,
    };
    if (!command_parse(cli, self, &set, argc, argv, &arguments, &code)) {
        return code;
    }
    if (bench_refuse_broker(cli, self, &code)) {
        return code;
    }
    snprintf(storm.echo_service, sizeof(storm.echo_service), "%s.echo", service);
    storm.fleet.credit = (storm.running + storm.fleet.workers - 1) / storm.fleet.workers;
    storm.running = storm.fleet.credit * storm.fleet.workers;
    storm.running = storm.running < storm.tasks ? storm.running : storm.tasks;
    return bench_visit(cli, self, &storm.fleet, storm_main, &storm);
}

const struct command command_bench_cancel = {
    .name = "bench cancel",
    .arguments = "",
    .summary = "how soon 100,000 tasks have stopped that are all cancelled at once",
    .about = "Some of the tasks are under way at workers, which stop when they are told; the\n"
             "others wait. All are cancelled at once, and each outcome counts from then. Echo\n"
             "by the same workers is measured before and right after. " BENCH_OWN_BROKER
             "Exit code 1: an outcome was missing or another one, or the broker has kept some.\n",
    .run = storm_run,
};
