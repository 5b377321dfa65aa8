/* sluice backup: the broker makes a copy of its store, while it serves it. */
#include "cli/quantity.h"
#include "cli/record.h"
#include "cli/terminal.h"
#include "cli/visit.h"

static int backup_main(struct sluice *sluice, void *arg)
{
    const struct cli *cli = arg;
    char bytes[QUANTITY_SIZE];
    json_t *reply = NULL;
    int code = visit_control(sluice, "backup", NULL, &reply);

    if (code != EXIT_DONE) {
        return code;
    }
    if (cli->json) {
        record_dump(reply, stdout, terminal_is(stdout));
    } else {
        terminal_print(stdout, record_text(reply, "path"));
        printf("\n");
        fprintf(stderr, "%s\n", quantity_bytes(record_uint(reply, "bytes"), bytes));
    }
    json_decref(reply);
    return EXIT_DONE;
}

static int backup_run(struct cli *cli, const struct command *self, int argc, char **argv)
{
    struct arguments arguments;
    int code;

    return command_parse(cli, self, NULL, argc, argv, &arguments, &code)
               ? visit(cli, self, backup_main, cli)
               : code;
}

const struct command command_backup = {
    .name = "backup",
    .arguments = "",
    .summary = "copy the broker's durable tasks, while it goes on",
    .about = "The broker writes the copy on its own machine, beside its store or where --backups\n"
             "says, and nothing waits for it. When it is there, whole and synced, its path is\n"
             "printed. A broker can be started on it (--store), and `sluice store` looks at it.\n"
             "Old ones are yours to remove: there may be 16.\n",
    .run = backup_run,
};
