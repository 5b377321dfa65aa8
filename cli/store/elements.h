/* elements: a command of the protocol as the MessagePack values that it is made of. Pure. */
#ifndef SLUICE_CLI_STORE_ELEMENTS_H
#define SLUICE_CLI_STORE_ELEMENTS_H

#include "common/span.h"

#define ELEMENTS_MAX 15 /* so the array's header is one byte */
#define ELEMENT_ID_BYTES (2 + 16)

/* Where they stand in SUBMIT (proto/PROTOCOL.md, section 3.1). */
enum submit_element {
    SUBMIT_COMMAND,
    SUBMIT_ID,
    SUBMIT_SERVICE,
    SUBMIT_PAYLOAD,
    SUBMIT_OPTIONS,
    SUBMIT_ELEMENTS,
};

/* In RESULT (section 3.2). */
enum result_element {
    RESULT_COMMAND,
    RESULT_ID,
    RESULT_OUTCOME,
    RESULT_BODY,
    RESULT_ATTEMPT,
    RESULT_WAITED,
    RESULT_RAN,
    RESULT_WORKER,
    RESULT_ELEMENTS,
};

/* In CONTROL (section 3.1). */
enum control_element {
    CONTROL_COMMAND,
    CONTROL_REQUEST,
    CONTROL_WHAT,
    CONTROL_OPTIONS,
    CONTROL_ELEMENTS,
};

/* Those of the one command in `bytes`, which the codec has written; they borrow from it. */
size_t elements_split(struct span bytes, struct span elements[ELEMENTS_MAX]);

/* The other way round: malloc'd, yours. NULL: no memory. */
uint8_t *elements_join(const struct span *elements, size_t count, size_t *size);

/* nil: a default; and a bin without bytes, which stands for a payload that goes another way. */
struct span element_nil(void);
struct span element_empty(void);
bool element_is_nil(struct span element);
struct span element_id(const struct id *id, uint8_t bytes[ELEMENT_ID_BYTES]);

#endif
