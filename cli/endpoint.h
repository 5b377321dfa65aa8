/* endpoint: is anybody there?
 *
 * ZeroMQ connects in the background and for ever, so a missing broker looks
 * like a slow one. A plain connect says at once whether something listens. */
#ifndef SLUICE_CLI_ENDPOINT_H
#define SLUICE_CLI_ENDPOINT_H

#include <stddef.h>
#include <stdint.h>

enum endpoint_state {
    ENDPOINT_LISTENS,
    ENDPOINT_SILENT,  /* nobody listens, or no answer within wait_ms */
    ENDPOINT_INVALID, /* neither tcp://HOST:PORT nor ipc://PATH */
};

/* `reason`: a few words for people, unless it listens. Blocks for wait_ms at most (and for
 * as long as a name takes to resolve). */
enum endpoint_state endpoint_probe(const char *endpoint, unsigned wait_ms, char *reason,
                                   size_t reason_size);

#endif
