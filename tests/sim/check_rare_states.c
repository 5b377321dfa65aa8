/* Not a property: tells `sometimes` which rare states the run has reached, as far as they show in
 * the events, effects and shadows. */
#include "tests/sim/check.h"
#include "tests/sim/sometimes.h"

static void see_refusal(const struct model *model, const char *code)
{
    static const struct {
        const char *code;
        enum sometimes_state state;
    } refusals[] = {
        {"queue_full", SOMETIMES_REFUSED_QUEUE_FULL},
        {"window_exceeded", SOMETIMES_REFUSED_WINDOW},
        {"memory_full", SOMETIMES_REFUSED_MEMORY},
        {"unknown_service", SOMETIMES_REFUSED_UNKNOWN_SERVICE},
        {"conflict", SOMETIMES_REFUSED_CONFLICT},
        {"cancelled", SOMETIMES_REFUSED_PARENT_CANCELLED},
        {"draining", SOMETIMES_REFUSED_DRAINING},
    };

    for (unsigned i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        if (strcmp(code, refusals[i].code) == 0) {
            sometimes(refusals[i].state);
        }
    }
    if (strcmp(code, "not_found") == 0 && model->event->message->submit.join != JOIN_NONE) {
        sometimes(SOMETIMES_REFUSED_NEED_NOT_FOUND);
    }
}

static void see_acceptance(const struct model *model, const struct fact *fact)
{
    const struct submit *submit = &model->event->message->submit;
    const struct shadow_task *old = model_task(model, &fact->id);
    const struct shadow_task *parent = model_task(model, &submit->parent);

    if (old != NULL && old->orphan) {
        sometimes(SOMETIMES_ORPHAN_STARTED_ANEW);
    }
    if (parent != NULL && !id_is_nil(&parent->parent)) {
        sometimes(SOMETIMES_CHILD_OF_CHILD);
    }
    for (size_t i = 0; i < submit->needs_count; i++) {
        const struct shadow_task *need;
        struct id id;

        memcpy(id.bytes, submit->needs + i * submit->needs_stride, sizeof id.bytes);
        need = model_task(model, &id);
        if (need != NULL && need->open_joins > 0) {
            sometimes(SOMETIMES_JOIN_SHARED_NEED);
        }
        if (need != NULL && shadow_ended(need)) {
            sometimes(SOMETIMES_JOIN_OF_ENDED_NEED);
        }
    }
}

static bool lease_over(const struct model *model, const struct shadow_task *task)
{
    return task->lease_until_ms <= model->now_ms;
}

static bool needs_join(const struct model *model, const struct shadow_task *join)
{
    for (size_t i = 0; i < join->need_count; i++) {
        const struct shadow_task *need = model_task(model, &join->needs[i]);

        if (need != NULL && need->policy != JOIN_NONE) {
            return true;
        }
    }
    return false;
}

static void see_join_end(const struct model *model, const struct fact *fact,
                         const struct shadow_task *join)
{
    bool failure = false;

    if (needs_join(model, join)) {
        sometimes(SOMETIMES_JOIN_OF_JOIN);
    }
    if (join->home == NULL && join->held && fact->to == SHADOW_CANCELLING) {
        sometimes(SOMETIMES_JOIN_LOST);
    }
    if (join->home != NULL && fact->to == SHADOW_CANCELLED) {
        sometimes(SOMETIMES_TASK_SKIPPED);
    }
    if (fact->to == SHADOW_READY) {
        sometimes(SOMETIMES_REDUCER_RUN);
    }
    if (fact->to == SHADOW_FAILED) {
        sometimes(join->policy == JOIN_ALL ? SOMETIMES_JOIN_FAILED_FAST : SOMETIMES_JOIN_IMPOSSIBLE);
    }
    if (fact->to != SHADOW_DONE) {
        return;
    }
    if (join->policy == JOIN_ALL) {
        sometimes(SOMETIMES_JOIN_ALL_DONE);
        return;
    }
    if (join->policy == JOIN_ANY || join->policy == JOIN_K) {
        sometimes(join->policy == JOIN_ANY ? SOMETIMES_JOIN_ANY_DONE : SOMETIMES_JOIN_K_DONE);
        return;
    }
    for (size_t i = 0; i < join->need_count; i++) {
        const struct shadow_task *need = model_task(model, &join->needs[i]);

        if (need != NULL && !shadow_ended(need)) {
            sometimes(SOMETIMES_JOIN_SETTLED_AT_DEADLINE);
            return;
        }
        failure = failure || (need != NULL && need->state != SHADOW_DONE);
    }
    if (failure) {
        sometimes(SOMETIMES_JOIN_SETTLED_WITH_FAILURE);
    }
}

