/* The broker's core and the codec alone: what one task costs the broker's thread, without a
 * socket or a system call. One submitter and two workers speak with the core through the codec,
 * in one thread under a clock of their own, so that a seed is one run: the same commands, steps
 * and instructions each time. `make bench-guard` counts the instructions; this program by itself
 * prints CPU time, steps and calls of the heap. */
#include "tests/bench/core_codec.h"
#include "tests/bench/core_load.h"

#include <getopt.h>
#include <gnu/libc-version.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Tasks before those that count: by then pools, tables and windows are as full as they get, and
 * so are the 10,000 outcomes that a broker retains. */
#define WARM_UP_TASKS 12000
#define PROGRESS_TASKS 50000

struct workload {
    const char *name, *about;
    struct plan plan; /* what differs from an echo */
};

static const struct workload workloads[] = {
    {"echo", "small tasks, 1,000 under way, both workers have room for all", {0}},
    {"keys", "of 10,000 fairness keys, most of them waiting for a worker",
     {.keys = 10000, .credit = 100}},
    {"services", "for 1,000 services that both workers offer", {.services = 1000}},
    {"delayed", "each to be started after 1 to 20 ms, 10,000 under way",
     {.delay_ms = 20, .window = 10000}},
    {"gather", "held for joins of 100 each", {.gather = 100}},
    {"depth", "beside 20,000 tasks that wait for what nobody offers", {.depth = 20000}},
    {"cancel", "a quarter cancelled while it waits, a quarter while it runs",
     {.cancel = true, .credit = 100}},
    {"stream", "24 chunks before each result, read 8 at a time", {.chunks = 24}},
    {"codec", "no broker: SUBMIT, TASK, DONE and RESULT of each task encoded and decoded", {0}},
};
#define WORKLOAD_COUNT (sizeof workloads / sizeof workloads[0])
#define WORKLOAD_CODEC (&workloads[WORKLOAD_COUNT - 1])

#ifdef __clang__
#define COMPILER "clang " __VERSION__
#else
#define COMPILER "gcc " __VERSION__
#endif
#if defined(__SANITIZE_ADDRESS__) || !defined(__OPTIMIZE__)
#define OPTIMISED "false"
#else
#define OPTIMISED "true"
#endif

struct core_options {
    const struct workload *workload;
    uint64_t tasks, payload_bytes, seed;
    bool json;
};

/* What was measured, without the warm-up. */
struct core_result {
    uint64_t tasks, steps, heap_calls;
    uint64_t lost, duplicated, corrupt, failed, cancelled;
    double cpu_s; /* of the broker's side; codec: of encoding */
    double decode_s;
};

static void print_json(const struct core_options *options, const struct core_result *result)
{
    double tasks = (double)result->tasks;

    printf("{\"bench\": \"core\", \"workload\": \"%s\", \"payload\": %llu, \"tasks\": %llu, "
           "\"seed\": %llu, ",
           options->workload->name, (unsigned long long)options->payload_bytes,
           (unsigned long long)result->tasks, (unsigned long long)options->seed);
    printf("\"tasks_per_s\": %.0f, \"steps_per_task\": %.4f, \"heap_calls_per_task\": %.4f, ",
           tasks / (result->cpu_s + result->decode_s), (double)result->steps / tasks,
           (double)result->heap_calls / tasks);
    printf("\"lost\": %llu, \"duplicated\": %llu, \"corrupt\": %llu, \"failed\": %llu, "
           "\"cancelled\": %llu, ",
           (unsigned long long)result->lost, (unsigned long long)result->duplicated,
           (unsigned long long)result->corrupt, (unsigned long long)result->failed,
           (unsigned long long)result->cancelled);
    if (options->workload == WORKLOAD_CODEC) {
        printf("\"cpu_s_per_million\": {\"encode\": %.4f, \"decode\": %.4f}, ",
               result->cpu_s / tasks * 1e6, result->decode_s / tasks * 1e6);
    } else {
        printf("\"cpu_s_per_million\": {\"broker\": %.4f}, ", result->cpu_s / tasks * 1e6);
    }
    printf("\"compiler\": \"%s\", \"flags\": \"%s\", \"libc\": \"glibc %s\", "
           "\"optimised\": %s}\n", COMPILER, BUILT_WITH, gnu_get_libc_version(), OPTIMISED);
}

