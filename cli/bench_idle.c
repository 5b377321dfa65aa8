/* sluice bench idle: what agents that are connected and have nothing to do cost the broker, and
 * the echo of others beside them. */
#include "cli/bench.h"
#include "cli/bench_rounds.h"
#include "cli/crowd.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define STEPS_MAX 8
#define AGENTS_MAX 60000
#define BROKER_FILES_MORE 256
#define JOIN_MS 120000 /* for all of a step */
#define LOOK_MS 20
#define DURATION_MS_MIN 100
#define DURATION_MS_MAX 3600000
#define ECHO_TASKS 100000 /* of one round */

/* What some number of idle agents costs. */
struct step {
    uint64_t agents;
    double bytes_each;   /* of the broker's resident memory */
    double broker_cpu;   /* seconds of it a second, all idle */
    double pings_per_s;
    struct bench_figures echo;
};

struct idle {
    struct cli *cli;
    struct fleet_options fleet;
    struct bench_plan plan;
    uint64_t duration_ms;
    struct step steps[STEPS_MAX];
    size_t step_count;
    struct fleet_helper *crowds[FLEET_HELPERS_MAX];
    size_t crowd_count;
    uint64_t agents; /* in all crowds */
};

/* Adds up what all crowds say. SUSPENDS. */
static bool ask_crowds(const struct idle *idle, struct sluice *sluice, struct crowd_report *sum)
{
    *sum = (struct crowd_report){0};
    for (size_t i = 0; i < idle->crowd_count; i++) {
        struct crowd_report report;

        if (write(idle->crowds[i]->in, "?", 1) != 1 ||
            !bench_read(sluice, idle->crowds[i]->out, &report, sizeof(report), BENCH_STALL_MS)) {
            fprintf(stderr, "sluice bench idle: a process of agents does not answer\n");
            return false;
        }
        sum->joined += report.joined;
        sum->pings += report.pings;
        sum->pongs += report.pongs;
        sum->missed += report.missed;
        sum->lost += report.lost;
        sum->failed += report.failed;
    }
    return true;
}

/* Until all have joined. SUSPENDS. */
static bool wait_joined(struct idle *idle, struct sluice *sluice)
{
    uint64_t until_ms = sluice_now_ms(sluice) + JOIN_MS;
    struct crowd_report report;

    do {
        sluice_sleep_ms(sluice, LOOK_MS);
        if (!ask_crowds(idle, sluice, &report)) {
            return false;
        }
        if (report.joined == idle->agents) {
            return true;
        }
    } while (report.failed == 0 && sluice_now_ms(sluice) < until_ms);
    fprintf(stderr, "sluice bench idle: only %llu of %llu agents have joined; %llu could not\n",
            (unsigned long long)report.joined, (unsigned long long)idle->agents,
            (unsigned long long)report.failed);
    return false;
}

/* So many in all, in as few processes as can be. SUSPENDS. */
static bool grow_to(struct idle *idle, struct sluice *sluice, uint64_t agents)
{
    while (idle->agents < agents) {
        uint64_t more = agents - idle->agents;
        char count[24];
        const char *words[] = {"bench-crowd", "--agents", count, "--service", "bench.idle", NULL};

        more = more < CROWD_AGENTS_MAX ? more : CROWD_AGENTS_MAX;
        snprintf(count, sizeof(count), "%llu", (unsigned long long)more);
        idle->crowds[idle->crowd_count] = fleet_add(words);
        if (idle->crowds[idle->crowd_count] == NULL) {
            return false;
        }
        idle->crowd_count++;
        idle->agents += more;
    }
    return wait_joined(idle, sluice);
}

/* The broker's CPU time while nobody has anything to do. SUSPENDS. */
static bool watch_idle(const struct idle *idle, struct sluice *sluice, struct step *step)
{
    struct crowd_report before, after;
    double broker_s, seconds;
    uint64_t begun_ns;

    if (!ask_crowds(idle, sluice, &before)) {
        return false;
    }
    begun_ns = bench_now_ns();
    broker_s = fleet_broker_cpu_s();
    sluice_sleep_ms(sluice, idle->duration_ms);
    seconds = (double)(bench_now_ns() - begun_ns) / 1e9;
    step->broker_cpu = (fleet_broker_cpu_s() - broker_s) / seconds;
    if (!ask_crowds(idle, sluice, &after)) {
        return false;
    }
    step->pings_per_s = (double)(after.pings - before.pings) / seconds;
    return true;
}

