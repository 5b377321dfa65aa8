/* Composing the inputs of a join: its needs' records as one payload.
 *
 * Bodies are copied, the only copy of a payload in the codec: a join's records
 * are mostly small, and one payload is what a receiver can keep by reference.
 * All records together stay within PAYLOAD_BYTES_MAX; who does not fit is told
 * about without its body. */

#include "proto/codec_pack.h"

#include "common/check.h"

/* The most a record takes without its body, or with an error cut to its code:
 * array 1, id 18, outcome 1, attempt, waited_ms and ran_ms 9 each, worker
 * 2 + 64, error map 1 + 5 + 2 + 64 + 8 + 1 + 10 + 1. */
#define RECORD_SHORT_MAX 256

static_assert(NEEDS_MAX * RECORD_SHORT_MAX < PAYLOAD_BYTES_MAX / 2, "short records always fit");

static void pack_error_short(struct pack *pack, const struct error *error)
{
    struct error cut = {.code = error->code, .retryable = error->retryable};

    pack_error(pack, &cut);
}

static void pack_body(struct pack *pack, const struct outcome_record *record, size_t body_max)
{
    bool is_done = record->outcome == OUTCOME_DONE;

    if (is_done && !record->left_out && record->payload.bytes.size <= body_max) {
        pack_bytes(pack, record->payload.bytes);
    } else if (is_done) {
        pack_nil(pack);
    } else if (ERROR_BYTES_MAX <= body_max) {
        pack_error(pack, &record->error);
    } else {
        pack_error_short(pack, &record->error);
    }
}

static void pack_record(struct pack *pack, const struct outcome_record *record, size_t body_max)
{
    struct pack_list list = pack_begin(pack);

    put_id(&list, &record->id);
    put_uint(&list, record->outcome);
    pack_body(pack, record, body_max);
    pack_keep(&list);
    put_uint_or_default(&list, record->attempt);
    put_uint_or_default(&list, record->waited_ms);
    put_uint_or_default(&list, record->ran_ms);
    put_text_or_default(&list, record->worker);
    pack_end(&list, PACK_ARRAY);
}

void pack_inputs(struct pack *pack, const struct input_list *inputs)
{
    for (size_t i = 0; i < inputs->count && pack->result == CODEC_WRITTEN; i++) {
        size_t reserved = (inputs->count - i) * RECORD_SHORT_MAX; /* this one's too */
        struct outcome_record record = {0};

        inputs->at(inputs->context, i, &record);
        CHECK(record.worker.size <= PEER_NAME_MAX);
        CHECK(record.error.code.size <= ERROR_CODE_MAX);
        CHECK(record.error.raw.size <= ERROR_BYTES_MAX);
        pack_record(pack, &record, PAYLOAD_BYTES_MAX - reserved - pack->size);
    }
}
