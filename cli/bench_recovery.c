/* sluice bench recovery: a broker with many durable tasks is killed: how soon it hands them out
 * again, and what they take. */
#include "cli/bench.h"
#include "cli/bench_result.h"
#include "cli/failure.h"
#include "cli/progress.h"
#include "cli/record.h"
#include "cli/visit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_SIZE 512
#define UNACCEPTED_MAX 8192 /* submitted, and the broker has not said that it has them */
#define LOOK_MS 1
#define CREDIT 1000

struct recovery {
    struct cli *cli;
    struct fleet_options fleet;
    const char *service;
    const char *directory;
    char store[PATH_SIZE];
    uint64_t tasks, payload_bytes;
    struct sluice *sluice;
    struct echo_check check;
    struct progress progress;
    uint64_t begun_ns;         /* when it was started again */
    uint64_t listens_ns, first_ns, loaded_ns;
    uint64_t bytes_before;     /* its memory without tasks, */
    uint64_t bytes_after;      /* and with all of them, loaded from the disk */
    uint64_t accepted;
    uint64_t left;             /* what the broker still had when each had run */
    double fill_s, drain_s;
    bool measured;             /* the first task may go on */
};

static void show(struct recovery *recovery, const char *what, uint64_t count)
{
    char text[64];

    if (recovery->progress.tty) {
        snprintf(text, sizeof(text), "%s: %llu of %llu tasks", what, (unsigned long long)count,
                 (unsigned long long)recovery->tasks);
        progress_set(&recovery->progress, text);
    }
}

/* Until the broker has the task on its disk. SUSPENDS. */
static bool settle(struct recovery *recovery, struct sluice_future *future)
{
    bool accepted = sluice_accepted(future);

    if (!accepted) {
        failure_print("bench recovery", sluice_future_outcome(future),
                      sluice_future_error(future));
    }
    recovery->accepted += accepted;
    sluice_future_forget(future);
    return accepted;
}

/* Detached, for they are to outlive this session. SUSPENDS. */
static bool submit_all(struct recovery *recovery, struct sluice *sluice, uint8_t *payload,
                       struct sluice_future **futures)
{
    struct sluice_submit_options options = {
        .wait_absent = true, .detached = true, .durable = true};
    struct sluice_bytes bytes = {payload, recovery->payload_bytes};
    uint64_t settled = 0, sent = 0;
    bool good = true;

    for (; good && settled < recovery->tasks; settled++) {
        while (sent < recovery->tasks && sent < settled + UNACCEPTED_MAX) {
            echo_check_fill(&recovery->check, sent, payload);
            futures[sent % UNACCEPTED_MAX] =
                sluice_submit(sluice, recovery->service, bytes, &options);
            if (futures[sent % UNACCEPTED_MAX] == NULL) {
                fprintf(stderr, "sluice bench recovery: out of memory\n");
                return false;
            }
            sent++;
        }
        good = settle(recovery, futures[settled % UNACCEPTED_MAX]);
        if (settled % UNACCEPTED_MAX == 0) {
            show(recovery, "submitting", settled);
        }
    }
    return good;
}

static int fill_main(struct sluice *sluice, void *arg)
{
    struct recovery *recovery = arg;
    struct sluice_future **futures = calloc(UNACCEPTED_MAX, sizeof(struct sluice_future *));
    uint8_t *payload = malloc(recovery->payload_bytes);
    uint64_t begun_ns = bench_now_ns();
    bool good = futures != NULL && payload != NULL;

    recovery->bytes_before = fleet_broker_bytes();
    progress_init(&recovery->progress, "submitting");
    if (!good) {
        fprintf(stderr, "sluice bench recovery: out of memory\n");
    }
    good = good && submit_all(recovery, sluice, payload, futures);
    progress_clear(&recovery->progress);
    recovery->fill_s = (double)(bench_now_ns() - begun_ns) / 1e9;
    free(futures);
    free(payload);
    return good ? EXIT_DONE : EXIT_TASK;
}

/* Its payload is judged later, with all others: it goes to the next worker. */
static void hold_first(struct sluice_task *task, void *arg)
{
    struct recovery *recovery = arg;
    static const struct sluice_error again = {
        .code = "bench.again", .message = "", .retryable = true, .retry_after_ms = 1};

    if (recovery->first_ns == 0) {
        recovery->first_ns = bench_now_ns();
    }
    while (!recovery->measured && sluice_sleep_ms(recovery->sluice, LOOK_MS) == 0) {
    }
    sluice_fail(task, &again);
}

