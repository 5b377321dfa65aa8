/* pace: when each of many things is due, at a constant rate, and a descriptor that says so.
 *
 * For an open loop: what is sent when its time has come, however long that before it takes, and
 * measured from then. To wait for an answer before the next is sent, or to count from the time at
 * which it was sent in the end, leaves out what others wait for a slow one: Gil Tene calls that
 * coordinated omission.
 *
 * libc only; one thread. */
#ifndef SLUICE_CLI_PACE_H
#define SLUICE_CLI_PACE_H

#include <stdbool.h>
#include <stdint.h>

/* What falls due in less than that after others goes with the next ones: the shortest sleep. */
#define PACE_TICK_NS 50000
/* What all open loops of tasks have in common, ours and those of `make bench-peers`: */
#define PACE_LATE_NS 1000000      /* sent so long after it was due, a task counts as late */
#define PACE_UNDER_WAY_MAX 16384  /* tasks; what is due beyond them waits, which its time counts */

struct pace {
    int fd;            /* readable when something is due, until pace_due; -1: closed */
    uint64_t per_s;
    uint64_t count;    /* how many in all */
    uint64_t taken;    /* so far */
    uint64_t begun_ns; /* monotonic: the first is due */
    uint64_t next_ns;  /* when the descriptor becomes readable, or did; UINT64_MAX: never */
};

/* False: no timer, errno says why, and nothing to close. */
bool pace_open(struct pace *pace);
void pace_close(struct pace *pace); /* harmless twice */

/* `count` things from now on, `per_s` (1 up to 100 million) of them a second. */
void pace_start(struct pace *pace, uint64_t per_s, uint64_t count);
/* Nothing more is due; the descriptor stays. */
void pace_stop(struct pace *pace);

/* What the descriptor says, without asking it: for those who have a clock at hand. */
bool pace_is_due(const struct pace *pace, uint64_t now_ns);

/* How many are due and not taken. Sets the timer for those that are not. */
uint64_t pace_due(struct pace *pace);
/* Takes the next; the time when it is due, monotonic. */
uint64_t pace_take(struct pace *pace);

#endif
