#include "broker/shell/setting.h"

#include "common/check.h"

#include <inttypes.h>
#include <stdio.h>

/* Counts are size_t in the core and durations uint64_t: the table treats both alike. */
static_assert(sizeof(size_t) == sizeof(uint64_t), "settings are 64 bits wide");

#define KIB 1024ULL
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define HOUR_MS (3600ULL * 1000)

#define AT(member) offsetof(struct config, member)
#define IN_SERVICE(member) offsetof(struct service_limits, member)

const struct setting settings[] = {
    {"broker", "name", SETTING_NAME, AT(name), 0, 0, "name in the log"},
    {"broker", "log_level", SETTING_LEVEL, AT(log_level), 0, 0, "error, warn, info or debug"},
    {"broker", "allow_plain", SETTING_SWITCH, AT(allow_plain), 0, 1,
     "bind more than loopback and ipc, without encryption"},
    {"broker", "store", SETTING_PATH, AT(store), 0, 0, "keep durable tasks in this file"},
    {"broker", "backups", SETTING_PATH, AT(backups), 0, 0,
     "make backups of the store in this folder; else beside it"},
    {"broker", "audit", SETTING_PATH, AT(audit), 0, 0, "keep an audit in this file and older ones"},
    {"broker", "audit_bytes", SETTING_BYTES, AT(audit_bytes), 64 * KIB, 1024 * GIB,
     "one file of the audit"},
    {"broker", "audit_files", SETTING_COUNT, AT(audit_files), 1, 10000,
     "files of the audit; the oldest is removed for a new one"},

    {"limits", "memory", SETTING_BYTES, AT(broker.memory_max), MIB, 1024 * GIB,
     "payloads, results and records of tasks"},
    {"limits", "max_peers", SETTING_COUNT, AT(broker.peers_max), 1, 1000000, "sessions"},
    {"limits", "max_services", SETTING_COUNT, AT(broker.services_max), 1, 1000000, "services"},
    {"limits", "max_offers", SETTING_COUNT, AT(broker.offers_per_peer_max), 1, 65536,
     "services one peer may offer"},
    {"limits", "max_tasks", SETTING_COUNT, AT(broker.tasks_max), 1, 64 * MIB,
     "tasks, ended and still remembered ones too"},
    {"limits", "max_payload", SETTING_BYTES, AT(broker.payload_max), 1, PAYLOAD_BYTES_MAX,
     "one payload"},
    {"limits", "window_tasks", SETTING_COUNT, AT(broker.window_tasks), 1, 64 * MIB,
     "unfinished tasks of one submitter"},
    {"limits", "window_bytes", SETTING_BYTES, AT(broker.window_bytes), 1, 1024 * GIB,
     "payloads of unfinished tasks of one submitter"},
    {"limits", "retain_tasks", SETTING_COUNT, AT(broker.retain_tasks), 0, 64 * MIB,
     "ended tasks that are remembered"},
    {"limits", "retain_bytes", SETTING_BYTES, AT(broker.retain_bytes), 0, 1024 * GIB,
     "results of ended tasks that are remembered"},
    {"limits", "detached_retain_tasks", SETTING_COUNT, AT(broker.detached_retain_tasks), 0,
     64 * MIB, "ended detached tasks that are remembered"},
    {"limits", "detached_retain_bytes", SETTING_BYTES, AT(broker.detached_retain_bytes), 0,
     1024 * GIB, "results of ended detached tasks that are remembered"},
    {"limits", "stream_chunks", SETTING_COUNT, AT(broker.stream_chunks), 1, 65536,
     "chunks of one stream that are kept for its readers"},
    {"limits", "stream_bytes", SETTING_BYTES, AT(broker.stream_bytes), CHUNK_BYTES_MAX, GIB,
     "the same in bytes"},
    {"limits", "dead_tasks", SETTING_COUNT, AT(broker.dead_tasks), 0, MIB, "dead letters"},
    {"limits", "dead_bytes", SETTING_BYTES, AT(broker.dead_bytes), 0, 1024 * GIB,
     "dead letters, at most an eighth of memory"},

    {"service", "max_tasks", SETTING_COUNT, IN_SERVICE(max_tasks), 1, 64 * MIB,
     "waiting tasks of a service"},
    {"service", "max_bytes", SETTING_BYTES, IN_SERVICE(max_bytes), 1, 1024 * GIB,
     "payloads of waiting tasks of a service"},
    {"service", "attempts", SETTING_COUNT, IN_SERVICE(attempts), 1, ATTEMPTS_MAX,
     "attempts of a task"},
    {"service", "lease_ms", SETTING_DURATION, IN_SERVICE(lease_ms), 0, DURATION_MS_MAX,
     "longest silence about a task; 0: while its worker lives"},
    {"service", "max_run_ms", SETTING_DURATION, IN_SERVICE(max_run_ms), 0, DURATION_MS_MAX,
     "longest run of an attempt, whatever its progress; 0: no bound"},
    {"service", "durable", SETTING_SWITCH, IN_SERVICE(durable), 0, 1,
     "its tasks are durable, asked for or not"},

    {"timers", "ping_ms", SETTING_DURATION, AT(broker.ping_ms), 10, HOUR_MS,
     "a peer says something so often; less often if thousands are there"},
    {"timers", "silence_ms", SETTING_DURATION, AT(broker.silence_ms), 20, 24 * HOUR_MS,
     "a peer silent for longer is lost"},
    {"timers", "probe_ms", SETTING_DURATION, AT(broker.probe_ms), 10, HOUR_MS,
     "how often a busy worker's connection is tried"},
    {"timers", "resume_ms", SETTING_DURATION, AT(broker.resume_ms), 0, 24 * HOUR_MS,
     "how long a lost peer's tasks are kept"},
    {"timers", "hold_ms", SETTING_DURATION, AT(broker.hold_ms), 0, 24 * HOUR_MS,
     "how long a lost worker keeps its tasks, if it can resume"},
    {"timers", "cancel_grace_ms", SETTING_DURATION, AT(broker.cancel_grace_ms), 0, HOUR_MS,
     "how long a worker has to confirm a cancel"},
    {"timers", "retain_ms", SETTING_DURATION, AT(broker.retain_ms), 0, DURATION_MS_MAX,
     "how long an ended task is remembered"},
    {"timers", "detached_retain_ms", SETTING_DURATION, AT(broker.detached_retain_ms), 0,
     7 * 24 * HOUR_MS, "how long an ended detached task is remembered"},
    {"timers", "service_linger_ms", SETTING_DURATION, AT(broker.service_linger_ms), 0,
     DURATION_MS_MAX, "how long an unused service is known"},
    {"timers", "backoff_ms", SETTING_DURATION, AT(broker.backoff_ms), 1, HOUR_MS,
     "wait before the second attempt, then doubled"},
    {"timers", "backoff_max_ms", SETTING_DURATION, AT(broker.backoff_max_ms), 1, 24 * HOUR_MS,
     "longest wait between attempts"},
    {"timers", "drain_ms", SETTING_DURATION, AT(drain_ms), 0, 24 * HOUR_MS,
     "how long SIGTERM waits for tasks; 0: for all of them"},
};

