/* sluice submit: one task from the command line, its result on standard output. */
#include "cli/call.h"
#include "cli/outcome.h"
#include "cli/payload.h"
#include "cli/terminal.h"
#include "cli/visit.h"

#include <stdlib.h>
#include <string.h>

#define PRIORITY_UNSAID UINT64_MAX
#define COST_MAX (1ULL << 40) /* PROTOCOL.md, 1.3 */

#define STREAM_WINDOW 64 /* chunks that are read ahead */

struct submission {
    struct cli *cli;
    struct call call;
};

static const char *describe(const json_t *value, char *text, size_t size)
{
    char *dumped = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);

    snprintf(text, size, "%s", dumped != NULL ? dumped : "");
    free(dumped);
    return text;
}

/* What is detached goes on without us. */
static int let_go(const struct cli *cli, const struct sluice_future *future)
{
    char id[SLUICE_ID_TEXT_SIZE];

    sluice_id_format(sluice_future_id(future), id);
    if (cli->json) {
        printf("{\"id\": \"%s\", \"outcome\": \"accepted\"}\n", id);
    } else {
        printf("%s\n", id);
        if (terminal_is(stdout)) {
            fprintf(stderr, "its result, when it has ended: sluice result %s --wait\n", id);
        }
    }
    return EXIT_DONE;
}

static int submit_main(struct sluice *sluice, void *arg)
{
    struct submission *submission = arg;
    struct sluice_future *future = call_run(sluice, &submission->call);
    int code;

    if (future == NULL) {
        fprintf(stderr, "sluice: out of memory\n");
        return EXIT_TASK;
    }
    code = submission->call.until_accepted && !submission->call.interrupted &&
                   sluice_future_accepted(future)
               ? let_go(submission->cli, future)
               : outcome_print(submission->cli, submission->call.service, future);
    sluice_future_free(future);
    return code;
}

