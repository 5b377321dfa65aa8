#include "cli/grid.h"
#include "cli/record.h"
#include "cli/terminal.h"
#include "cli/visit.h"

#define GENERATIONS_MAX 100

struct tree_query {
    struct cli *cli;
    struct sluice_id id;
    bool family; /* from its topmost parent */
};

static const struct grid_column columns[] = {
    {"SERVICE", false, true}, {"STATE", false, false}, {"ATTEMPT", true, false},
    {"WAITED", true, false},  {"RAN", true, false},    {"WORKER", false, true},
    {"TASK", false, false},
};

static void row_add(struct grid *grid, const json_t *task)
{
    const char *service = record_text(task, "service");
    uint64_t depth = record_uint(task, "depth");
    char text[RECORD_VALUE_SIZE];

    snprintf(text, sizeof(text), "%*s%s", (int)(2 * (depth < 32 ? depth : 32)), "",
             service[0] != '\0' ? service : "(join)");
    grid_text(grid, text);
    grid_text(grid, record_text(task, "state"));
    grid_count(grid, record_uint(task, "attempt"));
    grid_ms(grid, record_uint(task, "waited_ms"));
    grid_ms(grid, record_uint(task, "ran_ms"));
    grid_text(grid, record_value(task, "worker", text));
    grid_text(grid, record_value(task, "id", text));
}

static void tree_print(const json_t *reply)
{
    struct grid grid;
    json_t *task;
    size_t i;

    grid_init(&grid, columns, sizeof(columns) / sizeof(columns[0]));
    json_array_foreach(json_object_get(reply, "tasks"), i, task) {
        row_add(&grid, task);
    }
    grid_print(&grid, stdout, SIZE_MAX);
    grid_deinit(&grid);
    if (json_is_true(json_object_get(reply, "more"))) {
        printf("... and more; this is the first hundred\n");
    }
}

/* The topmost parent that the broker still knows. */
static int find_root(struct sluice *sluice, struct sluice_id *id)
{
    for (int i = 0; i < GENERATIONS_MAX; i++) {
        json_t *status = NULL;
        int code = visit_query(sluice, "status", id, NULL, &status);
        char text[RECORD_VALUE_SIZE];
        bool above = json_object_get(status, "parent") != NULL &&
                     sluice_id_parse(record_value(status, "parent", text), id);

        json_decref(status);
        if (code != EXIT_DONE || !above) {
            return code;
        }
    }
    return EXIT_DONE;
}

static int tree_main(struct sluice *sluice, void *arg)
{
    struct tree_query *query = arg;
    json_t *reply = NULL;
    int code = query->family ? find_root(sluice, &query->id) : EXIT_DONE;

    if (code == EXIT_DONE) {
        code = visit_query(sluice, "tree", &query->id, NULL, &reply);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    if (query->cli->json) {
        record_dump(reply, stdout, terminal_is(stdout));
    } else {
        tree_print(reply);
    }
    json_decref(reply);
    return EXIT_DONE;
}

static int tree_run(struct cli *cli, const struct command *self, int argc, char **argv)
{
    struct tree_query query = {.cli = cli};
    struct option_spec specs[] = {
        OPTION_FLAG_SPEC("family", &query.family, "the whole of it: from its topmost parent"),
    };
    struct option_set set = {specs, 1};
    struct arguments arguments;
    int code;

    if (!command_parse(cli, self, &set, argc, argv, &arguments, &code)) {
        return code;
    }
    if (!visit_id(self, arguments.items[0], &query.id)) {
        return EXIT_USAGE;
    }
    return visit(cli, self, tree_main, &query);
}

const struct command command_tree = {
    .name = "tree",
    .arguments = "TASK",
    .summary = "a task and everything below it",
    .arguments_min = 1,
    .arguments_max = 1,
    .run = tree_run,
};
