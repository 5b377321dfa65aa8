/* sluice bench load: how long a task takes at a given load, as an open loop. */
#include "cli/bench.h"
#include "cli/bench_open.h"
#include "cli/bench_pass.h"

#include <stdlib.h>
#include <string.h>

#define LOADS_MAX 16
#define PERCENT_MAX 200
#define RATE_MAX 10000000
#define TASKS_MAX 1000000000ULL /* a bit each is kept of them */

struct load {
    struct cli *cli;
    struct fleet_options fleet;
    struct bench_plan plan; /* of the closed loop: window and tasks too */
    uint64_t rate;          /* the one load, in tasks a second; 0: shares of the peak */
    uint64_t percents[LOADS_MAX];
    size_t percent_count;
    uint64_t duration_ms;
    double peak_per_s;      /* of the closed loop; 0: not measured */
    bool good;
    struct bench_open open;
};

/* The closed loop. SUSPENDS. */
static bool find_peak(struct load *load, struct sluice *sluice, struct bench_pass *pass)
{
    struct bench_result result = {.bench = "load", .tasks = load->plan.tasks};

    if (!bench_pass_init(pass, &load->plan, sluice, load->plan.tasks)) {
        return false;
    }
    bench_pass_measure(pass, &result);
    load->good = bench_result_good(&result);
    load->peak_per_s = bench_result_per_s(&result);
    bench_pass_deinit(pass);
    if (!load->good) {
        fprintf(stderr, "sluice bench load: tasks were lost or changed while it looked for the "
                        "peak\n");
    }
    return load->good;
}

static void print_json(const struct bench_result *result, unsigned percent)
{
    printf("{\"percent\": ");
    printf(percent > 0 ? "%u" : "null", percent);
    printf(", \"rate\": %llu, \"tasks\": %llu, \"wall_s\": %.4f, \"tasks_per_s\": %.0f, ",
           (unsigned long long)result->rate, (unsigned long long)result->tasks, result->wall_s,
           bench_result_per_s(result));
    printf("\"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, "
           "\"max_us\": %.1f, \"late\": %llu, ",
           bench_result_us(result, 50), bench_result_us(result, 90), bench_result_us(result, 99),
           bench_result_us(result, 99.9), bench_result_us(result, 100),
           (unsigned long long)result->late);
    printf("\"lost\": %llu, \"duplicated\": %llu, \"corrupt\": %llu, \"failed\": %llu, ",
           (unsigned long long)bench_result_lost(result),
           (unsigned long long)result->check->duplicated,
           (unsigned long long)result->check->corrupt, (unsigned long long)result->failed);
    bench_cpu_print(result, (double)result->check->received, stdout, true);
    printf("}");
}

static void print_text(const struct bench_result *result, unsigned percent)
{
    printf("  %llu tasks/s", (unsigned long long)result->rate);
    if (percent > 0) {
        printf(" (%u %%)", percent);
    }
    printf("  p50 %.0f us  p90 %.0f us  p99 %.0f us  p99.9 %.0f us  max %.0f us\n",
           bench_result_us(result, 50), bench_result_us(result, 90), bench_result_us(result, 99),
           bench_result_us(result, 99.9), bench_result_us(result, 100));
    printf("    of %llu tasks: %llu sent late, %llu lost, %llu duplicated, %llu corrupt, "
           "%llu failed\n    CPU for a million:",
           (unsigned long long)result->tasks, (unsigned long long)result->late,
           (unsigned long long)bench_result_lost(result),
           (unsigned long long)result->check->duplicated,
           (unsigned long long)result->check->corrupt, (unsigned long long)result->failed);
    bench_cpu_print(result, (double)result->check->received, stdout, false);
    printf("\n");
}

/* One load; `percent` 0: it was given as a rate. SUSPENDS. */
static bool run_one(struct load *load, struct sluice *sluice, unsigned percent, bool first)
{
    struct bench_result *result = &load->open.result;
    double per_s = percent > 0 ? load->peak_per_s * percent / 100 : (double)load->rate;

    *result = (struct bench_result){
        .rate = per_s < 1 ? 1 : per_s > RATE_MAX ? RATE_MAX : (uint64_t)per_s};
    result->tasks = result->rate * load->duration_ms / 1000;
    result->tasks = result->tasks < 1 ? 1 : result->tasks > TASKS_MAX ? TASKS_MAX : result->tasks;
    if (!bench_open_run(&load->open, sluice, &load->plan)) {
        return false;
    }
    if (load->cli->json) {
        fputs(first ? "" : ", ", stdout);
        print_json(result, percent);
    } else {
        print_text(result, percent);
    }
    load->good &= bench_result_good(result);
    bench_open_deinit(&load->open);
    return true;
}

