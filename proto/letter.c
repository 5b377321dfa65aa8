#include "proto/letter.h"

#include <stdlib.h>

/* MessagePack's shortest form of a uint. Returns the bytes written. */
static size_t put_number(uint8_t *to, uint64_t number)
{
    unsigned width = number <= 0x7f ? 0 : number <= 0xff ? 1 : number <= 0xffff ? 2
                     : number <= 0xffffffff ? 4 : 8;
    uint8_t *at = to;

    if (width == 0) {
        *at++ = (uint8_t)number;
    } else {
        *at++ = width == 1 ? 0xcc : width == 2 ? 0xcd : width == 4 ? 0xce : 0xcf;
    }
    while (width-- > 0) {
        *at++ = (uint8_t)(number >> (8 * width));
    }
    return (size_t)(at - to);
}

/* [19, number, acknowledged]: what codec_write would write, without a buffer of its own. */
static size_t put_sequence(uint8_t head[SEQUENCE_BYTES_MAX], const struct sequence *sequence)
{
    size_t size = 0;

    head[size++] = 0x93;
    head[size++] = COMMAND_SEQUENCE;
    size += put_number(head + size, sequence->number);
    size += put_number(head + size, sequence->acknowledged);
    return size;
}

struct letter *letter_new(const struct sequence *sequence, const struct codec_writer *writer)
{
    struct letter *letter =
        malloc(sizeof *letter + writer->frame_count * sizeof letter->frames[0]);
    uint8_t head[SEQUENCE_BYTES_MAX];
    size_t head_size = put_sequence(head, sequence);

    if (letter == NULL) {
        return NULL;
    }
    letter->batch = blob_new_joined(span_of(head, head_size), span_of(writer->data, writer->size));
    if (letter->batch == NULL) {
        free(letter);
        return NULL;
    }
    letter->bytes = head_size + writer->size + writer->frame_bytes;
    letter->frame_count = writer->frame_count;
    for (size_t i = 0; i < writer->frame_count; i++) {
        letter->frames[i] = blob_ref(writer->frames[i]);
    }
    return letter;
}

void letter_free(struct letter *letter)
{
    if (letter == NULL) {
        return;
    }
    blob_unref(letter->batch);
    for (size_t i = 0; i < letter->frame_count; i++) {
        blob_unref(letter->frames[i]);
    }
    free(letter);
}

struct letter *letter_of(struct session_letter *kept)
{
    return kept == NULL ? NULL
                        : (struct letter *)((char *)kept - offsetof(struct letter, kept));
}

static size_t free_letters(struct session *session,
                           struct session_letter *(*next)(struct session *session))
{
    struct letter *letter;
    size_t bytes = 0;

    while ((letter = letter_of(next(session))) != NULL) {
        bytes += letter->kept.bytes;
        letter_free(letter);
    }
    return bytes;
}

size_t letters_release(struct session *session)
{
    return free_letters(session, session_release);
}

size_t letters_drop(struct session *session)
{
    return free_letters(session, session_drop);
}
