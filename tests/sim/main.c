/* sim: the simulator's program. See usage(). */
#include "common/check.h"
#include "tests/sim/mutant.h"
#include "tests/sim/shrink.h"
#include "tests/sim/sometimes.h"
#include "tests/sim/world.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORKERS_MAX 16
#define SEED_SECONDS_MAX 120 /* a world that takes longer has hung */
#define SHRINK_SECONDS 60
#define PROGRESS_MS 2000

static void usage(FILE *to)
{
    fprintf(to,
            "usage: sim --seed N [--set NAME=VALUE]... [--trace]\n"
            "           replays one world and prints its hash\n"
            "       sim --seconds N [--first N] [--jobs N] [--pair PROGRAM] [--set NAME=VALUE]...\n"
            "           runs new worlds; --pair runs each also with PROGRAM (the same\n"
            "           sources, built otherwise) and compares the hashes\n"
            "       sim --seeds FILE     replays every line of FILE: SEED [NAME=VALUE]...\n"
            "       sim --mutants [--seconds N] [--jobs N]\n"
            "           breaks the core in each known way and must notice\n"
            "       sim --list           the options of a world\n");
}

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* ---- workers ------------------------------------------------------------------------ */

/* What a worker writes to its pipe: begun (virtual_ms 0), then finished. */
struct line {
    uint64_t seed;
    bool finished;
    struct world_report report;
};

struct shared {
    volatile bool stop;
    volatile uint64_t sometimes[WORKERS_MAX][SOMETIMES_COUNT];
};

struct worker {
    pid_t pid;
    int pipe;
    uint64_t seed; /* under way */
    bool running;
};

struct fleet {
    struct shared *shared;
    struct worker workers[WORKERS_MAX];
    unsigned count;
    uint64_t first, seeds, steps, virtual_ms, submitted, checks;
    char **sets;
    unsigned set_count;
    bool failed;
    uint64_t failed_seed;
};

static bool apply_sets(struct sim_options *options, char **sets, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (!sim_options_set(options, sets[i])) {
            fprintf(stderr, "sim: no such option, or not a number: %s; try sim --list\n", sets[i]);
            return false;
        }
    }
    return true;
}

static void worker_say(int pipe, const struct line *line)
{
    ssize_t written = write(pipe, line, sizeof *line); /* below PIPE_BUF: whole */

    CHECK(written == (ssize_t)sizeof *line);
}

static void worker_main(const struct fleet *fleet, unsigned index, uint64_t seed, int pipe)
{
    for (; !fleet->shared->stop; seed += fleet->count) {
        struct sim_options options = sim_options_draw(seed);
        struct line line = {.seed = seed};

        apply_sets(&options, fleet->sets, fleet->set_count);
        worker_say(pipe, &line);
        alarm(SEED_SECONDS_MAX);
        line.report = world_run(&options, false);
        line.finished = true;
        worker_say(pipe, &line);
        for (unsigned i = 0; i < SOMETIMES_COUNT; i++) {
            fleet->shared->sometimes[index][i] = sometimes_counts[i];
        }
    }
    exit(0);
}

static void worker_start(struct fleet *fleet, unsigned index, uint64_t seed)
{
    struct worker *worker = &fleet->workers[index];
    int pipes[2];

    CHECK(pipe(pipes) == 0);
    fflush(stdout);
    worker->pid = fork();
    CHECK(worker->pid >= 0);
    if (worker->pid == 0) {
        int null = open("/dev/null", O_WRONLY);

        close(pipes[0]);
        dup2(null, STDOUT_FILENO); /* the parent runs a failing seed again, to be read */
        dup2(null, STDERR_FILENO);
        worker_main(fleet, index, seed, pipes[1]);
    }
    close(pipes[1]);
    worker->pipe = pipes[0];
    worker->seed = seed;
    worker->running = true;
}

/* ---- pairing: the same seeds under another build ----------------------------------------- */

struct pair {
    FILE *to, *from;
    pid_t pid;
    uint64_t compared;
};

