#include "cli/failure.h"

#include "cli/quantity.h"
#include "cli/terminal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CRON_ADVICE "no cron agent is connected; start it: sluice-cron, or deploy/cluster.sh up"
#define SERVICE_ADVICE "nobody offers this service, and no task waits for it: see `sluice services`"
#define NAME_ADVICE "nobody has said that name: see `sluice services`, or `sluice peers`"
#define LETTER_ADVICE "there is no such dead letter: see `sluice dead`"

/* What a code means of one command, or one service. */
static const struct {
    const char *what, *code, *advice;
} special[] = {
    {"pause", "not_found", SERVICE_ADVICE},
    {"resume", "not_found", SERVICE_ADVICE},
    {"drain", "not_found", NAME_ADVICE},
    {"undrain", "not_found", NAME_ADVICE},
    {"letter", "not_found", LETTER_ADVICE},
    {"retry", "not_found", LETTER_ADVICE},
    {"drop", "not_found", LETTER_ADVICE},
    {"cron.list", "unknown_service", CRON_ADVICE},
    {"cron.add", "unknown_service", CRON_ADVICE},
    {"cron.remove", "unknown_service", CRON_ADVICE},
    {"research.ask", "unknown_service",
     "no research agent is connected; a whole cluster with some: deploy/cluster.sh up"},
};

static const struct {
    const char *code;
    const char *advice;
} advices[] = {
    {"queue_full", "its workers are behind: wait, or start more of them (deploy/cluster.sh scale)"},
    {"window_exceeded", "wait until some of your tasks have ended"},
    {"memory_full", "the broker's memory budget is used up: see `sluice stats` and `sluice top`"},
    {"expired", "give it more time with --deadline-ms, or see what its workers do: `sluice top`"},
    {"cancelled", "somebody cancelled it, or what it belonged to ended; submit it again if wanted"},
    {"worker_lost", "its workers died under it: see their logs (deploy/cluster.sh logs)"},
    {"lease_expired",
     "no sign of life from its worker, or it ran too long: let it report progress, or raise "
     "--lease-ms or --max-run"},
    {"unknown_service",
     "nobody offers it, or not in the --version that was asked for: see `sluice services`, or "
     "start a worker (`submit --wait` waits for one)"},
    {"dependency_failed", "a task that it needed ended badly: see the message"},
    {"too_large", "send less, or a reference to it"},
    {"not_found",
     "it never was, is over (what ended is kept for a minute, if detached for an hour), or its "
     "submitter still has it and waits for room"},
    {"draining", "the broker, or this service, is being drained: try again later"},
    {"conflict", "another submitter uses this id, or another payload this key: use a new one"},
    {"bad_arguments", "its payload does not fit the service's schema: `sluice services --json`"},
    {"no_answer", "its handler returned without an answer: see the worker's log"},
};

const char *failure_advice(const char *code)
{
    for (size_t i = 0; i < sizeof(advices) / sizeof(advices[0]); i++) {
        if (strcmp(advices[i].code, code) == 0) {
            return advices[i].advice;
        }
    }
    return NULL;
}

static const char *advice_on(const char *what, const char *code)
{
    for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
        if (strcmp(special[i].code, code) == 0 && strcmp(special[i].what, what) == 0) {
            return special[i].advice;
        }
    }
    return failure_advice(code);
}

static void print(const char *what, const char *outcome, const char *code, const char *message,
                  uint64_t retry_after_ms)
{
    const char *advice = advice_on(what, code);
    char *text = NULL;
    char wait[QUANTITY_SIZE];

    if (asprintf(&text, "sluice: %s: %s (%s): %s", what, outcome, code, message) >= 0) {
        terminal_clean(text, false);
        fprintf(stderr, "%s\n", text);
        free(text);
    }
    if (retry_after_ms > 0) {
        fprintf(stderr, "  try again in %s\n", quantity_ms(retry_after_ms, wait));
    }
    if (advice != NULL) {
        fprintf(stderr, "  %s\n", advice);
    }
}

void failure_print(const char *what, enum sluice_outcome outcome,
                   const struct sluice_error *error)
{
    print(what, sluice_outcome_name(outcome), error != NULL ? error->code : "unknown",
          error != NULL && error->message != NULL ? error->message : "",
          error != NULL ? error->retry_after_ms : 0);
}

void failure_print_json(const char *what, const json_t *error)
{
    const char *code = json_string_value(json_object_get(error, "code"));
    const char *message = json_string_value(json_object_get(error, "message"));
    json_int_t retry_after_ms = json_integer_value(json_object_get(error, "retry_after_ms"));

    print(what, "refused", code != NULL ? code : "unknown", message != NULL ? message : "",
          retry_after_ms > 0 ? (uint64_t)retry_after_ms : 0);
}
