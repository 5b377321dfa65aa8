#include "cli/listing.h"
#include "cli/record.h"
#include "cli/terminal.h"
#include "cli/visit.h"

static int peers_main(struct sluice *sluice, void *arg)
{
    struct cli *cli = arg;
    json_t *rows = NULL;
    int code = visit_pages(sluice, "peers", "peers", &rows);

    if (code != EXIT_DONE) {
        return code;
    }
    if (cli->json) {
        record_dump(rows, stdout, terminal_is(stdout));
    } else {
        listing_peers(rows, stdout, SIZE_MAX);
    }
    json_decref(rows);
    return EXIT_DONE;
}

static int peers_run(struct cli *cli, const struct command *self, int argc, char **argv)
{
    struct arguments arguments;
    int code;

    if (!command_parse(cli, self, NULL, argc, argv, &arguments, &code)) {
        return code;
    }
    return visit(cli, self, peers_main, cli);
}

const struct command command_peers = {
    .name = "peers", .arguments = "", .summary = "who is connected", .run = peers_run};
