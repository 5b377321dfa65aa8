/* Reading SUBMIT: the command with the most options, and rules between them. */

#include "proto/codec_cursor.h"

static bool option_if_absent(struct cursor *cursor, const struct option *option, void *value)
{
    struct submit *submit = value;
    struct span text;

    if (!take_str(cursor, &text) || !(span_is(text, "refuse") || span_is(text, "wait"))) {
        return cursor_bad(cursor, option->name, "must be `refuse` or `wait`");
    }
    submit->if_absent = span_is(text, "wait") ? IF_ABSENT_WAIT : IF_ABSENT_REFUSE;
    return true;
}

static bool option_join(struct cursor *cursor, const struct option *option, void *value)
{
    struct submit *submit = value;
    struct span text;

    if (!take_str(cursor, &text) || !(span_is(text, "all") || span_is(text, "settled"))) {
        return cursor_bad(cursor, option->name, "must be `all` or `settled`");
    }
    submit->join = span_is(text, "all") ? JOIN_ALL : JOIN_SETTLED;
    return true;
}

/* Ids have one length on the wire, so the list stays where it is: no copy. */
static bool option_needs(struct cursor *cursor, const struct option *option, void *value)
{
    struct submit *submit = value;
    uint32_t count;

    if (!take_array(cursor, &count)) {
        return cursor_bad(cursor, option->name, "must be an array of ids");
    }
    if (count > NEEDS_MAX) {
        return cursor_large(cursor, option->name, "has more than 16384 ids");
    }
    if ((size_t)(cursor->end - cursor->at) < (size_t)count * WIRE_ID_BYTES) {
        return cursor_bad(cursor, option->name, "must hold ids only: bin 8 of 16 bytes");
    }
    submit->needs = cursor->at + 2;
    submit->needs_count = count;
    submit->needs_stride = WIRE_ID_BYTES;
    for (uint32_t i = 0; i < count; i++) {
        if (!wire_is_id(cursor->at)) {
            return cursor_bad(cursor, option->name, "must hold ids only: bin 8 of 16 bytes");
        }
        cursor->at += WIRE_ID_BYTES;
    }
    return true;
}

enum submit_option {
    SUBMIT_DEADLINE,
    SUBMIT_QUEUE_TTL,
    SUBMIT_LEASE,
    SUBMIT_ATTEMPTS,
    SUBMIT_PARENT,
    SUBMIT_PARENT_ATTEMPT,
    SUBMIT_RECEIPTS,
    SUBMIT_HELD,
    SUBMIT_IF_ABSENT,
    SUBMIT_JOIN,
    SUBMIT_NEEDS,
};

/* The rules between fields, which no single one shows. */
static bool submit_agrees(struct cursor *cursor, const struct submit *submit, uint64_t seen)
{
    bool is_join = submit->join != JOIN_NONE;

    if (is_join && submit->service.size > 0) {
        return cursor_bad(cursor, "service", "must be empty in a join");
    }
    if (!is_join && submit->service.size == 0) {
        return cursor_bad(cursor, "service", "must be given, unless `join` is");
    }
    if (is_join && !(seen >> SUBMIT_NEEDS & 1)) {
        return cursor_bad(cursor, "needs", "is required in a join");
    }
    if (!is_join && (seen >> SUBMIT_NEEDS & 1)) {
        return cursor_bad(cursor, "join", "is required with `needs`");
    }
    if ((seen >> SUBMIT_PARENT & 1) && submit->parent_attempt == 0) {
        return cursor_bad(cursor, "parent_attempt", "is required with `parent`");
    }
    if (!(seen >> SUBMIT_PARENT & 1) && submit->parent_attempt != 0) {
        return cursor_bad(cursor, "parent", "is required with `parent_attempt`");
    }
    return true;
}

bool submit_read(struct cursor *cursor, struct submit *submit)
{
    static const struct option options[] = {
        [SUBMIT_DEADLINE] =
            OPTION("deadline_ms", option_uint, struct submit, deadline_ms, DURATION_MS_MAX),
        [SUBMIT_QUEUE_TTL] =
            OPTION("queue_ttl_ms", option_uint, struct submit, queue_ttl_ms, DURATION_MS_MAX),
        [SUBMIT_LEASE] = OPTION("lease_ms", option_uint, struct submit, lease_ms, DURATION_MS_MAX),
        [SUBMIT_ATTEMPTS] = OPTION("attempts", option_uint, struct submit, attempts, ATTEMPTS_MAX),
        [SUBMIT_PARENT] = OPTION("parent", option_id, struct submit, parent, 0),
        [SUBMIT_PARENT_ATTEMPT] =
            OPTION("parent_attempt", option_uint, struct submit, parent_attempt, UINT64_MAX),
        [SUBMIT_RECEIPTS] = OPTION("receipts", option_bool, struct submit, receipts, 0),
        [SUBMIT_HELD] = OPTION("held", option_bool, struct submit, held, 0),
        /* these three see the whole struct: what they write has no common type */
        [SUBMIT_IF_ABSENT] = {"if_absent", 9, option_if_absent, 0, 0},
        [SUBMIT_JOIN] = {"join", 4, option_join, 0, 0},
        [SUBMIT_NEEDS] = {"needs", 5, option_needs, 0, 0},
    };
    uint64_t seen;

    *submit = (struct submit){0};
    return field_task(cursor, &submit->id) && field_service(cursor, true, &submit->service) &&
           field_payload(cursor, "payload", REQUIRED, PAYLOAD_BYTES_MAX, &submit->payload) &&
           options_read(cursor, options, COUNT_OF(options), submit, &seen) &&
           submit_agrees(cursor, submit, seen);
}
