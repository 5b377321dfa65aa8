/* memo: what a task keeps for its next attempt: a checkpoint, and signals.
 * PROTOCOL.md, CHECKPOINT and SIGNAL.
 *
 * Signals are kept in the order in which they came, and every attempt starts with all that are
 * kept: whether a worker that died had acted on one nobody can know. What no attempt has had yet
 * is never dropped; what one has had makes room for what comes, the oldest first.
 *
 * Owner: the task; gone when it ends. */
#ifndef SLUICE_BROKER_CORE_MEMO_H
#define SLUICE_BROKER_CORE_MEMO_H

#include "broker/core/state.h"

struct kept_signal {
    struct kept_signal *next;
    struct blob *payload; /* NULL: empty */
};

struct memo {
    struct blob *checkpoint; /* NULL: none */
    struct kept_signal *first, *last;
    uint32_t count; /* of signals, SIGNALS_MAX at most */
    uint32_t given; /* of those, from the first on: some attempt has had them */
    uint64_t bytes; /* of their payloads, SIGNALS_BYTES_MAX at most */
};

/* Bytes that it takes of the memory budget. */
uint64_t memo_bytes(const struct memo *memo);

/* The task's checkpoint is `payload` from now on, none if that is empty. ERROR_MEMORY_FULL:
 * nothing has changed. */
enum error_code memo_set_checkpoint(struct broker *broker, struct task *task,
                                    const struct payload *payload);
/* What TASK carries. Borrowed. */
struct payload memo_checkpoint(const struct task *task);

/* Keeps a signal. `given`: its worker gets it at once. ERROR_LIMIT_EXCEEDED: as many wait as
 * may. Nothing has changed unless ERROR_NONE. */
enum error_code memo_add_signal(struct broker *broker, struct task *task,
                                const struct payload *payload, bool given);
/* Sends all that are kept to the worker that has the task. */
void memo_give_signals(struct broker *broker, struct task *task);

void memo_free(struct broker *broker, struct memo *memo);

#endif
