/* links: codec */
/* The codec's bounds on messages: each holds at, below and above its number, and
 * what comes from outside gets no further than its bytes. */
#include "tests/unit/codec_round.h"

/* ---- payloads and frames ----------------------------------------------- */

static void payloads_over_8192_bytes_are_attached(void **state)
{
    static uint8_t bytes[PAYLOAD_INLINE_MAX + 1];
    struct message back, message;
    struct codec_writer writer;

    codec_writer_init(&writer);
    message = done_with((struct payload){span_of(bytes, PAYLOAD_INLINE_MAX), NULL});
    round_trip(&writer, CODEC_AT_BROKER, &message, &back);
    assert_int_equal(writer.frame_count, 0);
    assert_int_equal(back.done.payload.bytes.size, PAYLOAD_INLINE_MAX);

    message = done_with((struct payload){span_of(bytes, PAYLOAD_INLINE_MAX + 1), NULL});
    round_trip(&writer, CODEC_AT_BROKER, &message, &back);
    assert_int_equal(writer.frame_count, 1);
    assert_int_equal(writer.frame_bytes, PAYLOAD_INLINE_MAX + 1);
    assert_ptr_equal(back.done.payload.blob, writer.frames[0]);
    assert_int_equal(back.done.payload.bytes.size, PAYLOAD_INLINE_MAX + 1);
    codec_writer_deinit(&writer);
}

static void count_release(void *owner)
{
    ++*(int *)owner;
}

static void an_attached_blob_is_not_copied(void **state)
{
    static uint8_t bytes[PAYLOAD_INLINE_MAX + 1];
    int released = 0;
    struct blob *blob =
        blob_new_foreign(span_of(bytes, sizeof bytes), count_release, &released);
    struct message message = done_with((struct payload){blob_span(blob), blob});
    struct codec_writer writer;

    codec_writer_init(&writer);
    assert_int_equal(codec_write(&writer, &message), CODEC_WRITTEN);
    assert_ptr_equal(writer.frames[0], blob);
    blob_unref(blob);
    assert_int_equal(released, 0);
    codec_writer_clear(&writer);
    assert_int_equal(released, 1);
    assert_int_equal(writer.frame_bytes, 0);
    codec_writer_deinit(&writer);
}

static void a_message_holds_63_attached_frames(void **state)
{
    static uint8_t bytes[PAYLOAD_INLINE_MAX + 1];
    struct message message = done_with((struct payload){span_of(bytes, sizeof bytes), NULL});
    struct codec_writer writer;
    size_t size;

    codec_writer_init(&writer);
    for (int i = 0; i < MESSAGE_FRAMES_MAX - 1; i++) {
        assert_int_equal(codec_write(&writer, &message), CODEC_WRITTEN);
    }
    size = writer.size;
    assert_int_equal(codec_write(&writer, &message), CODEC_FULL);
    assert_int_equal(writer.size, size);
    assert_int_equal(writer.frame_count, MESSAGE_FRAMES_MAX - 1);
    assert_int_equal(writer.command_count, MESSAGE_FRAMES_MAX - 1);
    message.done.payload.bytes.size = 1; /* what needs no frame still goes in */
    assert_int_equal(codec_write(&writer, &message), CODEC_WRITTEN);
    codec_writer_deinit(&writer);
}

/* What a reader makes of `frame_count` frames and a PING. */
static enum codec_result read_with_frames(size_t frame_count, struct codec_error *error)
{
    static const uint8_t ping[] = {0x92, 15, 1};
    static struct blob *frames[MESSAGE_FRAMES_MAX];
    struct codec_reader reader;
    struct message message;

    codec_reader_init(&reader, span_of(ping, sizeof ping), frames, frame_count);
    return codec_read(&reader, CODEC_AT_BROKER, &message, error);
}

static void more_frames_are_too_large(void **state)
{
    struct codec_error error;

    assert_int_equal(read_with_frames(MESSAGE_FRAMES_MAX - 1, &error), CODEC_OK);
    assert_int_equal(read_with_frames(MESSAGE_FRAMES_MAX, &error), CODEC_BROKEN);
    assert_int_equal(error.code, ERROR_TOO_LARGE);
    assert_string_equal(error.field, "frames");
}

static void a_payload_is_at_most_16_mib(void **state)
{
    uint8_t *bytes = calloc(1, PAYLOAD_BYTES_MAX + 1);
    struct codec_reader reader;
    struct codec_writer writer;
    struct codec_error error;
    struct message message, back;

    codec_writer_init(&writer);
    message = done_with((struct payload){span_of(bytes, PAYLOAD_BYTES_MAX), NULL});
    round_trip(&writer, CODEC_AT_BROKER, &message, &back);

    codec_writer_clear(&writer);
    message.done.payload.bytes.size++;
    assert_int_equal(codec_write(&writer, &message), CODEC_WRITTEN);
    codec_reader_init(&reader, span_of(writer.data, writer.size), writer.frames, 1);
    assert_int_equal(codec_read(&reader, CODEC_AT_BROKER, &back, &error), CODEC_BAD);
    assert_int_equal(error.code, ERROR_TOO_LARGE);
    assert_string_equal(error.field, "payload");
    assert_true(id_equal(&error.id, &TASK_ID));
    codec_writer_deinit(&writer);
    free(bytes);
}

