/* join: a task that waits for others. PROTOCOL.md, RESULT.
 *
 * Without a service it ends when it is decided, and its RESULT brings the outcomes of its needs.
 * With one it is then handed out as any task is, and its worker gets them. */
#ifndef SLUICE_BROKER_CORE_JOIN_H
#define SLUICE_BROKER_CORE_JOIN_H

#include "broker/core/state.h"

/* Makes `task`, which has its rare part, a join over the needs of `submit`, which exist and are
 * its owner's. False: pools full, nothing changed. */
bool join_open(struct broker *broker, struct task *task, const struct submit *submit);
/* Lets go of the needs. */
void join_free(struct broker *broker, struct join *join);

/* The join is decided, or ends: its inputs stay as they are, however often they are sent. */
void join_close(struct join *join);

/* Every need is counted, or what is left cannot change how the policy comes out. */
bool join_settled(const struct join *join);
/* A join whose RESULT brings inputs: it keeps its needs for as long as it is known. Others let go
 * of them when they end. */
bool join_tells_inputs(const struct task *task);

/* Forgets which needs an ended join had. */
void join_let_go(struct broker *broker, struct task *task);
/* The need of `need` has ended. */
void join_count(struct broker *broker, struct need *need);
/* Ends the join if it is decided, or makes it ready for its service. */
void join_decide(struct broker *broker, struct task *task);
/* Some join that waits, and is not decided, needs the task. */
bool join_awaits(const struct task *task);
/* Cancels the needs that have not ended and that only this join waits for. */
void join_doom_needs(struct broker *broker, struct task *task);
/* Its deadline: a settled join without a service is done, with what it has; any other has
 * expired. */
void join_expire(struct broker *broker, struct task *task);

/* Where a walk over a join's needs has come to: inputs are asked for in order. */
struct join_cursor {
    const struct task *task;
    const struct need_chunk *chunk;
    size_t first; /* index of the chunk's first need */
};
struct join_cursor join_cursor(const struct task *task);

/* For struct result: the record of need `index` as the join sees it. `context` is a
 * struct join_cursor. */
void join_input_at(void *context, size_t index, struct outcome_record *record);

/* The task that SUBMIT's `needs` names at `index`; NULL: none. */
struct task *join_find_need(const struct broker *broker, const struct submit *submit,
                            size_t index);
/* May such a join be made? Changes nothing. */
enum error_code join_check_needs(const struct broker *broker, const struct peer *peer,
                                 const struct submit *submit);

#endif
