/* What operators say and see, and the numbers of a session's messages: WATCH,
 * EVENT, CONTROL, SEQUENCE. Reading and writing. */

#include "proto/codec_cursor.h"
#include "proto/codec_draft.h"

#include "common/check.h"

/* ---- reading ----------------------------------------------------------- */

bool watch_read(struct cursor *cursor, struct watch *watch)
{
    static const struct option options[] = {
        OPTION("service", option_service, struct watch, service, SERVICE_NAME_MAX),
        OPTION("task", option_id, struct watch, task, 0),
    };
    uint64_t seen;

    *watch = (struct watch){0};
    return field_uint(cursor, "request", REQUIRED, UINT64_MAX, &watch->request) &&
           field_uint(cursor, "credit", REQUIRED, CREDIT_MAX, &watch->credit) &&
           options_read(cursor, options, COUNT_OF(options), watch, &seen);
}

bool event_read(struct cursor *cursor, struct event_message *event)
{
    *event = (struct event_message){0};
    return field_uint(cursor, "request", REQUIRED, UINT64_MAX, &event->request) &&
           field_uint(cursor, "sequence", REQUIRED, UINT64_MAX, &event->sequence) &&
           field_uint(cursor, "lost", REQUIRED, UINT64_MAX, &event->lost) &&
           field_text(cursor, "kind", REQUIRED, EVENT_KIND_MAX, &event->kind) &&
           field_id(cursor, "task", OPTIONAL, &event->task) &&
           field_text(cursor, "service", OPTIONAL, SERVICE_NAME_MAX, &event->service) &&
           field_text(cursor, "peer", OPTIONAL, PEER_NAME_MAX, &event->peer) &&
           field_uint(cursor, "attempt", OPTIONAL, UINT64_MAX, &event->attempt) &&
           field_text(cursor, "detail", OPTIONAL, EVENT_DETAIL_MAX, &event->detail);
}

static bool field_control_what(struct cursor *cursor, enum control_what *what)
{
    struct span text;

    if (!field_text(cursor, "what", REQUIRED, QUERY_ARGUMENT_MAX, &text)) {
        return false;
    }
    for (unsigned i = 0; i < CONTROL_WHAT_COUNT; i++) {
        if (span_is(text, control_what_name(i))) {
            *what = (enum control_what)i;
            return true;
        }
    }
    return cursor_fail(cursor, ERROR_UNSUPPORTED, "what", "is nothing that this broker does");
}

#define LIMIT_IS_NUMBER(name, max)                                                                 \
    static_assert(sizeof(((struct limit_values *)NULL)->name) == sizeof(uint64_t), #name);
LIMIT_VALUES(LIMIT_IS_NUMBER)

#define LIMIT_ONE(name, max) +1
static_assert(sizeof(struct limit_values) == sizeof(uint64_t) * (0 LIMIT_VALUES(LIMIT_ONE)),
              "LIMIT_VALUES names each of them");

static void limits_leave_all(struct limit_values *limits)
{
#define LIMIT_LEAVE(name, max) limits->name = LIMIT_UNCHANGED;
    LIMIT_VALUES(LIMIT_LEAVE)
}

bool control_read(struct cursor *cursor, struct control *control)
{
#define LIMIT_OPTION(name, max) OPTION(#name, option_uint, struct control, limits.name, max),
    static const struct option options[] = {
        OPTION("service", option_service, struct control, service, SERVICE_NAME_MAX),
        OPTION("key", option_label, struct control, key, KEY_MAX),
        OPTION("tenant", option_label, struct control, tenant, KEY_MAX),
        OPTION("peer", option_uint, struct control, peer, UINT64_MAX),
        OPTION("task", option_id, struct control, task, 0),
        OPTION("ms", option_uint, struct control, ms, DURATION_MS_MAX),
        LIMIT_VALUES(LIMIT_OPTION)
    };
    uint64_t seen;

    *control = (struct control){0};
    limits_leave_all(&control->limits);
    return field_uint(cursor, "request", REQUIRED, UINT64_MAX, &control->request) &&
           field_control_what(cursor, &control->what) &&
           options_read(cursor, options, COUNT_OF(options), control, &seen);
}

bool sequence_read(struct cursor *cursor, struct sequence *sequence)
{
    *sequence = (struct sequence){0};
    return field_uint(cursor, "number", REQUIRED, UINT64_MAX, &sequence->number) &&
           field_uint(cursor, "acknowledged", OPTIONAL, UINT64_MAX, &sequence->acknowledged);
}

/* ---- writing ----------------------------------------------------------- */

void put_watch(struct pack_list *list, const struct watch *watch)
{
    struct pack_list map;

    put_uint(list, watch->request);
    put_uint(list, watch->credit);
    map = pack_begin(list->pack);
    option_put_text(&map, "service", watch->service);
    option_put_id(&map, "task", &watch->task);
    put_options(list, &map);
}

void put_event(struct pack_list *list, const struct event_message *event)
{
    put_uint(list, event->request);
    put_uint(list, event->sequence);
    put_uint(list, event->lost);
    put_text(list, event->kind);
    put_id_or_default(list, &event->task);
    put_text_or_default(list, event->service);
    put_text_or_default(list, event->peer);
    put_uint_or_default(list, event->attempt);
    put_text_or_default(list, event->detail);
}

/* 0 says "none", which is not the same as saying nothing. */
static void option_put_limit(struct pack_list *map, const char *key, uint64_t value)
{
    if (value != LIMIT_UNCHANGED) {
        option_key(map, key);
        put_uint(map, value);
    }
}

void put_control(struct pack_list *list, const struct control *control)
{
    struct pack_list map;

    put_uint(list, control->request);
    put_text(list, span_from_text(control_what_name(control->what)));
    map = pack_begin(list->pack);
    option_put_text(&map, "service", control->service);
    option_put_text(&map, "key", control->key);
    option_put_text(&map, "tenant", control->tenant);
    option_put_uint(&map, "peer", control->peer);
    option_put_id(&map, "task", &control->task);
    option_put_uint(&map, "ms", control->ms);
#define LIMIT_PUT(name, max) option_put_limit(&map, #name, control->limits.name);
    LIMIT_VALUES(LIMIT_PUT)
    put_options(list, &map);
}

void put_sequence(struct pack_list *list, const struct sequence *sequence)
{
    put_uint(list, sequence->number);
    put_uint_or_default(list, sequence->acknowledged);
}
