/* rival: what the benchmarks of other brokers have in common.
 *
 * The shape of `sluice bench durable` for a queue: a submitter (this process) publishes tasks, with
 * at most `window` that the server has not confirmed; worker processes get them, check every byte
 * and acknowledge. It is over when all publishes are confirmed, all acknowledgements are processed
 * and the queue is empty. No answer travels back: these queues have none, and sluice's does.
 *
 * A rival fills in struct rival_kind and calls rival_main. Workers are forked before anything is
 * connected, and die with this process. */
#ifndef SLUICE_TESTS_BENCH_RIVAL_H
#define SLUICE_TESTS_BENCH_RIVAL_H

#include "cli/bench_result.h"

#define RIVAL_WAIT_MS 5      /* a worker that has nothing looks so often whether it is over */
#define RIVAL_STALL_MS 10000 /* nothing happens for so long: it failed */

struct rival_kind;
struct rival_shared;

struct rival {
    const struct rival_kind *kind;
    uint64_t payload_bytes, window, workers, port;
    uint64_t tasks;          /* of this pass */
    pid_t server;            /* 0: unknown */
    struct echo_check check; /* of this process: the submitter fills, a worker judges */
    struct rival_shared *shared;
    /* The submitter's: */
    uint64_t *sent_ns;          /* of each task; 0: confirmed */
    _Atomic uint64_t confirmed; /* tasks; they may be counted in another thread */
    struct histogram confirm_ns;
};

struct rival_kind {
    const char *name; /* of the JSON line */
    /* The submitter: connects and makes an empty queue that survives restarts. */
    void *(*open)(const struct rival *rival);
    /* Publishes all tasks of the pass; returns when all are confirmed. */
    void (*submit)(void *queue, struct rival *rival);
    /* How many messages the queue has. */
    uint64_t (*left)(void *queue);
    /* Removes the queue and closes the connection. */
    void (*close)(void *queue);
    /* A worker: connects to the queue that is there. */
    void *(*attach)(const struct rival *rival);
    /* Gets, checks and acknowledges some; waits RIVAL_WAIT_MS if there are none. How many. */
    uint64_t (*serve)(void *queue, struct rival *rival);
    /* Returns when the server has got all acknowledgements. */
    void (*settle)(void *queue);
};

_Noreturn void rival_fail(const struct rival_kind *kind, const char *what, const char *why);

/* Fills in the payload of a task that is about to be published, and takes the time. */
void rival_fill(struct rival *rival, uint64_t sequence, uint8_t *payload);

/* The server has confirmed a task: counts it once. */
void rival_confirm(struct rival *rival, uint64_t sequence);

/* Judges a payload that a worker got. */
void rival_judge(struct rival *rival, const void *data, size_t size);

int rival_main(const struct rival_kind *kind, int argc, char **argv);

#endif
