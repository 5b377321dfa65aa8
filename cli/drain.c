/* sluice drain, sluice undrain: something takes nothing new, so that it can be stopped. */
#include "cli/record.h"
#include "cli/terminal.h"
#include "cli/visit.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS 100 /* with --wait */

struct drain {
    struct cli *cli;
    const char *what; /* drain, undrain */
    enum { DRAIN_BROKER, DRAIN_SERVICE, DRAIN_PEER } kind;
    const char *name; /* of the service or peer; a peer's may be its number */
    uint64_t peer;
    bool wait;
};

/* A peer's number, by its number or its name. */
static int find_peer(struct sluice *sluice, struct drain *drain)
{
    char *end;
    uint64_t number = strtoull(drain->name, &end, 10);
    size_t found = 0, i;
    json_t *rows = NULL, *row;
    int code = visit_pages(sluice, "peers", "peers", &rows);

    if (code != EXIT_DONE) {
        return code;
    }
    json_array_foreach(rows, i, row) {
        uint64_t peer = record_uint(row, "peer");

        if (strcmp(record_text(row, "name"), drain->name) == 0 ||
            (*end == '\0' && peer == number)) {
            drain->peer = peer;
            found++;
        }
    }
    json_decref(rows);
    if (found != 1) {
        fprintf(stderr, "sluice: %s '%s'; their numbers: sluice peers\n",
                found == 0 ? "there is no peer" : "there are several peers", drain->name);
        return EXIT_TASK;
    }
    return EXIT_DONE;
}

static int control(struct sluice *sluice, const struct drain *drain, json_t **reply)
{
    const struct sluice_control_options options = {
        .peer = drain->peer,
        .service = drain->kind == DRAIN_SERVICE ? drain->name : NULL,
    };

    return visit_control(sluice, drain->what, &options, reply);
}

/* What has yet to end of the row whose `key` is this peer's number or this service's name; of
 * none that is there: nothing. */
static int left_of_row(struct sluice *sluice, const struct drain *drain, uint64_t *left)
{
    bool peer = drain->kind == DRAIN_PEER;
    json_t *rows = NULL, *row;
    int code = visit_pages(sluice, peer ? "peers" : "catalog", peer ? "peers" : "services", &rows);
    size_t i;

    *left = 0;
    json_array_foreach(rows, i, row) {
        if (peer && record_uint(row, "peer") == drain->peer) {
            *left = record_uint(row, "held");
        } else if (!peer && strcmp(record_text(row, "service"), drain->name) == 0) {
            *left = record_uint(row, "unfinished");
        }
    }
    json_decref(rows);
    return code;
}

static int left_of(struct sluice *sluice, const struct drain *drain, uint64_t *left)
{
    json_t *stats = NULL;
    int code;

    if (drain->kind != DRAIN_BROKER) {
        return left_of_row(sluice, drain, left);
    }
    code = visit_query(sluice, "stats", NULL, NULL, &stats);
    *left = record_uint(stats, "tasks");
    json_decref(stats);
    return code;
}

static int wait_for_end(struct sluice *sluice, const struct drain *drain, uint64_t *left)
{
    int code = EXIT_DONE;

    while (code == EXIT_DONE && *left > 0) {
        if (sluice_sleep_ms(sluice, LOOK_MS) != 0) {
            return EXIT_TASK;
        }
        code = left_of(sluice, drain, left);
    }
    return code;
}

static int drain_main(struct sluice *sluice, void *arg)
{
    struct drain *drain = arg;
    json_t *reply = NULL;
    uint64_t left;
    int code = drain->kind == DRAIN_PEER ? find_peer(sluice, drain) : EXIT_DONE;

    if (code == EXIT_DONE) {
        code = control(sluice, drain, &reply);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    left = record_uint(reply, "left");
    json_decref(reply);
    if (drain->wait) {
        code = wait_for_end(sluice, drain, &left);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    if (drain->cli->json) {
        printf("{\"left\": %" PRIu64 "}\n", left);
    } else if (strcmp(drain->what, "drain") == 0) {
        printf("drained; %" PRIu64 " left\n", left);
    } else {
        printf("takes work again\n");
    }
    visit_note_absent(sluice, drain->kind == DRAIN_SERVICE ? drain->name : NULL);
    return EXIT_DONE;
}

static int drain_run(struct cli *cli, const struct command *self, int argc, char **argv)
{
    struct drain drain = {.cli = cli, .what = self->name};
    struct option_spec specs[] = {
        OPTION_FLAG_SPEC("wait", &drain.wait, "until nothing is left"),
    };
    struct option_set set = {specs, strcmp(self->name, "drain") == 0 ? 1 : 0};
    struct arguments arguments;
    const char *kind;
    int code;

    if (!command_parse(cli, self, &set, argc, argv, &arguments, &code)) {
        return code;
    }
    kind = arguments.items[0];
    drain.name = arguments.count > 1 ? arguments.items[1] : NULL;
    drain.kind = strcmp(kind, "service") == 0 ? DRAIN_SERVICE
                 : strcmp(kind, "peer") == 0  ? DRAIN_PEER
                                              : DRAIN_BROKER;
    if ((drain.kind == DRAIN_BROKER && strcmp(kind, "broker") != 0) ||
        (drain.kind == DRAIN_BROKER) != (drain.name == NULL)) {
        return command_usage(self, "it is peer NUMBER or NAME, service NAME, or broker");
    }
    return visit(cli, self, drain_main, &drain);
}

const struct command command_drain = {
    .name = "drain",
    .arguments = "WHAT [NAME]",
    .summary = "let it finish what it has, and give it nothing new",
    .about = "WHAT is peer, service or broker. A worker is handed nothing new; it is named by its\n"
             "name, or by its number in sluice peers. A service, or the broker, refuses what\n"
             "is submitted and hands out what waits. With --wait the command ends when nothing\n"
             "is left: then it can be stopped without a loss.\n\n"
             "  sluice drain peer 17 --wait\n"
             "  sluice drain service tool.fetch\n"
             "  sluice drain broker\n",
    .arguments_min = 1,
    .arguments_max = 2,
    .run = drain_run,
};

const struct command command_undrain = {
    .name = "undrain",
    .arguments = "WHAT [NAME]",
    .summary = "it takes work again",
    .arguments_min = 1,
    .arguments_max = 2,
    .run = drain_run,
};
