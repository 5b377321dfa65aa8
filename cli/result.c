/* sluice result: the outcome of a task that somebody else submitted, or we did, long ago. */
#include "cli/call.h"
#include "cli/failure.h"
#include "cli/outcome.h"
#include "cli/record.h"
#include "cli/visit.h"

#include <string.h>

struct wish {
    struct cli *cli;
    struct sluice_id id;
    bool wait;
    uint64_t timeout_ms;
};

/* EXIT_DONE: it has ended. */
static int look(struct sluice *sluice, const struct wish *wish)
{
    static const char *const ends[] = {"done", "failed", "cancelled", "expired"};
    json_t *status = NULL;
    int code = visit_query(sluice, "status", &wish->id, NULL, &status);
    const char *state = record_text(status, "state");

    if (code != EXIT_DONE) {
        return code;
    }
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        if (strcmp(state, ends[i]) == 0) {
            json_decref(status);
            return EXIT_DONE;
        }
    }
    fprintf(stderr, "sluice: it has not ended, it is %s; --wait waits, `sluice why` explains\n",
            state);
    json_decref(status);
    return EXIT_TASK;
}

static int result_main(struct sluice *sluice, void *arg)
{
    const struct wish *wish = arg;
    struct sluice_future *future;
    int code = wish->wait ? EXIT_DONE : look(sluice, wish);

    if (code != EXIT_DONE) {
        return code;
    }
    future = sluice_attach(sluice, &wish->id);
    if (future == NULL) {
        fprintf(stderr, "sluice: out of memory\n");
        return EXIT_TASK;
    }
    if (sluice_await_ms(future, wish->timeout_ms) == SLUICE_PENDING) {
        fprintf(stderr, "sluice: it has not ended by then\n");
        code = EXIT_TASK;
    } else {
        code = outcome_print(wish->cli, "result", future);
    }
    sluice_future_free(future);
    return code;
}

static int result_run(struct cli *cli, const struct command *self, int argc, char **argv)
{
    struct wish wish = {.cli = cli};
    struct option_spec specs[] = {
        OPTION_FLAG_SPEC("wait", &wish.wait, "until it has ended"),
        OPTION_DURATION_SPEC("timeout", &wish.timeout_ms, "the same, but no longer than this"),
    };
    struct option_set set = {specs, sizeof(specs) / sizeof(specs[0])};
    struct arguments arguments;
    int code;

    if (!command_parse(cli, self, &set, argc, argv, &arguments, &code)) {
        return code;
    }
    if (!visit_id(self, arguments.items[0], &wish.id)) {
        return EXIT_USAGE;
    }
    wish.wait = wish.wait || wish.timeout_ms > 0;
    return visit(cli, self, result_main, &wish);
}

const struct command command_result = {
    .name = "result",
    .arguments = "TASK",
    .summary = "how a task has ended, and its result",
    .about = "Of any task whose outcome is still kept: detached ones for an hour, unless they\n"
             "said otherwise. Prints what `sluice submit` would have printed.\n",
    .arguments_min = 1,
    .arguments_max = 1,
    .run = result_run,
};
