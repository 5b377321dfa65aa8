/* base64: bytes as text (RFC 4648, section 4: the usual alphabet, padded). */
#ifndef SLUICE_COMMON_BASE64_H
#define SLUICE_COMMON_BASE64_H

#include "common/span.h"

/* Characters that `size` bytes become; no NUL is counted or written. */
static inline size_t base64_encoded_size(size_t size)
{
    return (size + 2) / 3 * 4;
}

/* Writes base64_encoded_size(bytes.size) characters. */
void base64_encode(struct span bytes, char *text);

/* Decodes `text` into `bytes`, which has room for text.size / 4 * 3. False: no
 * base64 (length, alphabet, padding, or bits that should be zero). */
bool base64_decode(struct span text, uint8_t *bytes, size_t *size);

#endif
