/* audit_file: what an audit is written to: JSON Lines, numbered and chained, in files of bounded
 * size and number. docs/audit.md says what a line holds.
 *
 * Each line has the number after the last one's, and its hash (chain.h), across files and starts
 * of the broker. PATH is the newest file, PATH.1 the one before it, and so on.
 *
 * Lines are buffered until audit_file_flush. When they cannot be written (the disk is full), they
 * stay in the buffer; what finds no room there is lost and counted, and an `audit_lost` line tells
 * how many as soon as there is room again. When a new file cannot be begun, the old one goes on,
 * larger than it should be, and after the next flush it is tried again. One thread. */
#ifndef SLUICE_BROKER_SHELL_AUDIT_FILE_H
#define SLUICE_BROKER_SHELL_AUDIT_FILE_H

#include "broker/core/broker.h"
#include "broker/shell/config.h"
#include "common/chain.h"

#define AUDIT_BUFFER_BYTES (256 * 1024)
#define AUDIT_LINE_MAX 8192

struct audit_entry {
    uint64_t at_ms; /* Unix */
    const char *event;
    struct id task;      /* nil: none */
    uint64_t attempt;    /* 0: none */
    struct span service; /* the rest: empty if there is none */
    struct span peer;
    struct span detail;
};

struct audit_file {
    char path[CONFIG_PATH_MAX];
    uint64_t max_bytes; /* of one file */
    uint64_t files;     /* at most, the newest one included */
    int fd;
    int error;          /* errno of the last write, 0: it went well */
    int rotate_error;   /* errno of the last new file that was to be begun, 0: it was */
    bool rotate_tried;  /* since the last flush, in vain */
    uint64_t size;      /* of the newest file, with what is buffered */
    uint64_t number;    /* of the last line */
    uint64_t lost;      /* entries since the last audit_lost line */
    uint64_t lost_all;  /* entries */
    struct chain chain;
    size_t used;
    uint8_t buffer[AUDIT_BUFFER_BYTES];
};

/* Goes on where the files at `path` end. A last line that was never finished (the machine
 * stopped) is cut off, and `torn` says how many bytes that were. False: `problem` says why. */
bool audit_file_open(struct audit_file *file, const char *path, uint64_t max_bytes, uint64_t files,
                     uint64_t *torn, struct problem *problem);
/* False: lost, and counted. */
bool audit_file_add(struct audit_file *file, const struct audit_entry *entry);
/* So many entries have never got here: the next line will be an audit_lost. */
void audit_file_lose(struct audit_file *file, uint64_t entries);
/* Writes what is buffered, at the end of a turn. False: not all of it; file->error says why. */
bool audit_file_flush(struct audit_file *file);
/* To the disk itself. */
void audit_file_sync(struct audit_file *file);
/* Flushes, syncs, closes. */
void audit_file_close(struct audit_file *file);

#endif
