/* ending: how tasks end, and what follows from it.
 *
 * Nothing here recurses: what one end causes elsewhere (a parent that can end
 * now, a join that is decided, children to cancel, workers with room) is put
 * on the broker's work lists, and broker_settle works them off. */
#ifndef SLUICE_BROKER_CORE_ENDING_H
#define SLUICE_BROKER_CORE_ENDING_H

#include "broker/core/state.h"

/* Ends a task that has not ended: RESULT to its submitter, children doomed, joins and
 * parent woken, retention. `error` for any state but TASK_DONE; takes over `body` (the result,
 * or the application's error map when error is NONE; may be NULL). */
void task_end(struct broker *broker, struct task *task, enum task_state state,
              enum error_code error, struct blob *body);

/* Begins to cancel a task and all below it; does nothing to an ended or cancelling one. */
void task_doom(struct broker *broker, struct task *task);

/* The same for all its children. */
void task_doom_children(struct broker *broker, struct task *task);

/* The attempt of a leased task broke a rule, or has no room: its worker is told to stop. The next
 * attempt, if `code` is retryable, or the end. */
void task_fail_attempt(struct broker *broker, struct task *task, enum error_code code);

void task_timer(struct broker *broker, struct task *task);

/* Wakes a task whose child, need or lease has ended. */
void task_wake(struct broker *broker, struct task *task);

/* Sends RESULT for an ended task to `peer`. */
void result_send(struct broker *broker, struct peer *peer, const struct task *task);
void refusal_send(struct broker *broker, struct peer *peer, const struct submit *submit,
                  enum error_code code, uint64_t retry_after_ms);

/* `peer` gets a REPLY to `request` when the task, which has not ended, has. False: it waits for
 * too many already, or no memory. */
bool task_await(struct broker *broker, struct peer *peer, struct task *task, uint64_t request,
                enum wait_kind kind);
/* Tells all who wait for it. */
void task_notify_waits(struct broker *broker, struct task *task);
/* {id, state, ended} */
void doc_task_state(struct doc *doc, const struct task *task);

/* Works off the lists until they are empty. Once at the end of every step. */
void broker_settle(struct broker *broker);

#endif
