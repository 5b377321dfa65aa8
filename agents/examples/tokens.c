/* tokens: a stream through two agents. A writer streams tokens, an editor reads them, changes each
 * and streams on, a slow reader takes them one by one; when it does not keep up both are paused,
 * and no token is lost or kept in a queue without a bound. */
#include "agents/examples/example.h"

#include <ctype.h>
#include <string.h>

#define TOKENS 3000
#define WINDOW 4 /* chunks that a reader asks for ahead */

/* How far the writer has been ahead of the reader; one thread. */
static struct {
    unsigned written, taken, ahead_most;
} seen;

static void write_tokens(struct sluice_task *task, void *arg)
{
    static const char *const words[] = {"high ", "water ", "comes ", "twice ", "a ", "day ... "};

    for (unsigned i = 0; i < TOKENS; i++) {
        const char *word = words[i % 6];

        if (sluice_chunk(task, (struct sluice_bytes){word, strlen(word)}) != 0) {
            sluice_failf(task, "cancelled", "the stream is not wanted any more");
            return;
        }
        seen.written++;
        if (seen.written - seen.taken > seen.ahead_most) {
            seen.ahead_most = seen.written - seen.taken;
        }
    }
    sluice_done_json(task, json_pack("{s:i}", "tokens", TOKENS));
}

/* Each token in capitals, as soon as it is there. */
static void edit_tokens(struct sluice_task *task, void *arg)
{
    const struct sluice_submit_options streamed = {.stream = WINDOW};
    struct sluice *sluice = sluice_task_peer(task);
    struct sluice_future *writer =
        sluice_submit_json(sluice, "example.writer", json_object(), &streamed);
    struct sluice_chunk chunk;

    while (sluice_next_chunk(sluice_future_stream(writer), &chunk) == 1) {
        char token[32];
        size_t size = chunk.bytes.size < sizeof token ? chunk.bytes.size : sizeof token;

        for (size_t i = 0; i < size; i++) {
            token[i] = (char)toupper(((const unsigned char *)chunk.bytes.data)[i]);
        }
        if (sluice_chunk(task, (struct sluice_bytes){token, size}) != 0) {
            break;
        }
    }
    if (sluice_await(writer) == SLUICE_DONE) {
        sluice_done_json(task, json_incref(sluice_future_json(writer)));
    } else {
        example_fail_as(task, writer);
    }
    sluice_future_free(writer);
}

static void read_tokens(struct sluice_task *task, void *arg)
{
    const struct sluice_submit_options streamed = {.stream = WINDOW};
    struct sluice *sluice = sluice_task_peer(task);
    struct sluice_future *editor =
        sluice_submit_json(sluice, "example.editor", json_object(), &streamed);
    uint64_t begun_ms = sluice_now_ms(sluice), first_ms = 0;
    struct sluice_chunk chunk;
    char begin[64] = "";
    unsigned lost = 0;

    while (sluice_next_chunk(sluice_future_stream(editor), &chunk) == 1) {
        size_t used = strlen(begin);

        if (seen.taken++ == 0) {
            first_ms = sluice_now_ms(sluice) - begun_ms;
        }
        lost += (unsigned)chunk.lost;
        if (used + chunk.bytes.size < sizeof begin) {
            memcpy(begin + used, chunk.bytes.data, chunk.bytes.size);
            begin[used + chunk.bytes.size] = '\0';
        }
        if (seen.taken % 100 == 0 && !example_work(task, example_work_ms() / 100)) {
            sluice_future_free(editor); /* somebody has cancelled the reader: all of it stops */
            return;
        }
    }
    if (sluice_await(editor) == SLUICE_DONE) {
        sluice_done_json(task, json_pack("{s:s, s:i, s:i, s:i, s:I}", "begins", begin, "tokens",
                                         seen.taken, "lost", lost, "ahead_most", seen.ahead_most,
                                         "first_ms", (json_int_t)first_ms));
    } else {
        example_fail_as(task, editor);
    }
    sluice_future_free(editor);
}

static int ask(struct sluice *sluice, void *arg)
{
    return example_ask(sluice, "example.reader", json_object());
}

static const struct sluice_service services[] = {
    {.name = "example.writer", .handler = write_tokens, .about = "Streams tokens"},
    {.name = "example.editor", .handler = edit_tokens, .about = "Streams them on, in capitals"},
    {.name = "example.reader", .handler = read_tokens, .about = "Takes them, slowly"},
};

static const struct example example = {
    .name = "tokens",
    .about = "A stream of tokens through two agents, to a slow reader. The first token is there\n"
             "long before the last one is written, and the writer is never far ahead.\n",
    .services = services,
    .service_count = sizeof services / sizeof *services,
    .ask = ask,
};

int main(int argc, char **argv)
{
    return example_main(&example, argc, argv);
}
