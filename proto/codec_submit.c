/* SUBMIT: the command with the most options, and rules between them. */

#include "proto/codec_cursor.h"
#include "proto/codec_draft.h"

#include "common/check.h"

/* ---- reading ----------------------------------------------------------- */

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

    if (!take_str(cursor, &text)) {
        return cursor_bad(cursor, option->name, "must be str");
    }
    for (unsigned i = JOIN_ALL; i <= JOIN_K; i++) {
        if (span_is(text, join_policy_name(i))) {
            submit->join = (enum join_policy)i;
            return true;
        }
    }
    return cursor_bad(cursor, option->name, "must be `all`, `settled`, `any` or `k`");
}

static bool option_run_if(struct cursor *cursor, const struct option *option, void *value)
{
    struct submit *submit = value;
    struct span text;

    if (!take_str(cursor, &text)) {
        return cursor_bad(cursor, option->name, "must be str");
    }
    for (unsigned i = RUN_IF_DONE; i <= RUN_IF_ALWAYS; i++) {
        if (span_is(text, run_if_name(i))) {
            submit->run_if = (enum run_if)i;
            return true;
        }
    }
    return cursor_bad(cursor, option->name, "must be `done`, `failed` or `always`");
}

static bool option_route(struct cursor *cursor, const struct option *option, void *value)
{
    struct submit *submit = value;
    struct span text;

    if (!take_str(cursor, &text) || !(span_is(text, "one") || span_is(text, "all"))) {
        return cursor_bad(cursor, option->name, "must be `one` or `all`");
    }
    submit->route = span_is(text, "all") ? ROUTE_ALL : ROUTE_ONE;
    return true;
}

/* On the wire `inputs` is true unless said otherwise; here its absence is 0. */
static bool option_inputs(struct cursor *cursor, const struct option *option, void *value)
{
    struct submit *submit = value;
    bool inputs;

    if (!take_bool(cursor, &inputs)) {
        return cursor_bad(cursor, option->name, "must be true or false");
    }
    submit->no_inputs = !inputs;
    return true;
}

