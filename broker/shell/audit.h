/* audit: who did what, for good: the core's notes, written to files by a thread of its own.
 *
 * The broker only copies a note into a queue; formatting, hashing and writing are the thread's. A
 * disk that is slow or full slows nobody: what finds no room in the queue, or in the file's
 * buffer, is lost and counted, in the audit itself (`audit_lost`) and in the log. */
#ifndef SLUICE_BROKER_SHELL_AUDIT_H
#define SLUICE_BROKER_SHELL_AUDIT_H

#include "broker/core/broker.h"
#include "broker/shell/config.h"
#include "broker/shell/journal.h"

/* What is written down: the kinds of notes that say who, and how it ended. */
#define AUDIT_NOTES                                                                                \
    (NOTE_BIT(SUBMITTED) | NOTE_BIT(REFUSED) | NOTE_BIT(RETRIED) | NOTE_BIT(CANCEL_REQUESTED) |    \
     NOTE_BIT(DONE) | NOTE_BIT(FAILED) | NOTE_BIT(CANCELLED) | NOTE_BIT(EXPIRED) |                 \
     NOTE_BIT(PEER_CONNECTED) | NOTE_BIT(PEER_LOST) | NOTE_BIT(PEER_ENDED) | NOTE_BIT(OFFERED) |   \
     NOTE_BIT(WITHDRAWN) | NOTE_BIT(LIMIT_CHANGED) | NOTE_BIT(PAUSED) | NOTE_BIT(RESUMED) |        \
     NOTE_BIT(DRAINING) | NOTE_BIT(UNDRAINED) | NOTE_BIT(BACKUP_STARTED) |                         \
     NOTE_BIT(LETTER_RETRIED) |                                                                    \
     NOTE_BIT(LETTER_DROPPED) | NOTE_BIT(DEAD_LETTER) | NOTE_BIT(LETTER_FORGOTTEN) |               \
     NOTE_BIT(GATE_CLOSED) | NOTE_BIT(GATE_PAUSED) | NOTE_BIT(GATE_OPEN) |                         \
     NOTE_BIT(GATE_HALF_OPEN) | NOTE_BIT(GATE_RESUMING))

struct audit;

/* NULL: `problem` says why. Logs what it found. */
struct audit *audit_open(const struct config *config, struct journal *journal,
                         struct problem *problem);
/* Never waits for the disk. */
void audit_add(struct audit *audit, const struct note *note);
/* Logs what has gone wrong, or well again, since the last call; cheap. */
void audit_look(struct audit *audit, struct journal *journal);
/* Writes all that is left, as far as it can be written; logs the last hash. Accepts NULL. */
void audit_close(struct audit *audit, struct journal *journal);

#endif
