/* setting: the table of everything that can be set, by file or command line.
 *
 * One row names a setting, where it lives, its unit and its bounds; the config
 * file, the command line and --help are all read from it. */
#ifndef SLUICE_BROKER_SHELL_SETTING_H
#define SLUICE_BROKER_SHELL_SETTING_H

#include "broker/shell/config.h"

enum setting_kind {
    SETTING_NAME,     /* text, 1 to PEER_NAME_MAX bytes */
    SETTING_PATH,     /* of a file; empty: none */
    SETTING_LEVEL,    /* of the log */
    SETTING_SWITCH,   /* 0 or 1; on the command line without a value */
    SETTING_COUNT,    /* a plain number */
    SETTING_BYTES,    /* a number, or one with K, M or G (powers of 1024) */
    SETTING_DURATION, /* milliseconds, or a number with ms, s, m or h */
};

struct setting {
    const char *section; /* of the file; `service` also serves entries of `services` */
    const char *key;
    enum setting_kind kind;
    size_t offset;     /* in struct config; `service` rows: in struct service_limits */
    uint64_t min, max; /* of numbers */
    const char *about; /* for --help */
};

extern const struct setting settings[];
extern const size_t setting_count;

/* What a service, a tenant or a fairness key may take: offsets are in struct limit_values. Section
 * "tenant": of all of them; "limit": of services alone; "key": of keys alone. */
extern const struct setting limit_settings[];
extern const size_t limit_setting_count;
/* `owner`: "limit" for a service, "tenant", "key". NULL: no such key of it. */
const struct setting *limit_setting_find(const char *key, const char *owner);

/* NULL: no such key in `section`. */
const struct setting *setting_find(const char *section, const char *key);

/* Reads `value` into `target`: a struct config, or for `service` rows a struct
 * service_limits. False: `problem` says what is wrong; nothing changed. */
bool setting_apply(const struct setting *setting, void *target, const char *value,
                   struct problem *problem);

/* Where a setting of `config` lives: the `target` of setting_apply. */
void *setting_target(const struct setting *setting, struct config *config);

/* The setting's value as text that setting_apply reads. */
void setting_format(const struct setting *setting, const struct config *config, char *text,
                    size_t size);

/* Name of its option without the dashes: `max-tasks`, `service-max-tasks`. */
#define SETTING_OPTION_MAX 40
void setting_option(const struct setting *setting, char option[SETTING_OPTION_MAX]);

#endif
