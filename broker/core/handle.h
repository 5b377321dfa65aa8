/* handle: one function a command, each in its own file.
 *
 * `peer` is the session the command came from. Each implements the ON RECV of its
 * section in proto/PROTOCOL.md, 3.1. */
#ifndef SLUICE_BROKER_CORE_HANDLE_H
#define SLUICE_BROKER_CORE_HANDLE_H

#include "broker/core/state.h"

#define REFUSED_RETRY_MS 100 /* window, memory, absence: nothing better is known */

void handle_hello(struct broker *broker, connection_id from, const struct hello *hello);
void handle_offer(struct broker *broker, struct peer *peer, const struct offer_message *offer);
void handle_withdraw(struct broker *broker, struct peer *peer, const struct withdraw *withdraw);
void handle_credit(struct broker *broker, struct peer *peer, const struct credit *credit);
void handle_submit(struct broker *broker, struct peer *peer, const struct submit *submit,
                   const struct hint *hint);
/* What a SUBMIT would be refused for, now. To make room it may forget what has ended. */
enum error_code submit_ask(struct broker *broker, struct peer *peer, const struct submit *submit);
/* In two steps: it is accepted, unless there is an error, and then begins; or it has never been.
 * The id is not known; nothing may happen in between but more of these; no idempotency key.
 * `reserve`: a full queue lets it in, as submit_goes_before said of all of these together.
 * retry_after_ms is set with an error: 0, final. */
enum error_code submit_create(struct broker *broker, struct peer *peer,
                              const struct submit *submit, bool reserve, struct task **task,
                              uint64_t *retry_after_ms);
/* The full queue of `service` may be full of tasks that wait, in lanes, for this very parent (NULL:
 * none) to end: `count` children of it at once are let in. */
bool submit_goes_before(const struct broker *broker, const struct service *service,
                        const struct task *parent, uint64_t count);
/* `flight`: that of its idempotency key, which another task has; NULL: none. */
void submit_start(struct broker *broker, struct task *task, struct flight *flight,
                  uint64_t delay_ms);
/* Makes a task that a store gives back, whatever the limits; it has not begun, its needs are there.
 * Sets `flight` for submit_start. NULL: no room, or no memory. */
struct task *submit_restore(struct broker *broker, struct peer *peer,
                            const struct submit *submit, struct flight **flight);
/* What is left at `now` of `ms` that began at `since`; at least 1 if there was any. */
uint64_t restore_left_ms(uint64_t ms, uint64_t since, uint64_t now);
/* Nothing more is given back. */
void restore_end(struct broker *broker);
void submit_discard(struct broker *broker, struct task *task);
/* All that a SUBMIT does but answering when it is refused: the id is not known. */
enum error_code submit_accept(struct broker *broker, struct peer *peer,
                              const struct submit *submit, struct task **task);
void handle_cancel(struct broker *broker, struct peer *peer, const struct cancel *cancel);
void handle_done(struct broker *broker, struct peer *peer, const struct done *done,
                 const struct hint *hint);
void handle_fail(struct broker *broker, struct peer *peer, const struct fail *fail);
/* The task that `peer` holds in this very attempt. NULL: stale, and counted. */
struct task *find_held(struct broker *broker, const struct peer *peer, const struct id *id,
                       uint64_t attempt);
/* A DONE or FAIL that could not be read: the task, if `peer` holds it, has been answered. */
void handle_garbled_answer(struct broker *broker, struct peer *peer, const struct id *id);
void handle_progress(struct broker *broker, struct peer *peer, const struct progress *progress);
void handle_control(struct broker *broker, struct peer *peer, const struct control *message);
void handle_chunk(struct broker *broker, struct peer *peer, const struct chunk *chunk);
void handle_read(struct broker *broker, struct peer *peer, const struct read *read);
void handle_checkpoint(struct broker *broker, struct peer *peer,
                       const struct checkpoint *checkpoint);
void handle_signal(struct broker *broker, struct peer *peer, const struct signal *signal);
void handle_watch(struct broker *broker, struct peer *peer, const struct watch *watch);
void handle_query(struct broker *broker, struct peer *peer, const struct query *query);

#endif
