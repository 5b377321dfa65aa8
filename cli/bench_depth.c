/* sluice bench depth, sluice bench spread: what the same echo costs beside a million waiting
 * tasks or timers, over ten thousand fairness keys, over a thousand services. */
#include "cli/bench.h"
#include "cli/bench_pass.h"
#include "cli/record.h"

#include <stdlib.h>

#define ROUNDS 5
#define PILE_DELAY_MS 3600000 /* longer than any run of this */

/* Wide enough for whatever is piled up. */
static const char *const unbounded[] = {
    "--window-tasks", "67108864", "--window-bytes", "64G", "--service-max-tasks", "67108864",
    "--service-max-bytes", "64G", "--max-tasks", "67108864", "--memory", "64G",
    "--max-offers", "8192", NULL};

struct load {
    struct cli *cli;
    struct fleet_options fleet;
    struct bench_plan plain, loaded;
    uint64_t depth; /* tasks that wait meanwhile; 0: none */
    bool delayed;   /* each by a timer of its own */
};

/* Medians of the rounds of one plan. */
struct load_figures {
    double tasks_per_s, broker_cpu_s;
    bool good;
};

/* Until the broker has all of them. SUSPENDS. */
static bool wait_queued(struct sluice *sluice, uint64_t tasks)
{
    uint64_t queued = 0;

    while (queued < tasks) {
        json_t *reply = NULL;
        bool answered = sluice_query(sluice, "stats", NULL, NULL, &reply) == 0;

        queued = record_uint(reply, "queued") + record_uint(reply, "delayed");
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
static bool pile_up(const struct load *load, struct sluice *sluice)
{
    struct sluice_submit_options options = {.wait_absent = true,
                                            .delay_ms = load->delayed ? PILE_DELAY_MS : 0};
    uint8_t *payload = calloc(1, load->plain.payload_bytes);
    bool good = payload != NULL;

    for (uint64_t i = 0; good && i < load->depth; i++) {
        good = sluice_submit(sluice, "bench.depth.nobody",
                             (struct sluice_bytes){payload, load->plain.payload_bytes},
                             &options) != NULL;
    }
    free(payload);
    return good && wait_queued(sluice, load->depth);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double median(double values[ROUNDS])
{
    qsort(values, ROUNDS, sizeof(double), by_size);
    return values[ROUNDS / 2];
}

/* Rounds of the plans in turn, so that a machine that gets slower meanwhile treats them alike.
 * False: no memory. SUSPENDS. */
static bool measure(struct sluice *sluice, struct bench_pass *pass,
                    struct bench_plan *const plans[], size_t count, struct load_figures *figures)
{
    double rates[2][ROUNDS], cpu[2][ROUNDS];

    for (size_t i = 0; i < count; i++) {
        figures[i].good = true;
    }
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < count; i++) {
            struct bench_result result = {.bench = plans[i]->bench, .tasks = plans[i]->tasks};

            if (!bench_pass_init(pass, plans[i], sluice, plans[i]->tasks)) {
                return false;
            }
            bench_pass_measure(pass, &result);
            figures[i].good &= bench_result_good(&result);
            rates[i][round] = (double)plans[i]->tasks / result.wall_s;
            cpu[i][round] = result.broker_cpu_s;
            bench_pass_deinit(pass);
        }
    }
    for (size_t i = 0; i < count; i++) {
        figures[i].tasks_per_s = median(rates[i]);
        figures[i].broker_cpu_s = median(cpu[i]);
    }
    return true;
}

static int depth_passes(struct sluice *sluice, struct bench_pass *pass, void *arg)
{
    struct load *load = arg;
    struct bench_plan *plan = &load->plain;
    struct load_figures empty, full;
    uint64_t before;
    double each;
    bool good;

    if (!measure(sluice, pass, &plan, 1, &empty)) {
        return EXIT_TASK;
    }
    before = fleet_broker_bytes();
    if (!pile_up(load, sluice)) {
        return EXIT_TASK;
    }
    each = ((double)fleet_broker_bytes() - (double)before) / (double)load->depth -
           (double)plan->payload_bytes;
    if (!measure(sluice, pass, &plan, 1, &full)) {
        return EXIT_TASK;
    }
    good = empty.good && full.good;
    printf(load->cli->json
               ? "{\"bench\": \"depth\", \"tasks\": %llu, \"payload\": %llu, "
                 "\"delayed\": %s, \"bytes_per_task_overhead\": %.1f, \"tasks_per_s_empty\": %.0f, "
                 "\"tasks_per_s\": %.0f, \"ratio\": %.3f, \"broker_cpu_ratio\": %.3f, "
                 "\"good\": %s}\n"
               : "depth: %llu waiting tasks of %llu bytes (delayed: %s) take %.1f bytes more each; "
                 "echo %.0f tasks/s without them, %.0f with them, %.3f times as many, at %.3f "
                 "times the broker's CPU; all good: %s\n",
           (unsigned long long)load->depth, (unsigned long long)plan->payload_bytes,
           load->delayed ? "true" : "false", each, empty.tasks_per_s, full.tasks_per_s,
           full.tasks_per_s / empty.tasks_per_s, full.broker_cpu_s / empty.broker_cpu_s,
           good ? "true" : "false");
    return good ? EXIT_DONE : EXIT_TASK;
}

static int spread_passes(struct sluice *sluice, struct bench_pass *pass, void *arg)
{
    struct load *load = arg;
    struct bench_plan *const plans[] = {&load->plain, &load->loaded};
    struct load_figures figures[2];
    bool good;

    if (!measure(sluice, pass, plans, 2, figures)) {
        return EXIT_TASK;
    }
    good = figures[0].good && figures[1].good;
    printf(load->cli->json
               ? "{\"bench\": \"spread\", \"keys\": %llu, \"services\": %llu, "
                 "\"tasks_per_s_plain\": %.0f, \"tasks_per_s\": %.0f, \"ratio\": %.3f, "
                 "\"broker_cpu_ratio\": %.3f, \"good\": %s}\n"
               : "spread over %llu fairness keys and %llu services (0: as without): echo %.0f "
                 "tasks/s of one key and service, %.0f spread, %.3f times as many, at %.3f times "
                 "the broker's CPU; all good: %s\n",
           (unsigned long long)load->loaded.keys, (unsigned long long)load->loaded.services,
           figures[0].tasks_per_s, figures[1].tasks_per_s,
           figures[1].tasks_per_s / figures[0].tasks_per_s,
           figures[1].broker_cpu_s / figures[0].broker_cpu_s, good ? "true" : "false");
    return good ? EXIT_DONE : EXIT_TASK;
}

static int load_main(struct sluice *sluice, void *arg)
{
    struct load *load = arg;
    uint64_t services = load->loaded.services;
    char last[160];
    int code;

    snprintf(last, sizeof(last), services > 0 ? "%s.%llu" : "%s", load->fleet.service,
             (unsigned long long)services - 1);
    code = bench_wait_workers(sluice, last, load->fleet.workers);
    if (code != EXIT_DONE) {
        return code;
    }
    return bench_with_pass(sluice, load->depth > 0 ? depth_passes : spread_passes, load);
}

static struct load load_of(struct cli *cli, const char *bench)
{
    const char *service = bench_service(bench);

    return (struct load){
        .cli = cli,
        .fleet = {.transport = "tcp", .service = service, .work = "echo", .workers = 2,
                  .credit = 1000, .broker_options = unbounded},
        .plain = {.bench = bench, .service = service, .window = 1000, .payload_bytes = 64,
                  .tasks = 300000},
    };
}

static int load_visit(struct load *load, const struct command *self, struct option_set *set,
                      int argc, char **argv)
{
    struct arguments arguments;
    int code;

    if (!command_parse(load->cli, self, set, argc, argv, &arguments, &code)) {
        return code;
    }
    load->fleet.services = load->loaded.services;
    load->loaded.bench = load->plain.bench;
    load->loaded.service = load->plain.service;
    load->loaded.window = load->plain.window;
    load->loaded.payload_bytes = load->plain.payload_bytes;
    load->loaded.tasks = load->plain.tasks;
    return bench_visit(load->cli, self, &load->fleet, load_main, load);
}

static int depth_run(struct cli *cli, const struct command *self, int argc, char **argv)
{
    struct load load = load_of(cli, "depth");
    struct option_spec specs[] = {
        OPTION_UINT_SPEC("tasks", &load.depth, "N", 1000, 20000000, "tasks that wait (1,000,000)"),
        OPTION_UINT_SPEC("payload", &load.plain.payload_bytes, "BYTES", ECHO_PAYLOAD_MIN, 65536,
                         "size of a payload (64)"),
        OPTION_UINT_SPEC("echo", &load.plain.tasks, "N", 1000, 1000000000,
                         "tasks of each measurement of throughput (300,000)"),
        OPTION_FLAG_SPEC("delayed", &load.delayed, "they wait for a time, an hour from now"),
    };
    struct option_set set = {specs, sizeof(specs) / sizeof(specs[0])};

    load.depth = 1000000;
    return load_visit(&load, self, &set, argc, argv);
}

static int spread_run(struct cli *cli, const struct command *self, int argc, char **argv)
{
    struct load load = load_of(cli, "spread");
    struct option_spec specs[] = {
        OPTION_UINT_SPEC("keys", &load.loaded.keys, "N", 0, 1000000, "fairness keys (10,000)"),
        OPTION_UINT_SPEC("services", &load.loaded.services, "N", 0, BENCH_SERVICES_MAX,
                         "services, all offered by each worker (0)"),
        OPTION_UINT_SPEC("window", &load.plain.window, "N", 1, 1000000, "tasks under way (1,000)"),
        OPTION_UINT_SPEC("echo", &load.plain.tasks, "N", 1000, 1000000000,
                         "tasks of each measurement of throughput (300,000)"),
    };
    struct option_set set = {specs, sizeof(specs) / sizeof(specs[0])};

    load.loaded.keys = 10000;
    return load_visit(&load, self, &set, argc, argv);
}

#define ROUNDS_TEXT "Each figure is the median of five rounds. Always a broker of its own.\n"

const struct command command_bench_depth = {
    .name = "bench depth",
    .arguments = "",
    .summary = "what a million waiting tasks take, of memory and of echo's throughput",
    .about = "Measures echo, then piles up tasks for a service that nobody offers and measures\n"
             "again beside them. Memory is the broker's resident memory, by task, beyond the\n"
             "payload. " ROUNDS_TEXT,
    .run = depth_run,
};

const struct command command_bench_spread = {
    .name = "bench spread",
    .arguments = "",
    .summary = "what ten thousand fairness keys, or a thousand services, cost echo",
    .about = "Measures echo with one key and service, and in turns with its tasks spread over\n"
             "many. " ROUNDS_TEXT,
    .run = spread_run,
};