static bool run_step(struct idle *idle, struct sluice *sluice, struct bench_pass *pass,
                     uint64_t bytes_before, struct step *step)
{
    struct bench_plan *plan = &idle->plan;

    if (!grow_to(idle, sluice, step->agents) || !watch_idle(idle, sluice, step)) {
        return false;
    }
    step->bytes_each =
        ((double)fleet_broker_bytes() - (double)bytes_before) / (double)step->agents;
    return bench_rounds_run(sluice, pass, &plan, 1, &step->echo);
}

static void print_step(const struct step *step, const struct bench_figures *alone, bool json)
{
    printf(json ? "{\"agents\": %llu, \"bytes_per_agent\": %.0f, \"broker_cpu_s_per_s\": %.4f, "
                  "\"pings_per_s\": %.0f, \"tasks_per_s\": %.0f, \"ratio\": %.3f, "
                  "\"broker_cpu_ratio\": %.3f}"
                : "  %llu agents: %.0f bytes of the broker's memory each; while all are idle it "
                  "takes %.4f s of CPU a second for %.0f pings\n"
                  "    echo %.0f tasks/s beside them, %.3f times as many, at %.3f times the "
                  "broker's CPU\n",
           (unsigned long long)step->agents, step->bytes_each, step->broker_cpu,
           step->pings_per_s, step->echo.tasks_per_s, step->echo.tasks_per_s / alone->tasks_per_s,
           step->echo.broker_cpu_s / alone->broker_cpu_s);
}

static bool print(const struct idle *idle, const struct bench_figures *before,
                  const struct bench_figures *after, const struct crowd_report *report)
{
    bool json = idle->cli->json;
    struct bench_figures alone = {.tasks_per_s = (before->tasks_per_s + after->tasks_per_s) / 2,
                                  .broker_cpu_s = (before->broker_cpu_s + after->broker_cpu_s) / 2};
    bool good = before->good && after->good && report->joined == idle->agents &&
                report->missed == 0 && report->lost == 0 && report->failed == 0;

    printf(json ? "{\"bench\": \"idle\", \"processes\": %zu, \"tasks_per_s_before\": %.0f, "
                  "\"tasks_per_s_after\": %.0f, \"steps\": ["
                : "idle: agents in %zu processes; echo %.0f tasks/s before they came, %.0f after "
                  "they had left\n",
           idle->crowd_count, before->tasks_per_s, after->tasks_per_s);
    for (size_t i = 0; i < idle->step_count; i++) {
        good = good && idle->steps[i].echo.good;
        fputs(json && i > 0 ? ", " : "", stdout);
        print_step(&idle->steps[i], &alone, json);
    }
    printf(json ? "], \"pings\": %llu, \"pongs\": %llu, \"missed\": %llu, \"lost\": %llu, "
                  "\"failed\": %llu, \"good\": %s}\n"
                : "  %llu pings, %llu pongs, %llu missed, %llu sessions lost, %llu messages could "
                  "not be sent; all good: %s\n",
           (unsigned long long)report->pings, (unsigned long long)report->pongs,
           (unsigned long long)report->missed, (unsigned long long)report->lost,
           (unsigned long long)report->failed,
           good ? "true" : "false");
    return good;
}

/* SUSPENDS until the broker has let go of them. False: said why it has not. */
static bool send_away(struct idle *idle, struct sluice *sluice)
{
    static const char *const names[] = {"peers"};
    const uint64_t staying = idle->fleet.workers + 1;
    struct bench_stall stall = {0, 0};
    uint64_t peers;

    for (size_t i = 0; i < idle->crowd_count; i++) {
        fleet_dismiss(idle->crowds[i]);
    }
    do {
        sluice_sleep_ms(sluice, LOOK_MS);
        if (!bench_stats(sluice, names, &peers, 1)) {
            return false;
        }
    } while (peers > staying && !bench_stalls(&stall, sluice, peers));
    if (peers > staying) {
        fprintf(stderr, "sluice bench idle: the broker still has agents that have left\n");
        return false;
    }
    return true;
}

static int idle_passes(struct sluice *sluice, struct bench_pass *pass, void *arg)
{
    struct idle *idle = arg;
    struct bench_plan *plan = &idle->plan;
    struct bench_figures before, after;
    struct crowd_report report = {0};
    uint64_t bytes;

    if (!bench_rounds_run(sluice, pass, &plan, 1, &before)) {
        return EXIT_TASK;
    }
    bytes = fleet_broker_bytes();
    for (size_t i = 0; i < idle->step_count; i++) {
        if (!run_step(idle, sluice, pass, bytes, &idle->steps[i])) {
            return EXIT_TASK;
        }
    }
    if (!ask_crowds(idle, sluice, &report)) {
        return EXIT_TASK;
    }
    if (!send_away(idle, sluice) || !bench_rounds_run(sluice, pass, &plan, 1, &after)) {
        return EXIT_TASK;
    }
    return print(idle, &before, &after, &report) ? EXIT_DONE : EXIT_TASK;
}

