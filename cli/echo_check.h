/* echo_check: payloads that prove, byte for byte, what came back.
 *
 * A payload is its sequence number (8 bytes, spread) and a pattern that depends on
 * it, so that a reply cut short, mixed up, repeated or changed is
 * noticed. Used by `sluice bench echo` and by the zmq_proxy floor alike, so
 * that both pay the same for it. libc only; one thread. */
#ifndef SLUICE_CLI_ECHO_CHECK_H
#define SLUICE_CLI_ECHO_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ECHO_PAYLOAD_MIN 8

struct echo_check {
    uint64_t tasks;
    size_t payload_bytes;
    uint8_t *pattern;    /* 256 starting points, payload_bytes beyond the last */
    uint8_t *seen;       /* a bit for each sequence number */
    uint64_t received;   /* correct, first time */
    uint64_t duplicated; /* correct, seen before */
    uint64_t corrupt;    /* not what was sent */
};

/* Needs: payload_bytes >= ECHO_PAYLOAD_MIN. False: no memory, nothing to deinit. */
bool echo_check_init(struct echo_check *check, uint64_t tasks, size_t payload_bytes);
void echo_check_deinit(struct echo_check *check);

/* Writes payload number `sequence` to `payload`, payload_bytes long. */
void echo_check_fill(const struct echo_check *check, uint64_t sequence, uint8_t *payload);

/* Judges and counts one reply. True: correct and new; its number is *sequence. */
bool echo_check_reply(struct echo_check *check, const void *data, size_t size, uint64_t *sequence);

#endif
