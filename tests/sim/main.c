/* sim: the simulator's program. See usage(). */
#include "tests/sim/fleet.h"
#include "tests/sim/mutant.h"
#include "tests/sim/pair.h"
#include "tests/sim/shrink.h"
#include "tests/sim/world.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MUTANT_SECONDS 60
#define RARE_WORLDS 2000 /* a run of so many must reach every rare state */
#define SETS_MAX 256

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

static int run_mutants(struct fleet_plan plan)
{
    unsigned survived = 0;

    if (mutant_count == 0) {
        fprintf(stderr, "sim: built without mutants; run `make sim-mutants`\n");
        return 2;
    }
    plan.first = 1;
    plan.quiet = true;
    for (unsigned i = 1; i <= mutant_count; i++) {
        struct fleet_result result;
        double begin_s = now_s();

        mutant_active = i;
        result = fleet_run(&plan);
        printf("%s %s %" PRIu64 " seeds (%.1f s)\n", mutant_name(i),
               result.failed ? "caught after" : "survived", result.seeds + result.failed,
               now_s() - begin_s);
        survived += !result.failed;
        fflush(stdout);
    }
    printf("%u mutants, %u survived\n", mutant_count, survived);
    return survived > 0;
}

static int run_new(const struct fleet_plan *plan)
{
    struct fleet_result result = fleet_run(plan);

    if (result.failed) {
        fleet_explain(plan, &result);
        return 1;
    }
    printf("%" PRIu64 " checks; the slowest world, %" PRIu64 ", took %.2f s\n"
           "rare states reached:\n",
           result.checks, result.slowest_seed, result.slowest_s);
    fleet_print_rare_states();
    if (result.never > 0 && result.seeds >= RARE_WORLDS) {
        printf("a rare state was never reached: the simulation tests less than it should\n");
        return 1;
    }
    if (result.never > 0) {
        printf("a rare state was not reached: fewer than %u worlds say little\n", RARE_WORLDS);
    }
    return 0;
}

static int run_one(const struct sim_options *options, bool trace)
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

/* What the command line asks for. */
struct request {
    struct fleet_plan plan;
    bool one, trace, mutants;
    uint64_t seed;
    char *sets[SETS_MAX];
};

/* Returns -1 to go on with the request, else the exit status. */
static int parse(int argc, char **argv, struct request *request)
{
    static const struct option options[] = {
        {"seed", required_argument, NULL, 's'},    {"seconds", required_argument, NULL, 't'},
        {"first", required_argument, NULL, 'f'},   {"jobs", required_argument, NULL, 'j'},
        {"pair", required_argument, NULL, 'p'},    {"set", required_argument, NULL, 'o'},
        {"trace", no_argument, NULL, 'v'},         {"mutants", no_argument, NULL, 'm'},
        {"follow", no_argument, NULL, 'w'},        {"seeds", required_argument, NULL, 'e'},
        {"mutant", required_argument, NULL, 'M'},  {"list", no_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0}};
    struct fleet_plan *plan = &request->plan;
    int chosen;

    while ((chosen = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (chosen) {
        case 's':
            request->one = true;
            request->seed = strtoull(optarg, NULL, 10);
            break;
        case 't':
            plan->seconds = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'f':
            plan->first = strtoull(optarg, NULL, 10);
            break;
        case 'j':
            plan->jobs = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'p':
            plan->pair = optarg;
            break;
        case 'o':
            if (plan->set_count == SETS_MAX) {
                fprintf(stderr, "sim: at most %d --set\n", SETS_MAX);
                return 2;
            }
            request->sets[plan->set_count++] = optarg;
            break;
        case 'v':
            request->trace = true;
            break;
        case 'm':
            request->mutants = true;
            break;
        case 'M':
            mutant_active = mutant_find(optarg);
            if (mutant_active == 0) {
                fprintf(stderr, "sim: no mutant of that name in this build: %s\n", optarg);
                return 2;
            }
            break;
        case 'w':
            return pair_follow();
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
    return -1;
}

int main(int argc, char **argv)
{
    struct request request = {
        .plan = {.jobs = 2, .first = (uint64_t)time(NULL) * 1000003, .sets = request.sets}};
    struct fleet_plan *plan = &request.plan;
    struct sim_options world;
    int status = parse(argc, argv, &request);

    if (status >= 0) {
        return status;
    }
    world = sim_options_draw(request.seed);
    if (!apply_sets(&world, request.sets, plan->set_count)) {
        return 2;
    }
    if (plan->jobs == 0 || plan->jobs > FLEET_JOBS_MAX) {
        fprintf(stderr, "sim: --jobs takes 1 to %d\n", FLEET_JOBS_MAX);
        return 2;
    }
    if (request.one) {
        return run_one(&world, request.trace);
    }
    if (request.mutants) {
        plan->seconds = plan->seconds == 0 ? MUTANT_SECONDS : plan->seconds;
        return run_mutants(*plan);
    }
    if (plan->seconds > 0) {
        return run_new(plan);
    }
    usage(stderr);
    return 2;
}
