#include "cli/grid.h"
#include "cli/record.h"
#include "cli/terminal.h"
#include "cli/visit.h"

#include <string.h>

struct undertaking {
    struct cli *cli;
    const char *what; /* list, show, retry, drop */
    const char *service;
    struct sluice_id id;
    bool one; /* `id` was named */
};

static int list(struct sluice *sluice, const struct undertaking *undertaking)
{
    static const struct grid_column columns[] = {{"TASK", false, false},
                                                 {"SERVICE", false, true},
                                                 {"ATTEMPTS", true, false},
                                                 {"CODE", false, false},
                                                 {"WORKER", false, true},
                                                 {"MESSAGE", false, true}};
    static const char *const names[] = {"id", "service", "attempt", "code", "worker", "message"};
    char text[RECORD_VALUE_SIZE];
    json_t *rows = NULL, *row;
    struct grid grid;
    size_t i;
    int code = visit_pages(sluice, "dead", "letters", &rows);

    if (code != EXIT_DONE) {
        return code;
    }
    for (i = json_array_size(rows); undertaking->service != NULL && i-- > 0;) {
        if (strcmp(record_text(json_array_get(rows, i), "service"), undertaking->service) != 0) {
            json_array_remove(rows, i);
        }
    }
    if (undertaking->cli->json) {
        record_dump(rows, stdout, terminal_is(stdout));
    } else {
        grid_init(&grid, columns, sizeof(columns) / sizeof(columns[0]));
        json_array_foreach(rows, i, row) {
            for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
                grid_text(&grid, record_value(row, names[k], text));
            }
        }
        grid_print(&grid, stdout, SIZE_MAX);
        grid_deinit(&grid);
    }
    json_decref(rows);
    return EXIT_DONE;
}

static int show(struct sluice *sluice, const struct undertaking *undertaking)
{
    json_t *letter = NULL, *cause;
    size_t i;
    int code = visit_query(sluice, "letter", &undertaking->id, NULL, &letter);

    if (code != EXIT_DONE) {
        return code;
    }
    if (undertaking->cli->json) {
        record_dump(letter, stdout, terminal_is(stdout));
    } else {
        json_t *causes = json_incref(json_object_get(letter, "causes"));

        json_object_del(letter, "causes");
        record_print(letter, stdout);
        json_array_foreach(causes, i, cause) {
            printf("\n");
            record_print(cause, stdout);
        }
        json_decref(causes);
    }
    json_decref(letter);
    return EXIT_DONE;
}

static int control(struct sluice *sluice, const struct undertaking *undertaking)
{
    json_t *reply = NULL;
    const struct sluice_control_options options = {
        .task = undertaking->one ? &undertaking->id : NULL,
        .service = undertaking->service,
    };
    int code = visit_control(sluice, undertaking->what, &options, &reply);

    if (code != EXIT_DONE) {
        return code;
    }
    if (undertaking->cli->json) {
        record_dump(reply, stdout, terminal_is(stdout));
    } else {
        record_print(reply, stdout);
    }
    json_decref(reply);
    return EXIT_DONE;
}

static int dead_main(struct sluice *sluice, void *arg)
{
    const struct undertaking *undertaking = arg;

    if (strcmp(undertaking->what, "list") == 0) {
        return list(sluice, undertaking);
    }
    return strcmp(undertaking->what, "show") == 0 ? show(sluice, undertaking)
                                                  : control(sluice, undertaking);
}

static int dead_run(struct cli *cli, const struct command *self, int argc, char **argv)
{
    struct undertaking undertaking = {.cli = cli, .what = "list"};
    struct option_spec specs[] = {
        OPTION_TEXT_SPEC("service", &undertaking.service, "NAME", "only letters of this service"),
    };
    struct option_set set = {specs, 1};
    struct arguments arguments;
    bool all_or_one;
    int code;

    if (!command_parse(cli, self, &set, argc, argv, &arguments, &code)) {
        return code;
    }
    if (arguments.count > 0) {
        undertaking.what = arguments.items[0];
    }
    if (arguments.count > 1) {
        undertaking.one = true;
        if (!visit_id(self, arguments.items[1], &undertaking.id)) {
            return EXIT_USAGE;
        }
    }
    all_or_one = undertaking.one != (undertaking.service != NULL);
    if (strcmp(undertaking.what, "list") == 0 ? undertaking.one
        : strcmp(undertaking.what, "show") == 0
            ? !undertaking.one || undertaking.service != NULL
        : strcmp(undertaking.what, "retry") == 0 || strcmp(undertaking.what, "drop") == 0
            ? !all_or_one
            : true) {
        return command_usage(self, "it is list [--service NAME], show TASK, or retry or drop "
                                   "with TASK or --service NAME");
    }
    return visit(cli, self, dead_main, &undertaking);
}

const struct command command_dead = {
    .name = "dead",
    .arguments = "[list|show|retry|drop] [TASK]",
    .summary = "tasks that failed for good: see why, retry or drop them",
    .about = "Dead letters: tasks that asked for it, and detached ones, that ended as failed.\n"
             "retry submits one again under its id, detached; drop forgets it.\n",
    .arguments_max = 2,
    .run = dead_run,
};