static void judge(struct sluice_task *task, void *arg)
{
    struct recovery *recovery = arg;
    struct sluice_bytes payload = sluice_task_payload(task);
    uint64_t sequence;

    echo_check_reply(&recovery->check, payload.data, payload.size, &sequence);
    sluice_done(task, (struct sluice_bytes){"", 0});
}

static int query_tasks(struct sluice *sluice, uint64_t *tasks)
{
    json_t *reply = NULL;
    int code = visit_query(sluice, "stats", NULL, NULL, &reply);

    *tasks = record_uint(reply, "queued") + record_uint(reply, "leased") +
             record_uint(reply, "delayed");
    json_decref(reply);
    return code;
}

/* A worker that takes one task, while we look whether the others are there. SUSPENDS. */
static int measure(struct recovery *recovery, struct sluice *sluice)
{
    struct sluice_service service = {
        .name = recovery->service, .handler = hold_first, .arg = recovery, .credit = 1};
    struct bench_stall stall = {0, 0};
    uint64_t tasks = 0;
    int code = EXIT_DONE;

    sluice_serve(sluice, &service);
    while (code == EXIT_DONE && (recovery->first_ns == 0 || tasks < recovery->tasks)) {
        code = query_tasks(sluice, &tasks);
        if (recovery->loaded_ns == 0 && tasks >= recovery->tasks) {
            recovery->loaded_ns = bench_now_ns();
        }
        if (bench_stalls(&stall, sluice, tasks)) {
            fprintf(stderr, "sluice bench recovery: %llu of %llu tasks are there, and %s was "
                    "handed out\n", (unsigned long long)tasks,
                    (unsigned long long)recovery->tasks, recovery->first_ns == 0 ? "none" : "one");
            code = EXIT_TASK;
        }
    }
    recovery->bytes_after = fleet_broker_bytes();
    sluice_withdraw(sluice, recovery->service);
    recovery->measured = true;
    return code;
}

/* Once or more often: what came back of each has been judged. */
static uint64_t run_count(const struct recovery *recovery)
{
    return recovery->check.received + recovery->check.corrupt;
}

/* All run, and each payload is looked at. SUSPENDS. */
static void drain(struct recovery *recovery, struct sluice *sluice)
{
    struct sluice_service service = {.name = recovery->service, .handler = judge,
                                     .arg = recovery, .sync = true, .credit = CREDIT};
    struct bench_stall stall = {0, 0};
    uint64_t begun_ns = bench_now_ns();

    while (sluice_serve(sluice, &service) == -EEXIST && sluice_sleep_ms(sluice, LOOK_MS) == 0) {
    }
    progress_init(&recovery->progress, "running them");
    while (run_count(recovery) < recovery->tasks && sluice_sleep_ms(sluice, LOOK_MS) == 0 &&
           !bench_stalls(&stall, sluice, run_count(recovery))) {
        show(recovery, "running them", run_count(recovery));
    }
    recovery->drain_s = (double)(bench_now_ns() - begun_ns) / 1e9;
    /* One more that runs twice would come now. */
    while (query_tasks(sluice, &recovery->left) == EXIT_DONE && recovery->left > 0 &&
           sluice_sleep_ms(sluice, LOOK_MS) == 0 &&
           !bench_stalls(&stall, sluice, recovery->left)) {
    }
    progress_clear(&recovery->progress);
}

static int recovery_main(struct sluice *sluice, void *arg)
{
    struct recovery *recovery = arg;
    int code;

    recovery->sluice = sluice;
    code = measure(recovery, sluice);
    if (code == EXIT_DONE) {
        drain(recovery, sluice);
    }
    return code;
}

static double since_start_s(const struct recovery *recovery, uint64_t at_ns)
{
    return (double)(at_ns - recovery->begun_ns) / 1e9;
}

