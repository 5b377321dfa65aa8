#include "tests/sim/fleet.h"

#include "common/check.h"
#include "tests/sim/pair.h"
#include "tests/sim/shrink.h"
#include "tests/sim/sometimes.h"
#include "tests/sim/world.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A world takes two seconds of CPU time at most; one that takes longer has hung, and so has one
 * that waits for so long, on a crowded machine, too. */
#define SEED_CPU_SECONDS_MAX 20
#define SEED_SECONDS_MAX 60
#define SHRINK_SECONDS 60
#define PROGRESS_S 2.0
#define POLL_MS 200

/* What a worker writes to its pipe: begun, then finished. */
struct line {
    uint64_t seed;
    bool finished, paired;
    enum fleet_failure failure; /* of the pair, if the worker exits after this line */
    struct world_report report;
    double cpu_s;
};

struct shared {
    volatile bool stop;
    volatile uint64_t sometimes[FLEET_JOBS_MAX][SOMETIMES_COUNT];
};

struct worker {
    pid_t pid;
    int pipe;
    uint64_t seed; /* under way */
    enum fleet_failure failure;
    bool running;
};

struct fleet {
    const struct fleet_plan *plan;
    struct shared *shared;
    struct worker workers[FLEET_JOBS_MAX];
    struct fleet_result result;
    double begin_s;
};

static uint64_t rare_counts[SOMETIMES_COUNT];

