/* sluice bench durable: echo whose tasks are on a disk before they are accepted, and whose outcomes
 * are before they are told; and what the disk takes by itself. */
#include "cli/bench.h"
#include "cli/bench_disk.h"
#include "cli/bench_pass.h"
#include "cli/bench_receipts.h"
#include "cli/visit.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SLICES 12      /* receipts and the disk by itself take turns: it has better moments */
#define SLICE_SYNCS 100
#define SLICE_DISK_MS 1000 /* at most: nobody answers the broker meanwhile */
#define LOAD_SHARE 10  /* receipts are measured at so much less than what it can take */
#define PATH_SIZE 512

struct durable {
    struct cli *cli;
    struct fleet_options fleet;
    struct bench_plan plan;
    const char *directory;
    char store[PATH_SIZE];
    uint64_t receipts_ms;    /* 0: they are not measured, nor is the disk */
    struct bench_receipts receipts;
    struct bench_disk disk;
};

struct counts {
    json_int_t commits, records;
};

/* SUSPENDS. */
static bool measure_receipts(struct durable *durable, struct sluice *sluice)
{
    uint64_t disk_ms = durable->receipts.duration_ms < SLICE_DISK_MS
                           ? durable->receipts.duration_ms : SLICE_DISK_MS;
    bool good = true;

    for (unsigned i = 0; good && i < SLICES; i++) {
        good = bench_disk_syncs(&durable->disk, SLICE_SYNCS) &&
               bench_disk_arrivals(&durable->disk, durable->receipts.per_s, disk_ms) &&
               bench_receipts_run(&durable->receipts, sluice, &durable->plan);
    }
    return good;
}

/* SUSPENDS. */
static struct counts count(struct sluice *sluice)
{
    json_t *reply = NULL;
    struct counts counts = {0};

    if (sluice_query(sluice, "stats", NULL, NULL, &reply) == 0) {
        counts.commits = json_integer_value(json_object_get(reply, "store_commits"));
        counts.records = json_integer_value(json_object_get(reply, "store_records"));
    }
    json_decref(reply);
    return counts;
}

static double percentile_us(const struct histogram *histogram, double percent)
{
    return (double)histogram_percentile(histogram, percent) / 1e3;
}

static void print(const struct durable *durable, const struct bench_result *result,
                  const struct counts *counts)
{
    const char *format =
        durable->cli->json
            ? "{\"bench\": \"durable\", \"payload\": %llu, \"window\": %llu, \"tasks\": %llu, "
              "\"tasks_per_s\": %.0f, \"commits\": %lld, \"records\": %lld, "
              "\"records_per_commit\": %.1f, \"receipts_per_s\": %llu, "
              "\"receipts\": %llu, \"receipt_p50_us\": %.0f, \"receipt_p99_us\": %.0f, "
              "\"disk_arrivals\": %llu, \"disk_p50_us\": %.0f, \"disk_p99_us\": %.0f, "
              "\"fdatasync_p50_us\": %.0f, \"fdatasync_p99_us\": %.0f, "
            : "durable: %llu B, window %llu, %llu tasks: %.0f tasks/s, each on the disk before it "
              "was accepted, and before its outcome was told; %lld commits of %lld records, "
              "%.1f each\n  at %llu tasks/s %llu receipts took  p50 "
              "%.0f us  p99 %.0f us\n"
              "  %llu such arrivals, written straight to the disk  p50 %.0f us  p99 %.0f us\n"
              "  one fdatasync by itself  p50 %.0f us  p99 %.0f us\n";
    bool good = bench_result_good(result) && durable->receipts.failed == 0;

    printf(format, (unsigned long long)result->payload_bytes, (unsigned long long)result->window,
           (unsigned long long)result->tasks, bench_result_per_s(result),
           (long long)counts->commits, (long long)counts->records,
           counts->commits > 0 ? (double)counts->records / (double)counts->commits : 0.0,
           (unsigned long long)durable->receipts.per_s,
           (unsigned long long)durable->receipts.receipt_ns.total,
           percentile_us(&durable->receipts.receipt_ns, 50),
           percentile_us(&durable->receipts.receipt_ns, 99),
           (unsigned long long)durable->disk.arrival_ns.total,
           percentile_us(&durable->disk.arrival_ns, 50),
           percentile_us(&durable->disk.arrival_ns, 99),
           percentile_us(&durable->disk.sync_ns, 50), percentile_us(&durable->disk.sync_ns, 99));
    if (durable->cli->json) {
        bench_cpu_print(result, (double)result->check->received, stdout, true);
        printf(", \"good\": %s}\n", good ? "true" : "false");
        return;
    }
    printf("  cpu/million");
    bench_cpu_print(result, (double)result->check->received, stdout, false);
    printf("\n  all good: %s\n", good ? "true" : "false");
}

