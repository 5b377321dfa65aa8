#include "cli/chunks.h"
#include "cli/visit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct tail {
    struct cli *cli;
    struct sluice_id id;
};

static int tail_main(struct sluice *sluice, void *arg)
{
    struct tail *tail = arg;
    struct sluice_stream *stream = sluice_read(sluice, &tail->id, 0);
    int result;

    if (stream == NULL) {
        fprintf(stderr, "sluice: out of memory\n");
        return EXIT_TASK;
    }
    result = chunks_print(stream, tail->cli->json);
    sluice_stream_free(stream);
    if (result == -ENOENT) {
        fprintf(stderr, "sluice: no such task; it has ended and been forgotten, or never was\n");
    } else if (result != 0) {
        fprintf(stderr, "sluice: the stream cannot be read: %s\n", strerror(-result));
    }
    return result == 0 ? EXIT_DONE : EXIT_TASK;
}

static int tail_run(struct cli *cli, const struct command *self, int argc, char **argv)
{
    struct tail tail = {.cli = cli};
    struct option_set set = {NULL, 0};
    struct arguments arguments;
    int code;

    if (!command_parse(cli, self, &set, argc, argv, &arguments, &code)) {
        return code;
    }
    if (!visit_id(self, arguments.items[0], &tail.id)) {
        return EXIT_USAGE;
    }
    return visit(cli, self, tail_main, &tail);
}

const struct command command_tail = {
    .name = "tail",
    .arguments = "TASK",
    .summary = "follow the stream of a task until it ends",
    .about = "Prints what the broker still has of it, then what comes, byte for byte. It never\n"
             "slows the task: chunks that it was too slow for are counted on standard error.\n"
             "With --json: a line a chunk, with attempt, sequence, lost, bytes and text.\n",
    .arguments_min = 1,
    .arguments_max = 1,
    .run = tail_run,
};
