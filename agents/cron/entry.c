#include "agents/cron/entry.h"

#include "common/duration.h"
#include "common/json.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_MS UINT64_C(1000)
#define HOUR_MS (3600 * SECOND_MS)
#define DAY_MS (24 * HOUR_MS)
#define EVERY_MS_MAX (366 * DAY_MS) /* the longest duration of the protocol */
#define LATE_MS_MAX (6 * DAY_MS)    /* the broker remembers a run for 7 days at most */
#define RETAIN_MS_MAX (7 * DAY_MS)
#define LATE_ONCE_MS HOUR_MS
/* Who does not make up for missed runs still submits those for which it is a little late itself: a
 * machine under load, a broker that was away for a moment. */
#define LATE_SKIP_MS (10 * SECOND_MS)
#define SERVICE_NAME_MAX 128
#define ATTEMPTS_MAX 100
#define SHOWN_MAX 40
#define DURATION_TEXT_MAX 31

/* What an entry says, before it is checked as a whole. */
struct reading {
    struct entry *entry;
    const char *key; /* which is being read */
    const char *cron, *zone, *missed;
    uint64_t late_ms; /* 0: not given */
    char *error;
    size_t error_size;
};

static bool fail(const struct reading *reading, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Control characters could pretend to be another line of a log. */
static bool fail(const struct reading *reading, const char *format, ...)
{
    va_list values;

    va_start(values, format);
    vsnprintf(reading->error, reading->error_size, format, values);
    va_end(values);
    for (char *at = reading->error; *at != '\0'; at++) {
        *at = iscntrl((unsigned char)*at) ? '?' : *at;
    }
    return false;
}

/* How much of `text` is shown: whole characters (UTF-8). */
static int shown(const char *text)
{
    int size = (int)strnlen(text, SHOWN_MAX);

    while (size > 0 && text[size] != '\0' && (text[size] & 0xc0) == 0x80) {
        size--;
    }
    return size;
}

static bool read_text(struct reading *reading, json_t *value, const char **text)
{
    *text = json_text(value);
    return (*text != NULL && **text != '\0') ||
           fail(reading, "%s: a text without NUL is needed", reading->key);
}

static bool is_word(const char *text, size_t size_max)
{
    size_t size = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-");

    return size > 0 && size <= size_max && text[size] == '\0';
}

/* A duration as text, or milliseconds. Zeros before the number, too, are kept as they
 * came: the state would grow by any number of them. */
static bool read_duration(struct reading *reading, json_t *value, uint64_t max_ms, uint64_t *ms)
{
    char number[DURATION_TEXT_MAX + 1];
    const char *text = number;

    snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    if (!json_is_integer(value)) {
        text = json_text(value);
    }
    if (text == NULL || strlen(text) > DURATION_TEXT_MAX || !duration_parse(text, max_ms, ms) ||
        *ms == 0) {
        return fail(reading, "%s: a time like 90s, 5m, 1h or 2d is needed, %" PRIu64 " %s at most",
                    reading->key, max_ms / (max_ms > DAY_MS ? DAY_MS : HOUR_MS),
                    max_ms > DAY_MS ? "days" : "hours");
    }
    return true;
}

static bool read_whole(struct reading *reading, json_t *value, json_int_t min, json_int_t max,
                       json_int_t *number)
{
    *number = json_integer_value(value);
    return (json_is_integer(value) && *number >= min && *number <= max) ||
           fail(reading, "%s: a whole number from %" JSON_INTEGER_FORMAT " to %" JSON_INTEGER_FORMAT
                         " is needed", reading->key, min, max);
}

/* ---- one function a key ---- */

static bool read_name(struct reading *reading, json_t *value)
{
    const char *text;

    if (!read_text(reading, value, &text)) {
        return false;
    }
    if (!is_word(text, ENTRY_NAME_MAX)) {
        return fail(reading, "name: '%.*s' is none; letters, digits and . _ - are allowed, "
                             "%d at most", shown(text), text, ENTRY_NAME_MAX);
    }
    snprintf(reading->entry->name, sizeof reading->entry->name, "%s", text);
    return true;
}

static bool read_cron(struct reading *reading, json_t *value)
{
    return read_text(reading, value, &reading->cron);
}

static bool read_every(struct reading *reading, json_t *value)
{
    uint64_t ms;

    if (!read_duration(reading, value, EVERY_MS_MAX, &ms)) {
        return false;
    }
    reading->entry->plan.every_s = (int64_t)(ms / SECOND_MS);
    return ms % SECOND_MS == 0 || fail(reading, "every: whole seconds are needed, 1s at least");
}

static bool read_zone(struct reading *reading, json_t *value)
{
    struct zone zone;

    if (!read_text(reading, value, &reading->zone)) {
        return false;
    }
    if (zone_load(ZONE_DIRECTORY, reading->zone, &zone) != ZONE_OK) {
        return fail(reading, "zone: no time zone '%.*s'; use an IANA name such as Europe/Berlin "
                             "(package tzdata has them)", shown(reading->zone), reading->zone);
    }
    zone_unload(&zone);
    snprintf(reading->entry->plan.zone, sizeof reading->entry->plan.zone, "%s", reading->zone);
    return true;
}

static bool read_service(struct reading *reading, json_t *value)
{
    const char *text;

    if (!read_text(reading, value, &text)) {
        return false;
    }
    reading->entry->work.service = text;
    return is_word(text, SERVICE_NAME_MAX) ||
           fail(reading, "service: '%.*s' cannot be one's name", shown(text), text);
}

static bool read_payload(struct reading *reading, json_t *value)
{
    struct sluice_bytes packed = sluice_pack_json(value);

    if (packed.data == NULL) {
        return fail(reading, "payload: cannot be sent; is it nested too deeply?");
    }
    free((void *)packed.data);
    reading->entry->work.payload = value;
    reading->entry->payload_bytes = packed.size;
    return packed.size <= ENTRY_PAYLOAD_MAX ||
           fail(reading, "payload: %d bytes at most", ENTRY_PAYLOAD_MAX);
}

static bool read_missed(struct reading *reading, json_t *value)
{
    if (!read_text(reading, value, &reading->missed)) {
        return false;
    }
    return strcmp(reading->missed, "skip") == 0 || strcmp(reading->missed, "once") == 0 ||
           fail(reading, "missed: skip or once, not '%.*s'", shown(reading->missed),
                reading->missed);
}

static bool read_late(struct reading *reading, json_t *value)
{
    return read_duration(reading, value, LATE_MS_MAX, &reading->late_ms) &&
           (reading->late_ms >= SECOND_MS || fail(reading, "late: 1s at least"));
}

static bool read_overlap(struct reading *reading, json_t *value)
{
    static const char *const names[] = {
        [OVERLAP_ALLOW] = "allow", [OVERLAP_SKIP] = "skip", [OVERLAP_QUEUE] = "queue"};
    const char *text;

    if (!read_text(reading, value, &text)) {
        return false;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(text, names[i]) == 0) {
            reading->entry->overlap = (enum overlap)i;
            return true;
        }
    }
    return fail(reading, "overlap: allow, skip or queue, not '%.*s'", shown(text), text);
}

