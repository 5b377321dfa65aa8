#include "proto/codec_draft.h"

#include "common/check.h"

#include <stdlib.h>

/* Attaches `blob`, taking over the caller's reference. */
static void put_frame(struct draft *draft, struct pack_list *list, struct blob *blob)
{
    struct codec_writer *writer = draft->writer;

    if (blob == NULL) {
        draft->pack.result = CODEC_NOMEM;
        return;
    }
    if (writer->frame_count == MESSAGE_FRAMES_MAX - 1) {
        draft->pack.result = CODEC_FULL;
        blob_unref(blob);
        return;
    }
    writer->frames[writer->frame_count++] = blob;
    writer->frame_bytes += blob_span(blob).size;
    put_uint(list, writer->frame_count);
}

void put_attached(struct draft *draft, struct pack_list *list, const struct payload *payload)
{
    if (payload->blob != NULL) {
        CHECK(payload->bytes.data == blob_span(payload->blob).data);
        CHECK(payload->bytes.size == blob_span(payload->blob).size);
        put_frame(draft, list, blob_ref(payload->blob));
    } else {
        put_frame(draft, list, blob_new(payload->bytes));
    }
}

void put_inputs(struct draft *draft, struct pack_list *list, const struct input_list *inputs)
{
    struct pack pack = {.bytes_max = PAYLOAD_BYTES_MAX};
    struct span bytes;
    struct blob *blob;

    CHECK(inputs->count <= NEEDS_MAX);
    pack_inputs(&pack, inputs);
    CHECK(pack.result != CODEC_FULL); /* pack_inputs leaves out what does not fit */
    bytes = span_of(pack.data, pack.size);
    if (pack.result == CODEC_NOMEM) {
        draft->pack.result = CODEC_NOMEM;
        free(pack.data);
    } else if (bytes.size <= PAYLOAD_INLINE_MAX) {
        pack_bytes(list->pack, bytes);
        pack_keep(list);
        free(pack.data);
    } else {
        blob = blob_new_foreign(bytes, free, pack.data);
        if (blob == NULL) {
            free(pack.data);
        }
        put_frame(draft, list, blob);
    }
}
