#include "cli/failure.h"
#include "cli/record.h"
#include "cli/terminal.h"
#include "cli/visit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct signalling {
    struct cli *cli;
    struct sluice_id id;
    struct sluice_bytes payload;
};

static int signal_main(struct sluice *sluice, void *arg)
{
    struct signalling *signalling = arg;
    json_t *reply = NULL;
    int result = sluice_signal(sluice, &signalling->id, signalling->payload, &reply);

    if (result == -EREMOTEIO) {
        failure_print_json("signal", reply);
        json_decref(reply);
        return EXIT_TASK;
    }
    if (result != 0) {
        fprintf(stderr, "sluice: nobody has taken the signal (%s)\n", strerror(-result));
        return EXIT_TASK;
    }
    if (signalling->cli->json) {
        record_dump(reply, stdout, terminal_is(stdout));
    } else {
        printf("%s\n", json_is_true(json_object_get(reply, "delivered"))
                           ? "delivered"
                           : "kept for its start");
    }
    json_decref(reply);
    return EXIT_DONE;
}

static int signal_run(struct cli *cli, const struct command *self, int argc, char **argv)
{
    struct signalling signalling = {.cli = cli};
    struct option_set set = {NULL, 0};
    struct arguments arguments;
    json_t *value;
    int code;

    if (!command_parse(cli, self, &set, argc, argv, &arguments, &code)) {
        return code;
    }
    if (!visit_id(self, arguments.items[0], &signalling.id)) {
        return EXIT_USAGE;
    }
    value = json_loads(arguments.items[1], JSON_DECODE_ANY, NULL);
    if (value == NULL) {
        return command_usage(self, "no JSON: %s", arguments.items[1]);
    }
    signalling.payload = sluice_pack_json(value);
    json_decref(value);
    if (signalling.payload.data == NULL) {
        return command_usage(self, "the payload cannot be packed");
    }
    code = visit(cli, self, signal_main, &signalling);
    free((void *)signalling.payload.data);
    return code;
}

const struct command command_signal = {
    .name = "signal",
    .arguments = "TASK JSON",
    .summary = "send something to a task that has not ended",
    .about = "The attempt that runs gets it at once; if none does, the next one.\n\n"
             "  sluice signal TASK '{\"approved\": true}'\n",
    .arguments_min = 2,
    .arguments_max = 2,
    .run = signal_run,
};