static bool print(const struct recovery *recovery)
{
    const struct echo_check *check = &recovery->check;
    double each = ((double)recovery->bytes_after - (double)recovery->bytes_before) /
                  (double)recovery->tasks;
    uint64_t run = run_count(recovery), lost = run < recovery->tasks ? recovery->tasks - run : 0;
    bool good = check->received == recovery->tasks && check->duplicated == 0 &&
                check->corrupt == 0 && recovery->left == 0;

    printf(recovery->cli->json
               ? "{\"bench\": \"recovery\", \"tasks\": %llu, \"payload\": %llu, "
                 "\"listens_s\": %.3f, \"first_task_s\": %.3f, \"loaded_s\": %.3f, "
                 "\"bytes_per_task\": %.1f, \"bytes_per_task_overhead\": %.1f, "
                 "\"accepted_per_s\": %.0f, \"handed_out_per_s\": %.0f, \"lost\": %llu, "
                 "\"duplicated\": %llu, \"corrupt\": %llu, \"left\": %llu, \"good\": %s}\n"
               : "recovery: %llu durable tasks of %llu bytes; the broker was killed and started "
                 "again\n  it listens after %.3f s, the first task runs after %.3f s, all are "
                 "loaded after %.3f s\n  a task takes %.1f bytes of its memory, %.1f beyond the "
                 "payload\n  %.0f tasks/s were accepted before, and %.0f tasks/s handed out after\n"
                 "  %llu lost, %llu duplicated, %llu corrupt, %llu left at the broker; all good: "
                 "%s\n",
           (unsigned long long)recovery->tasks, (unsigned long long)recovery->payload_bytes,
           since_start_s(recovery, recovery->listens_ns),
           since_start_s(recovery, recovery->first_ns),
           since_start_s(recovery, recovery->loaded_ns), each,
           each - (double)recovery->payload_bytes, (double)recovery->tasks / recovery->fill_s,
           (double)recovery->tasks / recovery->drain_s, (unsigned long long)lost,
           (unsigned long long)check->duplicated, (unsigned long long)check->corrupt,
           (unsigned long long)recovery->left, good ? "true" : "false");
    return good;
}

static int recover(struct recovery *recovery, const struct command *self)
{
    struct cli *cli = recovery->cli;
    int code;

    cli->broker = fleet_start(&recovery->fleet);
    if (cli->broker == NULL) {
        return EXIT_NO_BROKER;
    }
    code = visit(cli, self, fill_main, recovery);
    if (code != EXIT_DONE) {
        return code;
    }
    if (!fleet_crash(&recovery->begun_ns)) {
        return EXIT_NO_BROKER;
    }
    recovery->listens_ns = bench_now_ns();
    code = visit(cli, self, recovery_main, recovery);
    if (code != EXIT_DONE) {
        return code;
    }
    return print(recovery) ? EXIT_DONE : EXIT_TASK;
}

static int recovery_run(struct cli *cli, const struct command *self, int argc, char **argv)
{
    struct recovery recovery = {
        .cli = cli,
        .fleet = {.transport = "tcp", .broker_options = bench_unbounded},
        .service = bench_service("recovery"),
        .directory = ".",
        .tasks = 1000000,
        .payload_bytes = 100,
    };
    struct option_spec specs[] = {
        OPTION_UINT_SPEC("tasks", &recovery.tasks, "N", 1, 50000000, "that wait (1,000,000)"),
        OPTION_UINT_SPEC("payload", &recovery.payload_bytes, "BYTES", ECHO_PAYLOAD_MIN, 1048576,
                         "size of a payload (100)"),
        BENCH_DIRECTORY_SPEC(&recovery.directory),
    };
    struct option_set set = {specs, sizeof(specs) / sizeof(specs[0])};
    struct arguments arguments;
    int code;

    if (!command_parse(cli, self, &set, argc, argv, &arguments, &code)) {
        return code;
    }
    if (bench_refuse_broker(cli, self, &code)) {
        return code;
    }
    snprintf(recovery.store, sizeof(recovery.store), "%.400s/sluice-bench-%ld.db",
             recovery.directory, (long)getpid());
    recovery.fleet.store = recovery.store;
    if (!echo_check_init(&recovery.check, recovery.tasks, recovery.payload_bytes)) {
        fprintf(stderr, "sluice bench recovery: out of memory\n");
        return EXIT_TASK;
    }
    code = recover(&recovery, self);
    fleet_stop();
    echo_check_deinit(&recovery.check);
    return code;
}

const struct command command_bench_recovery = {
    .name = "bench recovery",
    .arguments = "",
    .summary = "a broker with a million durable tasks is killed and starts again",
    .about = "Durable tasks wait at a broker with a store. It is killed with -9 and started\n"
             "again: how long until it listens, until a worker has the first task, and until\n"
             "all are loaded; and how much of its resident memory each takes. Then all run,\n"
             "and every payload is checked. The store is in --directory, and removed in the\n"
             "end. " BENCH_OWN_BROKER "Exit code 1: a task was lost, run twice, or changed.\n",
    .run = recovery_run,
};
