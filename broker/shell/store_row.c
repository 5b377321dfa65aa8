#include "broker/shell/store_row.h"

#include "common/check.h"
#include "common/little.h"
#include "common/siphash.h"

#define FORMAT 1
#define LARGE 0x80
#define LARGE_HEAD_BYTES (4 + STORE_DIGEST_BYTES)
#define TASK_HEAD_BYTES (8 + ID_BYTES + 1)

static_assert(STORE_HEAD_MAX == 1 + LARGE_HEAD_BYTES + TASK_HEAD_BYTES + PEER_NAME_MAX,
              "room for the longest head");
static_assert(PEER_NAME_MAX <= UINT8_MAX, "a name's size is one byte");

/* What digests are for beside the four parts. */
enum seal {
    SEAL_NUMBER = STORE_PART_COUNT,
    SEAL_LARGE, /* plus the part */
};

/* ---- numbers and digests ------------------------------------------------------------- */

/* Against accidents, not against people: whoever can write the file can do so. */
static void digest_make(uint64_t key, unsigned seal, struct span bytes,
                        uint8_t digest[STORE_DIGEST_BYTES])
{
    uint8_t secret[16] = {0}, all[DIGEST_BYTES];

    little_put(secret, key, 8);
    memcpy(secret + 8, "sluice", 6);
    secret[15] = (uint8_t)seal;
    siphash128(secret, bytes.data, bytes.size, all);
    memcpy(digest, all, STORE_DIGEST_BYTES);
}

static bool digest_holds(uint64_t key, unsigned seal, struct span bytes,
                         const uint8_t digest[STORE_DIGEST_BYTES])
{
    uint8_t expected[STORE_DIGEST_BYTES];

    digest_make(key, seal, bytes, expected);
    return memcmp(expected, digest, STORE_DIGEST_BYTES) == 0;
}

/* ---- writing ------------------------------------------------------------------------- */

void store_encoder_init(struct store_encoder *encoder)
{
    *encoder = (struct store_encoder){0};
    codec_writer_init(&encoder->codec);
}

void store_encoder_deinit(struct store_encoder *encoder)
{
    codec_writer_deinit(&encoder->codec);
    blob_unref(encoder->checkpoint);
    encoder->checkpoint = NULL;
}

/* A new draft, with its head up to what the part holds. `large`: NULL if it has none. */
static struct store_draft *draft_add(struct store_encoder *encoder, enum store_part part,
                                     struct blob *large)
{
    struct store_draft *draft = &encoder->drafts[encoder->count++];

    draft->part = part;
    draft->large = large;
    draft->body = span_of(NULL, 0);
    draft->head[0] = FORMAT;
    draft->head_size = 1;
    if (large != NULL) {
        draft->head[0] |= LARGE;
        little_put(draft->head + 1, blob_span(large).size, 4);
        draft->head_size += LARGE_HEAD_BYTES;
    }
    return draft;
}

static void draft_put_number(struct store_draft *draft, uint64_t number)
{
    little_put(draft->head + draft->head_size, number, 8);
    draft->head_size += 8;
}

/* The message becomes the body of a new draft. NULL: no memory. */
static struct store_draft *draft_message(struct store_encoder *encoder, enum store_part part,
                                         const struct message *message)
{
    struct codec_writer *codec = &encoder->codec;
    struct store_draft *draft;
    enum codec_write_result result = codec_write(codec, message);

    CHECK(result != CODEC_FULL);
    if (result != CODEC_WRITTEN) {
        return NULL;
    }
    CHECK(codec->frame_count <= 1);
    draft = draft_add(encoder, part, codec->frame_count > 0 ? codec->frames[0] : NULL);
    draft->body = span_of(codec->data, codec->size);
    return draft;
}

static void encode_attempts(struct store_encoder *encoder, const struct store_record *record)
{
    struct store_draft *draft = draft_add(encoder, STORE_PART_ATTEMPTS, NULL);

    draft_put_number(draft, record->attempts);
    draft->body = record->causes;
}

static bool encode_checkpoint(struct store_encoder *encoder, const struct payload *checkpoint)
{
    struct blob *large = checkpoint->blob;

    if (checkpoint->bytes.size <= PAYLOAD_INLINE_MAX) {
        draft_add(encoder, STORE_PART_CHECKPOINT, NULL)->body = checkpoint->bytes;
        return true;
    }
    if (large == NULL) {
        large = encoder->checkpoint = blob_new(checkpoint->bytes);
    }
    if (large == NULL) {
        return false;
    }
    CHECK(blob_span(large).size == checkpoint->bytes.size);
    draft_add(encoder, STORE_PART_CHECKPOINT, large);
    return true;
}

