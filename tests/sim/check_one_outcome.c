/* Exactly one terminal outcome: a task that ends says how once, to its submitter, at the moment
 * of its end; every later RESULT is a repetition that somebody asked for, and says the same. */
#include "tests/sim/check.h"
#include "tests/sim/shadow_stream.h"

#define PROPERTY "one_outcome"

static bool asked_for(const struct model *model, const struct fact *fact)
{
    const struct event *event = model->event;

    if (event->kind != EVENT_MESSAGE || fact->connection != event->from) {
        return false;
    }
    if (event->message->command == COMMAND_SUBMIT) {
        return id_equal(&event->message->submit.id, &fact->id);
    }
    if (event->message->command == COMMAND_READ) {
        return !model->subject_live && id_equal(&event->message->read.id, &fact->id);
    }
    return event->message->command == COMMAND_QUERY &&
           event->message->query.what == QUERY_RESULT &&
           event->message->query.argument.size == ID_BYTES &&
           memcmp(event->message->query.argument.data, fact->id.bytes, ID_BYTES) == 0;
}

static void check_code(struct model *model, const struct fact *fact)
{
    static const char *const failures[] = {"(application)", "worker_lost",       "lease_expired",
                                           "bad_message",   "dependency_failed", "memory_full",
                                           "too_large",     "limit_exceeded"};
    const char *code = fact->code;

    if (fact->outcome == OUTCOME_FAILED) {
        for (unsigned i = 0; i < sizeof failures / sizeof *failures; i++) {
            if (strcmp(code, failures[i]) == 0) {
                return;
            }
        }
        model_fail(model, PROPERTY, "%s failed with code '%s'", model_id_text(&fact->id), code);
    }
    MODEL_CHECK(model, PROPERTY,
                (fact->outcome == OUTCOME_CANCELLED && strcmp(code, "skipped") == 0) ||
                strcmp(code, fact->outcome == OUTCOME_DONE        ? ""
                             : fact->outcome == OUTCOME_CANCELLED ? "cancelled"
                                                                  : "expired") == 0,
                "%s ended %s with code '%s'", model_id_text(&fact->id),
                outcome_name(fact->outcome), code);
}

static void see_refusal(struct model *model, const struct fact *fact)
{
    MODEL_CHECK(model, PROPERTY, asked_for(model, fact),
                "%s is refused to a connection that did not submit it", model_id_text(&fact->id));
    MODEL_CHECK(model, PROPERTY, fact->code[0] != '\0', "a refusal of %s without a code",
                model_id_text(&fact->id));
}

/* A task that was cancelled because its session was away is submitted anew by it: that session
 * hears of no end of the old one, lest it takes it for the end of the new one. */
static void check_past(struct model *model, const struct shadow_task *task,
                       const struct fact *fact)
{
    const struct shadow_session *session = model_session(model, fact->connection);

    MODEL_CHECK(model, PROPERTY,
                !task->orphan || task->stopping || fact->outcome != OUTCOME_CANCELLED ||
                    session == NULL || model_event_is(model, COMMAND_QUERY) ||
                    !id_equal(&session->id, &task->session),
                "c%u hears of the end of %s, which was cancelled while it was away",
                fact->connection, model_id_text(&fact->id));
}

static void see_result(struct model *model, const struct fact *fact)
{
    const struct shadow_task *task = model_task(model, &fact->id);
    const struct shadow_session *session;

    if (fact->outcome == OUTCOME_REFUSED) {
        see_refusal(model, fact);
        return;
    }
    MODEL_CHECK(model, PROPERTY, task != NULL, "RESULT of %s, which was never accepted",
                model_id_text(&fact->id));
    MODEL_CHECK(model, PROPERTY, shadow_ended(task), "RESULT of %s, which is still %s",
                model_id_text(&fact->id), shadow_state_name(task->state));
    MODEL_CHECK(model, PROPERTY, fact->outcome == task->outcome, "%s ended %s, RESULT says %s",
                model_id_text(&fact->id), outcome_name(task->outcome),
                outcome_name(fact->outcome));
    MODEL_CHECK(model, PROPERTY, fact->attempt == task->attempt,
                "%s ended in attempt %u, RESULT says %u", model_id_text(&fact->id),
                (unsigned)task->attempt, (unsigned)fact->attempt);
    check_code(model, fact);
    check_past(model, task, fact);
    if (asked_for(model, fact)) {
        return;
    }
    if (shadow_told_as_reader(model, task, fact->connection)) {
        MODEL_CHECK(model, PROPERTY, !model_reader(model, task, fact->connection)->told,
                    "c%u, which reads %s, is told twice how it ended", fact->connection,
                    model_id_text(&fact->id));
        return;
    }
    session = model_session_by_id(model, &task->session);
    MODEL_CHECK(model, PROPERTY, task->results == 0, "a second RESULT of %s, and nobody asked",
                model_id_text(&fact->id));
    MODEL_CHECK(model, PROPERTY, !task->held, "RESULT of %s, which is held",
                model_id_text(&fact->id));
    MODEL_CHECK(model, PROPERTY,
                session != NULL && session->connection == fact->connection && !task->orphan &&
                    !task->alone,
                "RESULT of %s to c%u, which is not its submitter", model_id_text(&fact->id),
                fact->connection);
}

static bool result_follows(const struct model *model, const struct fact *fact,
                           uint32_t connection)
{
    const struct fact *end = model->facts + model->fact_count;

    for (const struct fact *next = fact + 1; next < end; next++) {
        if (next->kind == FACT_SEND && next->command == COMMAND_RESULT &&
            next->connection == connection && id_equal(&next->id, &fact->id)) {
            return true;
        }
    }
    return false;
}

static void see_end(struct model *model, const struct fact *fact)
{
    const struct shadow_task *task = model_task(model, &fact->id);
    const struct shadow_session *session;

    if (task == NULL || fact->from == SHADOW_NEW) {
        return; /* declared_moves complains; or it is restored */
    }
    MODEL_CHECK(model, PROPERTY, !shadow_ended(task), "%s ends a second time",
                model_id_text(&fact->id));
    session = model_session_by_id(model, &task->session);
    if (!task->held && !task->orphan && !task->alone && session != NULL && session->connection != 0) {
        MODEL_CHECK(model, PROPERTY, result_follows(model, fact, session->connection),
                    "%s is %s, its submitter c%u is here and gets no RESULT",
                    model_id_text(&fact->id), shadow_state_name(fact->to), session->connection);
    }
}

static void see_acceptance(struct model *model, const struct fact *fact)
{
    const struct shadow_task *old = model_task(model, &fact->id);

    if (old == NULL) {
        return;
    }
    MODEL_CHECK(model, PROPERTY, shadow_ended(old), "%s is accepted again while it is %s",
                model_id_text(&fact->id), shadow_state_name(old->state));
    MODEL_CHECK(model, PROPERTY, old->open_joins == 0,
                "%s was forgotten while %u joins still wait", model_id_text(&fact->id),
                (unsigned)old->open_joins);
}

static void on_fact(struct model *model, const struct fact *fact)
{
    if (fact->kind == FACT_SEND && fact->command == COMMAND_RESULT) {
        see_result(model, fact);
    } else if (fact->kind == FACT_MOVE && fact->to >= SHADOW_DONE) {
        see_end(model, fact);
    } else if (fact->kind == FACT_MOVE && fact->from == SHADOW_NEW) {
        see_acceptance(model, fact);
    }
}

const struct checker check_one_outcome = {.property = PROPERTY, .fact = on_fact};
