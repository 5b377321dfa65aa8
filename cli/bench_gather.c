/* sluice bench gather: how long N tasks that each take a while take together. */
#include "cli/bench.h"
#include "cli/bench_result.h"
#include "cli/failure.h"

#include <stdlib.h>

struct gathering {
    struct cli *cli;
    struct fleet_options fleet;
    uint64_t tasks;
    double wall_s;
    uint64_t done;
};

static void gathering_print(const struct gathering *gathering)
{
    const char *format =
        gathering->cli->json
            ? "{\"bench\": \"gather\", \"tasks\": %llu, \"work_ms\": %llu, \"workers\": %llu, "
              "\"done\": %llu, \"wall_s\": %.4f}\n"
            : "gather: %llu tasks of %llu ms on %llu workers: %llu done in %.4f s\n";

    printf(format, (unsigned long long)gathering->tasks,
           (unsigned long long)gathering->fleet.work_ms,
           (unsigned long long)gathering->fleet.workers, (unsigned long long)gathering->done,
           gathering->wall_s);
}

/* Submits all tasks held and joins them: one message back for all of them. SUSPENDS. */
static bool gather(struct gathering *gathering, struct sluice *sluice,
                   struct sluice_future **futures)
{
    static const struct sluice_submit_options held = {.held = true};
    struct sluice_bytes payload = {"", 0};
    struct sluice_future *join;
    enum sluice_outcome outcome;

    for (uint64_t i = 0; i < gathering->tasks; i++) {
        futures[i] = sluice_submit(sluice, gathering->fleet.service, payload, &held);
        if (futures[i] == NULL) {
            return false;
        }
    }
    join = sluice_join(sluice, futures, gathering->tasks, SLUICE_JOIN_ALL, NULL);
    if (join == NULL) {
        return false;
    }
    outcome = sluice_await(join);
    if (outcome != SLUICE_DONE) {
        failure_print("bench gather", outcome, sluice_future_error(join));
    }
    sluice_future_free(join);
    return true;
}

static int gather_main(struct sluice *sluice, void *arg)
{
    struct gathering *gathering = arg;
    int code = bench_wait_workers(sluice, gathering->fleet.service, gathering->fleet.workers);
    struct sluice_future **futures;
    uint64_t begun_ns;

    if (code != EXIT_DONE) {
        return code;
    }
    futures = calloc(gathering->tasks, sizeof(futures[0]));
    begun_ns = bench_now_ns();
    if (futures == NULL || !gather(gathering, sluice, futures)) {
        fprintf(stderr, "sluice bench: out of memory\n");
    }
    gathering->wall_s = (double)(bench_now_ns() - begun_ns) / 1e9;
    for (uint64_t i = 0; futures != NULL && i < gathering->tasks; i++) {
        gathering->done += futures[i] != NULL && sluice_future_outcome(futures[i]) == SLUICE_DONE;
        sluice_future_free(futures[i]);
    }
    free(futures);
    gathering_print(gathering);
    return gathering->done == gathering->tasks ? EXIT_DONE : EXIT_TASK;
}

static int gather_run(struct cli *cli, const struct command *self, int argc, char **argv)
{
    struct gathering gathering = {
        .cli = cli,
        .fleet = {.transport = "tcp", .service = bench_service("gather"), .work = "sleep",
                  .work_ms = 1000, .workers = 2},
        .tasks = 5,
    };
    struct option_spec specs[] = {
        /* 16,384 is what one join may need (proto/PROTOCOL.md, section 1.3). */
        OPTION_UINT_SPEC("tasks", &gathering.tasks, "N", 1, 16384, "how many (5)"),
        OPTION_UINT_SPEC("work-ms", &gathering.fleet.work_ms, "MS", 0, 3600000,
                         "how long each of them sleeps (1000)"),
        BENCH_WORKERS_SPEC(&gathering.fleet),
        BENCH_TRANSPORT_SPEC(&gathering.fleet),
    };
    struct option_set set = {specs, sizeof(specs) / sizeof(specs[0])};
    struct arguments arguments;
    int code;

    if (!command_parse(cli, self, &set, argc, argv, &arguments, &code)) {
        return code;
    }
    gathering.fleet.credit = gathering.tasks;
    return bench_visit(cli, self, &gathering.fleet, gather_main, &gathering);
}

const struct command command_bench_gather = {
    .name = "bench gather",
    .arguments = "",
    .summary = "tasks that wait at the same time, joined at the broker (5 of 1,000 ms)",
    .about = "As long as the workers' credit reaches, all tasks together should take\n"
             "hardly longer than one of them.\n",
    .run = gather_run,
};
