/* links: codec */
/* Joins in the codec: the ids they need, and the inputs that they end with. */
#include "tests/unit/codec_round.h"

/* ---- needs ------------------------------------------------------------- */

static void check_needs(size_t count, enum codec_result wanted)
{
    uint8_t *needs = malloc(count * ID_BYTES + 1);
    uint8_t *bytes = malloc(count * 18 + 64);
    struct codec_reader reader;
    struct codec_error error;
    struct message message;
    uint8_t *to = bytes;

    for (size_t i = 0; i < count * ID_BYTES; i++) {
        needs[i] = (uint8_t)(i * 7 + i / 256);
    }
    memcpy(to, "\x95\x05\xc4\x10", 4);
    memcpy(to + 4, TASK_ID.bytes, ID_BYTES);
    memcpy(to + 20, "\xa0\xc4\x00\x82\xa4join\xa3" "all" "\xa5needs\xdd", 20);
    to += 40;
    for (int i = 0; i < 4; i++) {
        *to++ = (uint8_t)(count >> (24 - 8 * i));
    }
    for (size_t i = 0; i < count; i++, to += 18) {
        to[0] = 0xc4;
        to[1] = ID_BYTES;
        memcpy(to + 2, needs + i * ID_BYTES, ID_BYTES);
    }
    codec_reader_init(&reader, span_of(bytes, (size_t)(to - bytes)), NULL, 0);
    assert_int_equal(codec_read(&reader, CODEC_AT_BROKER, &message, &error), wanted);
    if (wanted == CODEC_OK) {
        assert_int_equal(message.submit.join, JOIN_ALL);
        assert_int_equal(message.submit.needs_count, count);
        for (size_t i = 0; i < count; i++) {
            assert_memory_equal(message.submit.needs + i * message.submit.needs_stride,
                                needs + i * ID_BYTES, ID_BYTES);
        }
    } else {
        assert_int_equal(error.code, ERROR_TOO_LARGE);
        assert_string_equal(error.field, "needs");
    }
    free(needs);
    free(bytes);
}

static void a_join_needs_at_most_16384_tasks(void **state)
{
    check_needs(0, CODEC_OK);
    check_needs(1, CODEC_OK);
    check_needs(NEEDS_MAX - 1, CODEC_OK);
    check_needs(NEEDS_MAX, CODEC_OK);
    check_needs(NEEDS_MAX + 1, CODEC_BAD);
}

static void needs_are_written_from_any_stride(void **state)
{
    static uint8_t ids[NEEDS_MAX * 24];
    struct message back, message = {.command = COMMAND_SUBMIT};
    struct codec_writer writer;

    for (size_t i = 0; i < sizeof ids; i++) {
        ids[i] = (uint8_t)(i / 24);
    }
    codec_writer_init(&writer);
    message.submit = (struct submit){
        .id = TASK_ID,
        .join = JOIN_SETTLED,
        .needs = ids,
        .needs_count = NEEDS_MAX,
        .needs_stride = 24,
    };
    round_trip(&writer, CODEC_AT_BROKER, &message, &back);
    assert_int_equal(back.submit.needs_count, NEEDS_MAX);
    for (size_t i = 0; i < NEEDS_MAX; i++) {
        assert_memory_equal(back.submit.needs + i * back.submit.needs_stride, ids + 24 * i,
                            ID_BYTES);
    }
    codec_writer_deinit(&writer);
}

/* ---- inputs ------------------------------------------------------------ */

/* Needs that all ended with the same body, or the same error. */
struct needs {
    struct span body;
    struct error error;
    enum outcome outcome;
};

static void input_at(void *context, size_t index, struct outcome_record *record)
{
    const struct needs *needs = context;

    *record = (struct outcome_record){.outcome = needs->outcome,
                                      .payload.bytes = needs->body,
                                      .error = needs->error,
                                      .attempt = index,
                                      .waited_ms = UINT64_MAX,
                                      .ran_ms = UINT64_MAX,
                                      .worker = text("worker")};
    memset(record->id.bytes, 0xff, ID_BYTES);
    memcpy(record->id.bytes, &index, sizeof index);
}

