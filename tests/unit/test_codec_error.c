/* links: codec */
/* Errors and answers in the codec: passed on as they came, or made from parts. */
#include "tests/unit/codec_round.h"

static void an_application_error_passes_through_unchanged(void **state)
{
    /* {code: "x", details: [1.5, nil], mine: ext} */
    static const char raw[] = "\x83\xa4" "code\xa1x\xa7" "details\x92\xca\x3f\xc0\0\0\xc0"
                              "\xa4mine\xd4\x05\x06";
    struct message back, message = {.command = COMMAND_FAIL};
    struct codec_writer writer;

    codec_writer_init(&writer);
    message.fail = (struct fail){
        .id = TASK_ID, .attempt = 2, .error.raw = span_of(raw, sizeof raw - 1)};
    round_trip(&writer, CODEC_AT_BROKER, &message, &back);
    assert_span(back.fail.error.code, "x");
    assert_int_equal(back.fail.error.message.size, 0);
    assert_true(span_equal(back.fail.error.raw, message.fail.error.raw));
    codec_writer_deinit(&writer);
}

static void check_error_size(size_t size, enum codec_result wanted)
{
    struct message back, message = {.command = COMMAND_FAIL};
    uint8_t *raw = calloc(1, size);
    struct codec_writer writer;
    struct codec_reader reader;
    struct codec_error error;
    size_t body = size - 19;

    memcpy(raw, "\x82\xa4" "code\xa1x\xa7" "details\xc5", 17);
    raw[17] = (uint8_t)(body >> 8);
    raw[18] = (uint8_t)body;
    codec_writer_init(&writer);
    message.fail = (struct fail){.id = TASK_ID, .attempt = 2, .error.raw = span_of(raw, size)};
    assert_int_equal(codec_write(&writer, &message), CODEC_WRITTEN);
    codec_reader_init(&reader, span_of(writer.data, writer.size), NULL, 0);
    assert_int_equal(codec_read(&reader, CODEC_AT_BROKER, &back, &error), wanted);
    codec_writer_deinit(&writer);
    free(raw);
}

static void an_error_is_at_most_8192_bytes(void **state)
{
    check_error_size(ERROR_BYTES_MAX - 1, CODEC_OK);
    check_error_size(ERROR_BYTES_MAX, CODEC_OK);
    check_error_size(ERROR_BYTES_MAX + 1, CODEC_BAD);
}

static void details_too_large_for_an_error_are_left_out(void **state)
{
    static uint8_t arena[ERROR_BYTES_MAX], words[ERROR_BYTES_MAX - 200];
    struct message back, message = {.command = COMMAND_RESULT};
    struct doc_token tokens[8];
    struct codec_writer writer;
    struct doc details;

    doc_init(&details, tokens, 8, arena, sizeof arena);
    doc_map(&details, NULL);
    doc_bytes(&details, "id", span_of(TASK_ID.bytes, ID_BYTES));
    doc_end(&details);
    codec_writer_init(&writer);
    message.result.record = (struct outcome_record){
        .id = TASK_ID,
        .outcome = OUTCOME_FAILED,
        .error = {.code = text("dependency_failed"), .message = text("m"), .details = &details}};
    round_trip(&writer, CODEC_AT_PEER, &message, &back);
    assert_int_equal(back.result.record.error.raw.size, 1 + 5 + 18 + 8 + 2 + 8 + 1 + 3 + 18);

    doc_init(&details, tokens, 8, arena, sizeof arena);
    doc_map(&details, NULL);
    doc_bytes(&details, "a", span_of(words, sizeof words));
    doc_bytes(&details, "b", span_of(words, 200));
    doc_end(&details);
    assert_false(details.overflow);
    round_trip(&writer, CODEC_AT_PEER, &message, &back);
    assert_int_equal(back.result.record.error.raw.size, 1 + 5 + 18 + 8 + 2);
    codec_writer_deinit(&writer);
}

static void a_doc_becomes_the_body_of_a_reply(void **state)
{
    static const char body[] = "\x84\xa5state\xa5ready\xa4list\x93\x01\xc3\x80"
                               "\xa2id\xc4\x02\x01\x02\xa4none\xc0";
    struct message back, message = {.command = COMMAND_REPLY};
    struct doc_token tokens[16];
    struct codec_writer writer;
    uint8_t arena[64];
    struct doc doc;

    doc_init(&doc, tokens, 16, arena, sizeof arena);
    doc_map(&doc, NULL);
    doc_text(&doc, "state", text("ready"));
    doc_list(&doc, "list");
    doc_uint(&doc, NULL, 1);
    doc_bool(&doc, NULL, true);
    doc_map(&doc, NULL);
    doc_end(&doc);
    doc_end(&doc);
    doc_bytes(&doc, "id", span_of("\1\2", 2));
    doc_nil(&doc, "none");
    doc_end(&doc);
    codec_writer_init(&writer);
    message.reply = (struct reply){.request = 7, .ok = true, .body = &doc};
    round_trip(&writer, CODEC_AT_PEER, &message, &back);
    assert_true(back.reply.ok);
    assert_true(span_equal(back.reply.raw, span_of(body, sizeof body - 1)));
    codec_writer_deinit(&writer);
}

static void half_an_answer_becomes_an_error(void **state)
{
    struct message back, message = {.command = COMMAND_REPLY};
    struct doc_token tokens[2];
    struct codec_writer writer;
    uint8_t arena[2];
    struct doc doc;

    doc_init(&doc, tokens, 2, arena, sizeof arena);
    doc_map(&doc, NULL);
    doc_text(&doc, "state", text("ready"));
    assert_true(doc.overflow);
    codec_writer_init(&writer);
    message.reply = (struct reply){.request = 7, .ok = true, .body = &doc};
    round_trip(&writer, CODEC_AT_PEER, &message, &back);
    assert_false(back.reply.ok);
    assert_span(back.reply.error.code, "too_large");
    codec_writer_deinit(&writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_application_error_passes_through_unchanged),
        cmocka_unit_test(an_error_is_at_most_8192_bytes),
        cmocka_unit_test(details_too_large_for_an_error_are_left_out),
        cmocka_unit_test(a_doc_becomes_the_body_of_a_reply),
        cmocka_unit_test(half_an_answer_becomes_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