static void print_head(const struct load *load)
{
    if (!load->cli->json) {
        printf("load: open loop, tasks of %llu B, %llu workers",
               (unsigned long long)load->plan.payload_bytes,
               (unsigned long long)load->fleet.workers);
        if (load->peak_per_s > 0) {
            printf("; the peak, window %llu: %.0f tasks/s", (unsigned long long)load->plan.window,
                   load->peak_per_s);
        }
        printf("\n");
        return;
    }
    printf("{\"bench\": \"load\", \"transport\": \"%s\", \"payload\": %llu, \"workers\": %llu, "
           "\"window\": %llu, \"peak_tasks_per_s\": ",
           load->cli->broker_given ? load->cli->broker : load->fleet.transport,
           (unsigned long long)load->plan.payload_bytes, (unsigned long long)load->fleet.workers,
           (unsigned long long)load->plan.window);
    printf(load->peak_per_s > 0 ? "%.0f" : "null", load->peak_per_s);
    printf(", \"loads\": [");
}

static int load_passes(struct sluice *sluice, struct bench_pass *pass, void *arg)
{
    struct load *load = arg;
    size_t count = load->rate > 0 ? 1 : load->percent_count;
    bool run = true;

    load->good = true;
    if (!bench_pass_warm_up(pass, &load->plan, sluice) ||
        (load->rate == 0 && !find_peak(load, sluice, pass))) {
        return EXIT_TASK;
    }
    print_head(load);
    for (size_t i = 0; run && i < count; i++) {
        run = run_one(load, sluice, load->rate > 0 ? 0 : (unsigned)load->percents[i], i == 0);
    }
    if (load->cli->json) {
        printf("], \"good\": %s}\n", run && load->good ? "true" : "false");
    }
    return run && load->good ? EXIT_DONE : EXIT_TASK;
}

static int load_main(struct sluice *sluice, void *arg)
{
    struct load *load = arg;
    int code = bench_wait_workers(sluice, load->fleet.service, load->fleet.workers);

    return code == EXIT_DONE ? bench_with_pass(sluice, load_passes, load) : code;
}

static int load_run(struct cli *cli, const struct command *self, int argc, char **argv)
{
    static struct load load; /* a histogram is too large for the stack */
    const char *service = bench_service("load"), *percents = "10,50,80";
    struct option_spec specs[] = {
        OPTION_UINT_SPEC("rate", &load.rate, "N", 1, RATE_MAX,
                         "tasks a second; no peak is looked for"),
        OPTION_TEXT_SPEC("percent", &percents, "N,N...", "of the peak (10,50,80)"),
        OPTION_DURATION_SPEC("duration", &load.duration_ms, "of each load (3s)"),
        OPTION_UINT_SPEC("payload", &load.plan.payload_bytes, "BYTES", ECHO_PAYLOAD_MIN,
                         1024 * 1024, "size of a payload (64)"),
        BENCH_WORKERS_SPEC(&load.fleet),
        OPTION_UINT_SPEC("window", &load.plan.window, "N", 1, 1000000,
                         "tasks under way while it looks for the peak (1,000)"),
        OPTION_UINT_SPEC("tasks", &load.plan.tasks, "N", 1, TASKS_MAX,
                         "how many it takes for that (500,000)"),
        BENCH_TRANSPORT_SPEC(&load.fleet),
    };
    struct option_set set = {specs, sizeof(specs) / sizeof(specs[0])};
    struct arguments arguments;
    int code;

    load = (struct load){
        .cli = cli,
        .fleet = {.transport = "tcp", .service = service, .work = "echo", .workers = 2,
                  .credit = 1000},
        .plan = {.bench = "load", .service = service, .window = 1000, .payload_bytes = 64,
                 .tasks = 500000},
        .duration_ms = 3000,
    };
    if (!command_parse(cli, self, &set, argc, argv, &arguments, &code)) {
        return code;
    }
    load.percent_count = bench_read_numbers(percents, PERCENT_MAX, load.percents, LOADS_MAX);
    if (load.percent_count == 0) {
        return command_usage(self, "--percent is up to %d numbers from 1 to %d with commas, not "
                             "'%.40s'", LOADS_MAX, PERCENT_MAX, percents);
    }
    if (load.duration_ms < 1 || load.duration_ms > 3600000) {
        return command_usage(self, "--duration is 1ms to 1h");
    }
    load.plan.wait_absent = cli->broker_given;
    return bench_visit(cli, self, &load.fleet, load_main, &load);
}

const struct command command_bench_load = {
    .name = "bench load",
    .arguments = "",
    .summary = "how long a task takes at 10, 50 and 80 % of the peak, or at a given rate",
    .about = "Tasks are sent at a constant rate, whatever becomes of those before them (an open\n"
             "loop), and every reply is checked. Latency is from the time at which a task was\n"
             "due to its checked reply, so that what waits for a slow one is counted too. The\n"
             "peak is what a full window gets through just before. Late: sent more than 1 ms\n"
             "after it was due; many of them say that this machine cannot keep up that rate.\n"
             "Exit code 1: something was lost, duplicated, corrupt or failed.\n",
    .run = load_run,
};
