#include "cli/command.h"

#include "agents/runtime/sluice.h"

static int version_run(struct cli *cli, const struct command *self, int argc, char **argv)
{
    struct arguments arguments;
    int code;

    if (!command_parse(cli, self, NULL, argc, argv, &arguments, &code)) {
        return code;
    }
    printf(cli->json ? "{\"version\": \"%s\"}\n" : "sluice %s\n", sluice_version());
    return EXIT_DONE;
}

const struct command command_version = {
    .name = "version", .arguments = "", .summary = "which version this is", .run = version_run};
