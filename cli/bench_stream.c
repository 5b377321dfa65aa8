#include "cli/bench_stream.h"

#include "cli/echo_check.h"

#include <stdlib.h>
#include <string.h>

/* SUSPENDS while the reader is behind. */
static bool send_all(struct sluice_task *task, const struct bench_stream *stream,
                     const struct echo_check *pattern, uint8_t *chunk)
{
    for (uint64_t i = 0; i < stream->chunks; i++) {
        echo_check_fill(pattern, stream->first + i, chunk);
        if (sluice_chunk(task, (struct sluice_bytes){chunk, stream->chunk_bytes}) != 0) {
            return false;
        }
    }
    return true;
}

void bench_stream_work(struct sluice_task *task, void *arg)
{
    struct sluice_bytes payload = sluice_task_payload(task);
    struct bench_stream stream;
    struct echo_check pattern;
    uint8_t *chunk;

    if (payload.size != sizeof(stream)) {
        sluice_failf(task, "bad_arguments", "no struct bench_stream");
        return;
    }
    memcpy(&stream, payload.data, sizeof(stream));
    chunk = malloc(stream.chunk_bytes);
    if (chunk == NULL || !echo_check_init(&pattern, 1, stream.chunk_bytes)) {
        sluice_failf(task, "no_memory", "for a chunk");
    } else {
        if (send_all(task, &stream, &pattern, chunk)) {
            sluice_done(task, payload);
        }
        echo_check_deinit(&pattern);
    }
    free(chunk);
}
