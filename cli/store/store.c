#include "cli/store/store.h"

#include "cli/command.h"

#include <assert.h>
#include <string.h>

static_assert((int)STORE_EXIT_DONE == (int)EXIT_DONE &&
                  (int)STORE_EXIT_DAMAGED == (int)EXIT_TASK &&
                  (int)STORE_EXIT_USAGE == (int)EXIT_USAGE,
              "they are the same to the shell");

static int store_run(struct cli *cli, const struct command *self, int argc, char **argv)
{
    struct arguments arguments;
    const char *what, *path, *file;
    int code;

    if (!command_parse(cli, self, NULL, argc, argv, &arguments, &code)) {
        return code;
    }
    what = arguments.items[0];
    path = arguments.items[1];
    file = arguments.count > 2 ? arguments.items[2] : NULL;
    if (strcmp(what, "export") == 0) {
        return export_run(path, file, cli->json);
    }
    if (strcmp(what, "import") == 0) {
        return import_run(path, file, cli->json);
    }
    if (strcmp(what, "check") == 0 && file == NULL) {
        return check_run(path, cli->json);
    }
    if (strcmp(what, "stats") == 0 && file == NULL) {
        return stats_run(path, cli->json);
    }
    if (strcmp(what, "compact") == 0 && file == NULL) {
        return compact_run(path, cli->json);
    }
    return command_usage(self, "it is check, stats or compact with PATH, or export or import with "
                               "PATH [FILE]");
}

const struct command command_store = {
    .name = "store",
    .arguments = "WORD PATH [FILE]",
    .summary = "a broker's durable tasks: check, stats, export, import, compact",
    .about = "WORD is one of\n"
             "  check   is all that is in it as it was written? Names what is not\n"
             "  stats   what is in it: tasks by service, bytes, what is free\n"
             "  export  writes its rows to FILE, or standard output: a line of JSON each\n"
             "  import  makes a new store at PATH of such lines: of all of them, or none\n"
             "  compact makes the file as small as what is in it\n"
             "It needs no broker, and the store of one that runs is locked: it says so. Only\n"
             "import and compact write to PATH. Exit codes: 0 good, 1 damage was found or a\n"
             "line is wrong, 2 there is no such store, or it cannot be opened.\n",
    .arguments_min = 2,
    .arguments_max = 3,
    .run = store_run,
};