static bool read_deadline(struct reading *reading, json_t *value)
{
    return read_duration(reading, value, EVERY_MS_MAX, &reading->entry->work.options.deadline_ms);
}

static bool read_queue_ttl(struct reading *reading, json_t *value)
{
    return read_duration(reading, value, EVERY_MS_MAX, &reading->entry->work.options.queue_ttl_ms);
}

static bool read_retain(struct reading *reading, json_t *value)
{
    return read_duration(reading, value, RETAIN_MS_MAX, &reading->entry->work.options.retain_ms);
}

static bool read_attempts(struct reading *reading, json_t *value)
{
    json_int_t number;

    if (!read_whole(reading, value, 1, ATTEMPTS_MAX, &number)) {
        return false;
    }
    reading->entry->work.options.attempts = (unsigned)number;
    return true;
}

static bool read_priority(struct reading *reading, json_t *value)
{
    json_int_t number;

    if (!read_whole(reading, value, 0, 9, &number)) {
        return false;
    }
    reading->entry->work.options.priority = number == 0 ? SLUICE_PRIORITY_LOWEST : (int)number;
    return true;
}

static bool read_switch(struct reading *reading, json_t *value, bool *on)
{
    *on = json_is_true(value);
    return json_is_boolean(value) || fail(reading, "%s: true or false is needed", reading->key);
}

static bool read_wait(struct reading *reading, json_t *value)
{
    return read_switch(reading, value, &reading->entry->work.options.wait_absent);
}

static bool read_durable(struct reading *reading, json_t *value)
{
    return read_switch(reading, value, &reading->entry->work.options.durable);
}