static void print_text(const struct core_options *options, const struct core_result *result)
{
    double tasks = (double)result->tasks;

    printf("%s: %llu tasks of %llu B (%s)\n", options->workload->name,
           (unsigned long long)result->tasks, (unsigned long long)options->payload_bytes,
           options->workload->about);
    if (options->workload == WORKLOAD_CODEC) {
        printf("  encode       %.3f CPU s per million\n  decode       %.3f CPU s per million\n",
               result->cpu_s / tasks * 1e6, result->decode_s / tasks * 1e6);
    } else {
        printf("  throughput   %.0f tasks/s of the core alone (%.3f CPU s per million)\n",
               tasks / result->cpu_s, result->cpu_s / tasks * 1e6);
        printf("  steps        %.3f per task\n", (double)result->steps / tasks);
    }
    printf("  heap calls   %.4f per task\n", (double)result->heap_calls / tasks);
    printf("  replies      %llu lost, %llu duplicated, %llu corrupt, %llu failed",
           (unsigned long long)result->lost, (unsigned long long)result->duplicated,
           (unsigned long long)result->corrupt, (unsigned long long)result->failed);
    if (result->cancelled > 0) {
        printf("; %llu cancelled as wanted", (unsigned long long)result->cancelled);
    }
    printf("\n");
}

static struct plan plan_of(const struct core_options *options)
{
    struct plan plan = options->workload->plan;

    plan.payload_bytes = options->payload_bytes;
    plan.window = plan.window > 0 ? plan.window : 1000;
    /* The window is full until the last of those that count has ended. */
    plan.tasks = WARM_UP_TASKS + options->tasks + plan.window;
    plan.seed = options->seed;
    return plan;
}

/* Until so many have ended, or are lost. On a terminal it says how far it is. */
static void run_until(struct load *load, uint64_t ended)
{
    bool terminal = isatty(STDERR_FILENO), going = true;

    while (going && load->ended < ended) {
        uint64_t left = ended - load->ended;

        going = load_run(load, load->ended + (left < PROGRESS_TASKS ? left : PROGRESS_TASKS));
        if (terminal) {
            fprintf(stderr, "\rcore: %llu of %llu tasks", (unsigned long long)load->ended,
                    (unsigned long long)load->plan.tasks);
        }
    }
    if (terminal) {
        fprintf(stderr, "\r\033[K");
    }
}

static void measure_load(const struct core_options *options, struct core_result *result)
{
    struct plan plan = plan_of(options);
    struct world world;
    struct load load;

    world_init(&world, options->seed);
    load_init(&load, &plan, &world);
    if (load_run(&load, WARM_UP_TASKS)) {
        uint64_t warm = load.ended, cancelled = load.cancelled;

        world.cpu_s = 0;
        world.steps = world.heap_calls = 0;
        run_until(&load, WARM_UP_TASKS + options->tasks);
        *result = (struct core_result){.tasks = load.ended - warm,
                                       .steps = world.steps,
                                       .heap_calls = world.heap_calls,
                                       .cpu_s = world.cpu_s,
                                       .cancelled = load.cancelled - cancelled};
        run_until(&load, load.plan.tasks);
    }
    result->lost = load.plan.tasks - load.ended;
    result->duplicated = load.duplicated + load.check.duplicated;
    result->corrupt = load.check.corrupt;
    result->failed = load_failed(&load) - load.check.corrupt;
    load_deinit(&load);
    world_deinit(&world);
}

static void measure_codec(const struct core_options *options, struct core_result *result)
{
    struct codec_times times;

    codec_measure(options->tasks, options->payload_bytes, options->seed, &times);
    *result = (struct core_result){.tasks = options->tasks,
                                   .heap_calls = times.heap_calls,
                                   .cpu_s = times.encode_s,
                                   .decode_s = times.decode_s,
                                   .corrupt = times.corrupt};
}

