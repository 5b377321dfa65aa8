/* terms: what a submitted task asks for beyond its service and payload. */
#ifndef SLUICE_RUNTIME_TERMS_H
#define SLUICE_RUNTIME_TERMS_H

#include "agents/runtime/sluice.h"
#include "proto/message.h"

/* Puts the policies of `options` into `submit`, which has none yet, and whose texts borrow from it.
 * Times and counts are cut to their bounds. NULL: done; else what is wrong. */
const char *terms_set(struct submit *submit, const struct sluice_submit_options *options);

/* Bytes that the texts of `submit` take, the service's included. */
size_t terms_text_bytes(const struct submit *submit);
/* Copies them to `to`, points `submit` at the copies, returns what is behind them. */
uint8_t *terms_copy_texts(struct submit *submit, uint8_t *to);

#endif