static const struct key {
    const char *name;
    bool (*read)(struct reading *reading, json_t *value);
} keys[] = {
    {"name", read_name},           {"cron", read_cron},       {"every", read_every},
    {"zone", read_zone},           {"service", read_service}, {"payload", read_payload},
    {"missed", read_missed},       {"late", read_late},       {"overlap", read_overlap},
    {"deadline", read_deadline},   {"retain", read_retain},   {"queue_ttl", read_queue_ttl},
    {"attempts", read_attempts},   {"priority", read_priority}, {"wait", read_wait},
    {"durable", read_durable},
};

/* ---- the whole ---- */

static bool read_key(struct reading *reading, const char *name, json_t *value)
{
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (strcmp(name, keys[i].name) == 0) {
            reading->key = keys[i].name;
            return keys[i].read(reading, value);
        }
    }
    return fail(reading, "there is no '%.*s'; an entry has name, cron or every, zone, service, "
                         "payload, missed, late, overlap, deadline, retain, queue_ttl, attempts, "
                         "priority, wait, durable", shown(name), name);
}

static bool settle_plan(struct reading *reading)
{
    struct plan *plan = &reading->entry->plan;
    char problem[EXPRESSION_ERROR_SIZE];

    if ((reading->cron != NULL) == (plan->every_s != 0)) {
        return fail(reading, "%s", reading->cron != NULL
                                       ? "cron and every: one of them says when, not both"
                                       : "cron or every is needed, to say when");
    }
    if (plan->every_s != 0) {
        return reading->zone == NULL || fail(reading, "zone: has no meaning with every");
    }
    if (reading->zone == NULL) {
        snprintf(plan->zone, sizeof plan->zone, "UTC");
    }
    return expression_parse(reading->cron, &plan->expression, problem, sizeof problem) ||
           fail(reading, "cron: %s", problem);
}

static bool settle_late(struct reading *reading)
{
    bool once = reading->missed != NULL && strcmp(reading->missed, "once") == 0;
    uint64_t late_ms = reading->late_ms > 0 ? reading->late_ms : LATE_ONCE_MS;
    uint64_t *retain_ms = &reading->entry->work.options.retain_ms;

    if (reading->late_ms > 0 && !once) {
        return fail(reading, "late: says for how long missed: \"once\" holds; it is not given");
    }
    late_ms = once ? late_ms : LATE_SKIP_MS;
    reading->entry->late_s = (int64_t)(late_ms / SECOND_MS);
    /* Nobody may submit a run again that the broker has forgotten. */
    if (*retain_ms < late_ms + HOUR_MS) {
        *retain_ms = late_ms + HOUR_MS;
    }
    return true;
}

static void settle_overlap(struct entry *entry)
{
    snprintf(entry->key, sizeof entry->key, "cron.%s", entry->name);
    if (entry->overlap == OVERLAP_QUEUE) {
        entry->work.options.order = entry->key;
    } else if (entry->overlap == OVERLAP_SKIP) {
        /* We skip while we know of one; and what an agent that has just come submits
         * follows the run that there is, in one step of the broker. */
        entry->work.options.idempotency_key = entry->key;
    }
}

static bool read_entry(struct reading *reading, json_t *source)
{
    const char *name;
    json_t *value;

    if (!json_is_object(source)) {
        return fail(reading, "an entry is an object, {\"name\": ...}");
    }
    json_object_foreach(source, name, value) {
        if (!read_key(reading, name, value)) {
            return false;
        }
    }
    if (reading->entry->name[0] == '\0') {
        return fail(reading, "name is needed");
    }
    if (reading->entry->work.service == NULL) {
        return fail(reading, "service is needed, to say who does it");
    }
    if (!settle_plan(reading) || !settle_late(reading)) {
        return false;
    }
    settle_overlap(reading->entry);
    return true;
}

struct entry *entry_new(json_t *source, char *error, size_t error_size)
{
    struct entry *entry = calloc(1, sizeof *entry);
    struct reading reading = {.entry = entry, .error = error, .error_size = error_size};

    if (entry == NULL) {
        fail(&reading, "no memory");
        return NULL;
    }
    list_init(&entry->link);
    entry->work.name = entry->name;
    entry->source = json_incref(source);
    entry->next_s = ENTRY_NEVER;
    if (!read_entry(&reading, source)) {
        entry_free(entry);
        return NULL;
    }
    return entry;
}

void entry_free(struct entry *entry)
{
    firing_drop(&entry->firing);
    json_decref(entry->source);
    free(entry);
}

void entry_plan(struct entry *entry, int64_t last_s)
{
    entry->last_s = last_s;
    if (!plan_next(&entry->plan, last_s, &entry->next_s)) {
        entry->next_s = ENTRY_NEVER;
    }
}