static double seconds_of(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static struct sim_options draw(const struct fleet_plan *plan, uint64_t seed)
{
    struct sim_options options = sim_options_draw(seed);

    for (unsigned i = 0; i < plan->set_count; i++) {
        CHECK(sim_options_set(&options, plan->sets[i]));
    }
    return options;
}

/* ---- in a worker ---------------------------------------------------------------------- */

static void worker_say(int pipe, const struct line *line)
{
    ssize_t written = write(pipe, line, sizeof *line); /* below PIPE_BUF: whole */

    CHECK(written == (ssize_t)sizeof *line);
}

static void watch_time(void)
{
    const struct itimerval cpu = {.it_value = {.tv_sec = SEED_CPU_SECONDS_MAX}};

    setitimer(ITIMER_PROF, &cpu, NULL);
    alarm(SEED_SECONDS_MAX);
}

static void run_seed(const struct fleet *fleet, uint64_t seed, struct pair *pair, int pipe)
{
    struct sim_options options = draw(fleet->plan, seed);
    struct line line = {.seed = seed};
    double begin_s = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    bool agreed = true;

    worker_say(pipe, &line);
    watch_time();
    if (pair != NULL) {
        pair_ask(pair, &options);
    }
    line.report = world_run(&options, false);
    line.cpu_s = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - begin_s;
    if (pair != NULL) {
        uint64_t hash = 0;

        line.paired = pair_answer(pair, &options, &hash);
        agreed = line.paired && hash == line.report.hash;
        line.failure = line.paired ? FLEET_HASHES_DIFFER : FLEET_PAIR_FAILED;
    }
    line.finished = true;
    worker_say(pipe, &line);
    if (!agreed) {
        exit(1);
    }
}

static _Noreturn void worker_main(const struct fleet *fleet, unsigned index, int pipe)
{
    const struct fleet_plan *plan = fleet->plan;
    struct pair pair;
    uint64_t seed = plan->first + index;

    signal(SIGPIPE, SIG_IGN);
    if (plan->pair != NULL) {
        pair_start(&pair, plan->pair);
    }
    for (; !fleet->shared->stop; seed += plan->jobs) {
        run_seed(fleet, seed, plan->pair != NULL ? &pair : NULL, pipe);
        for (unsigned i = 0; i < SOMETIMES_COUNT; i++) {
            fleet->shared->sometimes[index][i] = sometimes_counts[i];
        }
    }
    if (plan->pair != NULL) {
        pair_stop(&pair);
    }
    exit(0);
}

/* ---- in their parent ------------------------------------------------------------------- */

static void worker_start(struct fleet *fleet, unsigned index)
{
    struct worker *worker = &fleet->workers[index];
    int pipes[2];

    CHECK(pipe2(pipes, O_CLOEXEC) == 0);
    fflush(stdout);
    worker->pid = fork();
    CHECK(worker->pid >= 0);
    if (worker->pid == 0) {
        int null = open("/dev/null", O_WRONLY);

        close(pipes[0]);
        dup2(null, STDOUT_FILENO); /* the parent runs a failing seed again, to be read */
        dup2(null, STDERR_FILENO);
        worker_main(fleet, index, pipes[1]);
    }
    close(pipes[1]);
    worker->pipe = pipes[0];
    worker->seed = fleet->plan->first + index;
    worker->running = true;
}

static void take_line(struct fleet *fleet, struct worker *worker, const struct line *line)
{
    struct fleet_result *result = &fleet->result;

    worker->seed = line->seed;
    worker->failure = line->failure;
    if (!line->finished) {
        return;
    }
    result->seeds++;
    result->paired += line->paired;
    result->steps += line->report.steps;
    result->virtual_ms += line->report.virtual_ms;
    result->submitted += line->report.submitted;
    result->joins += line->report.joins;
    result->checks += line->report.checks;
    if (line->cpu_s > result->slowest_s) {
        result->slowest_s = line->cpu_s;
        result->slowest_seed = line->seed;
    }
}

/* One has failed: nobody waits for the others, which may have hung. */
static void kill_others(const struct fleet *fleet)
{
    for (unsigned i = 0; i < fleet->plan->jobs; i++) {
        if (fleet->workers[i].running) {
            kill(fleet->workers[i].pid, SIGKILL);
        }
    }
}

/* Reads what a worker has said. False: it is gone. */
static bool worker_read(struct fleet *fleet, struct worker *worker)
{
    struct line line;
    int status;

    if (read(worker->pipe, &line, sizeof line) == (ssize_t)sizeof line) {
        take_line(fleet, worker, &line);
        return true;
    }
    close(worker->pipe);
    worker->running = false;
    waitpid(worker->pid, &status, 0);
    if (!(WIFEXITED(status) && WEXITSTATUS(status) == 0) && !fleet->result.failed) {
        fleet->result.failed = true;
        fleet->result.failed_seed = worker->seed;
        fleet->result.failure = worker->failure;
        fleet->shared->stop = true;
        kill_others(fleet);
    }
    return false;
}

static void print_progress(const struct fleet *fleet)
{
    const struct fleet_result *result = &fleet->result;
    double elapsed_s = seconds_of(CLOCK_MONOTONIC) - fleet->begin_s;

    printf("%6.0f s  %8" PRIu64 " seeds  %10" PRIu64 " steps  %9" PRIu64
           " tasks  %8" PRIu64 " joins  %8.1f simulated hours  %6.0fx real time  %" PRIu64 " paired\n",
           elapsed_s, result->seeds, result->steps, result->submitted, result->joins,
           (double)result->virtual_ms / 3600000.0,
           (double)result->virtual_ms / 1000.0 / (elapsed_s > 0 ? elapsed_s : 1), result->paired);
    fflush(stdout);
}

/* Waits for what the workers say. Returns how many have gone. */
static unsigned poll_workers(struct fleet *fleet)
{
    struct pollfd polls[FLEET_JOBS_MAX];
    unsigned gone = 0;

    for (unsigned i = 0; i < fleet->plan->jobs; i++) {
        const struct worker *worker = &fleet->workers[i];

        polls[i] = (struct pollfd){.fd = worker->running ? worker->pipe : -1, .events = POLLIN};
    }
    poll(polls, fleet->plan->jobs, POLL_MS);
    for (unsigned i = 0; i < fleet->plan->jobs; i++) {
        if (fleet->workers[i].running && polls[i].revents != 0) {
            gone += !worker_read(fleet, &fleet->workers[i]);
        }
    }
    return gone;
}

static void take_rare_states(struct fleet *fleet)
{
    for (unsigned i = 0; i < SOMETIMES_COUNT; i++) {
        rare_counts[i] = 0;
        for (unsigned w = 0; w < fleet->plan->jobs; w++) {
            rare_counts[i] += fleet->shared->sometimes[w][i];
        }
        fleet->result.never += rare_counts[i] == 0;
    }
}

struct fleet_result fleet_run(const struct fleet_plan *plan)
{
    struct fleet fleet = {.plan = plan, .begin_s = seconds_of(CLOCK_MONOTONIC)};
    double next_s = fleet.begin_s + PROGRESS_S;
    unsigned alive = plan->jobs;

    CHECK(plan->jobs >= 1 && plan->jobs <= FLEET_JOBS_MAX);
    fleet.shared = mmap(NULL, sizeof *fleet.shared, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(fleet.shared != MAP_FAILED);
    for (unsigned i = 0; i < plan->jobs; i++) {
        worker_start(&fleet, i);
    }
    while (alive > 0) {
        double now_s;

        alive -= poll_workers(&fleet);
        now_s = seconds_of(CLOCK_MONOTONIC);
        if (now_s >= fleet.begin_s + plan->seconds) {
            fleet.shared->stop = true;
        }
        if (!plan->quiet && (now_s >= next_s || alive == 0)) {
            print_progress(&fleet);
            next_s = now_s + PROGRESS_S;
        }
    }
    take_rare_states(&fleet);
    munmap(fleet.shared, sizeof *fleet.shared);
    return fleet.result;
}

void fleet_print_rare_states(void)
{
    for (unsigned i = 0; i < SOMETIMES_COUNT; i++) {
        printf("  %-32s %12" PRIu64 "%s\n", sometimes_name(i), rare_counts[i],
               rare_counts[i] == 0 ? "  NEVER" : "");
    }
}

/* ---- a world that failed ------------------------------------------------------------------ */

static void print_command(const char *program, const struct sim_options *options)
{
    printf("  %s --seed %" PRIu64, program, options->seed);
    sim_options_print(options, " --set ");
    printf(" --trace\n");
}

static void explain_violation(const struct sim_options *options)
{
    struct sim_options small;
    char property[256];

    printf("running it again\n");
    if (!shrink_try(options, property, sizeof property)) {
        printf("it did not fail again: not deterministic\n");
        return;
    }
    printf("property: %s; shrinking for at most %d s\n", property, SHRINK_SECONDS);
    fflush(stdout);
    small = shrink(options, property, SHRINK_SECONDS);
    printf("reproduce with:\n");
    print_command("build/sim/sim", &small);
    printf("when it is mended, keep it in tests/sim/seeds/seeds.txt:\n  %" PRIu64, small.seed);
    sim_options_print(&small, " ");
    printf(" # %s: ...\n", property);
}

void fleet_explain(const struct fleet_plan *plan, const struct fleet_result *result)
{
    struct sim_options options = draw(plan, result->failed_seed);

    printf("\nseed %" PRIu64 " failed; ", result->failed_seed);
    switch (result->failure) {
    case FLEET_VIOLATION:
        explain_violation(&options);
        break;
    case FLEET_HASHES_DIFFER:
        printf("VIOLATION determinism: the two builds disagree; compare the traces of\n");
        print_command("build/sim/sim", &options);
        print_command(plan->pair, &options);
        break;
    case FLEET_PAIR_FAILED:
        printf("in the other build only; see\n");
        print_command(plan->pair, &options);
        break;
    }
}
