/* echo_rival: what the echo benchmarks of other brokers have in common.
 *
 * The shape of `sluice bench echo`, with its payloads, checks and JSON: a submitter (this process)
 * has at most `window` tasks under way; worker processes send each payload back to it. A window of
 * tasks is run first, unmeasured; then all.
 *
 * With --rate that is the shape of `sluice bench load`: an open loop. Tasks are sent when they are
 * due, whatever the replies do, and latency counts from then (cli/pace.h says why); no more than
 * PACE_UNDER_WAY_MAX are under way. Waiting is for the pace's descriptor or a reply, whichever is
 * first; where a library waits by itself for replies alone, a thread of its own sends.
 *
 * A rival fills in struct echo_rival_kind and calls echo_rival_main. All processes are forked from
 * this one before anything is connected, and die with it. One thread, but for that. */
#ifndef SLUICE_TESTS_BENCH_ECHO_RIVAL_H
#define SLUICE_TESTS_BENCH_ECHO_RIVAL_H

#include "cli/bench_result.h"
#include "common/option.h"
#include "cli/pace.h"
#include "cli/progress.h"

#include <stdatomic.h>

#define ECHO_RIVAL_BURST 256      /* tasks sent between looks for replies */
#define ECHO_RIVAL_STALL_MS 10000 /* nothing comes for so long: what is missing is lost */

struct echo_rival_kind;

struct echo_rival {
    const struct echo_rival_kind *kind;
    const char *bench; /* of the JSON line: the kind's name, unless its options say otherwise */
    const char *transport;
    uint64_t payload_bytes, window, workers;
    uint64_t rate; /* of an open loop, tasks a second; 0: a closed one */
    uint64_t port; /* of the server on 127.0.0.1 */
    pid_t server;  /* whose CPU time is told; 0: unknown */
    bool json;
    /* The submitter's: */
    void *link;
    bool sends_alone;  /* in an open loop send() is called by a thread of its own */
    struct pace pace;  /* of an open loop; its fd is -1 in others */
    uint64_t tasks, under_way_max, failed, late; /* of this pass */
    _Atomic uint64_t sent, done; /* done: replies, and failed ones. One thread writes each */
    atomic_bool over;            /* the pass: nothing more is to be sent */
    uint64_t *begun_ns;          /* of each task: when it was sent, or due */
    struct echo_check check;
    struct histogram latency_ns;
    struct progress progress;
    /* Private to echo_rival.c: */
    int ready[2];        /* a pipe: a byte of each worker */
    size_t first_worker; /* of the children */
};

struct echo_rival_kind {
    const char *program; /* in messages */
    const char *name;    /* of the JSON line */
    const char *about;   /* for --help */
    const struct option_set *options; /* beside the common ones; NULL: none */
    bool alone;                       /* its server can answer by itself: --workers 0 */
    bool paced;                       /* it can do an open loop: --rate */
    /* Starts a server of its own as the first child and sets rival->server; NULL: there is one
     * at rival->port. */
    void (*start)(struct echo_rival *rival);
    void (*tidy)(void); /* at the end, whatever the end is: see children.h; NULL: nothing */
    /* A worker: connects, says echo_rival_ready when tasks may come, and echoes until it is
     * killed. Does not return. */
    void (*serve)(struct echo_rival *rival);
    /* The submitter: connects. Workers are ready. */
    void *(*open)(struct echo_rival *rival);
    /* Submits a task, whose payload comes from echo_rival_fill; may keep it until receive(). */
    void (*send)(void *link, struct echo_rival *rival, uint64_t sequence);
    /* Sees to it that all tasks are on their way, and gives the replies that are there to
     * echo_rival_reply. If there are none it waits for the first, but for wait_ms at most; and
     * if it is paced and does not send alone, only until rival->pace.fd is readable. */
    void (*receive)(void *link, struct echo_rival *rival, int wait_ms);
    /* Removes what it made at the server and disconnects. */
    void (*close)(void *link);
};

/* Says what is wrong and ends the process. */
_Noreturn void echo_rival_fail(struct echo_rival *rival, const char *what, const char *why);

/* Of a worker: from now on it gets every task. */
void echo_rival_ready(struct echo_rival *rival);

/* Writes the payload of task `sequence`, payload_bytes long. Its time runs from now on; in an open
 * loop, since it was due. */
void echo_rival_fill(struct echo_rival *rival, uint64_t sequence, void *payload);

/* Judges and counts a reply. */
void echo_rival_reply(struct echo_rival *rival, const void *data, size_t size);

/* The server says that a task failed. */
void echo_rival_failed(struct echo_rival *rival);

int echo_rival_main(const struct echo_rival_kind *kind, int argc, char **argv);

#endif
