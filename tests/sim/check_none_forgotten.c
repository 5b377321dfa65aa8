/* No accepted task is forgotten: every SUBMIT is answered or taken, nobody who asks about a task
 * that has not ended hears that there is none, and at rest every task has ended. */
#include "tests/sim/check.h"

#include <inttypes.h>

#define PROPERTY "none_forgotten"

static bool sent(const struct model *model, enum command command, const struct id *id)
{
    for (size_t i = 0; i < model->fact_count; i++) {
        const struct fact *fact = &model->facts[i];

        if (fact->kind == FACT_SEND && fact->command == command &&
            fact->connection == model->event->from && id_equal(&fact->id, id)) {
            return true;
        }
    }
    return false;
}

static void after_submit(struct model *model, const struct submit *submit)
{
    const struct shadow_session *session = model_session(model, model->event->from);
    const struct shadow_task *task = model_task(model, &submit->id);
    const char *text = model_id_text(&submit->id);

    if (session == NULL || sent(model, COMMAND_RESULT, &submit->id)) {
        return; /* nothing_before_hello; or refused, or ended already: answered */
    }
    MODEL_CHECK(model, PROPERTY, task != NULL, "SUBMIT of %s was neither accepted nor refused",
                text);
    MODEL_CHECK(model, PROPERTY, id_equal(&task->session, &session->id),
                "%s is another session's, and SUBMIT of it was not refused", text);
    if (shadow_ended(task)) {
        MODEL_CHECK(model, PROPERTY, task->held, "SUBMIT of %s, which has ended: no RESULT", text);
    } else {
        MODEL_CHECK(model, PROPERTY, !task->orphan || task->state != SHADOW_CANCELLING,
                    "SUBMIT of %s, which is being cancelled, is met with silence", text);
        MODEL_CHECK(model, PROPERTY,
                    !task->receipts || sent(model, COMMAND_ACCEPTED, &submit->id) ||
                        !check_accepted(task),
                    "%s wants receipts, and got no ACCEPTED", text);
    }
}

/* The code of the answer to the QUERY or CANCEL under way; "": a good answer; NULL: none. */
static const char *answer_code(const struct model *model, uint64_t request)
{
    for (size_t i = 0; i < model->fact_count; i++) {
        const struct fact *fact = &model->facts[i];

        if (fact->kind == FACT_SEND && fact->connection == model->event->from &&
            ((fact->command == COMMAND_REPLY && fact->request == request) ||
             fact->command == COMMAND_ERROR)) {
            return fact->code;
        }
    }
    return NULL;
}

static void after_query(struct model *model, const struct query *query)
{
    const struct shadow_task *task;
    const char *code = answer_code(model, query->request);
    struct id id;

    if (model_session(model, model->event->from) == NULL) {
        return;
    }
    MODEL_CHECK(model, PROPERTY, code != NULL, "QUERY %s was not answered",
                query_what_name(query->what));
    if (query->argument.size != ID_BYTES || query->what == QUERY_CATALOG ||
        query->what == QUERY_PEERS || query->what == QUERY_STATS || query->what == QUERY_LIST ||
        query->what == QUERY_DEAD || query->what == QUERY_LETTER || query->what == QUERY_LIMITS) {
        return;
    }
    memcpy(id.bytes, query->argument.data, ID_BYTES);
    task = model_task(model, &id);
    MODEL_CHECK(model, PROPERTY, task == NULL || shadow_ended(task) || code[0] == '\0',
                "%s is %s, QUERY %s says '%s'", model_id_text(&id),
                task == NULL ? "unknown" : shadow_state_name(task->state),
                query_what_name(query->what), code);
    MODEL_CHECK(model, PROPERTY, task != NULL || code[0] != '\0',
                "%s was never accepted, QUERY %s tells of it", model_id_text(&id),
                query_what_name(query->what));
}

static void after_cancel(struct model *model, const struct cancel *cancel)
{
    const struct shadow_task *task = model->subject;
    const char *code = answer_code(model, cancel->request);

    if (model_session(model, model->event->from) == NULL) {
        return;
    }
    if (task == NULL) {
        MODEL_CHECK(model, PROPERTY, code != NULL && strcmp(code, "not_found") == 0,
                    "CANCEL of %s, which nobody knows: answered '%s'", model_id_text(&cancel->id),
                    code != NULL ? code : "(nothing)");
    } else if (model->subject_live) {
        MODEL_CHECK(model, PROPERTY, code == NULL || strcmp(code, "not_found") != 0,
                    "CANCEL of %s, which is %s: answered not_found", model_id_text(&cancel->id),
                    shadow_state_name(task->state));
    }
}

static void after(struct model *model, const struct broker *core)
{
    if (model_event_is(model, COMMAND_SUBMIT)) {
        after_submit(model, &model->event->message->submit);
    } else if (model_event_is(model, COMMAND_QUERY)) {
        after_query(model, &model->event->message->query);
    } else if (model_event_is(model, COMMAND_CANCEL)) {
        after_cancel(model, &model->event->message->cancel);
    }
}

static void rest(struct model *model, const struct broker *core)
{
    const struct list *first = list_first(&model->tasks);

    if (first != NULL) {
        const struct shadow_task *task = list_entry(first, struct shadow_task, link);

        model_fail(model, PROPERTY,
                   "at rest %s of '%s', accepted at %" PRIu64
                   " ms, is still %s in attempt %" PRIu64,
                   model_id_text(&task->id), task->service, task->accepted_ms,
                   shadow_state_name(task->state), task->attempt);
    }
}

const struct checker check_none_forgotten = {.property = PROPERTY, .after = after, .rest = rest};