/* Writes and reads a join's result; counts the inputs with and without a body. */
static void join_round_trip(struct codec_writer *writer, struct needs *needs, size_t count,
                            size_t *whole, size_t *cut)
{
    struct message back, message = {.command = COMMAND_RESULT};
    struct outcome_record record;
    size_t at = 0;

    message.result = (struct result){.record = {.id = TASK_ID},
                                     .input_count = count,
                                     .input_at = input_at,
                                     .input_context = needs};
    round_trip(writer, CODEC_AT_PEER, &message, &back);
    assert_int_equal(back.result.input_count, count);
    assert_true(back.result.record.payload.bytes.size <= PAYLOAD_BYTES_MAX);
    *whole = *cut = 0;
    for (size_t i = 0; i < count; i++) {
        assert_true(codec_read_input(back.result.record.payload.bytes, &at, &record));
        assert_memory_equal(record.id.bytes, &i, sizeof i);
        assert_int_equal(record.outcome, needs->outcome);
        assert_int_equal(record.attempt, i);
        assert_int_equal(record.ran_ms, UINT64_MAX);
        assert_span(record.worker, "worker");
        if (needs->outcome == OUTCOME_DONE) {
            assert_true(record.left_out || span_equal(record.payload.bytes, needs->body));
            *(record.left_out ? cut : whole) += 1;
        } else {
            assert_true(span_equal(record.error.code, needs->error.code));
            assert_int_equal(record.error.retryable, needs->error.retryable);
            *(record.error.message.size == 0 ? cut : whole) += 1;
        }
    }
    assert_false(codec_read_input(back.result.record.payload.bytes, &at, &record));
    assert_int_equal(at, back.result.record.payload.bytes.size);
}

static void small_inputs_are_inline(void **state)
{
    struct needs needs = {.body = text("result"), .outcome = OUTCOME_DONE};
    struct codec_writer writer;
    size_t whole, cut;

    codec_writer_init(&writer);
    join_round_trip(&writer, &needs, 3, &whole, &cut);
    assert_int_equal(whole, 3);
    assert_int_equal(writer.frame_count, 0);
    codec_writer_deinit(&writer);
}

static void many_inputs_are_one_frame(void **state)
{
    struct needs needs = {.body = text("result"), .outcome = OUTCOME_DONE};
    struct codec_writer writer;
    size_t whole, cut;

    codec_writer_init(&writer);
    join_round_trip(&writer, &needs, NEEDS_MAX, &whole, &cut);
    assert_int_equal(whole, NEEDS_MAX);
    assert_int_equal(writer.frame_count, 1);
    codec_writer_deinit(&writer);
}

static void inputs_beyond_16_mib_are_left_out(void **state)
{
    uint8_t *bytes = calloc(1, PAYLOAD_BYTES_MAX);
    struct needs needs = {.body = span_of(bytes, 4096), .outcome = OUTCOME_DONE};
    struct codec_writer writer;
    size_t whole, cut;

    codec_writer_init(&writer);
    join_round_trip(&writer, &needs, NEEDS_MAX, &whole, &cut); /* 64 MiB */
    assert_true(whole > 3000);
    assert_true(cut > 12000);
    needs.body.size = PAYLOAD_BYTES_MAX; /* not even one fits with its record */
    join_round_trip(&writer, &needs, 2, &whole, &cut);
    assert_int_equal(cut, 2);
    needs.body.size = PAYLOAD_BYTES_MAX / 2 - 1024;
    join_round_trip(&writer, &needs, 2, &whole, &cut);
    assert_int_equal(whole, 2);
    codec_writer_deinit(&writer);
    free(bytes);
}

static void errors_of_inputs_are_cut_to_their_code(void **state)
{
    static char words[ERROR_MESSAGE_MAX], code[ERROR_CODE_MAX];
    struct needs needs = {.outcome = OUTCOME_FAILED};
    struct codec_writer writer;
    size_t whole, cut;

    memset(words, 'm', sizeof words);
    memset(code, 'c', sizeof code);
    needs.error = (struct error){.code = span_of(code, sizeof code),
                                 .message = span_of(words, sizeof words),
                                 .retryable = true};
    codec_writer_init(&writer);
    join_round_trip(&writer, &needs, NEEDS_MAX, &whole, &cut);
    assert_true(whole > 8000);
    assert_true(cut > 1000);
    assert_int_equal(whole + cut, NEEDS_MAX);
    codec_writer_deinit(&writer);
}

