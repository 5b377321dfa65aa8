/* links: codec */
/* The codec alone: what is written is read back, bounds hold at, below and
 * above their number, and nothing from outside gets further than its bytes. */
#include "common/doc.h"
#include "proto/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct id TASK_ID = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

static struct span text(const char *words)
{
    return span_from_text(words);
}

#define assert_span(span, words) assert_true(span_is((span), (words)))

/* Writes `message` alone, reads it back; the writer keeps the bytes alive. */
static void round_trip(struct codec_writer *writer, enum codec_side side,
                       const struct message *message, struct message *back)
{
    struct codec_reader reader;
    struct codec_error error;

    codec_writer_clear(writer);
    assert_int_equal(codec_write(writer, message), CODEC_WRITTEN);
    codec_reader_init(&reader, span_of(writer->data, writer->size), writer->frames,
                      writer->frame_count);
    assert_int_equal(codec_read(&reader, side, back, &error), CODEC_OK);
    assert_int_equal(back->command, message->command);
    assert_int_equal(codec_read(&reader, side, back, &error), CODEC_END);
}

static void submit_comes_back(void **state)
{
    struct codec_writer writer;
    struct message back, message = {.command = COMMAND_SUBMIT};

    codec_writer_init(&writer);
    message.submit = (struct submit){
        .id = TASK_ID,
        .service = text("tool.calc"),
        .payload.bytes = text("1+1"),
        .deadline_ms = 30000,
        .queue_ttl_ms = 300,
        .lease_ms = 70000,
        .attempts = 100,
        .parent = {{9}},
        .parent_attempt = 2,
        .receipts = true,
        .held = true,
        .if_absent = IF_ABSENT_WAIT,
    };
    round_trip(&writer, CODEC_AT_BROKER, &message, &back);
    assert_true(id_equal(&back.submit.id, &TASK_ID));
    assert_span(back.submit.service, "tool.calc");
    assert_span(back.submit.payload.bytes, "1+1");
    assert_null(back.submit.payload.blob);
    assert_int_equal(back.submit.deadline_ms, 30000);
    assert_int_equal(back.submit.queue_ttl_ms, 300);
    assert_int_equal(back.submit.lease_ms, 70000);
    assert_int_equal(back.submit.attempts, 100);
    assert_int_equal(back.submit.parent.bytes[0], 9);
    assert_int_equal(back.submit.parent_attempt, 2);
    assert_true(back.submit.receipts);
    assert_true(back.submit.held);
    assert_int_equal(back.submit.if_absent, IF_ABSENT_WAIT);
    assert_int_equal(back.submit.join, JOIN_NONE);
    codec_writer_deinit(&writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(submit_comes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
