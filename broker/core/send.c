#include "broker/core/state.h"

const char *error_code_message(enum error_code code)
{
    static const char *const messages[ERROR_CODE_COUNT] = {
        [ERROR_NONE] = "",
        [ERROR_QUEUE_FULL] = "the service's queue is full; try again after retry_after_ms, or "
                             "add workers",
        [ERROR_WINDOW_EXCEEDED] = "the window of unfinished tasks from WELCOME is used up; wait "
                                  "for results before submitting more",
        [ERROR_MEMORY_FULL] = "the broker's memory budget is used up; try again later, or raise "
                              "its memory limit",
        [ERROR_EXPIRED] = "the deadline or queue TTL passed before it ended",
        [ERROR_CANCELLED] = "cancelled",
        [ERROR_WORKER_LOST] = "its workers were lost and no attempt is left; see their logs",
        [ERROR_LEASE_EXPIRED] = "its workers were silent for longer than lease_ms, or ran longer "
                                "than max_run_ms, and no attempt is left",
        [ERROR_UNKNOWN_SERVICE] = "nobody offers this service; start a worker for it, or submit "
                                  "with if_absent \"wait\"",
        [ERROR_DEPENDENCY_FAILED] = "a task that this join needs did not succeed; see details",
        [ERROR_CONFLICT] = "the id is in use by another session, or the idempotency key by "
                           "another payload; use a new one",
        [ERROR_TOO_LARGE] = "over a limit; see the limits in PROTOCOL.md, section 1.3",
        [ERROR_BAD_MESSAGE] = "malformed; see the command's table in PROTOCOL.md, section 3",
        [ERROR_NOT_FOUND] = "no such task, need, parent or offer here",
        [ERROR_DRAINING] = "the broker, or the service, takes nothing new; try again after "
                           "retry_after_ms, or elsewhere",
        [ERROR_HELLO_REQUIRED] = "this connection has no session; send HELLO first",
        [ERROR_UNSUPPORTED] = "not here, or not together with what else was asked for; durable "
                              "tasks and backups need a broker with --store",
        [ERROR_LIMIT_EXCEEDED] = "a limit of the broker's configuration is reached",
        [ERROR_RATE_LIMITED] = "a limit allows no more starts for now; try again after "
                               "retry_after_ms",
        [ERROR_BUDGET_EXHAUSTED] = "the cost units of a limit's window are used up; try again "
                                   "after retry_after_ms",
        [ERROR_CIRCUIT_OPEN] = "too many attempts at this service have failed; try again after "
                               "retry_after_ms",
        [ERROR_SKIPPED] = "the condition of run_if did not hold",
        [ERROR_STORE_UNAVAILABLE] = "no store, or its disk is full or fails: see `sluice "
                                    "stats` and the broker's log; durable tasks need --store",
    };

    CHECK(code < ERROR_CODE_COUNT);
    return messages[code];
}

struct error error_of(enum error_code code)
{
    return (struct error){
        .code = span_from_text(error_code_name(code)),
        .message = span_from_text(error_code_message(code)),
        .retryable = error_code_retryable(code),
    };
}

void send_error(struct broker *broker, connection_id to, enum error_code code,
                enum command command, const char *field, const struct id *id)
{
    struct message message = {.command = COMMAND_ERROR};

    message.error.error = error_of(code);
    message.error.command = command;
    message.error.field = span_from_text(field);
    if (id != NULL) {
        message.error.id = *id;
    }
    broker->effects.send(broker->effects.context, to, &message);
}
