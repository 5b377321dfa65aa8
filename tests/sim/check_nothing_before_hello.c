/* Nothing before HELLO: a connection without a session gets ERROR hello_required for whatever it
 * says, the answers of HELLO for HELLO, and nothing else; after `forget`, nothing at all. */
#include "tests/sim/check.h"

#define PROPERTY "nothing_before_hello"

static bool answers_hello(const struct fact *fact)
{
    return fact->command == COMMAND_WELCOME ||
           (fact->command == COMMAND_ERROR && (strcmp(fact->code, "unsupported") == 0 ||
                                               strcmp(fact->code, "limit_exceeded") == 0 ||
                                               strcmp(fact->code, "conflict") == 0));
}

static void on_fact(struct model *model, const struct fact *fact)
{
    const struct event *event = model->event;

    if (fact->kind != FACT_SEND || model_session(model, fact->connection) != NULL) {
        return;
    }
    MODEL_CHECK(model, PROPERTY,
                fact->connection == event->from && event->kind != EVENT_TICK &&
                    event->kind != EVENT_LOST && event->kind != EVENT_DRAIN,
                "c%u has no session, has said nothing, and gets %s", fact->connection,
                command_name(fact->command));
    if (model_event_is(model, COMMAND_HELLO)) {
        MODEL_CHECK(model, PROPERTY, answers_hello(fact), "HELLO of c%u is answered with %s %s",
                    fact->connection, command_name(fact->command), fact->code);
    } else {
        MODEL_CHECK(model, PROPERTY,
                    fact->command == COMMAND_ERROR && strcmp(fact->code, "hello_required") == 0,
                    "c%u has no session, and gets %s %s", fact->connection,
                    command_name(fact->command), fact->code);
    }
}

static void after(struct model *model, const struct broker *core)
{
    const struct event *event = model->event;
    const struct fact *fact = check_first_fact(model);

    if ((event->kind != EVENT_MESSAGE && event->kind != EVENT_MALFORMED &&
         event->kind != EVENT_PROBE) ||
        model_session(model, event->from) != NULL || model_event_is(model, COMMAND_BYE)) {
        return;
    }
    MODEL_CHECK(model, PROPERTY,
                check_count_facts(model) == 1 && fact->kind == FACT_SEND &&
                    fact->connection == event->from && fact->command == COMMAND_ERROR,
                "c%u has no session: expected one ERROR, seen %zu effects", event->from,
                check_count_facts(model));
}

const struct checker check_nothing_before_hello = {
    .property = PROPERTY, .fact = on_fact, .after = after};
