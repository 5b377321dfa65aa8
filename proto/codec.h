/* codec: commands to bytes and back.
 *
 * Reading builds nothing: a bounded cursor walks the bytes of frame 0 and fills
 * one struct message whose spans point into them. Count, depth and length are
 * checked against proto/limits.h before anything is believed; the worst a
 * hostile frame can cost is one pass over its bytes. Writing appends to a
 * growing buffer with msgpack-c's packers.
 *
 * No state beyond the structs given; any thread, one at a time per struct. */
#ifndef SLUICE_PROTO_CODEC_H
#define SLUICE_PROTO_CODEC_H

#include "proto/message.h"

/* ---- reading ---------------------------------------------------------- */

/* Cursor over one message. `frames` (borrowed) are the attached payloads,
 * frames[0] being frame 1 of the message. */
struct codec_reader {
    const uint8_t *at;
    const uint8_t *end;
    struct blob *const *frames;
    size_t frame_count;
    uint64_t frames_named; /* bit k - 1: some payload was frame k */
    size_t command_count;
};

/* What was wrong with a command; enough to answer with ERROR. */
struct codec_error {
    enum error_code code;    /* BAD_MESSAGE, TOO_LARGE or UNSUPPORTED */
    unsigned command;        /* 0: not even that was readable */
    const char *field;       /* static; as in PROTOCOL.md */
    const char *message;     /* static; what to do about it */
    struct id id;            /* nil unless the command's id was readable */
};

enum codec_result {
    CODEC_OK,      /* *message is the next command */
    CODEC_END,     /* no more commands */
    CODEC_BAD,     /* *error says why; the next command can still be read */
    CODEC_BROKEN,  /* *error says why; the rest of the batch is lost */
};

/* Which direction's commands are allowed; the other's are BAD `unsupported`. */
enum codec_side { CODEC_AT_BROKER, CODEC_AT_PEER };

void codec_reader_init(struct codec_reader *reader, struct span batch, struct blob *const *frames,
                       size_t frame_count);

/* Of the message: what is to be read yet, and all attached payloads. */
size_t codec_reader_bytes(const struct codec_reader *reader);

/* Reads the next command. Only what the result names means anything: `message`
 * after CODEC_OK, `error` after CODEC_BAD and CODEC_BROKEN. After CODEC_BROKEN
 * comes CODEC_END. */
enum codec_result codec_read(struct codec_reader *reader, enum codec_side side,
                             struct message *message, struct codec_error *error);

/* Reads the next `max` commands, up to one that is not CODEC_OK; or to a SEQUENCE, which is about
 * all that come after it. Returns how many are in `messages`; `*result` is codec_read's last. */
size_t codec_read_some(struct codec_reader *reader, enum codec_side side,
                       struct message *messages, size_t max, enum codec_result *result,
                       struct codec_error *error);

/* Reads the inputs of a join's RESULT: `bytes` is the received record.payload,
 * `*at` an offset that starts at 0. False: no more, or malformed (then *at is
 * SIZE_MAX). What codec_read has passed is never malformed. */
bool codec_read_input(struct span bytes, size_t *at, struct outcome_record *record);

/* Checks that `bytes` is exactly one MessagePack value whose nesting is at most
 * DEPTH_MAX and whose declared counts fit in its bytes: what every reader that
 * builds trees (the JSON bridge) must call first. */
bool codec_value_valid(struct span bytes);

/* ---- writing ---------------------------------------------------------- */

/* One outgoing message in the making: frame 0 and the payloads attached to it.
 * Attachments are counted references, released by clear or taken over by
 * whoever sends them (sets frame_count to 0). */
struct codec_writer {
    uint8_t *data;
    size_t size;
    size_t capacity;
    struct blob *frames[MESSAGE_FRAMES_MAX - 1];
    size_t frame_count;
    size_t frame_bytes;
    size_t command_count;
};

void codec_writer_init(struct codec_writer *writer);
void codec_writer_clear(struct codec_writer *writer);  /* empty again, keeps capacity */
void codec_writer_deinit(struct codec_writer *writer);

enum codec_write_result {
    CODEC_WRITTEN,
    CODEC_FULL,     /* nothing written: send what is there, clear, write again */
    CODEC_NOMEM,    /* nothing written */
};

/* Appends one command. A payload up to PAYLOAD_INLINE_MAX is written inline, a
 * larger one is attached (its blob is ref'd; bytes without a blob are copied
 * into one). Into an empty writer any valid message fits: CODEC_FULL then is
 * a bug. */
enum codec_write_result codec_write(struct codec_writer *writer, const struct message *message);

#endif
