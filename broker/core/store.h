/* store: what a broker wants kept for good, and what it is given back after a restart.
 *
 * The submitter of a `durable` task is told ACCEPTED when the record of it is safe, and its outcome
 * when the record of that is: what anybody was told survives power loss. The core says what
 * is to be kept by records, in the order of their `sequence`, one by one; its shell writes them to
 * a disk and says with EVENT_STORED up to which sequence all of them are there. Until then the
 * core holds back what it would say. Records of one `key` are about one row; a row is made by
 * STORE_TASK, or by STORE_DIRECTIVE for what an operator has said, and gone with STORE_FORGET.
 * Whoever has kept the records up to some sequence, in order, has kept a state that the broker was
 * in: any prefix of them may be restored.
 *
 * Types only, and pure. Spans and blobs are borrowed for the call. */
#ifndef SLUICE_BROKER_CORE_STORE_H
#define SLUICE_BROKER_CORE_STORE_H

#include "proto/message.h"

enum store_what {
    STORE_TASK,       /* a new row */
    STORE_ATTEMPT,    /* `attempts` of it are used up; no outcome yet */
    STORE_CHECKPOINT, /* replaces the one before */
    STORE_END,        /* its outcome; nothing but STORE_FORGET follows */
    STORE_FORGET,
    STORE_DIRECTIVE,  /* a new row, too; nothing but STORE_FORGET follows */
};

struct store_record {
    enum store_what what;
    uint64_t sequence; /* 1, 2, 3, ... since the broker's start */
    uint64_t key;      /* of the row; increases with every STORE_TASK, across restarts, too */
    /* STORE_TASK. Durations in `submit` count from accepted_unix_ms. */
    const struct submit *submit;
    struct id session;     /* its submitter's */
    struct span peer;      /* its name */
    uint64_t accepted_unix_ms;
    uint64_t attempts;     /* STORE_TASK, STORE_ATTEMPT: used up; a retried dead letter has some */
    struct span causes;    /* STORE_ATTEMPT, STORE_END: why each failed, opaque; empty: none */
    struct payload checkpoint;
    /* STORE_END */
    const struct outcome_record *outcome;
    uint64_t ended_unix_ms;
    /* STORE_DIRECTIVE, with `peer` and accepted_unix_ms. */
    const struct control *directive;
};

/* A row as it was when the records ended. */
struct store_row {
    uint64_t key;
    struct submit submit; /* with its payload, also of one that has ended */
    struct id session;
    struct span peer;
    uint64_t accepted_unix_ms;
    uint64_t attempts;
    struct span causes;        /* empty: none */
    struct payload checkpoint; /* empty: none */
    bool ended;
    struct outcome_record outcome; /* if it has ended */
    uint64_t ended_unix_ms;
    bool is_directive;       /* no task, but `directive`, which `peer` said at accepted_unix_ms */
    struct control directive;
};

/* Of the disk. */
enum store_state {
    STORE_NONE, /* there is no store: nothing durable is accepted */
    STORE_OPEN,
    STORE_FULL, /* no room: nothing durable is accepted until there is some, the rest waits */
    STORE_LOST, /* not to be trusted any more: nothing durable is accepted, none becomes safe */
};

static inline const char *store_state_name(enum store_state state)
{
    static const char *const names[] = {
        [STORE_NONE] = "none", [STORE_OPEN] = "open", [STORE_FULL] = "full", [STORE_LOST] = "lost"};

    return names[state];
}

#endif
