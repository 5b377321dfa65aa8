/* sluice limit, pause, resume: what a service, a tenant or a fairness key may take. */
#include "cli/limit.h"

#include "cli/grid.h"
#include "cli/record.h"
#include "cli/terminal.h"
#include "cli/visit.h"

#include <string.h>

#define UNSAID UINT64_MAX

/* The values that CONTROL knows, in the words of people. */
static const struct value {
    const char *name; /* of CONTROL */
    const char *about;
    bool of_service; /* no tenant and no key has it */
} values[] = {
    {"concurrency", "tasks that run at once", false},
    {"rate", "starts in every rate-ms", false},
    {"rate_ms", "of the rate; 1 s if not said", false},
    {"burst", "starts of the rate that may come at once", false},
    {"budget", "cost units in every budget-ms", false},
    {"budget_ms", "of the budget; 1 m if not said", false},
    {"refuse", "1: beyond rate or budget is refused, instead of waiting", false},
    {"weight", "of a --key: tasks in each of its turns; 1 if not said", false},
    {"max_tasks", "tasks in the queue", true},
    {"max_bytes", "bytes of payload in the queue", true},
    {"breaker_failures", "so many in a row open the breaker", true},
    {"breaker_percent", "so many of all attempts in breaker-ms open it", true},
    {"breaker_min", "but of at least so many attempts", true},
    {"breaker_ms", "the window of breaker-percent; 10 s if not said", true},
    {"breaker_open_ms", "how long it is open; 5 s if not said", true},
    {"breaker_probes", "successes that close it; 1 if not said", true},
    {"breaker_refuse", "1: an open one refuses, instead of holding", true},
    {"attempts", "of a task that does not say", true},
    {"backoff_ms", "before the first retry", true},
    {"backoff_max_ms", "ceiling of the backoff", true},
    {"max_run_ms", "longest run of one attempt", true},
    {"lease_ms", "longest silence of a worker about its task", true},
};
#define VALUES (sizeof(values) / sizeof(values[0]))
#define VALUE_NAME_SIZE 32
#define SCOPES 3 /* options before the values */

struct rule {
    struct cli *cli;
    const char *what; /* "limit", "pause", "resume"; NULL: to be listed */
    struct sluice_control_options options;
};

static bool is_time(const char *name)
{
    size_t size = strlen(name);

    return size > 3 && strcmp(name + size - 3, "_ms") == 0;
}

/* "rate_ms" is --rate-ms. */
static struct option_spec spec_of(const struct value *value, char name[VALUE_NAME_SIZE],
                                  uint64_t *target)
{
    snprintf(name, VALUE_NAME_SIZE, "%s", value->name);
    for (char *at = name; *at != '\0'; at++) {
        *at = *at == '_' ? '-' : *at;
    }
    *target = UNSAID;
    if (is_time(value->name)) {
        return (struct option_spec)OPTION_DURATION_SPEC(name, target, value->about);
    }
    return (struct option_spec)OPTION_UINT_SPEC(name, target, "N", 0, 0, value->about);
}

/* ---- showing ---------------------------------------------------------------------- */

/* The values of a row that are set, as one text. */
static void values_text(const json_t *row, char *text, size_t size)
{
    char number[RECORD_VALUE_SIZE];
    size_t used = 0;

    text[0] = '\0';
    for (size_t i = 0; i < VALUES && used < size; i++) {
        if (json_object_get(row, values[i].name) != NULL) {
            used += (size_t)snprintf(text + used, size - used, "%s%s %s", used > 0 ? ", " : "",
                                     values[i].name, record_value(row, values[i].name, number));
        }
    }
}

