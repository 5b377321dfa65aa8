#include "broker/core/cause.h"

#include "broker/core/state.h"

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

static uint64_t cause_bytes(const struct cause *cause)
{
    return sizeof *cause + blob_span(cause->text).size + blob_overhead();
}

static void cause_free(struct broker *broker, struct cause_chain *chain, struct cause *cause)
{
    chain->bytes -= cause_bytes(cause);
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

void cause_add(struct broker *broker, struct cause_chain *chain, const struct cause_said *said)
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
    cause->at_ms = broker->now_ms;
    cause->attempt = (uint16_t)said->attempt;
    cause->worker_size = (uint8_t)worker.size;
    cause->code_size = (uint8_t)code.size;
    *(chain->last != NULL ? &chain->last->next : &chain->first) = cause;
    chain->last = cause;
    chain->count++;
    chain->bytes += cause_bytes(cause);
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