static int idle_main(struct sluice *sluice, void *arg)
{
    struct idle *idle = arg;
    int code = bench_wait_workers(sluice, idle->fleet.service, idle->fleet.workers);

    return code == EXIT_DONE ? bench_with_pass(sluice, idle_passes, idle) : code;
}

/* "10,100,1000": ever more. */
static bool read_steps(struct idle *idle, const char *text)
{
    uint64_t numbers[STEPS_MAX], last = 0;

    idle->step_count = bench_read_numbers(text, AGENTS_MAX, numbers, STEPS_MAX);
    for (size_t i = 0; i < idle->step_count; i++) {
        if (numbers[i] <= last) {
            return false;
        }
        idle->steps[i].agents = last = numbers[i];
    }
    return idle->step_count > 0;
}

/* Whether all can be connected. False: said what to do. */
static bool files_suffice(const struct idle *idle)
{
    uint64_t agents = idle->steps[idle->step_count - 1].agents;
    uint64_t crowd = agents < CROWD_AGENTS_MAX ? agents : CROWD_AGENTS_MAX;
    uint64_t broker = agents + BROKER_FILES_MORE;
    uint64_t needed = crowd * CROWD_FILES_EACH + CROWD_FILES_MORE;
    struct rlimit files;

    needed = needed > broker ? needed : broker;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_max < needed) {
        fprintf(stderr,
                "sluice bench idle: %llu agents need %llu open files in a process, and %llu are "
                "allowed\n  as root: ulimit -Hn %llu, and again; or name fewer with --agents\n",
                (unsigned long long)agents, (unsigned long long)needed,
                (unsigned long long)files.rlim_max, (unsigned long long)needed);
        return false;
    }
    return true;
}

static int idle_run(struct cli *cli, const struct command *self, int argc, char **argv)
{
    const char *service = bench_service("idle-echo"), *agents = "10,100,1000,10000";
    struct idle idle = {
        .cli = cli,
        .fleet = {.transport = "tcp", .service = service, .work = "echo", .workers = 2,
                  .credit = 1000},
        .plan = {.bench = "idle", .service = service, .window = 1000, .payload_bytes = 64,
                 .tasks = ECHO_TASKS},
        .duration_ms = 4000,
    };
    struct option_spec specs[] = {
        OPTION_TEXT_SPEC("agents", &agents, "N,N...", "ever more of them (10,100,1000,10000)"),
        OPTION_DURATION_SPEC("duration", &idle.duration_ms,
                             "how long all are idle, while CPU time is measured (4s)"),
        OPTION_UINT_SPEC("echo", &idle.plan.tasks, "N", 1000, 1000000000,
                         "tasks of each measurement of throughput (100,000)"),
        BENCH_TRANSPORT_SPEC(&idle.fleet),
    };
    struct option_set set = {specs, sizeof(specs) / sizeof(specs[0])};
    struct arguments arguments;
    int code;

    if (!command_parse(cli, self, &set, argc, argv, &arguments, &code)) {
        return code;
    }
    if (!read_steps(&idle, agents)) {
        return command_usage(self,
                             "--agents is up to %d numbers up to %d, each larger than the one "
                             "before, with commas, not '%.40s'",
                             STEPS_MAX, AGENTS_MAX, agents);
    }
    if (idle.duration_ms < DURATION_MS_MIN || idle.duration_ms > DURATION_MS_MAX) {
        return command_usage(self, "--duration is 100ms to 1h");
    }
    if (bench_refuse_broker(cli, self, &code)) {
        return code;
    }
    if (!files_suffice(&idle)) {
        return EXIT_TASK;
    }
    return bench_visit(cli, self, &idle.fleet, idle_main, &idle);
}

const struct command command_bench_idle = {
    .name = "bench idle",
    .arguments = "",
    .summary = "what 10 to 10,000 agents cost that are connected and have nothing to do",
    .about = "Each agent is a session with a connection and a service of its own, and pings as\n"
             "the protocol demands; up to 4,000 of them share a process. Memory is the broker's\n"
             "resident memory beyond what it had before they came, with what libzmq keeps for\n"
             "their connections and without the kernel's buffers. CPU is of all the broker's\n"
             "threads. Echo is the median of five rounds, beside all agents, and alone: before\n"
             "they come and after they have left, of which the ratio takes the mean.\n"
             BENCH_OWN_BROKER
             "Exit code 1: a ping had no pong, a session was lost, or a reply was not right.\n",
    .run = idle_run,
};