static int submit_run(struct cli *cli, const struct command *self, int argc, char **argv)
{
    struct submission submission = {.cli = cli, .call = {.describe = describe}};
    struct sluice_submit_options *options = &submission.call.options;
    uint64_t attempts = 0, priority = PRIORITY_UNSAID;
    bool stream = false, quiet = false;
    struct option_spec specs[] = {
        OPTION_UINT_SPEC("deadline-ms", &options->deadline_ms, "MS", 1, OPTION_DURATION_MS_MAX,
                         "end it after this time"),
        OPTION_UINT_SPEC("queue-ttl-ms", &options->queue_ttl_ms, "MS", 1, OPTION_DURATION_MS_MAX,
                         "end it if it has not started by then"),
        OPTION_UINT_SPEC("lease-ms", &options->lease_ms, "MS", 1, OPTION_DURATION_MS_MAX,
                         "longest silence of its worker about it"),
        OPTION_UINT_SPEC("attempts", &attempts, "N", 1, 100, "how often it may be started, 1-100"),
        OPTION_FLAG_SPEC("wait", &options->wait_absent,
                         "if nobody offers the service, wait for somebody"),
        OPTION_FLAG_SPEC("refuse-full", &options->no_wait,
                         "if the queue is full, fail instead of waiting for room"),
        OPTION_FLAG_SPEC("stream", &stream, "print its chunks as they come, then its result"),
        OPTION_FLAG_SPEC("quiet", &quiet, "no progress on standard error"),
        OPTION_GROUP_SPEC("when it is run:"),
        OPTION_UINT_SPEC("priority", &priority, "N", 0, 9, "0-9, higher first; else 4"),
        OPTION_TEXT_SPEC("key", &options->key, "KEY",
                         "fairness key: keys share the workers; else this program"),
        OPTION_TEXT_SPEC("order", &options->order, "KEY",
                         "one at a time with this key, in the order of submission"),
        OPTION_DURATION_SPEC("delay", &options->delay_ms, "not before so long from now"),
        OPTION_TIME_SPEC("at", &options->run_at_ms, "not before this time: 2026-12-01T10:00"),
        OPTION_GROUP_SPEC("who runs it:"),
        OPTION_TEXT_SPEC("affinity", &options->affinity, "KEY",
                         "the same worker as others with this key, if it can"),
        OPTION_TEXT_SPEC("version", &options->version, "VERSION",
                         "only workers that offer this version"),
        OPTION_FLAG_SPEC("all-workers", &options->all_workers,
                         "each worker of the service; a line of JSON for each"),
        OPTION_GROUP_SPEC("how long and how often:"),
        OPTION_DURATION_SPEC("max-run", &options->max_run_ms, "longest run of one attempt"),
        OPTION_DURATION_SPEC("backoff", &options->backoff_ms, "pause before the first retry"),
        OPTION_DURATION_SPEC("backoff-max", &options->backoff_max_ms, "longest of these pauses"),
        OPTION_TEXT_SPEC("retry-on", &options->retry_on, "CODES",
                         "error codes to try again, with spaces between them"),
        OPTION_TEXT_SPEC("final-on", &options->final_on, "CODES", "error codes never to try again"),
        OPTION_FLAG_SPEC("dead-letter", &options->dead_letter,
                         "keep it as a dead letter when no attempt is left"),
        OPTION_UINT_SPEC("cost", &options->cost, "UNITS", 1, COST_MAX,
                         "what it will take of the service's budget"),
        OPTION_GROUP_SPEC("what stays of it:"),
        OPTION_FLAG_SPEC("detached", &options->detached,
                         "print its id and leave it to the broker; see `sluice result`"),
        OPTION_FLAG_SPEC("durable", &options->durable,
                         "it survives the broker, and a loss of power"),
        OPTION_DURATION_SPEC("retain", &options->retain_ms, "how long its outcome is kept"),
        OPTION_TEXT_SPEC("idempotency-key", &options->idempotency_key, "KEY",
                         "the same key and payload again is the same task"),
        OPTION_DURATION_SPEC("cache", &options->cache_ms,
                             "its result answers so long; with --idempotency-key"),
    };
    struct option_set set = {specs, sizeof(specs) / sizeof(specs[0])};
    struct arguments arguments;
    int code;

    if (!command_parse(cli, self, &set, argc, argv, &arguments, &code)) {
        return code;
    }
    if (options->delay_ms > 0 && options->run_at_ms > 0) {
        return command_usage(self, "--delay and --at both say when: leave one of them out");
    }
    options->attempts = (unsigned)attempts;
    if (priority != PRIORITY_UNSAID) {
        options->priority = priority == 0 ? SLUICE_PRIORITY_LOWEST : (int)priority;
    }
    submission.call.until_accepted = options->detached && !stream;
    options->stream = stream ? STREAM_WINDOW : 0;
    submission.call.stream_json = cli->json;
    submission.call.silent = quiet || stream;
    submission.call.service = arguments.items[0];
    submission.call.payload =
        arguments.count > 1 ? payload_read(self, arguments.items[1]) : json_object();
    if (submission.call.payload == NULL) {
        return EXIT_USAGE;
    }
    code = visit(cli, self, submit_main, &submission);
    json_decref(submission.call.payload); /* nobody was there to take it */
    return code;
}

const struct command command_submit = {
    .name = "submit",
    .arguments = "SERVICE [JSON]",
    .summary = "submit a task, wait for it, print its result",
    .about = "JSON is the payload ({} if left out); - reads it from standard input.\n"
             "The result is printed as JSON. With --json: one line with the task's id,\n"
             "outcome, result or error, attempt, times and worker, however it ended.\n"
             "Ctrl-C cancels the task and waits until it has stopped.\n\n"
             "  sluice submit tool.calc '{\"expression\": \"6*7\"}'\n",
    .arguments_min = 1,
    .arguments_max = 2,
    .run = submit_run,
};
