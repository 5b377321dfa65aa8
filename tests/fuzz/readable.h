/* readable: what a broker says can be written, and read: by a peer, and in its log. */
#ifndef SLUICE_TESTS_FUZZ_READABLE_H
#define SLUICE_TESTS_FUZZ_READABLE_H

#include "common/check.h"
#include "common/log.h"
#include "proto/codec.h"

/* For effects: the line has room in a log. */
static inline void check_line(void *context, const struct log_record *record)
{
    char line[512];

    (void)context;
    CHECK(log_format(record, line, sizeof line) < sizeof line);
}

/* The codec takes the message, and a peer reads it. `writer` keeps its buffer from call to call. */
static inline void check_readable(struct codec_writer *writer, const struct message *message)
{
    struct codec_reader reader;
    struct codec_error error;
    struct message back;

    codec_writer_clear(writer);
    CHECK(codec_write(writer, message) == CODEC_WRITTEN);
    codec_reader_init(&reader, span_of(writer->data, writer->size), writer->frames,
                      writer->frame_count);
    CHECK(codec_read(&reader, CODEC_AT_PEER, &back, &error) == CODEC_OK);
    CHECK(back.command == message->command);
    CHECK(codec_read(&reader, CODEC_AT_PEER, &back, &error) == CODEC_END);
}

#endif
