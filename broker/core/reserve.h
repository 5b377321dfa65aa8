/* reserve: room beyond the memory budget, so that parents that fill it can go on.
 *
 * A memory full of parents that wait must not stop all of them. One tree at a time may have first
 * children beyond the budget, until none of those is left: shared among many, the reserve would
 * fill up with parents, too. */
#ifndef SLUICE_BROKER_CORE_RESERVE_H
#define SLUICE_BROKER_CORE_RESERVE_H

#include "broker/core/state.h"

/* `parent` (NULL: none) has no child that has not ended. */
bool is_first_child(const struct task *parent);
/* `count` children of `parent` at once may be in it, if there is memory for them elsewhere. */
bool reserve_has_place(const struct broker *broker, const struct task *parent, uint64_t count);
/* One may, and there is room for one that takes `wanted` bytes. */
bool reserve_has_room(const struct broker *broker, const struct task *parent, uint64_t wanted);
/* That child has been made. */
void reserve_take(struct broker *broker, struct task *task, const struct task *parent);
/* It ends, or has never been; of a task that took none nothing changes. The last one to leave frees
 * the reserve for another tree. */
void reserve_leave(struct broker *broker, struct task *task);

#endif