/* ---- options -------------------------------------------------------------- */

static void print_usage(FILE *stream)
{
    fprintf(stream, "usage: sluice-bench-core [--workload NAME] [--tasks N] [--payload BYTES]\n"
                    "                         [--seed N] [--json]\n"
                    "\n"
                    "The broker's core and the codec alone, without sockets, in one thread: a\n"
                    "submitter keeps a window of tasks under way, two workers answer, every result\n"
                    "is checked. Counted is the broker's side: decode, step, encode.\n"
                    "Exit code 1: something was lost, duplicated, corrupt or failed.\n"
                    "\n"
                    "  --tasks N        how many, after a warm-up of %d (1000000)\n"
                    "  --payload BYTES  of each task, 8 to 65536; codec: to 8192 (64)\n"
                    "  --seed N         of hashes, ids and whatever is drawn (1)\n"
                    "  --json           one line of JSON\n"
                    "  --workload NAME  one of:\n",
            WARM_UP_TASKS);
    for (size_t i = 0; i < WORKLOAD_COUNT; i++) {
        fprintf(stream, "    %-10s %s%s\n", workloads[i].name, workloads[i].about,
                i == 0 ? " (the default)" : "");
    }
}

_Noreturn static void refuse(const char *what, const char *advice)
{
    fprintf(stderr, "sluice-bench-core: %s: %s\n", what, advice);
    exit(2);
}

static uint64_t parse_count(const char *text, uint64_t min, uint64_t max)
{
    char advice[80];
    char *end;
    unsigned long long value = strtoull(text, &end, 10);

    if (*text < '0' || *text > '9' || *end != '\0' || value < min || value > max) {
        snprintf(advice, sizeof advice, "a number from %llu to %llu is needed",
                 (unsigned long long)min, (unsigned long long)max);
        refuse(text, advice);
    }
    return value;
}

static const struct workload *parse_workload(const char *name)
{
    for (size_t i = 0; i < WORKLOAD_COUNT; i++) {
        if (strcmp(workloads[i].name, name) == 0) {
            return &workloads[i];
        }
    }
    refuse(name, "no such workload; --help lists them");
}

static void parse(struct core_options *options, int argc, char **argv)
{
    static const struct option names[] = {
        {"workload", required_argument, NULL, 'w'}, {"tasks", required_argument, NULL, 't'},
        {"payload", required_argument, NULL, 'p'},  {"seed", required_argument, NULL, 's'},
        {"json", no_argument, NULL, 'j'},           {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int found;

    while ((found = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (found) {
        case 'w':
            options->workload = parse_workload(optarg);
            break;
        case 't':
            options->tasks = parse_count(optarg, 1, 1000000000);
            break;
        case 'p':
            options->payload_bytes = parse_count(optarg, ECHO_PAYLOAD_MIN, 65536);
            break;
        case 's':
            options->seed = parse_count(optarg, 0, UINT32_MAX);
            break;
        case 'j':
            options->json = true;
            break;
        case 'h':
            print_usage(stdout);
            exit(0);
        default:
            print_usage(stderr);
            exit(2);
        }
    }
    if (optind != argc) {
        refuse(argv[optind], "takes no arguments; --help lists the options");
    }
    if (options->workload == WORKLOAD_CODEC && options->payload_bytes > PAYLOAD_INLINE_MAX) {
        refuse("--payload", "8192 at most: larger payloads are not encoded");
    }
}

int main(int argc, char **argv)
{
    struct core_options options = {
        .workload = &workloads[0], .tasks = 1000000, .payload_bytes = 64, .seed = 1};
    struct core_result result = {0};

    parse(&options, argc, argv);
    blob_stock_open(BLOB_STOCK_BROKER);
    if (options.workload == WORKLOAD_CODEC) {
        measure_codec(&options, &result);
    } else {
        measure_load(&options, &result);
    }
    blob_stock_close();
    if (options.json) {
        print_json(&options, &result);
    } else {
        print_text(&options, &result);
    }
    return result.lost + result.duplicated + result.corrupt + result.failed == 0 ? 0 : 1;
}