static bool encode_task(struct store_encoder *encoder, const struct store_record *record,
                        const struct message *message)
{
    struct store_draft *draft = draft_message(encoder, STORE_PART_TASK, message);
    uint8_t *at;

    CHECK(record->peer.size <= PEER_NAME_MAX);
    if (draft == NULL) {
        return false;
    }
    draft_put_number(draft, record->accepted_unix_ms);
    at = draft->head + draft->head_size;
    memcpy(at, record->session.bytes, ID_BYTES);
    at[ID_BYTES] = (uint8_t)record->peer.size;
    if (record->peer.size > 0) {
        memcpy(at + ID_BYTES + 1, record->peer.data, record->peer.size);
    }
    draft->head_size += ID_BYTES + 1 + record->peer.size;
    if (record->attempts > 0 || record->causes.size > 0) {
        encode_attempts(encoder, record);
    }
    return record->checkpoint.bytes.size == 0 || encode_checkpoint(encoder, &record->checkpoint);
}

static bool encode_end(struct store_encoder *encoder, const struct store_record *record)
{
    struct message message = {.command = COMMAND_RESULT, .result.record = *record->outcome};
    struct store_draft *draft = draft_message(encoder, STORE_PART_OUTCOME, &message);

    if (draft == NULL) {
        return false;
    }
    draft_put_number(draft, record->ended_unix_ms);
    if (record->causes.size > 0) {
        encode_attempts(encoder, record);
    }
    return true;
}

bool store_encode(struct store_encoder *encoder, const struct store_record *record)
{
    encoder->count = 0;
    codec_writer_clear(&encoder->codec);
    blob_unref(encoder->checkpoint);
    encoder->checkpoint = NULL;
    switch (record->what) {
    case STORE_TASK:
        return encode_task(encoder, record, &(struct message){.command = COMMAND_SUBMIT,
                                                              .submit = *record->submit});
    case STORE_DIRECTIVE:
        return encode_task(encoder, record, &(struct message){.command = COMMAND_CONTROL,
                                                              .control = *record->directive});
    case STORE_ATTEMPT:
        encode_attempts(encoder, record);
        return true;
    case STORE_CHECKPOINT:
        return encode_checkpoint(encoder, &record->checkpoint);
    case STORE_END:
        return encode_end(encoder, record);
    case STORE_FORGET:
        return true;
    }
    CHECK(!"a record of no kind");
    return false;
}

void store_part_seal(uint64_t key, enum store_part part, uint8_t *bytes, size_t size,
                     const struct blob *large)
{
    CHECK(size >= STORE_NONE_BYTES);
    if (large != NULL) {
        digest_make(key, SEAL_LARGE + part, blob_span(large), bytes + 1 + 4);
    }
    size -= STORE_DIGEST_BYTES;
    digest_make(key, part, span_of(bytes, size), bytes + size);
}

void store_part_none(uint64_t key, enum store_part part, uint8_t bytes[STORE_NONE_BYTES])
{
    bytes[0] = FORMAT;
    store_part_seal(key, part, bytes, STORE_NONE_BYTES, NULL);
}

void store_number_write(uint64_t number, uint8_t bytes[STORE_NUMBER_BYTES])
{
    digest_make(0, SEAL_NUMBER, span_of(bytes, 8), little_put(bytes, number, 8));
}

bool store_number_read(struct span bytes, uint64_t *number)
{
    if (bytes.size != STORE_NUMBER_BYTES ||
        !digest_holds(0, SEAL_NUMBER, span_of(bytes.data, 8), bytes.data + 8)) {
        return false;
    }
    *number = little_get(bytes.data, 8);
    return true;
}

/* ---- reading ------------------------------------------------------------------------- */

const char *store_part_check(uint64_t key, enum store_part part, struct span bytes,
                             size_t *large_bytes)
{
    *large_bytes = 0;
    if (bytes.size < STORE_NONE_BYTES) {
        return "a part is too short";
    }
    bytes.size -= STORE_DIGEST_BYTES;
    if (!digest_holds(key, part, bytes, bytes.data + bytes.size)) {
        return "a checksum is wrong";
    }
    if ((bytes.data[0] & ~LARGE) != FORMAT) {
        return "a part has a format that is unknown here";
    }
    if (bytes.data[0] & LARGE) {
        if (bytes.size < 1 + LARGE_HEAD_BYTES) {
            return "a part is too short";
        }
        *large_bytes = little_get(bytes.data + 1, 4);
        if (*large_bytes == 0 || *large_bytes > PAYLOAD_BYTES_MAX) {
            return "a payload has no possible size";
        }
    }
    return NULL;
}

