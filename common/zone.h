/* zone: what a time zone's clocks show at a moment.
 *
 * Reads the system's time zone database itself (TZif, RFC 8536, with the rule at its
 * end for the time after the last entry): localtime knows one zone for the
 * whole process, and changing that while another thread looks at the environment
 * is a race. Any thread. */
#ifndef SLUICE_COMMON_ZONE_H
#define SLUICE_COMMON_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ZONE_DIRECTORY "/usr/share/zoneinfo"
#define ZONE_NAME_MAX 64
#define ZONE_FILE_BYTES_MAX 65536 /* the largest are below 5 KiB */
#define ZONE_ABBREVIATION_SIZE 12

struct zone_time {
    int32_t offset_s; /* east of Greenwich */
    bool daylight_saving;
    char abbreviation[ZONE_ABBREVIATION_SIZE]; /* "CET" */
};

enum zone_outcome {
    ZONE_OK,
    ZONE_UNKNOWN,    /* no such name, or not a name */
    ZONE_UNREADABLE, /* the file is not what it should be */
};

/* A zone's file. */
struct zone {
    uint8_t *bytes; /* owned; NULL: UTC */
    size_t size;
};

/* `name` is an IANA name such as Europe/Berlin; it never leads out of `directory`.
 * "UTC" needs no database. ZONE_OK: `zone` is to be unloaded; else there is nothing to unload. */
enum zone_outcome zone_load(const char *directory, const char *name, struct zone *zone);
void zone_unload(struct zone *zone);

/* What its clocks show at `unix_s`. False: the file is not what it should be. */
bool zone_show(const struct zone *zone, int64_t unix_s, struct zone_time *time);

/* All of that at once. */
enum zone_outcome zone_at(const char *directory, const char *name, int64_t unix_s,
                          struct zone_time *time);

/* The same from the bytes of a TZif file. False: malformed. */
bool zone_decode(const uint8_t *bytes, size_t size, int64_t unix_s, struct zone_time *time);

#endif
