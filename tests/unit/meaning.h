/* meaning: a message of the protocol as JSON, as proto/vectors has it. For tests. */
#ifndef SLUICE_TESTS_UNIT_MEANING_H
#define SLUICE_TESTS_UNIT_MEANING_H

#include "proto/codec.h"

#include <jansson.h>

/* New references. `is_join`: a RESULT, or a TASK, with inputs. */
json_t *meaning_of_message(const struct message *message, bool is_join);
json_t *meaning_of_error(const struct codec_error *error);
json_t *meaning_of_bytes(struct span bytes); /* as hexadecimal text */

#endif
