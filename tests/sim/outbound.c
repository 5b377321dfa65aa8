#include "tests/sim/outbound.h"

#include "common/check.h"

#include <stdlib.h>

/* ---- batches --------------------------------------------------------------------------- */

static void batches_init(struct batches *batches)
{
    *batches = (struct batches){.full = NULL};
    codec_writer_init(&batches->writer);
}

static void batches_clear(struct batches *batches)
{
    codec_writer_deinit(&batches->writer);
    for (size_t i = 0; i < batches->full_count; i++) {
        codec_writer_deinit(&batches->full[i]);
    }
    free(batches->full);
    batches_init(batches);
}

static void batches_add(struct batches *batches, struct codec_writer *writer)
{
    batches->full = realloc(batches->full, (batches->full_count + 1) * sizeof *batches->full);
    CHECK(batches->full != NULL);
    batches->full[batches->full_count++] = *writer;
    codec_writer_init(writer);
}

static void batches_seal(struct batches *batches)
{
    if (batches->writer.command_count > 0) {
        batches_add(batches, &batches->writer);
    }
}

static void batches_drop_first(struct batches *batches)
{
    codec_writer_deinit(&batches->full[0]);
    batches->full_count--;
    memmove(batches->full, batches->full + 1, batches->full_count * sizeof *batches->full);
}

static void batches_write(struct batches *batches, const struct message *message)
{
    enum codec_write_result result = codec_write(&batches->writer, message);

    if (result == CODEC_FULL) {
        batches_seal(batches);
        result = codec_write(&batches->writer, message);
    }
    CHECK(result == CODEC_WRITTEN);
}

/* What waits in `from` waits behind `to`. */
static void batches_move(struct batches *to, struct batches *from)
{
    batches_seal(to);
    batches_seal(from);
    for (size_t i = 0; i < from->full_count; i++) {
        batches_add(to, &from->full[i]);
    }
    free(from->full);
    from->full = NULL;
    from->full_count = 0;
}

/* ---- what there is to say ------------------------------------------------------------------ */

void outbound_init(struct outbound *outbound)
{
    batches_init(&outbound->first);
    batches_init(&outbound->rest);
}

void outbound_clear(struct outbound *outbound)
{
    batches_clear(&outbound->first);
    batches_clear(&outbound->rest);
}

void outbound_clear_rest(struct outbound *outbound)
{
    batches_clear(&outbound->rest);
}

void outbound_write(struct outbound *outbound, const struct message *message)
{
    batches_write(&outbound->rest, message);
}

void outbound_write_first(struct outbound *outbound, const struct message *message)
{
    batches_write(&outbound->first, message);
}

void outbound_part(struct outbound *outbound)
{
    batches_move(&outbound->first, &outbound->rest);
}

void outbound_move(struct outbound *to, struct outbound *from)
{
    batches_move(&to->first, &from->first);
    batches_move(&to->rest, &from->rest);
}

size_t outbound_bytes(const struct outbound *outbound)
{
    size_t bytes = outbound->rest.writer.size + outbound->rest.writer.frame_bytes;

    for (size_t i = 0; i < outbound->rest.full_count; i++) {
        bytes += outbound->rest.full[i].size + outbound->rest.full[i].frame_bytes;
    }
    return bytes;
}

size_t outbound_count(const struct outbound *outbound)
{
    return outbound->rest.full_count;
}

uint64_t outbound_digest(struct span commands, struct blob *const *frames, size_t frame_count)
{
    uint64_t digest = 0xcbf29ce484222325ULL;

    for (size_t i = 0; i <= frame_count; i++) {
        struct span bytes = i == 0 ? commands : blob_span(frames[i - 1]);

        for (size_t k = 0; k < bytes.size; k++) {
            digest = (digest ^ bytes.data[k]) * 0x100000001b3ULL; /* FNV-1a */
        }
    }
    return digest;
}

/* ---- sending ------------------------------------------------------------------------------- */

static enum sent send_plain(const struct carrier *carrier, const struct codec_writer *writer)
{
    struct packet packet = {
        .data = writer->data, .size = writer->size, .frame_count = writer->frame_count};

    memcpy(packet.frames, writer->frames, writer->frame_count * sizeof *writer->frames);
    return carrier->send(carrier->context, &packet);
}

static enum sent send_letter(const struct carrier *carrier, const struct letter *letter)
{
    struct span batch = blob_span(letter->batch);
    struct packet packet = {
        .data = (uint8_t *)batch.data, .size = batch.size, .frame_count = letter->frame_count};

    memcpy(packet.frames, letter->frames, letter->frame_count * sizeof *letter->frames);
    return carrier->send(carrier->context, &packet);
}

static enum sent send_again(const struct carrier *carrier)
{
    struct letter *letter;

    while ((letter = letter_of(session_again(carrier->session))) != NULL) {
        enum sent sent = send_letter(carrier, letter);

        if (sent != SENT_OK) {
            return sent;
        }
        session_resent(carrier->session);
    }
    return SENT_OK;
}

static enum sent send_numbered(const struct carrier *carrier, const struct codec_writer *writer)
{
    struct sequence sequence = session_next(carrier->session);
    struct letter *letter;
    enum sent sent;

    if (!session_takes(carrier->session, writer->size + writer->frame_bytes)) {
        return SENT_AGAIN;
    }
    letter = letter_new(&sequence, writer);
    CHECK(letter != NULL);
    sent = send_letter(carrier, letter);
    if (sent != SENT_OK) {
        letter_free(letter);
        return sent;
    }
    session_keep(carrier->session, &letter->kept, letter->bytes);
    carrier->numbered(carrier->context, sequence.number,
                      outbound_digest(span_of(writer->data, writer->size), writer->frames,
                                      writer->frame_count));
    return SENT_OK;
}

static void acknowledge(const struct carrier *carrier)
{
    static const struct codec_writer nothing;
    struct sequence bare = session_bare(carrier->session);
    struct letter *letter = letter_new(&bare, &nothing);

    CHECK(letter != NULL);
    send_letter(carrier, letter); /* the next one tells more */
    letter_free(letter);
}

enum sent outbound_flush_first(struct outbound *outbound, const struct carrier *carrier)
{
    struct batches *first = &outbound->first;

    batches_seal(first);
    while (first->full_count > 0) {
        enum sent sent = send_plain(carrier, &first->full[0]);

        if (sent != SENT_OK) {
            return sent;
        }
        batches_drop_first(first);
    }
    return SENT_OK;
}

enum sent outbound_flush(struct outbound *outbound, const struct carrier *carrier)
{
    struct batches *rest = &outbound->rest;
    enum sent sent = outbound_flush_first(outbound, carrier);

    batches_seal(rest);
    if (sent == SENT_OK && carrier->session != NULL) {
        sent = send_again(carrier);
    }
    while (sent == SENT_OK && rest->full_count > 0) {
        sent = carrier->session != NULL ? send_numbered(carrier, &rest->full[0])
                                        : send_plain(carrier, &rest->full[0]);
        if (sent == SENT_OK) {
            batches_drop_first(rest);
        }
    }
    if (sent == SENT_OK && carrier->session != NULL && session_owes(carrier->session)) {
        acknowledge(carrier);
    }
    return sent;
}

static enum sent send_up(void *context, const struct packet *packet)
{
    return node_send(context, packet);
}

enum sent outbound_flush_up(struct outbound *outbound, struct node *node)
{
    struct carrier carrier = {.context = node, .send = send_up};

    return outbound_flush(outbound, &carrier);
}