/* What is left of it right now. */
static void room_text(const json_t *row, char *text, size_t size)
{
    char number[RECORD_VALUE_SIZE];
    size_t used = 0;

    static const struct {
        const char *name, *word;
    } rooms[] = {{"tokens", "starts"}, {"used", "used"}, {"keys_held", "keys held"}};

    text[0] = '\0';
    for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]) && used < size; i++) {
        if (json_object_get(row, rooms[i].name) != NULL) {
            used += (size_t)snprintf(text + used, size - used, "%s%s %s", used > 0 ? ", " : "",
                                     rooms[i].word, record_value(row, rooms[i].name, number));
        }
    }
}

void limits_print(const json_t *rows, size_t rows_max)
{
    static const struct grid_column columns[] = {
        {"SERVICE", false, true}, {"TENANT", false, true}, {"KEY", false, true},
        {"RUN", true, false},     {"GATE", false, false},  {"NOW", false, true},
        {"LIMITS", false, true},
    };
    char text[RECORD_VALUE_SIZE];
    struct grid grid;
    json_t *row;
    size_t i;

    grid_init(&grid, columns, sizeof(columns) / sizeof(columns[0]));
    json_array_foreach((json_t *)rows, i, row) {
        grid_text(&grid, record_value(row, "service", text));
        grid_text(&grid, record_value(row, "tenant", text));
        grid_text(&grid, record_value(row, "key", text));
        grid_count(&grid, record_uint(row, "in_use"));
        grid_text(&grid, record_value(row, "gate", text));
        room_text(row, text, sizeof(text));
        grid_text(&grid, text);
        values_text(row, text, sizeof(text));
        grid_text(&grid, text);
    }
    grid_print(&grid, stdout, rows_max);
    if (json_array_size(rows) > rows_max) {
        printf("... and %zu more\n", json_array_size(rows) - rows_max);
    }
    grid_deinit(&grid);
}

static int limits_show(struct sluice *sluice, const struct rule *rule)
{
    json_t *rows = NULL;
    int code = visit_pages(sluice, "limits", "limits", &rows);

    if (code != EXIT_DONE) {
        return code;
    }
    for (size_t i = json_array_size(rows); rule->options.service != NULL && i-- > 0;) {
        if (strcmp(record_text(json_array_get(rows, i), "service"), rule->options.service) != 0) {
            json_array_remove(rows, i);
        }
    }
    if (rule->cli->json) {
        record_dump(rows, stdout, terminal_is(stdout));
    } else if (json_array_size(rows) == 0) {
        printf("no limits; `sluice limit SERVICE --concurrency 10` sets one\n");
    } else {
        limits_print(rows, SIZE_MAX);
    }
    json_decref(rows);
    return EXIT_DONE;
}

/* ---- setting ------------------------------------------------------------------------ */

static int rule_main(struct sluice *sluice, void *arg)
{
    const struct rule *rule = arg;
    json_t *reply = NULL;
    int code;

    if (rule->what == NULL) {
        return limits_show(sluice, rule);
    }
    code = visit_control(sluice, rule->what, &rule->options, &reply);
    if (code != EXIT_DONE) {
        return code;
    }
    if (rule->cli->json) {
        record_dump(reply, stdout, terminal_is(stdout));
    }
    json_decref(reply);
    visit_note_absent(sluice, rule->options.service);
    return EXIT_DONE;
}

/* What was said, as CONTROL takes it. False: `problem` says what cannot be. */
static bool limits_collect(struct rule *rule, const uint64_t said[VALUES], char problem[128])
{
    json_t *limits = rule->options.limits;
    bool shares = rule->options.key != NULL || rule->options.tenant != NULL;

    for (size_t i = 0; i < VALUES; i++) {
        if (said[i] != UNSAID && shares && values[i].of_service) {
            snprintf(problem, 128, "%s is of a service: leave --key and --tenant out",
                     values[i].name);
            return false;
        }
        if (said[i] != UNSAID) {
            json_object_set_new(limits, values[i].name, json_integer((json_int_t)said[i]));
            rule->what = "limit";
        }
    }
    if (rule->what != NULL && rule->options.service == NULL &&
        (rule->options.tenant == NULL || rule->options.key != NULL)) {
        snprintf(problem, 128, "which service? It is `sluice limit SERVICE --rate 50`");
        return false;
    }
    if (rule->what != NULL && rule->options.key != NULL && rule->options.tenant != NULL) {
        snprintf(problem, 128, "--key and --tenant: a limit is of one of them");
        return false;
    }
    if (json_object_get(limits, "weight") != NULL && rule->options.key == NULL) {
        snprintf(problem, 128, "whose weight? It is `sluice limit SERVICE --key KEY --weight 2`");
        return false;
    }
    return true;
}

