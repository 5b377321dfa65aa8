#include "cli/chunks.h"

#include "cli/record.h"
#include "common/json.h"

#include <inttypes.h>
#include <stdio.h>

static void print_json(const struct sluice_chunk *chunk)
{
    json_t *line = json_object();
    json_t *text = json_stringn(chunk->bytes.data, chunk->bytes.size); /* NULL: no UTF-8 */

    json_object_set_new(line, "attempt", json_integer(chunk->attempt));
    json_object_set_new(line, "sequence", json_integer((json_int_t)chunk->sequence));
    json_object_set_new(line, "lost", json_integer((json_int_t)chunk->lost));
    json_object_set_new(line, "bytes", json_integer((json_int_t)chunk->bytes.size));
    if (text != NULL) {
        json_object_set_new(line, "text", text);
    } else {
        json_t *value = sluice_unpack_json(chunk->bytes);

        json_object_set_new(line, "value",
                            value != NULL ? value
                                          : json_raw_bytes(span_of(chunk->bytes.data,
                                                                   chunk->bytes.size)));
    }
    record_dump(line, stdout, false);
    json_decref(line);
}

static void print_bytes(const struct sluice_chunk *chunk)
{
    if (chunk->restarted) {
        fprintf(stderr, "sluice: attempt %u starts from the beginning\n", chunk->attempt);
    }
    if (chunk->lost > 0) {
        fprintf(stderr, "sluice: %" PRIu64 " chunk(s) before this one are gone\n", chunk->lost);
    }
    fwrite(chunk->bytes.data, 1, chunk->bytes.size, stdout);
}

int chunks_print(struct sluice_stream *stream, bool json)
{
    struct sluice_chunk chunk;
    int result;

    while ((result = sluice_next_chunk(stream, &chunk)) == 1) {
        if (json) {
            print_json(&chunk);
        } else {
            print_bytes(&chunk);
        }
        fflush(stdout);
    }
    return result;
}