/* What the part holds, without its head and digest. NULL: it is there, with its large body. */
static const char *part_open(const struct store_parts *parts, enum store_part part,
                             struct span *held)
{
    struct span bytes = parts->parts[part];
    size_t head = bytes.data[0] & LARGE ? 1 + LARGE_HEAD_BYTES : 1;
    struct span large = blob_span(parts->large[part]);

    CHECK(bytes.size >= head + STORE_DIGEST_BYTES);
    *held = span_of(bytes.data + head, bytes.size - head - STORE_DIGEST_BYTES);
    if (head > 1 && (large.size != little_get(bytes.data + 1, 4) ||
                     !digest_holds(parts->key, SEAL_LARGE + part, large, bytes.data + 5))) {
        return "a payload's checksum is wrong";
    }
    return NULL;
}

static bool message_read(const struct store_parts *parts, enum store_part part, struct span bytes,
                         enum codec_side side, struct message *message)
{
    struct codec_reader reader;
    struct codec_error error;

    codec_reader_init(&reader, bytes, &parts->large[part], parts->large[part] != NULL ? 1 : 0);
    return codec_read(&reader, side, message, &error) == CODEC_OK && reader.at == reader.end;
}

static const char *read_task(const struct store_parts *parts, struct store_row *row)
{
    struct message message;
    struct span held;
    const char *why = part_open(parts, STORE_PART_TASK, &held);
    size_t head;

    if (why != NULL) {
        return why;
    }
    if (held.size < TASK_HEAD_BYTES || held.size - TASK_HEAD_BYTES < held.data[24]) {
        return "the task is too short";
    }
    row->accepted_unix_ms = little_get(held.data, 8);
    memcpy(row->session.bytes, held.data + 8, ID_BYTES);
    row->peer = span_of(held.data + TASK_HEAD_BYTES, held.data[24]);
    head = TASK_HEAD_BYTES + row->peer.size;
    if (!message_read(parts, STORE_PART_TASK, span_of(held.data + head, held.size - head),
                      CODEC_AT_BROKER, &message) ||
        (message.command != COMMAND_SUBMIT && message.command != COMMAND_CONTROL)) {
        return "the task is no SUBMIT, and no CONTROL";
    }
    row->is_directive = message.command == COMMAND_CONTROL;
    if (row->is_directive) {
        row->directive = message.control;
    } else {
        row->submit = message.submit;
    }
    return NULL;
}

static const char *read_attempts(const struct store_parts *parts, struct store_row *row)
{
    struct span held;
    const char *why = part_open(parts, STORE_PART_ATTEMPTS, &held);

    if (why == NULL && held.size > 0 && held.size < 8) {
        why = "the attempts are no number";
    }
    if (why == NULL && held.size > 0) {
        row->attempts = little_get(held.data, 8);
        row->causes = span_of(held.data + 8, held.size - 8);
    }
    return why;
}

static const char *read_checkpoint(const struct store_parts *parts, struct store_row *row)
{
    struct blob *large = parts->large[STORE_PART_CHECKPOINT];
    struct span held;
    const char *why = part_open(parts, STORE_PART_CHECKPOINT, &held);

    row->checkpoint = (struct payload){large != NULL ? blob_span(large) : held, large};
    return why;
}

static const char *read_outcome(const struct store_parts *parts, struct store_row *row)
{
    struct message message;
    struct span held;
    const char *why = part_open(parts, STORE_PART_OUTCOME, &held);

    if (why != NULL || held.size == 0) {
        return why;
    }
    if (held.size < 8 ||
        !message_read(parts, STORE_PART_OUTCOME, span_of(held.data + 8, held.size - 8),
                      CODEC_AT_PEER, &message) ||
        message.command != COMMAND_RESULT) {
        return "the outcome is no RESULT";
    }
    row->ended = true;
    row->ended_unix_ms = little_get(held.data, 8);
    row->outcome = message.result.record;
    return NULL;
}

const char *store_row_read(const struct store_parts *parts, struct store_row *row)
{
    const char *why;

    *row = (struct store_row){.key = parts->key};
    why = read_task(parts, row);
    why = why != NULL ? why : read_attempts(parts, row);
    why = why != NULL ? why : read_checkpoint(parts, row);
    return why != NULL ? why : read_outcome(parts, row);
}