static void see_expiry(const struct model *model, const struct fact *fact,
                       const struct shadow_task *task)
{
    switch (fact->from) {
    case SHADOW_READY:
        sometimes(task->deadline_ms > model->now_ms ? SOMETIMES_QUEUE_TTL_EXPIRED
                                                    : SOMETIMES_EXPIRED_READY);
        break;
    case SHADOW_DELAYED:
        sometimes(SOMETIMES_EXPIRED_DELAYED);
        break;
    case SHADOW_LEASED:
        sometimes(SOMETIMES_EXPIRED_LEASED);
        break;
    case SHADOW_WAITING:
        sometimes(SOMETIMES_EXPIRED_WAITING);
        break;
    default:
        break;
    }
}

static void see_cancellation(const struct fact *fact, const struct shadow_task *task)
{
    switch (fact->from) {
    case SHADOW_READY:
        sometimes(SOMETIMES_CANCELLED_READY);
        break;
    case SHADOW_DELAYED:
        sometimes(SOMETIMES_CANCELLED_DELAYED);
        break;
    case SHADOW_LEASED:
        sometimes(SOMETIMES_CANCELLED_LEASED);
        break;
    case SHADOW_WAITING:
        sometimes(SOMETIMES_CANCELLED_WAITING);
        break;
    default:
        return;
    }
    if (task->live_children > 0) {
        sometimes(SOMETIMES_CANCEL_OF_TREE);
    }
}

static void see_attempt_end(const struct model *model, const struct fact *fact,
                            const struct shadow_task *task)
{
    bool answered = model->current && model->subject == task;

    if (fact->to == SHADOW_DELAYED) {
        sometimes(SOMETIMES_RETRIED_FAILED);
    } else if (fact->to == SHADOW_READY) {
        sometimes(lease_over(model, task) ? SOMETIMES_RETRIED_LEASE_EXPIRED
                                          : SOMETIMES_RETRIED_WORKER_LOST);
    } else if (fact->to == SHADOW_FAILED && !answered) {
        sometimes(lease_over(model, task) ? SOMETIMES_ENDED_LEASE_EXPIRED
                                          : SOMETIMES_ENDED_WORKER_LOST);
    }
}

static void see_move(const struct model *model, const struct fact *fact)
{
    const struct shadow_task *task = model_task(model, &fact->id);

    if (fact->from == SHADOW_NEW) {
        if (model_event_is(model, COMMAND_SUBMIT)) {
            see_acceptance(model, fact);
        }
        return;
    }
    if (task == NULL) {
        return;
    }
    if (fact->from == SHADOW_LEASED) {
        see_attempt_end(model, fact, task);
    }
    if (task->policy != JOIN_NONE && fact->from == SHADOW_WAITING) {
        see_join_end(model, fact, task);
    }
    if (fact->to == SHADOW_EXPIRED) {
        see_expiry(model, fact, task);
    }
    if (fact->to == SHADOW_CANCELLED || fact->to == SHADOW_CANCELLING) {
        see_cancellation(fact, task);
    }
    if (fact->to >= SHADOW_DONE && task->live_children > 0) {
        sometimes(SOMETIMES_CHILDREN_ENDED_WITH_PARENT);
    }
}

static void see_error(const struct model *model, const struct fact *fact)
{
    if (strcmp(fact->code, "hello_required") == 0 && model->event->kind != EVENT_PROBE) {
        sometimes(SOMETIMES_BEFORE_HELLO);
    }
    if (model_event_is(model, COMMAND_HELLO)) {
        if (strcmp(fact->code, "conflict") == 0) {
            sometimes(SOMETIMES_HELLO_CONFLICT);
        } else if (strcmp(fact->code, "limit_exceeded") == 0) {
            sometimes(SOMETIMES_REFUSED_PEERS_MAX);
        }
    }
}

static bool has_leases(const struct model *model, const struct shadow_session *session)
{
    list_each(at, &model->leases) {
        if (list_entry(at, struct shadow_lease, link)->offer->session == session) {
            return true;
        }
    }
    return false;
}

static bool has_tasks(const struct model *model, const struct shadow_session *session)
{
    list_each(at, &model->tasks) {
        if (id_equal(&list_entry(at, struct shadow_task, link)->session, &session->id)) {
            return true;
        }
    }
    return false;
}