const size_t setting_count = sizeof settings / sizeof settings[0];

#define OF_LIMIT(section, kind, name, max, about)                                                  \
    {section, #name, kind, offsetof(struct limit_values, name), 0, max, about}
#define COUNT(section, name, max, about) OF_LIMIT(section, SETTING_COUNT, name, max, about)
#define WINDOW(section, name, about)                                                               \
    OF_LIMIT(section, SETTING_DURATION, name, LIMIT_WINDOW_MS_MAX, about)

const struct setting limit_settings[] = {
    COUNT("tenant", concurrency, LIMIT_VALUE_MAX,
          "tasks that run at once; 0 here and below: no bound"),
    COUNT("tenant", rate, LIMIT_RATE_MAX, "starts in every rate_ms"),
    WINDOW("tenant", rate_ms, "of the rate"),
    COUNT("tenant", burst, LIMIT_RATE_MAX, "starts that may come at once"),
    COUNT("tenant", budget, LIMIT_VALUE_MAX, "cost units in every budget_ms"),
    WINDOW("tenant", budget_ms, "of the budget"),
    COUNT("tenant", refuse, 1, "1: refuse instead of hold"),
    COUNT("key", weight, WEIGHT_MAX, "tasks in each turn"),
    COUNT("limit", breaker_failures, LIMIT_VALUE_MAX, "in a row, open the breaker"),
    COUNT("limit", breaker_percent, 100, "of the attempts in breaker_ms, open it"),
    COUNT("limit", breaker_min, LIMIT_VALUE_MAX, "attempts that there must be for that"),
    WINDOW("limit", breaker_ms, "window of breaker_percent"),
    WINDOW("limit", breaker_open_ms, "how long it is open"),
    COUNT("limit", breaker_probes, CREDIT_MAX, "successes that close it"),
    COUNT("limit", breaker_refuse, 1, "1: refuse instead of hold"),
    OF_LIMIT("limit", SETTING_DURATION, backoff_ms, DURATION_MS_MAX, "before the first retry"),
    OF_LIMIT("limit", SETTING_DURATION, backoff_max_ms, DURATION_MS_MAX, "ceiling of the backoff"),
};

const size_t limit_setting_count = sizeof limit_settings / sizeof limit_settings[0];

const struct setting *limit_setting_find(const char *key, const char *owner)
{
    for (size_t i = 0; i < limit_setting_count; i++) {
        const struct setting *setting = &limit_settings[i];

        if (strcmp(setting->key, key) == 0 &&
            (strcmp(setting->section, "tenant") == 0 || strcmp(setting->section, owner) == 0)) {
            return setting;
        }
    }
    return NULL;
}

const struct setting *setting_find(const char *section, const char *key)
{
    for (size_t i = 0; i < setting_count; i++) {
        if (strcmp(settings[i].section, section) == 0 && strcmp(settings[i].key, key) == 0) {
            return &settings[i];
        }
    }
    return NULL;
}

void *setting_target(const struct setting *setting, struct config *config)
{
    return strcmp(setting->section, "service") == 0 ? (void *)&config->broker.service
                                                    : (void *)config;
}

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit units_bytes[] = {{"", 1},      {"K", KIB},   {"M", MIB},   {"G", GIB},
                                          {"KiB", KIB}, {"MiB", MIB}, {"GiB", GIB}, {NULL, 0}};
static const struct unit units_duration[] = {{"", 1},          {"ms", 1},      {"s", 1000},
                                             {"m", 60 * 1000}, {"h", HOUR_MS}, {NULL, 0}};
static const struct unit units_none[] = {{"", 1}, {NULL, 0}};

/* Digits, then one of `units`. False: anything else, or more than 64 bits. */
static bool parse_number(const char *text, const struct unit *units, uint64_t *number)
{
    size_t digits = strspn(text, "0123456789");
    uint64_t value = 0;

    if (digits == 0) {
        return false;
    }
    for (size_t i = 0; i < digits; i++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text[i] - '0'), &value)) {
            return false;
        }
    }
    for (; units->name != NULL; units++) {
        if (strcmp(text + digits, units->name) == 0) {
            return !__builtin_mul_overflow(value, units->factor, number);
        }
    }
    return false;
}

