/* firing: one run of an entry: a detached task that starts at its planned time.
 *
 * Its id is made from the entry's name, its service and the planned time, so whoever plans it -
 * another agent with the same entries, this one after a restart - means the same task, and the
 * broker has it once, as long as it remembers it: also when it has failed, or was cancelled. One
 * that is there already is followed like an own one. One thread, the runtime's; nothing here
 * suspends. */
#ifndef SLUICE_CRON_FIRING_H
#define SLUICE_CRON_FIRING_H

#include "agents/runtime/sluice.h"

/* What is submitted. Borrowed. */
struct work {
    const char *name; /* the entry's */
    const char *service;
    json_t *payload;  /* NULL: an empty map */
    struct sluice_submit_options options; /* but for id and run_at_ms */
};

enum firing_state {
    FIRING_NONE,
    FIRING_SENT,     /* the broker has not said yet that it has it */
    FIRING_REFUSED,  /* it would not have it, for now */
    FIRING_ACCEPTED,
    FIRING_ENDED,
};

/* Zeroed: none. */
struct firing {
    enum firing_state state;
    struct sluice_future *future; /* SENT and ACCEPTED */
    int64_t planned_s;            /* Unix */
    uint64_t refused_ms;          /* REFUSED: when, of the loop's clock */
    enum sluice_outcome outcome;  /* REFUSED and ENDED */
    char code[65];                /* of its error; "": none */
    char reason[1025];            /* its message, whole */
    bool shared;                  /* somebody else has submitted it */
};

struct sluice_id firing_id(const struct work *work, int64_t planned_s);

/* Submits it, for the first time or again; `now_ms` is Unix time. FIRING_NONE after it: no memory.
 * A deadline counts from the planned time. */
void firing_start(struct firing *firing, struct sluice *sluice, const struct work *work,
                  int64_t planned_s, int64_t now_ms);
/* Looks what has become of it, one change a call. True: `state` has changed. */
bool firing_poll(struct firing *firing, struct sluice *sluice, const struct work *work);
/* Lets go of it; the task goes on. FIRING_NONE again. */
void firing_drop(struct firing *firing);
/* The same of one that is too late: if the broker does not have it yet, it never begins. It is not
 * cancelled, for another agent may have submitted it. */
void firing_forget(struct firing *firing);

#endif
