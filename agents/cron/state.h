/* state: the file in which an agent keeps what it must still know after a restart: the entries that
 * it was given by tasks, and up to which time each entry has been dealt with.
 *
 *     {"entries": [...], "last": {"nightly": "2026-11-21T02:00:00Z"}}
 *
 * It is replaced in one step, so it is always whole: the old one or the new one. One agent at a
 * time has it. Writing waits for the disk, in the loop: some KiB as a rule, less than
 * ENTRIES_FILE_BYTES_MAX ever. */
#ifndef SLUICE_CRON_STATE_H
#define SLUICE_CRON_STATE_H

#include "agents/cron/entries.h"

struct state {
    char *path;  /* NULL: nothing is kept */
    int lock_fd;
    bool dirty;  /* there is something to write */
};

/* Takes the file at `path` (NULL: none) for this process, and reads it into `entries`, which has
 * those of the configuration: they win. Every entry is planned: from where the file says, else
 * from `now_s`. False: `error` says why. */
bool state_open(struct state *state, const char *path, struct entries *entries, int64_t now_s,
                char *error, size_t error_size);
/* Negative errno: the file is as it was, or, if only its folder could not be synced, has all of it
 * until the power fails; `dirty` is set. */
int state_save(struct state *state, const struct entries *entries);
void state_close(struct state *state); /* does not save */

#endif
