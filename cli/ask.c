/* sluice ask: a question for the cluster, a report as the answer. */
#include "cli/call.h"
#include "cli/failure.h"
#include "cli/record.h"
#include "cli/terminal.h"
#include "cli/visit.h"

#include <string.h>

#define SERVICE "research.ask"
#define DEADLINE_MS 120000

struct question {
    struct cli *cli;
    struct call call;
};

/* What the research agent says of each step: {stage, text, done, total}. */
static const char *describe(const json_t *value, char *text, size_t size)
{
    const char *step = json_string_value(json_object_get(value, "text"));
    uint64_t done = record_uint(value, "done"), total = record_uint(value, "total");

    if (step == NULL) {
        return NULL;
    }
    if (total > 0) {
        snprintf(text, size, "%s (%llu/%llu)", step, (unsigned long long)done,
                 (unsigned long long)total);
    } else {
        snprintf(text, size, "%s", step);
    }
    return text;
}

static void report_print(const json_t *result)
{
    const char *report = record_text(result, "markdown");
    size_t size = strlen(report);

    if (size == 0) {
        record_dump(result, stdout, true); /* some other agent answered: better than nothing */
        return;
    }
    terminal_print(stdout, report);
    if (report[size - 1] != '\n') {
        putchar('\n');
    }
}

static int ask_main(struct sluice *sluice, void *arg)
{
    struct question *question = arg;
    struct sluice_future *future = call_run(sluice, &question->call);
    enum sluice_outcome outcome;
    int code = EXIT_TASK;

    if (future == NULL) {
        fprintf(stderr, "sluice: out of memory\n");
        return EXIT_TASK;
    }
    outcome = sluice_future_outcome(future);
    if (outcome != SLUICE_DONE) {
        failure_print(SERVICE, outcome, sluice_future_error(future));
    } else if (sluice_future_json(future) == NULL) {
        fprintf(stderr, "sluice: the answer is no MessagePack value\n");
    } else {
        if (question->cli->json) {
            record_dump(sluice_future_json(future), stdout, terminal_is(stdout));
        } else {
            report_print(sluice_future_json(future));
        }
        code = EXIT_DONE;
    }
    sluice_future_free(future);
    return code;
}

static int ask_run(struct cli *cli, const struct command *self, int argc, char **argv)
{
    struct question question = {.cli = cli, .call = {.service = SERVICE, .describe = describe}};
    uint64_t deadline_ms = DEADLINE_MS;
    bool quiet = false;
    struct option_spec specs[] = {
        OPTION_UINT_SPEC("deadline-ms", &deadline_ms, "MS", 1, OPTION_DURATION_MS_MAX,
                         "how long the cluster may take (120000)"),
        OPTION_FLAG_SPEC("quiet", &quiet, "no progress on standard error"),
    };
    struct option_set set = {specs, sizeof(specs) / sizeof(specs[0])};
    struct arguments arguments;
    int code;

    if (!command_parse(cli, self, &set, argc, argv, &arguments, &code)) {
        return code;
    }
    question.call.silent = quiet;
    question.call.options.deadline_ms = deadline_ms;
    question.call.payload = json_pack("{s:s}", "question", arguments.items[0]);
    if (question.call.payload == NULL) {
        return command_usage(self, "the question is no valid UTF-8");
    }
    code = visit(cli, self, ask_main, &question);
    json_decref(question.call.payload); /* nobody was there to take it */
    return code;
}

const struct command command_ask = {
    .name = "ask",
    .arguments = "QUESTION",
    .summary = "ask the cluster; prints a report with citations",
    .about = "The report is Markdown on standard output; progress goes to standard error.\n"
             "With --json: the whole result, with claims, citations and the timeline.\n"
             "Ctrl-C cancels the question and everything that was started for it.\n",
    .arguments_min = 1,
    .arguments_max = 1,
    .run = ask_run,
};
