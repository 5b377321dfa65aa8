/* bench_pass: some number of tasks echoed, a window of them at a time, and what it took.
 *
 * Every reply is checked. One pass at a time in a process; all of it on a fiber. */
#ifndef SLUICE_CLI_BENCH_PASS_H
#define SLUICE_CLI_BENCH_PASS_H

#include "agents/runtime/sluice.h"
#include "cli/bench.h"
#include "cli/bench_result.h"
#include "cli/progress.h"

/* What is submitted. Borrowed by a pass, and the same for all that are compared. */
struct bench_plan {
    const char *bench;   /* who speaks, in messages */
    const char *service;
    uint64_t window;
    uint64_t payload_bytes;
    uint64_t tasks;
    uint64_t first;      /* number of the first payload */
    uint64_t keys;       /* fairness keys that take turns; 0: the session's own */
    uint64_t services;   /* SERVICE.0, SERVICE.1 and so on take turns; 0: `service` alone */
    bool wait_absent;
    bool durable;
    bool failure_shown;  /* one is enough */
    bool silent;         /* somebody else shows progress */
};

/* Judges what became of the task that was sent with payload number `sequence`, and counts it in
 * `check` or `failed`; the first failure is shown. True: it was done, and the reply is right. */
bool bench_judge(struct bench_plan *plan, struct echo_check *check, uint64_t *failed,
                 const struct sluice_future *future, uint64_t sequence);

/* What is under way is in the first `open` slots. */
struct bench_pass {
    struct bench_plan *plan;
    struct sluice *sluice;
    struct sluice_future **futures; /* of the slots */
    struct bench_slot *slots;
    size_t open;
    uint8_t *payload;
    char *keys, *services; /* names that take turns, one after another; NULL: none do */
    uint64_t tasks, sent, done, failed;
    bool broken; /* no memory: the rest is lost */
    struct echo_check check;
    struct histogram latency_ns; /* makes the struct too large for a fiber's stack */
    struct progress progress;
    struct bench_stall stall;
};

/* A pass of `tasks` tasks (plan->tasks is for the caller). False: no memory, said so. */
bool bench_pass_init(struct bench_pass *pass, struct bench_plan *plan, struct sluice *sluice,
                     uint64_t tasks);
void bench_pass_deinit(struct bench_pass *pass);

/* A window of tasks that nobody measures, so that nobody's first steps are. `pass` is free before
 * and after. SUSPENDS. False: said why not. */
bool bench_pass_warm_up(struct bench_pass *pass, struct bench_plan *plan, struct sluice *sluice);
/* SUSPENDS until all tasks have ended, or nothing has come for half a minute; then the session is
 * stopped. Says in *result in *result how it went; what it refers to lives as long as the pass. */
void bench_pass_measure(struct bench_pass *pass, struct bench_result *result);

/* A fiber's whole benchmark: `fn` with a pass to use. Its exit code. */
int bench_with_pass(struct sluice *sluice, int (*fn)(struct sluice *, struct bench_pass *, void *),
                    void *arg);

#endif
