/* sluice list: the detached tasks. */
#include "cli/failure.h"
#include "cli/grid.h"
#include "cli/record.h"
#include "cli/terminal.h"
#include "cli/visit.h"

#include <stdio.h>
#include <string.h>

#define ROWS_DEFAULT 1000

struct enquiry {
    struct cli *cli;
    const char *service, *state;
    uint64_t limit;
};

/* Page by page, until there is no more or `limit` rows. */
static int gather(struct sluice *sluice, const struct enquiry *enquiry, json_t *rows, bool *more)
{
    char cursor[257] = "";

    do {
        json_t *page = NULL;
        const char *next;
        int code = visit_list(sluice, enquiry->service, enquiry->state,
                              cursor[0] != '\0' ? cursor : NULL, &page);

        if (code != EXIT_DONE) {
            return code;
        }
        json_array_extend(rows, json_object_get(page, "tasks"));
        next = json_string_value(json_object_get(page, "next"));
        snprintf(cursor, sizeof(cursor), "%s", next != NULL ? next : "");
        json_decref(page);
    } while (cursor[0] != '\0' && json_array_size(rows) < enquiry->limit);
    *more = cursor[0] != '\0' || json_array_size(rows) > enquiry->limit;
    while (json_array_size(rows) > enquiry->limit) {
        json_array_remove(rows, json_array_size(rows) - 1);
    }
    return EXIT_DONE;
}

static void rows_print(const json_t *rows)
{
    static const struct grid_column columns[] = {
        {"TASK", false, false},  {"SERVICE", false, true}, {"STATE", false, false},
        {"ATTEMPT", true, false}, {"WAITED", true, false}, {"RAN", true, false},
        {"WORKER", false, true}, {"KEPT", true, false},
    };
    static const char *const names[] = {"id",        "service", "state",  "attempt",
                                        "waited_ms", "ran_ms",  "worker", "kept_ms"};
    char text[RECORD_VALUE_SIZE];
    struct grid grid;
    json_t *row;
    size_t i;

    grid_init(&grid, columns, sizeof(columns) / sizeof(columns[0]));
    json_array_foreach((json_t *)rows, i, row) {
        for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
            grid_text(&grid, record_value(row, names[k], text));
        }
    }
    grid_print(&grid, stdout, SIZE_MAX);
    grid_deinit(&grid);
}

static int list_main(struct sluice *sluice, void *arg)
{
    const struct enquiry *enquiry = arg;
    json_t *rows = json_array();
    bool more = false;
    int code = gather(sluice, enquiry, rows, &more);

    if (code == EXIT_DONE && enquiry->cli->json) {
        record_dump(rows, stdout, terminal_is(stdout));
    } else if (code == EXIT_DONE) {
        rows_print(rows);
    }
    if (more) {
        fprintf(stderr, "sluice: there are more: --limit, or --service and --state\n");
    }
    json_decref(rows);
    return code;
}

/* PROTOCOL.md, QUERY `list`. */
static bool is_state(const char *name)
{
    static const char *const states[] = {"waiting",    "ready",   "delayed", "leased",
                                         "cancelling", "storing", "done",    "failed",
                                         "cancelled",  "expired", "ended"};

    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        if (strcmp(states[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static int list_run(struct cli *cli, const struct command *self, int argc, char **argv)
{
    struct enquiry enquiry = {.cli = cli, .limit = ROWS_DEFAULT};
    struct option_spec specs[] = {
        OPTION_TEXT_SPEC("service", &enquiry.service, "NAME", "only tasks of this service"),
        OPTION_TEXT_SPEC("state", &enquiry.state, "STATE",
                         "only those waiting, ready, delayed, leased, ... or ended"),
        OPTION_UINT_SPEC("limit", &enquiry.limit, "N", 1, 10000000, "rows at most (1,000)"),
    };
    struct option_set set = {specs, sizeof(specs) / sizeof(specs[0])};
    struct arguments arguments;
    int code;

    if (!command_parse(cli, self, &set, argc, argv, &arguments, &code)) {
        return code;
    }
    if (enquiry.state != NULL && !is_state(enquiry.state)) {
        return command_usage(self, "--state is waiting, ready, delayed, leased, cancelling, "
                                   "storing, done, failed, cancelled, expired or ended");
    }
    return visit(cli, self, list_main, &enquiry);
}

const struct command command_list = {
    .name = "list",
    .arguments = "",
    .summary = "the detached tasks, in the order of their acceptance",
    .about = "Those that run, and those that have ended and whose outcome is still kept.\n"
             "`sluice result TASK` fetches one.\n",
    .run = list_run,
};
