/* A numbered session does not notice that its connection was lost, if it is back in time: it keeps
 * what it holds, offers and has submitted, no attempt ends because of it. While it is suspended it
 * gets nothing new. (That it is lost when it is not back: check_timers_fire. That nothing it says or
 * is told gets lost: check_messages_once.) */
#include "tests/sim/check.h"

#define PROPERTY "session_goes_on"

static void see_task(struct model *model, const struct fact *fact)
{
    const struct shadow_session *session = model_taker(model, fact);

    MODEL_CHECK(model, PROPERTY, session == NULL || !session->suspended,
                "TASK %s to c%u, which is suspended", model_id_text(&fact->id),
                session->connection);
}

/* What it holds, offers and has submitted is as it was: nothing moves but tasks that are handed out
 * now (for somebody else is here, or a limit looks at who is), and nobody is forgotten. */
static void check_nothing_lost(struct model *model, uint32_t connection, const char *what)
{
    for (size_t i = 0; i < model->fact_count; i++) {
        const struct fact *fact = &model->facts[i];

        MODEL_CHECK(model, PROPERTY,
                    fact->kind != FACT_FORGET &&
                        (fact->kind != FACT_MOVE || fact->to == SHADOW_LEASED),
                    "c%u %s, and %s %s", connection, what,
                    fact->kind == FACT_MOVE ? model_id_text(&fact->id) : "a connection",
                    fact->kind == FACT_MOVE ? "moves" : "is forgotten");
    }
    MODEL_CHECK(model, PROPERTY, model->after.peers_lost == model->before.peers_lost,
                "c%u %s, and is counted as lost", connection, what);
}

static void see_resumed(struct model *model, const struct fact *welcome)
{
    const struct shadow_session *session =
        model_session_by_id(model, &model->event->message->hello.session);

    MODEL_CHECK(model, PROPERTY, session != NULL && session->connection != 0 && session->numbered,
                "c%u goes on with a session that is lost, or was never numbered",
                welcome->connection);
    check_nothing_lost(model, welcome->connection, "goes on with its session");
}

/* A peer is told that its session is new until it has shown that it knows. */
static void see_known(struct model *model, const struct fact *welcome)
{
    const struct shadow_session *session =
        model_session_by_id(model, &model->event->message->hello.session);
    bool known = session != NULL && !session->gone && session->spoken;
    bool sure = !known || session->connection != 0; /* lost with nothing submitted, it has ended */

    MODEL_CHECK(model, PROPERTY, welcome->known == known || !sure,
                "c%u is told that its session is %s", welcome->connection,
                welcome->known ? "known" : "new");
}

/* A lost connection costs it nothing. */
static void see_suspension(struct model *model)
{
    const struct shadow_session *session = model_session(model, model->event->from);

    if (session != NULL && session->numbered) {
        check_nothing_lost(model, model->event->from, "is gone, its session is numbered");
    }
}

static void on_fact(struct model *model, const struct fact *fact)
{
    if (model_begins(model, fact) != NULL) {
        see_task(model, fact);
    } else if (fact->kind == FACT_SEND && fact->command == COMMAND_WELCOME) {
        see_known(model, fact);
        if (fact->resumed) {
            see_resumed(model, fact);
        }
    }
}

static void after(struct model *model, const struct broker *core)
{
    if (model->event->kind == EVENT_LOST) {
        see_suspension(model);
    }
}

const struct checker check_session_goes_on = {
    .property = PROPERTY, .fact = on_fact, .after = after};