static int limit_run(struct cli *cli, const struct command *self, int argc, char **argv)
{
    struct rule rule = {.cli = cli};
    struct option_spec specs[VALUES + SCOPES] = {
        OPTION_TEXT_SPEC("key", &rule.options.key, "KEY",
                         "of this fairness key of SERVICE; '*': of each by itself"),
        OPTION_TEXT_SPEC("tenant", &rule.options.tenant, "NAME",
                         "of what this tenant does at SERVICE; without one, at all of them"),
        OPTION_GROUP_SPEC("what it may take; 0 takes a limit away, what is not said stays:"),
    };
    struct option_set set = {specs, VALUES + SCOPES};
    char names[VALUES][VALUE_NAME_SIZE], problem[128];
    uint64_t said[VALUES];
    struct arguments arguments;
    int code;

    for (size_t i = 0; i < VALUES; i++) {
        specs[SCOPES + i] = spec_of(&values[i], names[i], &said[i]);
    }
    if (!command_parse(cli, self, &set, argc, argv, &arguments, &code)) {
        return code;
    }
    rule.options.service = arguments.count > 0 ? arguments.items[0] : NULL;
    rule.options.limits = json_object();
    code = limits_collect(&rule, said, problem) ? visit(cli, self, rule_main, &rule)
                                                : command_usage(self, "%s", problem);
    json_decref(rule.options.limits);
    return code;
}

static int pause_run(struct cli *cli, const struct command *self, int argc, char **argv)
{
    const uint64_t unsaid = UINT64_MAX;
    struct rule rule = {.cli = cli, .what = self->name, .options = {.ms = unsaid}};
    struct option_spec specs[] = {
        OPTION_DURATION_SPEC("for", &rule.options.ms, "resumes by itself then"),
    };
    struct option_set set = {specs, strcmp(self->name, "pause") == 0};
    struct arguments arguments;
    int code;

    if (!command_parse(cli, self, &set, argc, argv, &arguments, &code)) {
        return code;
    }
    if (rule.options.ms == 0) {
        return command_usage(self, "--for 0 would be over at once; without --for, until `sluice "
                                   "resume`");
    }
    rule.options.ms = rule.options.ms == unsaid ? 0 : rule.options.ms;
    rule.options.service = arguments.items[0];
    return visit(cli, self, rule_main, &rule);
}

const struct command command_limit = {
    .name = "limit",
    .arguments = "[SERVICE]",
    .summary = "what services, tenants and keys may take: see it, or change it",
    .about = "Without a value: the limits that hold, and what is left of them right now.\n"
             "With values: they hold from now on, until the broker ends, or for good if it has a\n"
             "store. What waits for a limit says so: `sluice why TASK`.\n"
             "All limits that match a task hold at once: the smallest wins.\n",
    .arguments_max = 1,
    .run = limit_run,
};

const struct command command_pause = {
    .name = "pause",
    .arguments = "SERVICE",
    .summary = "nothing more of a service is started, until `sluice resume`",
    .about = "What runs goes on; what is submitted waits in the queue.\n",
    .arguments_min = 1,
    .arguments_max = 1,
    .run = pause_run,
};

const struct command command_resume = {
    .name = "resume",
    .arguments = "SERVICE",
    .summary = "ends a pause, or the time that a breaker is open",
    .about = "One task starts at first, twice as many with each success.\n",
    .arguments_min = 1,
    .arguments_max = 1,
    .run = pause_run,
};
