/* log: structured log records: a stable event id, then key=value.
 *
 * The core and the peer machine build records and hand them to their sink, so
 * that tests read what an operator reads. Programs print them with log_print.
 * Pure but for log_print. */
#ifndef SLUICE_COMMON_LOG_H
#define SLUICE_COMMON_LOG_H

#include "common/span.h"

#include <stdio.h>

enum log_level {
    LOG_ERROR, /* a human must act */
    LOG_WARN,  /* degraded */
    LOG_INFO,  /* life cycle */
    LOG_DEBUG, /* every transition */
};

enum log_kind { LOG_KIND_TEXT, LOG_KIND_UINT, LOG_KIND_ID };

struct log_field {
    const char *key;
    enum log_kind kind;
    union {
        struct span text;
        uint64_t number;
        const struct id *id;
    };
};

#define LOG_TEXT(k, s) ((struct log_field){.key = (k), .kind = LOG_KIND_TEXT, .text = (s)})
#define LOG_WORD(k, s) LOG_TEXT(k, span_from_text(s))
#define LOG_UINT(k, n) ((struct log_field){.key = (k), .kind = LOG_KIND_UINT, .number = (n)})
#define LOG_ID(k, i) ((struct log_field){.key = (k), .kind = LOG_KIND_ID, .id = (i)})

struct log_record {
    enum log_level level;
    const char *event;
    const struct log_field *fields;
    size_t field_count;
};

/* Formats `record` without its time as `event key=value ...`, values with
 * spaces, quotes or non-printable bytes quoted and escaped. Truncates at
 * `size`, always ends with NUL. Returns the length written. */
size_t log_format(const struct log_record *record, char *buffer, size_t size);

/* Prints one line, `TIME LEVEL event key=value ...`, time in UTC with
 * milliseconds, in a single write. */
void log_print(FILE *stream, const struct log_record *record);

const char *log_level_name(enum log_level level);
/* False: not a level's name. */
bool log_level_parse(const char *name, enum log_level *level);

/* 36 characters and NUL: the usual form of a UUID. */
#define ID_TEXT_SIZE 37
void id_format(const struct id *id, char text[ID_TEXT_SIZE]);
/* Accepts the usual form, or 32 hex digits. False: neither. */
bool id_parse(const char *text, struct id *id);

#endif
