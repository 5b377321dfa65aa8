#include "tests/sim/outbound.h"

#include "common/check.h"

#include <stdlib.h>

void outbound_init(struct outbound *outbound)
{
    *outbound = (struct outbound){.full = NULL};
    codec_writer_init(&outbound->writer);
}

void outbound_clear(struct outbound *outbound)
{
    codec_writer_deinit(&outbound->writer);
    for (size_t i = 0; i < outbound->full_count; i++) {
        codec_writer_deinit(&outbound->full[i]);
    }
    free(outbound->full);
    outbound_init(outbound);
}

static void seal(struct outbound *outbound)
{
    outbound->full = realloc(outbound->full, (outbound->full_count + 1) * sizeof *outbound->full);
    CHECK(outbound->full != NULL);
    outbound->full[outbound->full_count++] = outbound->writer;
    codec_writer_init(&outbound->writer);
}

void outbound_write(struct outbound *outbound, const struct message *message)
{
    enum codec_write_result result = codec_write(&outbound->writer, message);

    if (result == CODEC_FULL) {
        seal(outbound);
        result = codec_write(&outbound->writer, message);
    }
    CHECK(result == CODEC_WRITTEN);
}

bool outbound_flush(struct outbound *outbound, struct node *node)
{
    if (outbound->writer.command_count > 0) {
        seal(outbound);
    }
    while (outbound->full_count > 0) {
        struct codec_writer *first = &outbound->full[0];
        struct packet packet = {
            .data = first->data, .size = first->size, .frame_count = first->frame_count};

        memcpy(packet.frames, first->frames, first->frame_count * sizeof *first->frames);
        if (node_send(node, &packet) != SENT_OK) {
            return false;
        }
        codec_writer_deinit(first);
        outbound->full_count--;
        memmove(outbound->full, outbound->full + 1, outbound->full_count * sizeof *outbound->full);
    }
    return true;
}