static bool apply_number(const struct setting *setting, uint64_t *target, const char *value,
                         struct problem *problem)
{
    const struct unit *units = units_none;
    const char *example = "a number";
    uint64_t number;

    if (setting->kind == SETTING_BYTES) {
        units = units_bytes;
        example = "a number of bytes such as 65536, 64K, 512M or 2G";
    } else if (setting->kind == SETTING_DURATION) {
        units = units_duration;
        example = "a duration such as 500ms, 10s or 5m";
    }
    if (!parse_number(value, units, &number)) {
        problem_set(problem, "%s must be %s, not '%s'", setting->key, example, value);
        return false;
    }
    if (number < setting->min || number > setting->max) {
        problem_set(problem, "%s must be from %" PRIu64 " to %" PRIu64 ", not %s", setting->key,
                    setting->min, setting->max, value);
        return false;
    }
    *target = number;
    return true;
}

bool setting_apply(const struct setting *setting, void *target, const char *value,
                   struct problem *problem)
{
    void *at = (char *)target + setting->offset;

    switch (setting->kind) {
    case SETTING_NAME:
        if (value[0] == '\0' || !text_valid(span_from_text(value), PEER_NAME_MAX)) {
            problem_set(problem, "%s must be 1 to %d bytes of text", setting->key, PEER_NAME_MAX);
            return false;
        }
        snprintf(at, PEER_NAME_MAX + 1, "%s", value);
        return true;
    case SETTING_PATH:
        if (strlen(value) >= CONFIG_PATH_MAX) {
            problem_set(problem, "%s must be a path of less than %d bytes", setting->key,
                        CONFIG_PATH_MAX);
            return false;
        }
        snprintf(at, CONFIG_PATH_MAX, "%s", value);
        return true;
    case SETTING_LEVEL:
        if (!log_level_parse(value, at)) {
            problem_set(problem, "%s must be error, warn, info or debug, not '%s'", setting->key,
                        value);
            return false;
        }
        return true;
    case SETTING_SWITCH:
        if (strcmp(value, "0") != 0 && strcmp(value, "1") != 0) {
            problem_set(problem, "%s must be 0 or 1, not '%s'", setting->key, value);
            return false;
        }
        *(bool *)at = value[0] == '1';
        return true;
    case SETTING_COUNT:
    case SETTING_BYTES:
    case SETTING_DURATION:
        return apply_number(setting, at, value, problem);
    }
    CHECK(!"a setting of unknown kind");
    return false;
}

