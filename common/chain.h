/* chain: lines, each of which holds the hash of the one before it, so that a line cannot be
 * changed, cut out or put in without all that follow showing it. SHA-256; the idea: S. Haber and
 * W. S. Stornetta, "How to time-stamp a digital document", J. Cryptology 3, 1991.
 *
 * The one file of common/ that needs libsodium. Pure; one thread a chain. */
#ifndef SLUICE_COMMON_CHAIN_H
#define SLUICE_COMMON_CHAIN_H

#include "common/span.h"

#define CHAIN_HASH_BYTES 32
#define CHAIN_TEXT_SIZE (2 * CHAIN_HASH_BYTES + 1)

struct chain {
    uint8_t hash[CHAIN_HASH_BYTES]; /* of the last line; before the first: zeros */
};

/* Adds a line, which is hashed without its newline. */
void chain_add(struct chain *chain, struct span line);

/* The hash as small hexadecimal digits. */
void chain_text(const struct chain *chain, char text[CHAIN_TEXT_SIZE]);

#endif
