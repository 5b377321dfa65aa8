/* sluice cron: the entries of a cron agent: see them, add one, remove one. */
#include "cli/call.h"
#include "cli/failure.h"
#include "cli/grid.h"
#include "cli/outcome.h"
#include "cli/payload.h"
#include "cli/record.h"
#include "cli/terminal.h"
#include "cli/visit.h"

#include <stdio.h>
#include <string.h>

#define DEADLINE_MS 30000 /* it answers at once; after it was killed another one does in 25 s */

struct errand {
    struct cli *cli;
    struct call call;
    void (*print)(const json_t *result);
};

static void print_entries(const json_t *result)
{
    static const struct grid_column columns[] = {
        {"NAME", false, true}, {"WHEN", false, true},  {"ZONE", false, true},
        {"SERVICE", false, true}, {"NEXT", false, false}, {"RUNS", true, false},
        {"SKIPPED", true, false}, {"MISSED", true, false}, {"LAST", false, false},
        {"TASK", false, false},
    };
    static const char *const names[] = {"service", "next", "runs", "skipped", "missed"};
    char text[RECORD_VALUE_SIZE];
    struct grid grid;
    json_t *row;
    size_t i;

    grid_init(&grid, columns, sizeof(columns) / sizeof(columns[0]));
    json_array_foreach(json_object_get(result, "entries"), i, row) {
        const json_t *last = json_object_get(row, "last");
        bool every = json_object_get(row, "every") != NULL;

        grid_text(&grid, record_text(row, "name"));
        snprintf(text, sizeof(text), "%s%s", every ? "every " : "",
                 record_text(row, every ? "every" : "cron"));
        grid_text(&grid, text);
        grid_text(&grid, every ? "-" : record_value(row, "zone", text));
        for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
            grid_text(&grid, record_value(row, names[k], text));
        }
        grid_text(&grid, record_value(last, "state", text));
        grid_text(&grid, record_value(last, "task", text));
    }
    grid_print(&grid, stdout, SIZE_MAX);
    grid_deinit(&grid);
}

static void print_times(const json_t *result)
{
    json_t *time;
    size_t i;

    json_array_foreach(json_object_get(result, "next"), i, time) {
        printf("%s\n", json_string_value(time));
    }
}

static void print_nothing(const json_t *result)
{
}

static int errand_main(struct sluice *sluice, void *arg)
{
    struct errand *errand = arg;
    struct sluice_future *future = call_run(sluice, &errand->call);
    const char *service = errand->call.service;
    int code = EXIT_TASK;

    if (future == NULL) {
        fprintf(stderr, "sluice: out of memory\n");
        return EXIT_TASK;
    }
    if (errand->cli->json || sluice_future_outcome(future) != SLUICE_DONE) {
        code = outcome_print(errand->cli, service, future);
    } else {
        errand->print(sluice_future_json(future));
        code = EXIT_DONE;
    }
    sluice_future_free(future);
    return code;
}

/* What is asked of the agent; false: no such thing, which is said. */
static bool errand_choose(struct errand *errand, const struct command *self,
                          const struct arguments *arguments, bool replace)
{
    const char *action = arguments->count > 0 ? arguments->items[0] : "list";
    const char *operand = arguments->count > 1 ? arguments->items[1] : NULL;
    struct call *call = &errand->call;

    if (strcmp(action, "list") == 0 && operand == NULL && !replace) {
        *call = (struct call){.service = "cron.list", .payload = json_object()};
        errand->print = print_entries;
    } else if (strcmp(action, "remove") == 0 && operand != NULL && !replace) {
        *call = (struct call){.service = "cron.remove",
                              .payload = json_pack("{s:s}", "name", operand)};
        errand->print = print_nothing;
    } else if (strcmp(action, "add") == 0 && operand != NULL) {
        *call = (struct call){.service = "cron.add", .payload = payload_read(self, operand)};
        errand->print = print_times;
        if (replace) {
            json_object_set_new(call->payload, "replace", json_true());
        }
    } else {
        command_usage(self, "it is list, add JSON [--replace], or remove NAME");
        return false;
    }
    call->silent = true;
    call->options.deadline_ms = DEADLINE_MS;
    if (call->payload != NULL && !json_is_object(call->payload)) {
        command_usage(self, "an entry is a JSON object, not '%.60s'", operand);
        json_decref(call->payload);
        return false;
    }
    return call->payload != NULL;
}

static int cron_run(struct cli *cli, const struct command *self, int argc, char **argv)
{
    struct errand errand = {.cli = cli};
    bool replace = false;
    struct option_spec specs[] = {
        OPTION_FLAG_SPEC("replace", &replace, "add: in place of the entry of that name"),
    };
    struct option_set set = {specs, 1};
    struct arguments arguments;
    int code;

    if (!command_parse(cli, self, &set, argc, argv, &arguments, &code)) {
        return code;
    }
    if (!errand_choose(&errand, self, &arguments, replace)) {
        return EXIT_USAGE;
    }
    code = visit(cli, self, errand_main, &errand);
    json_decref(errand.call.payload); /* nobody was there to take it */
    return code;
}

const struct command command_cron = {
    .name = "cron",
    .arguments = "[list|add|remove] [JSON|NAME]",
    .summary = "tasks at planned times: what is planned, add, remove",
    .about = "What a cron agent plans (docs/cron.md), in UTC; LAST is what became of the\n"
             "latest run. `add` prints the next times; its agent needs a --state. Of several\n"
             "agents one answers `list`, with its own entries and counts.\n\n"
             "  sluice cron add '{\"name\": \"report\", \"cron\": \"0 7 * * mon\",\n"
             "      \"zone\": \"Europe/Berlin\", \"service\": \"tool.time\"}'\n\n"
             "`sluice-cron next EXPRESSION --zone ZONE` shows the next times of an expression.\n",
    .arguments_max = 2,
    .run = cron_run,
};