static void format_bytes(uint64_t bytes, char *text, size_t size)
{
    if (bytes != 0 && bytes % GIB == 0) {
        snprintf(text, size, "%" PRIu64 "G", (uint64_t)(bytes / GIB));
    } else if (bytes != 0 && bytes % MIB == 0) {
        snprintf(text, size, "%" PRIu64 "M", (uint64_t)(bytes / MIB));
    } else if (bytes != 0 && bytes % KIB == 0) {
        snprintf(text, size, "%" PRIu64 "K", (uint64_t)(bytes / KIB));
    } else {
        snprintf(text, size, "%" PRIu64, bytes);
    }
}

void setting_format(const struct setting *setting, const struct config *config, char *text,
                    size_t size)
{
    const void *at = (char *)setting_target(setting, (struct config *)config) + setting->offset;

    switch (setting->kind) {
    case SETTING_NAME:
    case SETTING_PATH:
        snprintf(text, size, "%s", (const char *)at);
        return;
    case SETTING_LEVEL:
        snprintf(text, size, "%s", log_level_name(*(const enum log_level *)at));
        return;
    case SETTING_SWITCH:
        snprintf(text, size, "%d", *(const bool *)at);
        return;
    case SETTING_COUNT:
    case SETTING_DURATION:
        snprintf(text, size, "%" PRIu64, *(const uint64_t *)at);
        return;
    case SETTING_BYTES:
        format_bytes(*(const uint64_t *)at, text, size);
        return;
    }
}

void setting_option(const struct setting *setting, char option[SETTING_OPTION_MAX])
{
    int used = snprintf(option, SETTING_OPTION_MAX, "%s%s",
                        strcmp(setting->section, "service") == 0 ? "service-" : "", setting->key);

    CHECK(used < SETTING_OPTION_MAX);
    for (char *at = option; *at != '\0'; at++) {
        if (*at == '_') {
            *at = '-';
        }
    }
}
