/* letter: a message of a numbered session, kept until it is acknowledged.
 *
 * Frame 0 as it goes on the wire, SEQUENCE at its head, and the attached payloads: all counted
 * blobs, so that sending and keeping share the bytes. */
#ifndef SLUICE_PROTO_LETTER_H
#define SLUICE_PROTO_LETTER_H

#include "proto/codec.h"
#include "proto/session.h"

struct letter {
    struct session_letter kept;
    struct blob *batch; /* frame 0 */
    size_t bytes;       /* of all frames */
    size_t frame_count;
    struct blob *frames[];
};

/* `sequence` and then what is in `writer`, which stays as it is. NULL: no memory. */
struct letter *letter_new(const struct sequence *sequence, const struct codec_writer *writer);
void letter_free(struct letter *letter); /* accepts NULL */

/* NULL for NULL. */
struct letter *letter_of(struct session_letter *kept);

/* Frees what the other side has acknowledged. Returns the bytes that were kept. */
size_t letters_release(struct session *session);
/* Frees all that is kept. */
size_t letters_drop(struct session *session);

#endif