static void progress_is_at_most_8192_bytes(void **state)
{
    static uint8_t bytes[PAYLOAD_INLINE_MAX + 1];
    struct message back, message = {.command = COMMAND_PROGRESS};
    struct codec_writer writer;
    struct codec_reader reader;
    struct codec_error error;

    codec_writer_init(&writer);
    message.progress = (struct progress){
        .id = TASK_ID, .attempt = 1, .payload.bytes = span_of(bytes, PAYLOAD_INLINE_MAX)};
    round_trip(&writer, CODEC_AT_BROKER, &message, &back);
    message.progress.payload.bytes.size++;
    codec_writer_clear(&writer);
    assert_int_equal(codec_write(&writer, &message), CODEC_WRITTEN);
    codec_reader_init(&reader, span_of(writer.data, writer.size), writer.frames, 1);
    assert_int_equal(codec_read(&reader, CODEC_AT_BROKER, &back, &error), CODEC_BAD);
    assert_int_equal(error.code, ERROR_TOO_LARGE);
    codec_writer_deinit(&writer);
}

/* ---- batches ----------------------------------------------------------- */

static void a_full_batch_keeps_what_it_has(void **state)
{
    static uint8_t bytes[PAYLOAD_INLINE_MAX];
    struct message message = done_with((struct payload){span_of(bytes, sizeof bytes), NULL});
    struct codec_writer writer;
    struct codec_reader reader;
    struct codec_error error;
    struct message back;
    size_t written = 0;

    codec_writer_init(&writer);
    while (codec_write(&writer, &message) == CODEC_WRITTEN) {
        written++;
    }
    assert_true(writer.size <= BATCH_BYTES_MAX);
    assert_true(writer.size + sizeof bytes + 32 > BATCH_BYTES_MAX);
    assert_true(writer.capacity <= BATCH_BYTES_MAX);
    assert_int_equal(writer.command_count, written);
    codec_reader_init(&reader, span_of(writer.data, writer.size), NULL, 0);
    while (codec_read(&reader, CODEC_AT_BROKER, &back, &error) == CODEC_OK) {
        written--;
    }
    assert_int_equal(written, 0);
    codec_writer_clear(&writer);
    assert_int_equal(codec_write(&writer, &message), CODEC_WRITTEN);
    codec_writer_deinit(&writer);
}

static void a_batch_has_at_most_65536_commands(void **state)
{
    struct message back, message = {.command = COMMAND_PING};
    struct codec_writer writer;
    struct codec_reader reader;
    struct codec_error error;

    codec_writer_init(&writer);
    for (int i = 0; i < BATCH_COMMANDS_MAX; i++) {
        assert_int_equal(codec_write(&writer, &message), CODEC_WRITTEN);
    }
    assert_int_equal(codec_write(&writer, &message), CODEC_FULL);

    /* one more, by hand: 91 0f is a PING; there is room in what was allocated */
    assert_true(writer.capacity >= writer.size + 2);
    memcpy(writer.data + writer.size, "\x91\x0f", 2);
    codec_reader_init(&reader, span_of(writer.data, writer.size + 2), NULL, 0);
    for (int i = 0; i < BATCH_COMMANDS_MAX; i++) {
        assert_int_equal(codec_read(&reader, CODEC_AT_BROKER, &back, &error), CODEC_OK);
    }
    assert_int_equal(codec_read(&reader, CODEC_AT_BROKER, &back, &error), CODEC_BROKEN);
    assert_int_equal(error.code, ERROR_TOO_LARGE);
    assert_string_equal(error.field, "batch");
    assert_int_equal(codec_read(&reader, CODEC_AT_BROKER, &back, &error), CODEC_END);
    codec_writer_deinit(&writer);
}

/* A PING whose nonce is followed by one unknown field of `size` - 8 bytes. */
static enum codec_result read_batch_of(size_t size, struct codec_error *error)
{
    uint8_t *bytes = calloc(1, size);
    struct codec_reader reader;
    enum codec_result result;
    struct message message;
    size_t body = size - 8;

    memcpy(bytes, "\x93\x0f\x01\xc6", 4);
    for (int i = 0; i < 4; i++) {
        bytes[4 + i] = (uint8_t)(body >> (24 - 8 * i));
    }
    codec_reader_init(&reader, span_of(bytes, size), NULL, 0);
    result = codec_read(&reader, CODEC_AT_BROKER, &message, error);
    free(bytes);
    return result;
}

static void frame_0_is_at_most_1_mib(void **state)
{
    struct codec_error error;

    assert_int_equal(read_batch_of(BATCH_BYTES_MAX - 1, &error), CODEC_OK);
    assert_int_equal(read_batch_of(BATCH_BYTES_MAX, &error), CODEC_OK);
    assert_int_equal(read_batch_of(BATCH_BYTES_MAX + 1, &error), CODEC_BROKEN);
    assert_int_equal(error.code, ERROR_TOO_LARGE);
    assert_string_equal(error.field, "batch");
}

