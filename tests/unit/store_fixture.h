/* store_fixture: what the tests of the store share: tasks made from their keys, so that whoever
 * reads one back knows what it must be. */
#ifndef SLUICE_TESTS_UNIT_STORE_FIXTURE_H
#define SLUICE_TESTS_UNIT_STORE_FIXTURE_H

#include "broker/shell/store_row.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define LARGE_BYTES 20000 /* payloads of every eighth key: beside the row */

static const struct id SESSION = {{9, 8, 7, 6, 5, 4, 3, 2, 1}};

/* One at a time: what a record of it points to. */
struct sample {
    struct submit submit;
    struct outcome_record outcome;
    uint8_t payload[LARGE_BYTES], answer[LARGE_BYTES], checkpoint[LARGE_BYTES];
    uint8_t needs[3 * ID_BYTES];
};

static inline struct id id_of(uint64_t key)
{
    struct id id = {{1}};

    memcpy(id.bytes + 8, &key, 8);
    return id;
}

static inline struct payload bytes_of(uint8_t *room, uint64_t key, uint8_t salt)
{
    size_t size = key % 8 == 0 ? LARGE_BYTES : 10 + key % 200;

    for (size_t i = 0; i < size; i++) {
        room[i] = (uint8_t)(key * 31 + i * 7 + i / 256 + salt);
    }
    return (struct payload){span_of(room, size), NULL};
}

/* Every option that can stand with the others; joins have even keys. */
static inline void sample_make(struct sample *sample, uint64_t key)
{
    memset(sample->needs, 0x5a, sizeof sample->needs);
    sample->submit = (struct submit){.id = id_of(key),
                                     .service = span_from_text("resize.image"),
                                     .payload = bytes_of(sample->payload, key, 1),
                                     .parent = id_of(key + 1000),
                                     .parent_attempt = 3,
                                     .deadline_ms = key + 1,
                                     .queue_ttl_ms = 2,
                                     .lease_ms = 3,
                                     .attempts = 4,
                                     .receipts = true,
                                     .held = true,
                                     .if_absent = IF_ABSENT_WAIT,
                                     .priority = key % 10,
                                     .key = span_from_text("tenant-1"),
                                     .order = span_from_text("order-1"),
                                     .affinity = span_from_text("model-7"),
                                     .version = span_from_text("2.1"),
                                     .cost = 1000,
                                     .delay_ms = 5,
                                     .max_run_ms = 6,
                                     .backoff_ms = 7,
                                     .backoff_max_ms = 8,
                                     .retry_on = span_from_text("busy worker_lost"),
                                     .final_on = span_from_text("no_such_thing"),
                                     .dead_letter = true,
                                     .idempotency_key = span_from_text("once"),
                                     .cache_ms = 9,
                                     .detached = true,
                                     .retain_ms = 10,
                                     .stream = 11,
                                     .durable = true};
    if (key % 2 == 0) {
        sample->submit.join = JOIN_K;
        sample->submit.needs = sample->needs;
        sample->submit.needs_count = 3;
        sample->submit.needs_stride = ID_BYTES;
        sample->submit.k = 2;
        sample->submit.run_if = RUN_IF_ALWAYS;
        sample->submit.no_inputs = true;
    } else {
        sample->submit.route = ROUTE_ALL;
    }
    sample->outcome = (struct outcome_record){.id = id_of(key),
                                              .attempt = 2,
                                              .waited_ms = key + 4,
                                              .ran_ms = 5,
                                              .worker = span_from_text("w1")};
    if (key % 3 == 0) {
        sample->outcome.outcome = OUTCOME_FAILED;
        sample->outcome.error = (struct error){.code = span_from_text("no_such_thing"),
                                               .message = span_from_text("there is none"),
                                               .retryable = true,
                                               .retry_after_ms = 77,
                                               .scope_service = true};
    } else {
        sample->outcome.payload = bytes_of(sample->answer, key, 2);
    }
}

static inline struct store_record record_of(struct sample *sample, enum store_what what,
                                            uint64_t key)
{
    struct store_record record = {.what = what, .key = key};

    sample_make(sample, key);
    record.submit = &sample->submit;
    record.session = SESSION;
    record.peer = span_from_text("submitter");
    record.accepted_unix_ms = 1700000000000 + key;
    record.attempts = what == STORE_ATTEMPT ? 2 : 0;
    if (what == STORE_CHECKPOINT) {
        record.checkpoint = bytes_of(sample->checkpoint, key, 3);
    }
    record.outcome = &sample->outcome;
    record.ended_unix_ms = 1700000001000 + key;
    return record;
}

/* The same message is the same bytes. */
static inline bool same_message(const struct message *a, const struct message *b)
{
    struct codec_writer left, right;
    bool same;

    codec_writer_init(&left);
    codec_writer_init(&right);
    assert_int_equal(codec_write(&left, a), CODEC_WRITTEN);
    assert_int_equal(codec_write(&right, b), CODEC_WRITTEN);
    same = span_equal(span_of(left.data, left.size), span_of(right.data, right.size)) &&
           left.frame_count == right.frame_count &&
           (left.frame_count == 0 ||
            span_equal(blob_span(left.frames[0]), blob_span(right.frames[0])));
    codec_writer_deinit(&left);
    codec_writer_deinit(&right);
    return same;
}

static inline bool same_submit(const struct submit *a, const struct submit *b)
{
    return same_message(&(struct message){.command = COMMAND_SUBMIT, .submit = *a},
                        &(struct message){.command = COMMAND_SUBMIT, .submit = *b});
}

static inline bool same_outcome(const struct outcome_record *a, const struct outcome_record *b)
{
    return same_message(&(struct message){.command = COMMAND_RESULT, .result.record = *a},
                        &(struct message){.command = COMMAND_RESULT, .result.record = *b});
}

/* The row is that of `key`, with whatever it says it has of attempts, checkpoint and outcome. */
static inline bool row_is_of(const struct store_row *row, uint64_t key)
{
    static struct sample sample;
    struct store_record record = record_of(&sample, STORE_CHECKPOINT, key);

    return row->key == key && same_submit(&row->submit, &sample.submit) &&
           id_equal(&row->session, &SESSION) && span_equal(row->peer, record.peer) &&
           row->accepted_unix_ms == record.accepted_unix_ms &&
           (row->attempts == 0 || row->attempts == 2) &&
           (row->checkpoint.bytes.size == 0 ||
            span_equal(row->checkpoint.bytes, record.checkpoint.bytes)) &&
           (!row->ended || (same_outcome(&row->outcome, &sample.outcome) &&
                            row->ended_unix_ms == record.ended_unix_ms));
}

#endif
