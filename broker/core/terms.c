#include "broker/core/terms.h"

#include "broker/core/affinity.h"
#include "broker/core/state.h"

/* Each option that is not zero is a byte that says which, and then a number of 8 bytes, or a text
 * of 2 bytes that say its size and its own. Packed and read by this very process: in its own
 * byte order. */
static const struct {
    size_t offset, size;
} numbers[] = {
#define NUMBER(name) {offsetof(struct submit, name), sizeof ((struct submit *)NULL)->name}
    NUMBER(deadline_ms), NUMBER(queue_ttl_ms),   NUMBER(lease_ms),   NUMBER(attempts),
    NUMBER(receipts),    NUMBER(if_absent),      NUMBER(route),      NUMBER(priority),
    NUMBER(cost),        NUMBER(max_run_ms),     NUMBER(backoff_ms), NUMBER(backoff_max_ms),
    NUMBER(dead_letter), NUMBER(cache_ms),       NUMBER(detached),   NUMBER(retain_ms),
    NUMBER(stream),      NUMBER(no_inputs),   NUMBER(durable),
#undef NUMBER
};

static const size_t texts[] = {
    offsetof(struct submit, service),  offsetof(struct submit, key),
    offsetof(struct submit, order),    offsetof(struct submit, affinity),
    offsetof(struct submit, version),  offsetof(struct submit, retry_on),
    offsetof(struct submit, final_on), offsetof(struct submit, idempotency_key),
};

#define NUMBERS (sizeof numbers / sizeof *numbers)
#define TEXTS (sizeof texts / sizeof *texts)
#define PACKED_MAX                                                                                 \
    (NUMBERS * 9 + TEXTS * 3 + SERVICE_NAME_MAX + 4 * KEY_MAX + VERSION_MAX + 2 * CODES_MAX)

/* Fields of 1 (bool), 4 (enum) and 8 bytes, as they lie in a struct submit. */
static uint64_t number_get(const struct submit *submit, size_t index)
{
    const char *at = (const char *)submit + numbers[index].offset;
    uint64_t number = 0;
    uint32_t word;

    if (numbers[index].size == sizeof number) {
        memcpy(&number, at, sizeof number);
    } else if (numbers[index].size == sizeof word) {
        memcpy(&word, at, sizeof word);
        number = word;
    } else {
        number = *(const uint8_t *)at;
    }
    return number;
}

static void number_set(struct submit *submit, size_t index, uint64_t number)
{
    char *at = (char *)submit + numbers[index].offset;
    uint32_t word = (uint32_t)number;
    uint8_t byte = (uint8_t)number;

    if (numbers[index].size == sizeof number) {
        memcpy(at, &number, sizeof number);
    } else if (numbers[index].size == sizeof word) {
        memcpy(at, &word, sizeof word);
    } else {
        memcpy(at, &byte, sizeof byte);
    }
}

static struct span *text_at(const struct submit *submit, size_t index)
{
    return (struct span *)((char *)submit + texts[index]);
}

static size_t pack(const struct submit *submit, uint8_t packed[PACKED_MAX])
{
    size_t used = 0;

    for (size_t i = 0; i < TEXTS; i++) {
        struct span text = *text_at(submit, i);
        uint16_t size = (uint16_t)text.size;

        if (text.size > 0) {
            CHECK(used + 3 + text.size <= PACKED_MAX);
            packed[used] = (uint8_t)(NUMBERS + i);
            memcpy(packed + used + 1, &size, sizeof size);
            memcpy(packed + used + 3, text.data, text.size);
            used += 3 + text.size;
        }
    }
    for (size_t i = 0; i < NUMBERS; i++) {
        uint64_t number = number_get(submit, i);

        if (number > 0) {
            CHECK(used + 9 <= PACKED_MAX);
            packed[used] = (uint8_t)i;
            memcpy(packed + used + 1, &number, sizeof number);
            used += 9;
        }
    }
    return used;
}