static void a_join_without_room_for_a_frame_waits(void **state)
{
    static uint8_t bytes[PAYLOAD_INLINE_MAX + 1];
    struct needs needs = {.body = span_of(bytes, sizeof bytes), .outcome = OUTCOME_DONE};
    struct message task = done_with((struct payload){needs.body, NULL});
    struct message join = {.command = COMMAND_RESULT};
    struct codec_writer writer;
    size_t size;

    join.result = (struct result){.record = {.id = TASK_ID},
                                  .input_count = 1,
                                  .input_at = input_at,
                                  .input_context = &needs};
    codec_writer_init(&writer);
    for (int i = 0; i < MESSAGE_FRAMES_MAX - 1; i++) {
        assert_int_equal(codec_write(&writer, &task), CODEC_WRITTEN);
    }
    size = writer.size;
    assert_int_equal(codec_write(&writer, &join), CODEC_FULL);
    assert_int_equal(writer.size, size);
    codec_writer_clear(&writer);
    assert_int_equal(codec_write(&writer, &join), CODEC_WRITTEN);
    codec_writer_deinit(&writer);
}

/* A RESULT with two frames where one is left: the first must not stay behind. */
static void a_refused_result_takes_its_frames_back(void **state)
{
    static uint8_t bytes[PAYLOAD_INLINE_MAX + 1];
    struct needs needs = {.body = span_of(bytes, sizeof bytes), .outcome = OUTCOME_DONE};
    struct message task = done_with((struct payload){needs.body, NULL});
    struct message join = {.command = COMMAND_RESULT};
    struct codec_writer writer;
    size_t size, frame_bytes;

    join.result = (struct result){.record = {.id = TASK_ID, .payload.bytes = needs.body},
                                  .input_count = 1,
                                  .input_at = input_at,
                                  .input_context = &needs};
    codec_writer_init(&writer);
    for (int i = 0; i < MESSAGE_FRAMES_MAX - 2; i++) {
        assert_int_equal(codec_write(&writer, &task), CODEC_WRITTEN);
    }
    size = writer.size;
    frame_bytes = writer.frame_bytes;
    assert_int_equal(codec_write(&writer, &join), CODEC_FULL);
    assert_int_equal(writer.size, size);
    assert_int_equal(writer.frame_count, MESSAGE_FRAMES_MAX - 2);
    assert_int_equal(writer.frame_bytes, frame_bytes);
    codec_writer_clear(&writer);
    assert_int_equal(codec_write(&writer, &join), CODEC_WRITTEN);
    assert_int_equal(writer.frame_count, 2);
    codec_writer_deinit(&writer);
}

static void malformed_inputs_are_told_from_the_end(void **state)
{
    static const uint8_t bytes[] = {0x93, 0xc4, 0x10};
    struct outcome_record record;
    size_t at = 0;

    assert_false(codec_read_input(span_of(NULL, 0), &at, &record));
    assert_int_equal(at, 0);
    assert_false(codec_read_input(span_of(bytes, sizeof bytes), &at, &record));
    assert_int_equal(at, SIZE_MAX);
    assert_false(codec_read_input(span_of(bytes, sizeof bytes), &at, &record));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_join_needs_at_most_16384_tasks),
        cmocka_unit_test(needs_are_written_from_any_stride),
        cmocka_unit_test(small_inputs_are_inline),
        cmocka_unit_test(many_inputs_are_one_frame),
        cmocka_unit_test(inputs_beyond_16_mib_are_left_out),
        cmocka_unit_test(errors_of_inputs_are_cut_to_their_code),
        cmocka_unit_test(a_join_without_room_for_a_frame_waits),
        cmocka_unit_test(a_refused_result_takes_its_frames_back),
        cmocka_unit_test(malformed_inputs_are_told_from_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
