/* entries: all that an agent plans, by name, in the order in which they came. One thread. */
#ifndef SLUICE_CRON_ENTRIES_H
#define SLUICE_CRON_ENTRIES_H

#include "agents/cron/entry.h"

#define ENTRIES_MAX 1000
#define ENTRIES_PAYLOADS_MAX (8 * 1024 * 1024) /* of all of them */
/* As JSON without blanks a packed byte takes six at most, and all else in an entry is short: what
 * was written can be read again. */
#define ENTRIES_FILE_BYTES_MAX (64 * 1024 * 1024)

struct entries {
    struct list list; /* struct entry by link; owned */
    size_t count, payload_bytes;
};

void entries_init(struct entries *entries);
void entries_deinit(struct entries *entries);

struct entry *entries_find(const struct entries *entries, const char *name);
/* Takes `entry`, whose name is new. False: there is no room, `error` says of what. */
bool entries_add(struct entries *entries, struct entry *entry, char *error, size_t error_size);
/* Gives `entry` back to the caller. */
void entries_take(struct entries *entries, struct entry *entry);

/* A JSON file of bounded size. NULL: `error` says why, with the place. *absent: there is none. */
json_t *entries_read_file(const char *path, bool *absent, char *error, size_t error_size);

/* Adds every entry of `list`, a JSON array; known names are an error. False: `error` says which one
 * is wrong, and how; those before it are added. */
bool entries_add_all(struct entries *entries, json_t *list, bool configured, char *error,
                     size_t error_size);

/* Adds the entries of a configuration file, {"entries": [...]}. */
bool entries_load(struct entries *entries, const char *path, char *error, size_t error_size);

#endif