static bool pair_start(struct pair *pair, const char *program)
{
    int to[2], from[2];

    CHECK(pipe(to) == 0 && pipe(from) == 0);
    pair->pid = fork();
    CHECK(pair->pid >= 0);
    if (pair->pid == 0) {
        dup2(to[0], STDIN_FILENO);
        dup2(from[1], STDOUT_FILENO);
        close(to[1]);
        close(from[0]);
        execl(program, program, "--follow", (char *)NULL);
        perror(program);
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    pair->to = fdopen(to[1], "w");
    pair->from = fdopen(from[0], "r");
    return pair->to != NULL && pair->from != NULL;
}

/* The other build's half: reads "SEED SET...", answers "SEED HASH". */
static int follow(void)
{
    char text[4096];

    while (fgets(text, sizeof text, stdin) != NULL) {
        char *save = NULL;
        char *word = strtok_r(text, " \n", &save);
        struct sim_options options;
        struct world_report report;

        if (word == NULL) {
            continue;
        }
        options = sim_options_draw(strtoull(word, NULL, 10));
        while ((word = strtok_r(NULL, " \n", &save)) != NULL) {
            CHECK(sim_options_set(&options, word));
        }
        report = world_run(&options, false);
        printf("%" PRIu64 " %016" PRIx64 "\n", options.seed, report.hash);
        fflush(stdout);
    }
    return 0;
}

static bool pair_ask(struct pair *pair, const struct fleet *fleet, uint64_t seed)
{
    fprintf(pair->to, "%" PRIu64, seed);
    for (unsigned i = 0; i < fleet->set_count; i++) {
        fprintf(pair->to, " %s", fleet->sets[i]);
    }
    fputc('\n', pair->to);
    return fflush(pair->to) == 0;
}

/* ---- running ------------------------------------------------------------------------------- */

static void print_command(const struct sim_options *options)
{
    printf("build/sim/sim --seed %" PRIu64, options->seed);
    sim_options_print(options);
    printf(" --trace\n");
}

static void explain_failure(struct fleet *fleet)
{
    struct sim_options options = sim_options_draw(fleet->failed_seed);
    struct sim_options small;
    char property[256];

    apply_sets(&options, fleet->sets, fleet->set_count);
    printf("\nseed %" PRIu64 " failed; running it again\n", fleet->failed_seed);
    if (!shrink_try(&options, property, sizeof property)) {
        printf("it did not fail again: not deterministic\n");
        return;
    }
    printf("property: %s; shrinking for at most %d s\n", property, SHRINK_SECONDS);
    fflush(stdout);
    small = shrink(&options, property, SHRINK_SECONDS);
    printf("reproduce with:\n  ");
    print_command(&small);
}

static void take_line(struct fleet *fleet, struct worker *worker, const struct line *line)
{
    worker->seed = line->seed;
    if (line->finished) {
        fleet->seeds++;
        fleet->steps += line->report.steps;
        fleet->virtual_ms += line->report.virtual_ms;
        fleet->submitted += line->report.submitted;
        fleet->checks += line->report.checks;
    }
}

/* Reads what a worker has said. False: it is gone. */
static bool worker_read(struct fleet *fleet, struct worker *worker, struct line *line)
{
    ssize_t got = read(worker->pipe, line, sizeof *line);
    int status;

    if (got == (ssize_t)sizeof *line) {
        take_line(fleet, worker, line);
        return true;
    }
    close(worker->pipe);
    worker->running = false;
    waitpid(worker->pid, &status, 0);
    if (!(WIFEXITED(status) && WEXITSTATUS(status) == 0) && !fleet->failed) {
        fleet->failed = true;
        fleet->failed_seed = worker->seed;
        fleet->shared->stop = true;
    }
    return false;
}

static void print_progress(const struct fleet *fleet, double elapsed_s, const struct pair *pair)
{
    printf("%6.0f s  %8" PRIu64 " seeds  %10" PRIu64 " steps  %9" PRIu64
           " tasks  %8.1f simulated hours  %6.0fx real time  %" PRIu64 " paired\n",
           elapsed_s, fleet->seeds, fleet->steps, fleet->submitted,
           (double)fleet->virtual_ms / 3600000.0,
           (double)fleet->virtual_ms / 1000.0 / (elapsed_s > 0 ? elapsed_s : 1),
           pair->compared);
    fflush(stdout);
}

/* Every state that a long run must reach. Returns how many were not. */
static unsigned print_sometimes(const struct fleet *fleet)
{
    unsigned missing = 0;

    for (unsigned i = 0; i < SOMETIMES_COUNT; i++) {
        uint64_t count = 0;

        for (unsigned w = 0; w < fleet->count; w++) {
            count += fleet->shared->sometimes[w][i];
        }
        printf("  %-32s %12" PRIu64 "%s\n", sometimes_name(i), count,
               count == 0 ? "  NEVER" : "");
        missing += count == 0;
    }
    return missing;
}

static bool pair_compare(struct pair *pair, uint64_t seed, uint64_t hash)
{
    uint64_t other_seed, other_hash;

    if (fscanf(pair->from, "%" SCNu64 " %" SCNx64, &other_seed, &other_hash) != 2) {
        printf("seed %" PRIu64 " failed in the paired build only; run it with that\n", seed);
        return false;
    }
    if (other_seed != seed || other_hash != hash) {
        printf("VIOLATION determinism: seed %" PRIu64 " hashes to %016" PRIx64
               " here and %016" PRIx64 " in the paired build\n",
               seed, hash, other_hash);
        return false;
    }
    pair->compared++;
    return true;
}

static int run_fleet(struct fleet *fleet, unsigned seconds, const char *pair_program,
                     bool quiet)
{
    struct pair pair = {0};
    double begin_s = now_s(), next_s = begin_s + PROGRESS_MS / 1000.0;
    unsigned alive = fleet->count;
    bool paired = pair_program != NULL;

    signal(SIGPIPE, SIG_IGN);
    if (paired && !pair_start(&pair, pair_program)) {
        return 2;
    }
    for (unsigned i = 0; i < fleet->count; i++) {
        worker_start(fleet, i, fleet->first + i);
    }
    while (alive > 0) {
        struct pollfd polls[WORKERS_MAX];
        struct line line;

        for (unsigned i = 0; i < fleet->count; i++) {
            polls[i] = (struct pollfd){.fd = fleet->workers[i].running ? fleet->workers[i].pipe : -1,
                                       .events = POLLIN};
        }
        poll(polls, fleet->count, 200);
        for (unsigned i = 0; i < fleet->count; i++) {
            if (!fleet->workers[i].running || polls[i].revents == 0) {
                continue;
            }
            if (!worker_read(fleet, &fleet->workers[i], &line)) {
                alive--;
            } else if (paired && !line.finished) {
                pair_ask(&pair, fleet, line.seed);
            } else if (paired && !pair_compare(&pair, line.seed, line.report.hash)) {
                fleet->failed = true;
                fleet->failed_seed = line.seed;
                fleet->shared->stop = true;
                paired = false;
            }
        }
        if (now_s() >= begin_s + seconds) {
            fleet->shared->stop = true;
        }
        if (!quiet && now_s() >= next_s) {
            print_progress(fleet, now_s() - begin_s, &pair);
            next_s = now_s() + PROGRESS_MS / 1000.0;
        }
    }
    if (pair.to != NULL) {
        fclose(pair.to);
        fclose(pair.from);
        waitpid(pair.pid, NULL, 0);
    }
    if (!quiet) {
        print_progress(fleet, now_s() - begin_s, &pair);
    }
    return fleet->failed ? 1 : 0;
}

static struct fleet fleet_new(unsigned jobs, uint64_t first, char **sets, unsigned set_count)
{
    struct fleet fleet = {
        .count = jobs, .first = first, .sets = sets, .set_count = set_count};

    fleet.shared = mmap(NULL, sizeof *fleet.shared, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(fleet.shared != MAP_FAILED);
    return fleet;
}

static int run_mutants(unsigned seconds, unsigned jobs, char **sets, unsigned set_count)
{
    unsigned survived = 0;

    if (mutant_count == 0) {
        fprintf(stderr, "sim: built without mutants; run `make sim-mutants`\n");
        return 2;
    }
    for (unsigned i = 1; i <= mutant_count; i++) {
        struct fleet fleet = fleet_new(jobs, 1, sets, set_count);

        mutant_active = i;
        if (run_fleet(&fleet, seconds, NULL, true) != 0) {
            printf("%s caught after %" PRIu64 " seeds\n", mutant_name(i), fleet.seeds + 1);
        } else {
            printf("%s survived %" PRIu64 " seeds\n", mutant_name(i), fleet.seeds);
            survived++;
        }
        fflush(stdout);
        munmap(fleet.shared, sizeof *fleet.shared);
    }
    printf("%u mutants, %u survived\n", mutant_count, survived);
    return survived > 0;
}

static int run_one(struct sim_options *options, bool trace)
{
    double begin_s = now_s();
    struct world_report report = world_run(options, trace);

    printf("seed %" PRIu64 ": hash %016" PRIx64 ", %" PRIu64 " steps, %" PRIu64 " tasks, %" PRIu64
           " checks, %.1f virtual s in %.3f s\n",
           options->seed, report.hash, report.steps, report.submitted, report.checks,
           (double)report.virtual_ms / 1000.0, now_s() - begin_s);
    return 0;
}

/* One line: SEED [NAME=VALUE]... [# comment]. */
static int run_line(const char *path, char *text)
{
    char *save = NULL, *word = strtok_r(text, " \n", &save);
    struct sim_options options;
    char property[256];

    if (word == NULL || word[0] == '#') {
        return 0;
    }
    options = sim_options_draw(strtoull(word, NULL, 10));
    while ((word = strtok_r(NULL, " \n", &save)) != NULL && word[0] != '#') {
        if (!sim_options_set(&options, word)) {
            fprintf(stderr, "sim: %s: no such option: %s\n", path, word);
            return 2;
        }
    }
    if (shrink_try(&options, property, sizeof property)) {
        printf("not ok - seed %" PRIu64 ": %s\n", options.seed, property);
        return 1;
    }
    printf("ok - seed %" PRIu64 "\n", options.seed);
    return 0;
}

static int run_file(const char *path)
{
    static char text[1024 * 1024];
    FILE *file = fopen(path, "r");
    char *save = NULL, *line;
    size_t size;
    int failed = 0;

    if (file == NULL) {
        fprintf(stderr, "sim: %s: %s\n", path, strerror(errno));
        return 2;
    }
    /* All of it at once: a child that exits would move the place of an open file. */
    size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = '\0';
    for (line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
        int rc = run_line(path, line);

        failed = rc > failed ? rc : failed;
    }
    return failed;
}

static void list_options(void)
{
    for (unsigned i = 0; i < sim_option_count; i++) {
        printf("  %-26s %s\n", sim_options[i].name, sim_options[i].meaning);
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"seed", required_argument, NULL, 's'},    {"seconds", required_argument, NULL, 't'},
        {"first", required_argument, NULL, 'f'},   {"jobs", required_argument, NULL, 'j'},
        {"pair", required_argument, NULL, 'p'},    {"set", required_argument, NULL, 'o'},
        {"trace", no_argument, NULL, 'v'},         {"mutants", no_argument, NULL, 'm'},
        {"follow", no_argument, NULL, 'w'},        {"seeds", required_argument, NULL, 'e'},
        {"mutant", required_argument, NULL, 'M'},  {"list", no_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0}};
    char *sets[64];
    unsigned set_count = 0, seconds = 0, jobs = 2;
    uint64_t seed = 0, first = (uint64_t)time(NULL) * 1000003;
    bool one = false, trace = false, mutants = false;
    const char *pair = NULL;
    int chosen;

    while ((chosen = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (chosen) {
        case 's':
            one = true;
            seed = strtoull(optarg, NULL, 10);
            break;
        case 't':
            seconds = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'f':
            first = strtoull(optarg, NULL, 10);
            break;
        case 'j':
            jobs = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'p':
            pair = optarg;
            break;
        case 'o':
            if (set_count == sizeof sets / sizeof *sets) {
                return 2;
            }
            sets[set_count++] = optarg;
            break;
        case 'v':
            trace = true;
            break;
        case 'm':
            mutants = true;
            break;
        case 'M':
            mutant_active = mutant_find(optarg);
            if (mutant_active == 0) {
                fprintf(stderr, "sim: no mutant of that name in this build: %s\n", optarg);
                return 2;
            }
            break;
        case 'w':
            return follow();
        case 'e':
            return run_file(optarg);
        case 'l':
            list_options();
            return 0;
        case 'h':
            usage(stdout);
            return 0;
        default:
            usage(stderr);
            return 2;
        }
    }
    if (jobs == 0 || jobs > WORKERS_MAX) {
        fprintf(stderr, "sim: --jobs takes 1 to %d\n", WORKERS_MAX);
        return 2;
    }
    if (mutants) {
        return run_mutants(seconds == 0 ? 60 : seconds, jobs, sets, set_count);
    }
    if (one) {
        struct sim_options world = sim_options_draw(seed);

        return apply_sets(&world, sets, set_count) ? run_one(&world, trace) : 2;
    }
    if (seconds > 0) {
        struct fleet fleet = fleet_new(jobs, first, sets, set_count);
        struct sim_options probe = sim_options_draw(0);
        int rc;

        if (!apply_sets(&probe, sets, set_count)) {
            return 2;
        }
        rc = run_fleet(&fleet, seconds, pair, false);
        if (fleet.failed) {
            explain_failure(&fleet);
            return 1;
        }
        printf("rare states reached:\n");
        if (print_sometimes(&fleet) > 0 && seconds >= 60) {
            printf("a rare state was never reached: the simulation tests less than it should\n");
            rc = 1;
        }
        return rc;
    }
    usage(stderr);
    return 2;
}