/* Its throughput, and then receipts at a tenth of that. SUSPENDS. */
static bool measure(struct durable *durable, struct sluice *sluice, struct bench_pass *pass)
{
    const struct bench_plan *plan = &durable->plan;
    struct bench_result result = {.bench = plan->bench, .payload_bytes = plan->payload_bytes,
                                  .window = plan->window, .tasks = plan->tasks};
    struct counts before = count(sluice), after;

    bench_pass_measure(pass, &result);
    after = count(sluice);
    after.commits -= before.commits;
    after.records -= before.records;
    if (durable->receipts.per_s == 0) {
        durable->receipts.per_s = (uint64_t)(bench_result_per_s(&result) / LOAD_SHARE) + 1;
    }
    durable->receipts.duration_ms = durable->receipts_ms / SLICES;
    if (durable->receipts_ms > 0 && !measure_receipts(durable, sluice)) {
        return false;
    }
    print(durable, &result, &after);
    return bench_result_good(&result) && durable->receipts.failed == 0;
}

static int passes(struct sluice *sluice, struct bench_pass *pass, void *arg)
{
    struct durable *durable = arg;
    bool good;

    if (!bench_pass_warm_up(pass, &durable->plan, sluice) ||
        !bench_pass_init(pass, &durable->plan, sluice, durable->plan.tasks)) {
        return EXIT_TASK;
    }
    good = measure(durable, sluice, pass);
    bench_pass_deinit(pass);
    return good ? EXIT_DONE : EXIT_TASK;
}

static int durable_main(struct sluice *sluice, void *arg)
{
    struct durable *durable = arg;
    int code = bench_wait_workers(sluice, durable->fleet.service, durable->fleet.workers);

    return code == EXIT_DONE ? bench_with_pass(sluice, passes, durable) : code;
}

static int durable_run(struct cli *cli, const struct command *self, int argc, char **argv)
{
    static struct durable durable; /* a histogram is too large for the stack */
    const char *service = bench_service("durable");
    struct option_spec specs[] = {
        OPTION_UINT_SPEC("payload", &durable.plan.payload_bytes, "BYTES", ECHO_PAYLOAD_MIN,
                         16 * 1024 * 1024, "size of a payload (64)"),
        OPTION_UINT_SPEC("window", &durable.plan.window, "N", 1, 100000, "tasks under way (1,000)"),
        BENCH_WORKERS_SPEC(&durable.fleet),
        OPTION_UINT_SPEC("tasks", &durable.plan.tasks, "N", 1, 1000000000, "how many (200,000)"),
        OPTION_DURATION_SPEC("receipts", &durable.receipts_ms,
                             "how long receipts are measured (3s); 0: not at all"),
        OPTION_UINT_SPEC("rate", &durable.receipts.per_s, "N", 1, 1000000,
                         "of those tasks, a second (a tenth of the throughput)"),
        BENCH_DIRECTORY_SPEC(&durable.directory),
    };
    struct option_set set = {specs, sizeof(specs) / sizeof(specs[0])};
    struct arguments arguments;
    int code;

    durable = (struct durable){
        .cli = cli,
        .fleet = {.transport = "tcp", .service = service, .work = "echo", .workers = 2},
        .plan = {.bench = "durable", .service = service, .window = 1000, .payload_bytes = 64,
                 .tasks = 200000, .durable = true},
        .directory = ".",
        .receipts_ms = 3000,
    };
    if (!command_parse(cli, self, &set, argc, argv, &arguments, &code)) {
        return code;
    }
    if (bench_refuse_broker(cli, self, &code)) {
        return code;
    }
    snprintf(durable.store, sizeof(durable.store), "%.400s/sluice-bench-%ld.db", durable.directory,
             (long)getpid());
    durable.fleet.store = durable.store;
    durable.fleet.credit = durable.plan.window < 65535 ? durable.plan.window : 65535;
    if (!bench_disk_open(&durable.disk, durable.directory)) {
        return EXIT_TASK;
    }
    code = bench_visit(cli, self, &durable.fleet, durable_main, &durable);
    bench_disk_close(&durable.disk);
    return code;
}

const struct command command_bench_durable = {
    .name = "bench durable",
    .arguments = "",
    .summary = "throughput of durable tasks, and how long a receipt takes",
    .about = "Echo as in `sluice bench echo`, of durable tasks: each is synced to the disk before\n"
             "it is accepted, and its outcome before that is told. Then receipts at a tenth of\n"
             "that load, tasks sent at a constant rate, whatever those before them take; and,\n"
             "in turns with that, the disk by itself: writes and fdatasyncs of 4 KiB as tasks\n"
             "arrive, one for all that are due, which is the least a receipt can take here;\n"
             "and one after another. The store is in --directory, and removed in the end.\n"
             BENCH_OWN_BROKER,
    .run = durable_run,
};