static void see_send(const struct model *model, const struct fact *fact)
{
    const struct shadow_session *session;

    switch (fact->command) {
    case COMMAND_ERROR:
        see_error(model, fact);
        break;
    case COMMAND_RESULT:
        if (fact->outcome == OUTCOME_REFUSED) {
            see_refusal(model, fact->code);
        } else if (model->subject != NULL && !model->subject_live &&
                   model_event_is(model, COMMAND_SUBMIT)) {
            sometimes(SOMETIMES_SUBMIT_REPEATED_ENDED);
        }
        if (fact->unconfirmed) {
            sometimes(SOMETIMES_CANCEL_UNCONFIRMED);
        }
        break;
    case COMMAND_REPLY:
        if (!model_event_is(model, COMMAND_QUERY) && !model_event_is(model, COMMAND_WATCH) &&
            !model_event_is(model, COMMAND_SIGNAL) && fact->code[0] == '\0') {
            sometimes(SOMETIMES_CANCEL_REPLIED);
        }
        break;
    case COMMAND_WELCOME:
        session = model_session_by_id(model, &model->event->message->hello.session);
        if (session != NULL) {
            sometimes(SOMETIMES_PEER_REOPENED);
        }
        break;
    default:
        break;
    }
}

static void see_forget(const struct model *model, const struct fact *fact)
{
    const struct shadow_session *session = model_session(model, fact->connection);

    if (session != NULL && model->event->kind == EVENT_TICK) {
        sometimes(SOMETIMES_PEER_SILENT);
    }
    if (session != NULL && model_event_is(model, COMMAND_HELLO) && has_leases(model, session)) {
        sometimes(SOMETIMES_PEER_REOPENED_WITH_LEASES);
    }
}

static void on_fact(struct model *model, const struct fact *fact)
{
    switch (fact->kind) {
    case FACT_MOVE:
        see_move(model, fact);
        break;
    case FACT_SEND:
        see_send(model, fact);
        break;
    case FACT_FORGET:
        see_forget(model, fact);
        break;
    case FACT_NOTE:
    case FACT_GATE:
    case FACT_LETTER:
    case FACT_RECORD:
        break;
    }
}

static void after_answer(const struct model *model)
{
    if (model_event_is(model, COMMAND_PROGRESS)) {
        if (model->current && model->subject->state == SHADOW_LEASED &&
            model->subject->lease_until_ms != UINT64_MAX) {
            sometimes(SOMETIMES_PROGRESS_RENEWED_LEASE);
        }
    } else if (!model->current) {
        sometimes(model->answered ? SOMETIMES_STRAY_ANSWERED : SOMETIMES_STALE_ANSWER);
    }
}

/* After a CREDIT or WITHDRAW of this session: what it still holds. */
static void after_offer_change(const struct model *model)
{
    const struct shadow_session *session = model_session(model, model->event->from);

    list_each(at, &model->offers) {
        const struct shadow_offer *offer = list_entry(at, struct shadow_offer, link);

        if (session == NULL || offer->session != session) {
            continue;
        }
        if (model_event_is(model, COMMAND_WITHDRAW) && offer->withdrawn && offer->held > 0) {
            sometimes(SOMETIMES_WITHDRAWN_WITH_LEASES);
        }
        if (model_event_is(model, COMMAND_CREDIT) && !offer->withdrawn &&
            offer->credit < offer->held) {
            sometimes(SOMETIMES_CREDIT_LOWERED_BELOW_HELD);
        }
    }
}

static void after_message(const struct model *model)
{
    switch (model->event->message->command) {
    case COMMAND_DONE:
    case COMMAND_FAIL:
    case COMMAND_PROGRESS:
        if (model_session(model, model->event->from) != NULL) {
            after_answer(model);
        }
        break;
    case COMMAND_WITHDRAW:
    case COMMAND_CREDIT:
        after_offer_change(model);
        break;
    case COMMAND_SUBMIT:
        if (model->subject_live && model->after.refused == model->before.refused) {
            sometimes(SOMETIMES_SUBMIT_REPEATED_LIVE);
        }
        break;
    default:
        break;
    }
}

static void after(struct model *model, const struct broker *core)
{
    uint64_t ended = 0;

    for (size_t i = 0; i < model->fact_count; i++) {
        ended += model->facts[i].kind == FACT_MOVE && model->facts[i].to >= SHADOW_DONE;
    }
    if (model->after.retained < model->before.retained + ended) {
        sometimes(SOMETIMES_RETAINED_EVICTED);
    }
    if (model->after.services < model->before.services) {
        sometimes(SOMETIMES_SERVICE_FORGOTTEN);
    }
    if (model->event->kind == EVENT_DRAIN) {
        sometimes(SOMETIMES_BROKER_DRAINED);
    }
    if (model->event->kind == EVENT_MESSAGE) {
        after_message(model);
    }
    list_each(at, &model->sessions) {
        const struct shadow_session *session = list_entry(at, struct shadow_session, link);

        if (session->gone && has_tasks(model, session)) {
            sometimes(SOMETIMES_PEER_GONE_WITH_TASKS);
        }
    }
}

const struct checker check_rare_states = {
    .property = "rare_states", .fact = on_fact, .after = after};
