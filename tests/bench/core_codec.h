/* core_codec: the commands of an echo, written and read again, without a broker.
 *
 * SUBMIT, TASK, DONE and RESULT of each task, in batches of a hundred; ids and
 * payloads that are read are compared with what was written. Each of the two is a function that
 * callgrind finds by its name. */
#ifndef SLUICE_TESTS_BENCH_CORE_CODEC_H
#define SLUICE_TESTS_BENCH_CORE_CODEC_H

#include <stdint.h>

struct codec_times {
    double encode_s, decode_s; /* CPU */
    uint64_t heap_calls;       /* of both */
    uint64_t corrupt;          /* commands that were not as they had been written */
};

/* Of `tasks` tasks with payloads of `payload_bytes`, PAYLOAD_INLINE_MAX at most: larger ones are
 * not encoded. No memory: ends the program. */
void codec_measure(uint64_t tasks, uint64_t payload_bytes, uint64_t seed,
                   struct codec_times *times);

#endif
