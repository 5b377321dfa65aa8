/* chaos: what the workers and submitters of a chaos run agree on.
 *
 * A payload is text: `NUMBER NAME`, unique in the run. NUMBER says what its service makes
 * of it, see chaos_worker.c. The right answer to it is its hash and itself. */
#ifndef SLUICE_TESTS_CHAOS_CHAOS_H
#define SLUICE_TESTS_CHAOS_CHAOS_H

#include "agents/runtime/sluice.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CHAOS_PAYLOAD_MAX 32768
#define CHAOS_ANSWER_MAX (CHAOS_PAYLOAD_MAX + 32)
#define CHAOS_LINE_MAX 256
#define CHAOS_ALWAYS 99 /* chaos.fail: in every attempt, for good */

/* CLOCK_MONOTONIC: one clock for every process of the machine, which no jump of the
 * wall clock moves. */
static inline unsigned long long chaos_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (unsigned long long)now.tv_sec * 1000 + (unsigned long long)now.tv_nsec / 1000000;
}

/* FNV-1a of Fowler, Noll and Vo. */
static inline unsigned long long chaos_hash(const void *data, size_t size)
{
    const unsigned char *bytes = data;
    unsigned long long hash = 0xcbf29ce484222325u;

    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    }
    return hash;
}

/* Writes the answer to `payload` into `answer`; its size. Payloads over CHAOS_PAYLOAD_MAX
 * get none: 0. */
static inline size_t chaos_answer(struct sluice_bytes payload, char answer[CHAOS_ANSWER_MAX])
{
    int head;

    if (payload.size > CHAOS_PAYLOAD_MAX) {
        return 0;
    }
    head = snprintf(answer, 32, "%016llx ", chaos_hash(payload.data, payload.size));
    memcpy(answer + head, payload.data, payload.size);
    return (size_t)head + payload.size;
}

static inline bool chaos_answer_right(struct sluice_bytes payload, struct sluice_bytes got)
{
    static char answer[CHAOS_ANSWER_MAX];
    size_t size = chaos_answer(payload, answer);

    return got.size == size && memcmp(got.data, answer, size) == 0;
}

#endif
