/* codec_round: what the tests of the codec share. */
#ifndef SLUICE_TESTS_UNIT_CODEC_ROUND_H
#define SLUICE_TESTS_UNIT_CODEC_ROUND_H

#include "common/doc.h"
#include "proto/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct id TASK_ID = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

static inline struct span text(const char *words)
{
    return span_from_text(words);
}

#define assert_span(span, words) assert_true(span_is((span), (words)))

/* Writes `message` alone, reads it back; the writer keeps the bytes alive. */
static inline void round_trip(struct codec_writer *writer, enum codec_side side,
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

static inline struct message done_with(struct payload payload)
{
    return (struct message){.command = COMMAND_DONE,
                            .done = {.id = TASK_ID, .attempt = 1, .payload = payload}};
}

#endif
