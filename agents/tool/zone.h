/* zone: what a time zone's clocks show at a moment.
 *
 * Reads the system's time zone database itself (TZif, RFC 8536, with the rule at its
 * end for the time after the last entry): localtime knows one zone for the
 * whole process, and changing that while another thread looks at the environment
 * is a race. Reads one small file a call; nothing is kept. Any thread. */
#ifndef SLUICE_TOOL_ZONE_H
#define SLUICE_TOOL_ZONE_H

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

/* `name` is an IANA name such as Europe/Berlin; it never leads out of `directory`.
 * "UTC" needs no database. */
enum zone_outcome zone_at(const char *directory, const char *name, int64_t unix_s,
                          struct zone_time *time);

/* The same from the bytes of a TZif file. False: malformed. */
bool zone_decode(const uint8_t *bytes, size_t size, int64_t unix_s, struct zone_time *time);

#endif
