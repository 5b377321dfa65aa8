/* utf8: is this text? Pure. */
#ifndef SLUICE_RETRIEVER_UTF8_H
#define SLUICE_RETRIEVER_UTF8_H

#include "common/span.h"

/* Bytes of the valid sequence at `at`, 1 to 4; 0: there is none (RFC 3629). */
size_t utf8_size(struct span text, size_t at);

bool utf8_valid(struct span text);

#endif