static void an_empty_frame_is_no_batch(void **state)
{
    struct codec_reader reader;
    struct codec_error error;
    struct message message;

    codec_reader_init(&reader, span_of(NULL, 0), NULL, 0);
    assert_int_equal(codec_read(&reader, CODEC_AT_BROKER, &message, &error), CODEC_END);
}

/* ---- hostile bytes ----------------------------------------------------- */

static enum codec_result read_bytes(const void *bytes, size_t size, struct codec_error *error)
{
    struct codec_reader reader;
    struct message message;

    codec_reader_init(&reader, span_of(bytes, size), NULL, 0);
    return codec_read(&reader, CODEC_AT_BROKER, &message, error);
}

static void bombs_cost_one_pass(void **state)
{
    static uint8_t bytes[BATCH_BYTES_MAX];
    struct codec_error error;

    memset(bytes, 0x91, sizeof bytes); /* a million arrays, one inside the other */
    assert_int_equal(read_bytes(bytes, sizeof bytes, &error), CODEC_BROKEN);
    bytes[sizeof bytes - 1] = 0xc0;
    assert_int_equal(read_bytes(bytes, sizeof bytes, &error), CODEC_BAD);
    memset(bytes, 0xdf, sizeof bytes); /* maps that say they have 4 billion entries */
    assert_int_equal(read_bytes(bytes, sizeof bytes, &error), CODEC_BROKEN);
    memset(bytes, 0x9f, sizeof bytes); /* arrays of 15, none of them complete */
    assert_int_equal(read_bytes(bytes, sizeof bytes, &error), CODEC_BROKEN);
    memset(bytes, 0x90, sizeof bytes); /* a million empty commands: each is refused */
    assert_int_equal(read_bytes(bytes, sizeof bytes, &error), CODEC_BAD);
}

static void a_batch_of_refused_commands_ends(void **state)
{
    static uint8_t bytes[BATCH_BYTES_MAX];
    struct codec_reader reader;
    struct codec_error error;
    struct message message;
    size_t bad = 0;

    memset(bytes, 0x90, sizeof bytes);
    codec_reader_init(&reader, span_of(bytes, sizeof bytes), NULL, 0);
    while (codec_read(&reader, CODEC_AT_BROKER, &message, &error) == CODEC_BAD) {
        bad++;
    }
    assert_int_equal(bad, BATCH_COMMANDS_MAX);
    assert_int_equal(codec_read(&reader, CODEC_AT_BROKER, &message, &error), CODEC_END);
}

/* What comes after a number is not read before it has been looked at. */
static void some_are_read_up_to_what_is_none_or_a_number(void **state)
{
    static const struct {
        size_t count;
        enum codec_result result;
    } reads[] = {{1, CODEC_OK}, {2, CODEC_OK}, {1, CODEC_BAD}, {1, CODEC_END}, {0, CODEC_END}};
    struct message messages[2], ping = {.command = COMMAND_PING};
    struct message number = {.command = COMMAND_SEQUENCE, .sequence = {.number = 1}};
    struct codec_writer writer;
    struct codec_reader reader;
    struct codec_error error;
    enum codec_result result;

    codec_writer_init(&writer);
    assert_int_equal(codec_write(&writer, &number), CODEC_WRITTEN);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(codec_write(&writer, &ping), CODEC_WRITTEN);
    }
    assert_memory_equal(writer.data + writer.size - 4, "\x91\x0f\x91\x0f", 4);
    writer.data[writer.size - 3] = 0x7f; /* no command */
    codec_reader_init(&reader, span_of(writer.data, writer.size), NULL, 0);
    for (size_t i = 0; i < sizeof reads / sizeof reads[0]; i++) {
        assert_int_equal(
            codec_read_some(&reader, CODEC_AT_BROKER, messages, 2, &result, &error),
            reads[i].count);
        assert_int_equal(result, reads[i].result);
        assert_int_equal(messages[0].command, i == 0 ? COMMAND_SEQUENCE : COMMAND_PING);
    }
    codec_writer_deinit(&writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(payloads_over_8192_bytes_are_attached),
        cmocka_unit_test(an_attached_blob_is_not_copied),
        cmocka_unit_test(a_message_holds_63_attached_frames),
        cmocka_unit_test(more_frames_are_too_large),
        cmocka_unit_test(a_payload_is_at_most_16_mib),
        cmocka_unit_test(progress_is_at_most_8192_bytes),
        cmocka_unit_test(a_full_batch_keeps_what_it_has),
        cmocka_unit_test(a_batch_has_at_most_65536_commands),
        cmocka_unit_test(frame_0_is_at_most_1_mib),
        cmocka_unit_test(an_empty_frame_is_no_batch),
        cmocka_unit_test(bombs_cost_one_pass),
        cmocka_unit_test(a_batch_of_refused_commands_ends),
        cmocka_unit_test(some_are_read_up_to_what_is_none_or_a_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
