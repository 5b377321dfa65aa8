/* store_row: a row of the store as bytes, and back.
 *
 * A row is four parts, each of which is written by itself when it changes. A part is
 *
 *     format (1 byte; LARGE set: its body has more than 8 KiB, and is kept beside it)
 *     size of that body (4 bytes) and its digest (8), if LARGE
 *     what the part holds; nothing at all if it has its default
 *     digest (8 bytes) of all of the above
 *
 *     TASK        accepted_unix_ms (8), session (16), size of the peer's name (1), the name,
 *                 the SUBMIT as it is on the wire (proto/PROTOCOL.md); or a CONTROL
 *     ATTEMPTS    attempts (8), and why they failed, if anybody is to know (broker/core/cause.c)
 *     CHECKPOINT  its bytes, unless LARGE
 *     OUTCOME     ended_unix_ms (8), the RESULT as it is on the wire
 *
 * with the least significant byte first. A default is written, too: what is missing is damage, and
 * so is whatever was written for another row or another part, for a digest is keyed by both.
 *
 * No state beyond the structs given; any thread, one at a time per struct. */
#ifndef SLUICE_BROKER_SHELL_STORE_ROW_H
#define SLUICE_BROKER_SHELL_STORE_ROW_H

#include "broker/core/store.h"
#include "proto/codec.h"

enum store_part {
    STORE_PART_TASK,
    STORE_PART_ATTEMPTS,
    STORE_PART_CHECKPOINT,
    STORE_PART_OUTCOME,
};
#define STORE_PART_COUNT 4

#define STORE_DIGEST_BYTES 8
#define STORE_HEAD_MAX (13 + 25 + PEER_NAME_MAX)       /* of a part, up to the wire's bytes */
#define STORE_NONE_BYTES (1 + STORE_DIGEST_BYTES)      /* a part that has its default */
#define STORE_PART_MAX (STORE_HEAD_MAX + BATCH_BYTES_MAX + STORE_DIGEST_BYTES)
#define STORE_DRAFTS_MAX 3                             /* parts that one record writes */

/* ---- writing ----------------------------------------------------------------------- */

/* A part that is not sealed yet: head and body, one after the other, then room for a digest. */
struct store_draft {
    enum store_part part;
    size_t head_size;
    uint8_t head[STORE_HEAD_MAX];
    struct span body;
    struct blob *large; /* NULL: none */
};

struct store_encoder {
    struct codec_writer codec;
    struct blob *checkpoint; /* made here */
    size_t count;
    struct store_draft drafts[STORE_DRAFTS_MAX];
};

void store_encoder_init(struct store_encoder *encoder);
void store_encoder_deinit(struct store_encoder *encoder);

/* Encodes what `record` writes: nothing, if it is STORE_FORGET. The drafts borrow from the record
 * and from the encoder, and are good until its next call. False: no memory. */
bool store_encode(struct store_encoder *encoder, const struct store_record *record);

/* Fills in the digests of a part of `size` bytes, the room for the last one included. */
void store_part_seal(uint64_t key, enum store_part part, uint8_t *bytes, size_t size,
                     const struct blob *large);

/* Makes a part that has its default. */
void store_part_none(uint64_t key, enum store_part part, uint8_t bytes[STORE_NONE_BYTES]);

/* A number by itself, sealed. */
#define STORE_NUMBER_BYTES (8 + STORE_DIGEST_BYTES)
void store_number_write(uint64_t number, uint8_t bytes[STORE_NUMBER_BYTES]);
/* False: damaged. */
bool store_number_read(struct span bytes, uint64_t *number);

/* ---- reading ------------------------------------------------------------------------ */

/* A row as it was found. */
struct store_parts {
    uint64_t key;
    struct span parts[STORE_PART_COUNT];
    struct blob *large[STORE_PART_COUNT]; /* borrowed; as large_bytes says */
};

/* Checks a part by its digest. NULL: it is what was written, and *large_bytes is the size of its
 * large body, 0: it has none. Otherwise: why not; static. */
const char *store_part_check(uint64_t key, enum store_part part, struct span bytes,
                             size_t *large_bytes);

/* Reads the parts, each of which has passed store_part_check and has its large body. NULL: `row`
 * is what was written; it borrows from the parts. Otherwise: why not; static. */
const char *store_row_read(const struct store_parts *parts, struct store_row *row);

#endif
