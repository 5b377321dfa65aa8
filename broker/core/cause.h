/* cause: why attempts of one task failed, one record each: what its dead letter tells.
 *
 * Bounded: the first CAUSES_FIRST and the last CAUSES_LAST stay, those between them go, so that
 * both what began it and what it came to are there. */
#ifndef SLUICE_BROKER_CORE_CAUSE_H
#define SLUICE_BROKER_CORE_CAUSE_H

#include "common/blob.h"
#include "proto/message.h"

struct broker;

#define CAUSES_FIRST 4
#define CAUSES_LAST 12
#define CAUSE_MESSAGE_MAX 256

struct cause {
    struct cause *next;
    struct blob *text;    /* worker, code, message, one after another */
    uint64_t at_ms;
    uint16_t attempt;
    uint8_t worker_size;
    uint8_t code_size;
};

/* All zero: empty. */
struct cause_chain {
    struct cause *first, *last;
    uint32_t dropped; /* between the first and the last */
    uint16_t bytes;   /* of memory */
    uint8_t count;
};

/* What is to be remembered; spans are copied. */
struct cause_said {
    uint64_t attempt;
    struct span worker, code, message;
};

/* Adds one at the end, now. Without memory it is counted as dropped. */
void cause_add(struct broker *broker, struct cause_chain *chain, const struct cause_said *said);
void cause_clear(struct broker *broker, struct cause_chain *chain);

struct cause_said cause_read(const struct cause *cause);

/* All of them as bytes, and back into an empty chain. What is no chain, or has no memory, is left
 * out. */
#define CAUSES_PACKED_MAX                                                                          \
    (4 + (CAUSES_FIRST + CAUSES_LAST) *                                                            \
             (14 + PEER_NAME_MAX + ERROR_CODE_MAX + CAUSE_MESSAGE_MAX))
size_t cause_pack(const struct broker *broker, const struct cause_chain *chain,
                  uint8_t bytes[CAUSES_PACKED_MAX]);
void cause_unpack(struct broker *broker, struct cause_chain *chain, struct span bytes);

/* CHECKs the chain; how many there are. */
uint64_t cause_check(const struct cause_chain *chain);

#endif
