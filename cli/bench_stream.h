/* bench_stream: what the benchmark of streams asks of its workers: the payload of a task, as
 * bytes. Both are the same program. */
#ifndef SLUICE_CLI_BENCH_STREAM_H
#define SLUICE_CLI_BENCH_STREAM_H

#include "agents/runtime/sluice.h"

struct bench_stream {
    uint64_t chunks;
    uint64_t chunk_bytes;
    uint64_t first; /* number of its first chunk: chunks are numbered through (cli/echo_check.h) */
};

/* The worker's handler: sends the chunks that the payload asks for. Not sync. */
void bench_stream_work(struct sluice_task *task, void *arg);

#endif
