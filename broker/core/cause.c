#include "broker/core/cause.h"

#include "broker/core/state.h"
#include "common/little.h"

static_assert((CAUSES_FIRST + CAUSES_LAST) *
                      (sizeof(struct cause) + 64 + PEER_NAME_MAX + ERROR_CODE_MAX +
                       CAUSE_MESSAGE_MAX) <= UINT16_MAX,
              "struct cause_chain has room for how many bytes they take");

/* At most `max` bytes of UTF-8 text, cut between characters. */
static struct span text_cut(struct span text, size_t max)
{
    if (text.size > max) {
        text.size = max;
        while (text.size > 0 && (text.data[text.size] & 0xc0) == 0x80) {
            text.size--;
        }
    }
    return text;
}

static uint16_t cause_bytes(const struct cause *cause)
{
    return (uint16_t)(sizeof *cause + blob_span(cause->text).size + blob_overhead());
}

static void cause_free(struct broker *broker, struct cause_chain *chain, struct cause *cause)
{
    chain->bytes = (uint16_t)(chain->bytes - cause_bytes(cause));
    chain->count--;
    blob_unref(cause->text);
    pool_put(&broker->cause_pool, cause);
}

/* Makes room in the middle. */
static void drop_one(struct broker *broker, struct cause_chain *chain)
{
    struct cause *before = chain->first;
    struct cause *gone;

    for (unsigned i = 1; i < CAUSES_FIRST; i++) {
        before = before->next;
    }
    gone = before->next;
    before->next = gone->next;
    cause_free(broker, chain, gone);
    chain->dropped++;
}

static size_t append(uint8_t *bytes, size_t used, struct span text)
{
    if (text.size > 0) {
        memcpy(bytes + used, text.data, text.size);
    }
    return used + text.size;
}

static void add_at(struct broker *broker, struct cause_chain *chain,
                   const struct cause_said *said, uint64_t at_ms)
{
    uint8_t bytes[PEER_NAME_MAX + ERROR_CODE_MAX + CAUSE_MESSAGE_MAX];
    struct span worker = text_cut(said->worker, PEER_NAME_MAX);
    struct span code = text_cut(said->code, ERROR_CODE_MAX);
    size_t used = append(bytes, 0, worker);
    struct cause *cause;

    used = append(bytes, used, code);
    used = append(bytes, used, text_cut(said->message, CAUSE_MESSAGE_MAX));
    if (chain->count == CAUSES_FIRST + CAUSES_LAST) {
        drop_one(broker, chain);
    }
    cause = pool_get(&broker->cause_pool);
    if (cause == NULL) {
        chain->dropped++;
        return;
    }
    cause->text = blob_new(span_of(bytes, used));
    if (cause->text == NULL) {
        pool_put(&broker->cause_pool, cause);
        chain->dropped++;
        return;
    }
    cause->at_ms = at_ms;
    cause->attempt = (uint16_t)said->attempt;
    cause->worker_size = (uint8_t)worker.size;
    cause->code_size = (uint8_t)code.size;
    *(chain->last != NULL ? &chain->last->next : &chain->first) = cause;
    chain->last = cause;
    chain->count++;
    chain->bytes = (uint16_t)(chain->bytes + cause_bytes(cause));
}

void cause_add(struct broker *broker, struct cause_chain *chain, const struct cause_said *said)
{
    add_at(broker, chain, said, broker->now_ms);
}

void cause_clear(struct broker *broker, struct cause_chain *chain)
{
    while (chain->first != NULL) {
        struct cause *cause = chain->first;

        chain->first = cause->next;
        cause_free(broker, chain, cause);
    }
    CHECK(chain->count == 0);
    CHECK(chain->bytes == 0);
    *chain = (struct cause_chain){0};
}

struct cause_said cause_read(const struct cause *cause)
{
    struct span text = blob_span(cause->text);
    size_t message_at = (size_t)cause->worker_size + cause->code_size;

    return (struct cause_said){
        .attempt = cause->attempt,
        .worker = span_of(text.data, cause->worker_size),
        .code = span_of(text.data + cause->worker_size, cause->code_size),
        .message = span_of(text.data + message_at, text.size - message_at),
    };
}

uint64_t cause_check(const struct cause_chain *chain)
{
    const struct cause *last = NULL;
    uint64_t count = 0, bytes = 0;

    for (const struct cause *cause = chain->first; cause != NULL; cause = cause->next) {
        CHECK(last == NULL || cause->attempt > last->attempt);
        count++;
        bytes += sizeof *cause + blob_span(cause->text).size + blob_overhead();
        last = cause;
    }
    CHECK(last == chain->last);
    CHECK(count == chain->count);
    CHECK(count <= CAUSES_FIRST + CAUSES_LAST);
    CHECK(bytes == chain->bytes);
    return count;
}

/* ---- as bytes -------------------------------------------------------------------------- */

/* How many were dropped (4); and of each: attempt (2), Unix ms (8), size of the worker's name (1),
 * of the code (1), of all texts (2), these. */

/* Of the first `bytes` of the rest. */
static uint64_t take(struct span *rest, size_t bytes)
{
    uint64_t number = little_get(rest->data, bytes);

    *rest = span_of(rest->data + bytes, rest->size - bytes);
    return number;
}

size_t cause_pack(const struct broker *broker, const struct cause_chain *chain,
                  uint8_t bytes[CAUSES_PACKED_MAX])
{
    uint8_t *at = little_put(bytes, chain->dropped, 4);

    if (chain->count == 0) {
        return 0;
    }
    for (const struct cause *cause = chain->first; cause != NULL; cause = cause->next) {
        struct span text = blob_span(cause->text);

        at = little_put(at, cause->attempt, 2);
        at = little_put(at, broker_unix_ms(broker, cause->at_ms), 8);
        at = little_put(at, cause->worker_size, 1);
        at = little_put(at, cause->code_size, 1);
        at = little_put(at, text.size, 2);
        at += append(at, 0, text);
    }
    return (size_t)(at - bytes);
}

/* False: nothing more can be read. */
static bool unpack_one(struct broker *broker, struct cause_chain *chain, struct span *rest)
{
    struct cause_said said;
    uint64_t at_ms;
    size_t worker, code, all;

    if (rest->size < 14) {
        return false;
    }
    said.attempt = take(rest, 2);
    at_ms = broker_ms_of_unix(broker, take(rest, 8));
    worker = take(rest, 1);
    code = take(rest, 1);
    all = take(rest, 2);
    if (all > rest->size || worker + code > all ||
        (chain->last != NULL && said.attempt <= chain->last->attempt)) {
        return false;
    }
    said.worker = span_of(rest->data, worker);
    said.code = span_of(rest->data + worker, code);
    said.message = span_of(rest->data + worker + code, all - worker - code);
    *rest = span_of(rest->data + all, rest->size - all);
    add_at(broker, chain, &said, at_ms);
    return true;
}

void cause_unpack(struct broker *broker, struct cause_chain *chain, struct span bytes)
{
    uint64_t dropped = bytes.size >= 4 ? take(&bytes, 4) : 0;

    CHECK(chain->count == 0);
    while (unpack_one(broker, chain, &bytes)) {
    }
    chain->dropped += (uint32_t)dropped;
}