/* Error codes with single spaces between them. */
static bool option_codes(struct cursor *cursor, const struct option *option, void *value)
{
    struct span *codes = value;
    size_t start = 0;

    if (!take_str(cursor, codes)) {
        return cursor_bad(cursor, option->name, "must be str");
    }
    if (codes->size > option->max) {
        return cursor_large(cursor, option->name, "is longer than its bound");
    }
    for (size_t i = 0; i <= codes->size; i++) {
        if (i < codes->size && codes->data[i] != ' ') {
            continue;
        }
        if (i - start > ERROR_CODE_MAX ||
            !service_name_valid(span_of(codes->data + start, i - start))) {
            return cursor_bad(cursor, option->name,
                              "must be error codes with single spaces between them");
        }
        start = i + 1;
    }
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

/* What is used most comes first: names are looked up one by one. */
enum submit_option {
    SUBMIT_DEADLINE,
    SUBMIT_KEY,
    SUBMIT_IF_ABSENT,
    SUBMIT_PARENT,
    SUBMIT_PARENT_ATTEMPT,
    SUBMIT_HELD,
    SUBMIT_PRIORITY,
    SUBMIT_QUEUE_TTL,
    SUBMIT_LEASE,
    SUBMIT_ATTEMPTS,
    SUBMIT_RECEIPTS,
    SUBMIT_JOIN,
    SUBMIT_NEEDS,
    SUBMIT_K,
    SUBMIT_RUN_IF,
    SUBMIT_INPUTS,
    SUBMIT_ROUTE,
    SUBMIT_ORDER,
    SUBMIT_AFFINITY,
    SUBMIT_VERSION,
    SUBMIT_COST,
    SUBMIT_DELAY,
    SUBMIT_MAX_RUN,
    SUBMIT_BACKOFF,
    SUBMIT_BACKOFF_MAX,
    SUBMIT_RETRY_ON,
    SUBMIT_FINAL_ON,
    SUBMIT_DEAD_LETTER,
    SUBMIT_IDEMPOTENCY_KEY,
    SUBMIT_CACHE,
    SUBMIT_DETACHED,
    SUBMIT_RETAIN,
    SUBMIT_STREAM,
    SUBMIT_DURABLE,
};

/* The options of joins, and of tasks that wait for others. */
static bool join_agrees(struct cursor *cursor, const struct submit *submit, uint64_t seen)
{
    bool is_join = submit->join != JOIN_NONE;

    if (is_join && !(seen >> SUBMIT_NEEDS & 1)) {
        return cursor_bad(cursor, "needs", "is required in a join");
    }
    if (!is_join && ((seen >> SUBMIT_NEEDS & 1) || submit->run_if != RUN_IF_DONE ||
                     submit->no_inputs)) {
        return cursor_bad(cursor, "join", "is required with `needs`, `run_if` and `inputs`");
    }
    if (is_join && submit->route == ROUTE_ALL) {
        return cursor_bad(cursor, "route", "must not be `all` in a join");
    }
    if (submit->join == JOIN_ANY && submit->needs_count == 0) {
        return cursor_bad(cursor, "needs", "must not be empty with `any`");
    }
    if (submit->join == JOIN_K ? submit->k == 0 || submit->k > submit->needs_count
                               : submit->k != 0) {
        return cursor_bad(cursor, "k", "must be 1 to the number of needs, with join `k` alone");
    }
    return true;
}

/* The rules between fields, which no single one shows. */
static bool submit_agrees(struct cursor *cursor, const struct submit *submit, uint64_t seen)
{
    if (submit->join == JOIN_NONE && submit->service.size == 0) {
        return cursor_bad(cursor, "service", "must be given, unless `join` is");
    }
    if (seen == 0) {
        return true;
    }
    if ((seen >> SUBMIT_PARENT & 1) && submit->parent_attempt == 0) {
        return cursor_bad(cursor, "parent_attempt", "is required with `parent`");
    }
    if (!(seen >> SUBMIT_PARENT & 1) && submit->parent_attempt != 0) {
        return cursor_bad(cursor, "parent", "is required with `parent_attempt`");
    }
    if (submit->cache_ms > 0 && submit->idempotency_key.size == 0) {
        return cursor_bad(cursor, "idempotency_key", "is required with `cache_ms`");
    }
    return join_agrees(cursor, submit, seen);
}

#define SUBMIT_OPTION(key, reader, bound) OPTION(#key, reader, struct submit, key, bound)

/* What such a reader writes has no common type: it sees the whole struct. */
#define SUBMIT_OPTION_WHOLE(key, reader)                                                           \
    {                                                                                              \
        .name = key, .name_size = sizeof(key) - 1, .read = reader                                  \
    }

static const struct option submit_options[] = {
    [SUBMIT_DEADLINE] = SUBMIT_OPTION(deadline_ms, option_uint, DURATION_MS_MAX),
    [SUBMIT_QUEUE_TTL] = SUBMIT_OPTION(queue_ttl_ms, option_uint, DURATION_MS_MAX),
    [SUBMIT_LEASE] = SUBMIT_OPTION(lease_ms, option_uint, DURATION_MS_MAX),
    [SUBMIT_ATTEMPTS] = SUBMIT_OPTION(attempts, option_uint, ATTEMPTS_MAX),
    [SUBMIT_PARENT] = SUBMIT_OPTION(parent, option_id, 0),
    [SUBMIT_PARENT_ATTEMPT] = SUBMIT_OPTION(parent_attempt, option_uint, UINT64_MAX),
    [SUBMIT_RECEIPTS] = SUBMIT_OPTION(receipts, option_bool, 0),
    [SUBMIT_HELD] = SUBMIT_OPTION(held, option_bool, 0),
    [SUBMIT_IF_ABSENT] = SUBMIT_OPTION_WHOLE("if_absent", option_if_absent),
    [SUBMIT_JOIN] = SUBMIT_OPTION_WHOLE("join", option_join),
    [SUBMIT_NEEDS] = SUBMIT_OPTION_WHOLE("needs", option_needs),
    [SUBMIT_K] = SUBMIT_OPTION(k, option_uint, NEEDS_MAX),
    [SUBMIT_RUN_IF] = SUBMIT_OPTION_WHOLE("run_if", option_run_if),
    [SUBMIT_INPUTS] = SUBMIT_OPTION_WHOLE("inputs", option_inputs),
    [SUBMIT_ROUTE] = SUBMIT_OPTION_WHOLE("route", option_route),
    [SUBMIT_PRIORITY] = SUBMIT_OPTION(priority, option_uint, PRIORITY_MAX),
    [SUBMIT_KEY] = SUBMIT_OPTION(key, option_label, KEY_MAX),
    [SUBMIT_ORDER] = SUBMIT_OPTION(order, option_label, KEY_MAX),
    [SUBMIT_AFFINITY] = SUBMIT_OPTION(affinity, option_label, KEY_MAX),
    [SUBMIT_VERSION] = SUBMIT_OPTION(version, option_text, VERSION_MAX),
    [SUBMIT_COST] = SUBMIT_OPTION(cost, option_uint, COST_MAX),
    [SUBMIT_DELAY] = SUBMIT_OPTION(delay_ms, option_uint, DURATION_MS_MAX),
    [SUBMIT_MAX_RUN] = SUBMIT_OPTION(max_run_ms, option_uint, DURATION_MS_MAX),
    [SUBMIT_BACKOFF] = SUBMIT_OPTION(backoff_ms, option_uint, DURATION_MS_MAX),
    [SUBMIT_BACKOFF_MAX] = SUBMIT_OPTION(backoff_max_ms, option_uint, DURATION_MS_MAX),
    [SUBMIT_RETRY_ON] = SUBMIT_OPTION(retry_on, option_codes, CODES_MAX),
    [SUBMIT_FINAL_ON] = SUBMIT_OPTION(final_on, option_codes, CODES_MAX),
    [SUBMIT_DEAD_LETTER] = SUBMIT_OPTION(dead_letter, option_bool, 0),
    [SUBMIT_IDEMPOTENCY_KEY] = SUBMIT_OPTION(idempotency_key, option_label, KEY_MAX),
    [SUBMIT_CACHE] = SUBMIT_OPTION(cache_ms, option_uint, DURATION_MS_MAX),
    [SUBMIT_DETACHED] = SUBMIT_OPTION(detached, option_bool, 0),
    [SUBMIT_RETAIN] = SUBMIT_OPTION(retain_ms, option_uint, DURATION_MS_MAX),
    [SUBMIT_STREAM] = SUBMIT_OPTION(stream, option_uint, STREAM_CREDIT_MAX),
    [SUBMIT_DURABLE] = SUBMIT_OPTION(durable, option_bool, 0),
};

bool submit_read(struct cursor *cursor, struct submit *submit)
{
    uint64_t seen;

    *submit = (struct submit){.priority = PRIORITY_DEFAULT};
    return field_task(cursor, &submit->id) && field_service(cursor, true, &submit->service) &&
           field_payload(cursor, "payload", REQUIRED, PAYLOAD_BYTES_MAX, &submit->payload) &&
           options_read(cursor, submit_options, COUNT_OF(submit_options), submit, &seen) &&
           submit_agrees(cursor, submit, seen);
}

/* ---- writing ----------------------------------------------------------- */

static void option_put_needs(struct pack_list *map, const struct submit *submit)
{
    option_key(map, "needs");
    pack_put_array(map->pack, submit->needs_count);
    for (size_t i = 0; i < submit->needs_count; i++) {
        pack_id(map->pack, submit->needs + i * submit->needs_stride);
    }
    pack_keep(map);
}

static void put_join(struct pack_list *map, const struct submit *submit)
{
    CHECK(submit->needs_count <= NEEDS_MAX);
    option_put_text(map, "join", span_from_text(join_policy_name(submit->join)));
    option_put_needs(map, submit);
    option_put_uint(map, "k", submit->k);
    if (submit->run_if != RUN_IF_DONE) {
        option_put_text(map, "run_if", span_from_text(run_if_name(submit->run_if)));
    }
    if (submit->no_inputs) {
        option_key(map, "inputs");
        pack_bool(map->pack, false);
        pack_keep(map);
    }
}

static void put_policies(struct pack_list *map, const struct submit *submit)
{
    if (submit->route == ROUTE_ALL) {
        option_put_text(map, "route", span_from_text("all"));
    }
    if (submit->priority != PRIORITY_DEFAULT) {
        option_key(map, "priority");
        put_uint(map, submit->priority);
    }
    option_put_text(map, "key", submit->key);
    option_put_text(map, "order", submit->order);
    option_put_text(map, "affinity", submit->affinity);
    option_put_text(map, "version", submit->version);
    option_put_uint(map, "cost", submit->cost);
    option_put_uint(map, "delay_ms", submit->delay_ms);
    option_put_uint(map, "max_run_ms", submit->max_run_ms);
    option_put_uint(map, "backoff_ms", submit->backoff_ms);
    option_put_uint(map, "backoff_max_ms", submit->backoff_max_ms);
    option_put_text(map, "retry_on", submit->retry_on);
    option_put_text(map, "final_on", submit->final_on);
    option_put_true(map, "dead_letter", submit->dead_letter);
    option_put_text(map, "idempotency_key", submit->idempotency_key);
    option_put_uint(map, "cache_ms", submit->cache_ms);
    option_put_true(map, "detached", submit->detached);
    option_put_uint(map, "retain_ms", submit->retain_ms);
    option_put_uint(map, "stream", submit->stream);
    option_put_true(map, "durable", submit->durable);
}

void put_submit(struct draft *draft, struct pack_list *list, const struct submit *submit)
{
    struct pack_list map;

    put_id(list, &submit->id);
    put_text(list, submit->service);
    put_payload(draft, list, &submit->payload);
    map = pack_begin(list->pack);
    option_put_uint(&map, "deadline_ms", submit->deadline_ms);
    option_put_uint(&map, "queue_ttl_ms", submit->queue_ttl_ms);
    option_put_uint(&map, "lease_ms", submit->lease_ms);
    option_put_uint(&map, "attempts", submit->attempts);
    option_put_id(&map, "parent", &submit->parent);
    option_put_uint(&map, "parent_attempt", submit->parent_attempt);
    option_put_true(&map, "receipts", submit->receipts);
    option_put_true(&map, "held", submit->held);
    if (submit->if_absent == IF_ABSENT_WAIT) {
        option_put_text(&map, "if_absent", span_from_text("wait"));
    }
    if (submit->join != JOIN_NONE) {
        put_join(&map, submit);
    }
    put_policies(&map, submit);
    put_options(list, &map);
}
