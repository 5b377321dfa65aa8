/* backup: an operator wants a copy of what the store has. The shell makes it, one at a time; who
 * asked is told when it has ended, wherever their session is by then. */
#ifndef SLUICE_BROKER_CORE_BACKUP_H
#define SLUICE_BROKER_CORE_BACKUP_H

#include "broker/core/state.h"

/* ERROR_NONE: it begins, and backup_end answers `request`. */
enum error_code backup_start(struct broker *broker, const struct peer *peer, uint64_t request);
/* Ignored if none is being made. */
void backup_end(struct broker *broker, const struct backup_end *end);

#endif
