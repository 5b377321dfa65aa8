/* siphash: SipHash-2-4 with 128 bits of output, a keyed digest.
 *
 * J.-P. Aumasson, D. J. Bernstein, "SipHash: a fast short-input PRF" (INDOCRYPT 2012); the
 * 128-bit variant is that of its authors' reference implementation. Who does not know the key
 * cannot find two inputs of one digest. Pure. */
#ifndef SLUICE_COMMON_SIPHASH_H
#define SLUICE_COMMON_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

#define DIGEST_BYTES 16

/* `key` is 16 bytes; `size` bytes at `data` (NULL allowed if 0) to DIGEST_BYTES at `digest`. */
void siphash128(const uint8_t key[16], const void *data, size_t size,
                uint8_t digest[DIGEST_BYTES]);

#endif
