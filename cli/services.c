#include "cli/listing.h"
#include "cli/record.h"
#include "cli/terminal.h"
#include "cli/visit.h"

static int services_main(struct sluice *sluice, void *arg)
{
    struct cli *cli = arg;
    json_t *rows = NULL;
    int code = visit_pages(sluice, "catalog", "services", &rows);

    if (code != EXIT_DONE) {
        return code;
    }
    if (cli->json) {
        record_dump(rows, stdout, terminal_is(stdout));
    } else {
        listing_services(rows, stdout, SIZE_MAX, true);
    }
    json_decref(rows);
    return EXIT_DONE;
}

static int services_run(struct cli *cli, const struct command *self, int argc, char **argv)
{
    struct arguments arguments;
    int code;

    if (!command_parse(cli, self, NULL, argc, argv, &arguments, &code)) {
        return code;
    }
    return visit(cli, self, services_main, cli);
}

const struct command command_services = {
    .name = "services",
    .arguments = "",
    .summary = "who offers what, and how long the queues are",
    .run = services_run,
};
