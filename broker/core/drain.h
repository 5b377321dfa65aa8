/* drain: something takes nothing new, so that it can be stopped without a loss.
 *
 * A drained worker finishes what it holds and is handed nothing more, as long as its session is
 * known; it is not told. A drained service, or broker, refuses what is submitted and hands out
 * what it has. Children are let in: their parents could not end otherwise. */
#ifndef SLUICE_BROKER_CORE_DRAIN_H
#define SLUICE_BROKER_CORE_DRAIN_H

#include "broker/core/state.h"

/* CONTROL drain, undrain. `body`: what has yet to end. Changes nothing unless ERROR_NONE. */
enum error_code control_drain(struct broker *broker, const struct control *control,
                              struct doc *body);
/* `submit` is new work, and `service` is drained; NULL: the whole broker. */
bool drain_refuses(const struct broker *broker, const struct service *service,
                   const struct submit *submit);
/* A worker is there that would take a task of `flow` were it not drained. */
bool drain_holds(const struct flow *flow);
/* It takes nothing new, or does again. */
void drain_service(struct broker *broker, struct service *service, bool on);
/* NULL: no such session. `number` as QUERY peers shows it. */
struct peer *peer_find_number(const struct broker *broker, uint64_t number);

#endif
