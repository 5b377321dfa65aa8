/* sluice bench depth, sluice bench spread: what the same echo costs beside a million waiting
 * tasks or timers, over ten thousand fairness keys, over a thousand services. */
#include "cli/bench.h"
#include "cli/bench_rounds.h"
#include "cli/progress.h"

#include <stdlib.h>

#define LOOK_MS 20
#define PILE_DELAY_MS "3600000" /* longer than any run of this */

struct load {
    struct cli *cli;
    struct fleet_options fleet;
    struct bench_plan plain, loaded;
    uint64_t depth; /* tasks that wait meanwhile; 0: none */
    bool delayed;   /* each by a timer of its own */
};

/* Until the broker has all of them. SUSPENDS. */
static bool wait_queued(struct sluice *sluice, uint64_t tasks)
{
    static const char *const names[] = {"queued", "delayed"};
    struct bench_stall stall = {0, 0};
    struct progress progress;
    uint64_t now[2] = {0, 0};
    bool good = true;
    char text[64] = "no task";

    progress_init(&progress, "starting");
    while (good && now[0] + now[1] < tasks) {
        good = bench_stats(sluice, names, now, 2) &&
               !bench_stalls(&stall, sluice, now[0] + now[1]) &&
               sluice_sleep_ms(sluice, LOOK_MS) == 0;
        snprintf(text, sizeof(text), "%llu of %llu tasks", (unsigned long long)(now[0] + now[1]),
                 (unsigned long long)tasks);
        if (progress.tty) {
            progress_set(&progress, text);
        }
    }
    progress_clear(&progress);
    if (!good) {
        fprintf(stderr, "sluice bench: the broker has taken %s\n", text);
    }
    return good;
}

/* Tasks for a service that nobody offers, of a process of their own that remembers none of them:
 * ten million are to fit beside what the broker keeps. SUSPENDS. */
static bool pile_up(const struct load *load, struct sluice *sluice)
{
    char tasks[24], payload[24];
    const char *words[] = {"bench-crowd", "--service", "bench.depth.nobody", "--pile", tasks,
                           "--payload", payload, "--delay-ms",
                           load->delayed ? PILE_DELAY_MS : "0", NULL};

    snprintf(tasks, sizeof(tasks), "%llu", (unsigned long long)load->depth);
    snprintf(payload, sizeof(payload), "%llu", (unsigned long long)load->plain.payload_bytes);
    return fleet_add(words) != NULL && wait_queued(sluice, load->depth);
}

static int depth_passes(struct sluice *sluice, struct bench_pass *pass, void *arg)
{
    struct load *load = arg;
    struct bench_plan *plan = &load->plain;
    struct bench_figures empty, full;
    uint64_t before;
    double each;
    bool good;

    if (!bench_rounds_run(sluice, pass, &plan, 1, &empty)) {
        return EXIT_TASK;
    }
    before = fleet_broker_bytes();
    if (!pile_up(load, sluice)) {
        return EXIT_TASK;
    }
    each = ((double)fleet_broker_bytes() - (double)before) / (double)load->depth -
           (double)plan->payload_bytes;
    if (!bench_rounds_run(sluice, pass, &plan, 1, &full)) {
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
    struct bench_figures figures[2];
    bool good;

    if (!bench_rounds_run(sluice, pass, plans, 2, figures)) {
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
                  .credit = 1000, .broker_options = bench_unbounded},
        .plain = {.bench = bench, .service = service, .window = 1000, .payload_bytes = 64,
                  .tasks = 300000},
    };
}

static int load_visit(struct load *load, const struct command *self, struct option_set *set,
                      int argc, char **argv)
{
    struct arguments arguments;
    int code;

    if (!command_parse(load->cli, self, set, argc, argv, &arguments, &code) ||
        bench_refuse_broker(load->cli, self, &code)) {
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

#define ROUNDS_TEXT "Each figure is the median of five rounds. " BENCH_OWN_BROKER

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
