#include "cli/failure.h"
#include "cli/quantity.h"
#include "cli/record.h"
#include "cli/terminal.h"
#include "cli/visit.h"

#include <errno.h>
#include <string.h>

struct cancellation {
    struct cli *cli;
    struct sluice_id id;
    const char *reason;
};

static int cancel_main(struct sluice *sluice, void *arg)
{
    struct cancellation *cancellation = arg;
    char stopped[QUANTITY_SIZE];
    json_t *reply = NULL;
    int result = sluice_cancel_id(sluice, &cancellation->id, cancellation->reason, &reply);

    if (result == -EREMOTEIO) {
        failure_print_json("cancel", reply);
        json_decref(reply);
        return EXIT_TASK;
    }
    if (result != 0) {
        fprintf(stderr, "sluice: nobody has confirmed the cancel (%s); see sluice status\n",
                strerror(-result));
        return EXIT_TASK;
    }
    if (cancellation->cli->json) {
        record_dump(reply, stdout, terminal_is(stdout));
    } else {
        printf("%s; stopped %s task(s)\n", record_text(reply, "state"),
               quantity_count(record_uint(reply, "stopped"), stopped));
    }
    json_decref(reply);
    return EXIT_DONE;
}

static int cancel_run(struct cli *cli, const struct command *self, int argc, char **argv)
{
    struct cancellation cancellation = {.cli = cli, .reason = "cancelled by sluice cancel"};
    struct option_spec specs[] = {
        OPTION_TEXT_SPEC("reason", &cancellation.reason, "TEXT",
                         "for the log, `sluice events` and the audit"),
    };
    struct option_set set = {specs, 1};
    struct arguments arguments;
    int code;

    if (!command_parse(cli, self, &set, argc, argv, &arguments, &code)) {
        return code;
    }
    if (!visit_id(self, arguments.items[0], &cancellation.id)) {
        return EXIT_USAGE;
    }
    return visit(cli, self, cancel_main, &cancellation);
}

const struct command command_cancel = {
    .name = "cancel",
    .arguments = "TASK",
    .summary = "stop a task and everything below it",
    .about = "Comes back when all of it has stopped, and says how many tasks that were.\n",
    .arguments_min = 1,
    .arguments_max = 1,
    .run = cancel_run,
};