struct submit terms_unpack(const struct blob *options)
{
    struct submit submit = {0};
    struct span packed = blob_span(options);
    size_t at = 0;

    while (at < packed.size) {
        size_t which = packed.data[at++];

        if (which < NUMBERS) {
            uint64_t number;

            memcpy(&number, packed.data + at, sizeof number);
            number_set(&submit, which, number);
            at += sizeof number;
        } else {
            uint16_t size;

            CHECK(which < NUMBERS + TEXTS);
            memcpy(&size, packed.data + at, sizeof size);
            *text_at(&submit, which - NUMBERS) = span_of(packed.data + at + sizeof size, size);
            at += sizeof size + size;
        }
    }
    return submit;
}

bool terms_wanted(const struct submit *submit)
{
    return submit->max_run_ms > 0 || submit->backoff_ms > 0 || submit->backoff_max_ms > 0 ||
           submit->retry_on.size > 0 || submit->final_on.size > 0 || submit->dead_letter ||
           submit->detached || submit->retain_ms > 0 || submit->cost > 0 ||
           submit->idempotency_key.size > 0 || submit->affinity.size > 0;
}

uint64_t terms_bytes_of(const struct submit *submit)
{
    uint8_t packed[PACKED_MAX];

    return terms_wanted(submit)
               ? sizeof(struct terms) + pack(submit, packed) + blob_overhead()
               : 0;
}

/* A new reference; NULL: no memory. */
static struct blob *keep_options(struct broker *broker, const struct submit *submit)
{
    uint8_t packed[PACKED_MAX];
    struct span options = span_of(packed, pack(submit, packed));

    if (broker->options_last == NULL || !span_equal(blob_span(broker->options_last), options)) {
        blob_unref(broker->options_last);
        broker->options_last = blob_new(options);
    }
    return broker->options_last != NULL ? blob_ref(broker->options_last) : NULL;
}

bool terms_open(struct broker *broker, struct task *task, const struct submit *submit)
{
    struct terms *terms = pool_get(&broker->terms_pool);

    CHECK(task->extra != NULL);
    CHECK(task->extra->terms == NULL);
    if (terms == NULL) {
        return false;
    }
    terms->options = keep_options(broker, submit);
    if (terms->options == NULL) {
        pool_put(&broker->terms_pool, terms);
        return false;
    }
    roster_place_init(&terms->place);
    terms->task = task;
    if (submit->affinity.size > 0 && task->service != NULL) {
        terms->affinity = affinity_digest(broker, task->owner, task->service, submit->affinity);
    }
    task->extra->terms = terms;
    broker->memory_bytes += terms_bytes(terms);
    return true;
}

void terms_enlist(struct broker *broker, struct terms *terms)
{
    broker->serial++;
    roster_append(&broker->detached, &terms->place, broker->serial,
                  broker_hash(broker, &broker->serial, sizeof broker->serial));
    broker->detached_count++;
}

void terms_free(struct broker *broker, struct terms *terms)
{
    if (!list_empty(&terms->place.lanes[0])) {
        broker->detached_count--;
        roster_remove(&terms->place);
    }
    cause_clear(broker, &terms->causes);
    blob_unref(terms->options);
    pool_put(&broker->terms_pool, terms);
}

uint64_t terms_bytes(const struct terms *terms)
{
    return sizeof *terms + blob_span(terms->options).size + blob_overhead() + terms->causes.bytes;
}

struct submit task_terms(const struct task *task)
{
    if (task->extra == NULL || task->extra->terms == NULL) {
        return (struct submit){0};
    }
    return terms_unpack(task->extra->terms->options);
}

bool task_mourned(const struct task *task)
{
    struct submit terms;

    if (task->extra == NULL || task->extra->terms == NULL || task->service == NULL ||
        task->extra->join != NULL) {
        return false;
    }
    terms = task_terms(task);
    return terms.dead_letter || terms.detached;
}
