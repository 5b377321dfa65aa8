/* What follows from events and facts, by PROTOCOL.md alone. */
#include "tests/sim/shadow.h"

#include "common/check.h"
#include "tests/sim/check.h"
#include "tests/sim/sometimes.h"
#include "tests/sim/shadow_directive.h"
#include "tests/sim/shadow_memo.h"
#include "tests/sim/shadow_row.h"
#include "tests/sim/shadow_stream.h"
#include "tests/sim/shadow_watch.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- what follows from it ---------------------------------------------------------------- */

void model_restoring(struct model *model)
{
    model->restoring = true;
}

void model_before(struct model *model, const struct broker *core, const struct event *event)
{
    const struct id *id = fact_event_task(event);

    model->event = event;
    model->now_ms = event->now_ms;
    model->fact_count = 0;
    model->subject = id != NULL ? model_task(model, id) : NULL;
    model->subject_live = model->subject != NULL && !shadow_ended(model->subject);
    model->current = model->answered = false;
    model->chunk_code = NULL;
    model->returned = false;
    model->replay_next = 0;
    model->started_before = model->starting;
    shadow_budget_pass(&model->wide_rule.budget, model->now_ms);
    list_each(at, &model->services) {
        struct shadow_service *service = list_entry(at, struct shadow_service, link);

        shadow_budget_pass(&service->rule.budget, model->now_ms);
        shadow_budget_pass(&service->tenant_rule.budget, model->now_ms);
        if (service->gate.state > SHADOW_GATE_OPEN) {
            shadow_gate_pass(&service->gate, model_running(model, service, service->gate.epoch_ms),
                             model->now_ms);
        }
    }
    if (model->restoring) {
        shadow_directives_restore(model);
    }
    broker_stats(core, &model->before);
    fact_hash_number(model, event->now_ms);
    fact_hash_number(model, (uint64_t)event->kind << 32 | event->from);
    if (event->kind == EVENT_MESSAGE) {
        fact_hash_number(model, event->message->command);
    }
}

static void take_welcome(struct model *model, const struct fact *fact)
{
    const struct hello *hello = &model->event->message->hello;
    struct shadow_session *session = model_session_by_id(model, &hello->session);

    if (session == NULL) {
        session = calloc(1, sizeof *session);
        CHECK(session != NULL);
        list_init(&session->link);
        session->id = hello->session;
        list_push_back(&model->sessions, &session->link);
    }
    if (!fact->resumed) {
        shadow_session_reset(model, session);
        session->anew_ms = model->now_ms;
    } else {
        sometimes(SOMETIMES_SESSION_RESUMED);
    }
    session->connection = fact->connection;
    session->heard_ms = model->now_ms;
    session->gone = false;
    session->numbered = fact->numbered;
    session->spoken = fact->known;
    session->suspended = session->unreachable = false;
}

static uint64_t lease_ms_of(const struct shadow_task *task, const struct shadow_lease *lease)
{
    if (task->lease_ms > 0) {
        return task->lease_ms;
    }
    return lease->offer->lease_ms > 0 ? lease->offer->lease_ms : task->home->limits.lease_ms;
}

/* Of silence or of its longest run, whichever is sooner. */
static uint64_t lease_end_ms(const struct model *model, const struct shadow_task *task,
                             const struct shadow_lease *lease)
{
    uint64_t lease_ms = lease_ms_of(task, lease);
    uint64_t silent_ms = lease_ms > 0 ? model->now_ms + lease_ms : UINT64_MAX;
    uint64_t run_ms = task->max_run_ms > 0 ? task->sent_ms + task->max_run_ms : UINT64_MAX;

    return silent_ms < run_ms ? silent_ms : run_ms;
}

/* An attempt of the task is its worker's: it counts from now on. */
struct shadow_lease *shadow_begin(struct model *model, struct shadow_task *task,
                                  struct shadow_session *session, uint64_t attempt)
{
    struct shadow_lease *lease = calloc(1, sizeof *lease);
    struct shadow_offer *offer;

    CHECK(lease != NULL);
    MODEL_CHECK(model, "credit_kept", session != NULL, "%s is handed to nobody who is here",
                model_id_text(&task->id));
    offer = model_offer(model, session, span_from_text(task->service));
    MODEL_CHECK(model, "credit_kept", offer != NULL,
                "TASK of '%s' to a peer that does not offer it", task->service);
    list_init(&lease->link);
    list_each(at, &model->leases) {
        struct shadow_lease *older = list_entry(at, struct shadow_lease, link);

        if (older->offer->session == session && older->task_order != task->order &&
            id_equal(&older->task, &task->id)) {
            older->twin = lease->twin = true;
        }
    }
    list_push_back(&model->leases, &lease->link);
    lease->offer = offer;
    lease->task = task->id;
    lease->task_order = task->order;
    lease->attempt = attempt;
    offer->held++;
    offer->near[task->near] = task->home->near[task->near] = ++model->orders;
    task->run_started_ms = model->now_ms;
    shadow_rule_start(&task->home->rule, task->cost, model->now_ms);
    shadow_rule_start(&task->home->tenant_rule, task->cost, model->now_ms);
    shadow_rule_start(&model->wide_rule, task->cost, model->now_ms);
    return lease;
}

struct shadow_lease *shadow_lease_of(const struct model *model, const struct shadow_task *task)
{
    list_each(at, &model->leases) {
        struct shadow_lease *lease = list_entry(at, struct shadow_lease, link);

        if (lease->task_order == task->order && lease->attempt == task->attempt) {
            return lease;
        }
    }
    return NULL;
}

static void take_task(struct model *model, const struct fact *fact)
{
    struct shadow_task *task = model_task(model, &fact->id);
    const struct shadow_lease *lease;

    MODEL_CHECK(model, "credit_kept", task != NULL, "TASK of an unknown task");
    if (task->starting) {
        task->starting = false;
        model->starting--;
        lease = shadow_lease_of(model, task);
    } else {
        lease = shadow_begin(model, task, model_session(model, fact->connection), fact->attempt);
    }
    CHECK(lease != NULL); /* check_durable has looked */
    task->sent_ms = model->now_ms;
    task->lease_until_ms = lease_end_ms(model, task, lease);
}

bool model_holds(const struct model *model, const struct shadow_session *session)
{
    list_each(at, &model->leases) {
        if (list_entry(at, struct shadow_lease, link)->offer->session == session) {
            return true;
        }
    }
    return false;
}

void model_drained(struct model *model, const struct id *id, bool draining)
{
    struct shadow_session *session = model_session_by_id(model, id);

    if (session != NULL) {
        session->draining = draining;
        if (draining && model_holds(model, session)) {
            sometimes(SOMETIMES_WORKER_DRAINED);
        }
    }
}

static void take_limit(struct model *model, const struct control *control)
{
    char service[SHADOW_NAME_MAX];

    if (control->key.size == 0 && control->tenant.size == 0) {
        shadow_copy_text(service, sizeof service, control->service);
        model_policed(model, service, &control->limits);
    }
}

static void take_control(struct model *model, const struct fact *fact)
{
    const struct control *control = &model->event->message->control;
    bool draining = control->what == CONTROL_DRAIN;

    if (control->what == CONTROL_LIMIT && fact->code[0] == '\0') {
        take_limit(model, control);
    }
    if ((!draining && control->what != CONTROL_UNDRAIN) || fact->code[0] != '\0' ||
        control->peer > 0) {
        return;
    }
    if (control->service.size > 0) {
        shadow_service_know(model, control->service)->draining = draining;
    } else {
        model->draining = draining;
    }
}

static void take_send(struct model *model, const struct fact *fact)
{
    struct shadow_task *task;

    switch (fact->command) {
    case COMMAND_WELCOME:
        take_welcome(model, fact);
        break;
    case COMMAND_TASK:
        take_task(model, fact);
        break;
    case COMMAND_REPLY:
        if (model_event_is(model, COMMAND_CONTROL)) {
            take_control(model, fact);
        }
        break;
    case COMMAND_RESULT:
        task = model_task(model, &fact->id);
        if (fact->outcome != OUTCOME_REFUSED && task != NULL &&
            !shadow_told_as_reader(model, task, fact->connection)) {
            task->results++;
        }
        break;
    default:
        break;
    }
}

/* Its tasks are cancelled, and may be submitted anew. */
static void session_end(struct model *model, struct shadow_session *session)
{
    session->gone = true;
    shadow_stream_gone(model, session);
    list_each(at, &model->tasks) {
        struct shadow_task *task = list_entry(at, struct shadow_task, link);

        if (id_equal(&task->session, &session->id)) {
            /* What is certain to end, ends as it does. */
            task->alone = task->detached || (task->state == SHADOW_STORING && !task->orphan);
            task->orphan = !task->alone;
            task->stopping = task->state == SHADOW_CANCELLING || !id_is_nil(&task->parent);
        }
    }
}

static void take_forget(struct model *model, const struct fact *fact)
{
    struct shadow_session *session = model_session(model, fact->connection);

    if (session != NULL) {
        bool lapsed = session->suspended &&
                      model->now_ms >= session->away_ms + model->core.resume_ms;

        shadow_session_reset(model, session);
        session->connection = 0;
        session->away_ms = session->suspended ? session->away_ms : model->now_ms;
        session->numbered = session->suspended = false;
        if (lapsed || model_event_is(model, COMMAND_BYE)) {
            session_end(model, session);
        }
    }
}

static void take_offer(struct model *model, struct shadow_session *session,
                       const struct offer_message *message)
{
    struct shadow_offer *offer = model_offer(model, session, message->service);
    struct shadow_service *service;

    for (size_t i = 0; i < model->fact_count; i++) {
        if (model->facts[i].kind == FACT_SEND && model->facts[i].command == COMMAND_ERROR) {
            return; /* refused */
        }
    }
    if (offer == NULL) {
        offer = calloc(1, sizeof *offer);
        CHECK(offer != NULL);
        list_init(&offer->link);
        offer->session = session;
        offer->number = ++model->orders;
        shadow_copy_text(offer->service, sizeof offer->service, message->service);
        list_push_back(&model->offers, &offer->link);
    }
    offer->credit = message->credit;
    offer->exclusive = message->exclusive;
    shadow_copy_text(offer->version, sizeof offer->version, message->version);
    service = shadow_service_know(model, message->service);
    if (!service->configured) {
        const struct service_limits limits = {.max_tasks = message->max_tasks,
                                              .max_bytes = message->max_bytes,
                                              .attempts = message->attempts};

        service->vague |= limits.max_tasks > 0 || limits.max_bytes > 0 || limits.attempts > 0;
        shadow_service_limit(service, &limits);
    }
    offer->lease_ms = message->lease_ms;
}

/* A worker's answer, or word of progress, about `attempt` of the step's subject. Sets
 * model->current. Returns the lease that an answer frees; NULL: none. */
static struct shadow_lease *find_answered(struct model *model,
                                          const struct shadow_session *session,
                                          const struct id *id, uint64_t attempt)
{
    const struct shadow_task *task = model->subject;
    struct shadow_lease *found = NULL;

    list_each(at, &model->leases) {
        struct shadow_lease *lease = list_entry(at, struct shadow_lease, link);

        if (lease->offer->session != session || lease->attempt != attempt ||
            !id_equal(&lease->task, id)) {
            continue;
        }
        model->ambiguous = model->ambiguous || (found != NULL && found->offer != lease->offer);
        found = lease;
        if (task != NULL && lease->task_order == task->order && task->attempt == attempt &&
            task->in_hands &&
            (task->state == SHADOW_LEASED ||
             (task->state == SHADOW_CANCELLING &&
              model->now_ms < task->cancelled_ms + model->core.cancel_grace_ms))) {
            model->current = true;
            return lease;
        }
    }
    return found;
}

static void take_answer(struct model *model, const struct shadow_session *session,
                        const struct id *id, uint64_t attempt)
{
    struct shadow_lease *lease = find_answered(model, session, id, attempt);

    model->answered = lease != NULL;
    if (lease != NULL) {
        shadow_lease_drop(lease);
    }
}

/* The last TASK of this id that the session has not answered; NULL: none. */
static struct shadow_lease *newest_lease(const struct model *model,
                                         const struct shadow_session *session,
                                         const struct id *id)
{
    struct shadow_lease *newest = NULL;

    list_each(at, &model->leases) {
        struct shadow_lease *lease = list_entry(at, struct shadow_lease, link);

        if (lease->offer->session == session && id_equal(&lease->task, id) &&
            (newest == NULL || lease->attempt > newest->attempt)) {
            newest = lease;
        }
    }
    return newest;
}

/* PROTOCOL.md, DONE and FAIL: one that cannot be read answers what the session holds. */
static void take_garbled(struct model *model, const struct shadow_session *session)
{
    const struct malformed *malformed = model->event->malformed;
    const struct shadow_task *task = model->subject;
    struct shadow_lease *lease = NULL;

    if (malformed->command != COMMAND_DONE && malformed->command != COMMAND_FAIL) {
        return;
    }
    if (task != NULL && !shadow_ended(task)) {
        lease = find_answered(model, session, &task->id, task->attempt);
    }
    if (!model->current) {
        lease = newest_lease(model, session, &malformed->id);
    }
    model->answered = lease != NULL;
    if (lease != NULL) {
        shadow_lease_drop(lease);
    }
}

/* PROGRESS, CHUNK, CHECKPOINT: its worker is still at it. */
static void take_progress(struct model *model, const struct shadow_session *session,
                          const struct id *id, uint64_t attempt)
{
    const struct shadow_lease *lease = find_answered(model, session, id, attempt);
    struct shadow_task *task = model->subject;

    if (model->current && task->state == SHADOW_LEASED) {
        task->leased_ms = model->now_ms;
        task->lease_until_ms = lease_end_ms(model, task, lease);
    }
}

static void correct(struct model *model, struct shadow_rule *rule, uint64_t cost)
{
    const struct shadow_task *task = model->subject;

    if (rule->budget.budget > 0) {
        shadow_budget_correct(&rule->budget, task->run_started_ms, task->cost, cost,
                              model->now_ms);
        if (cost != task->cost) {
            sometimes(SOMETIMES_BUDGET_CORRECTED);
        }
    }
}

/* What the attempt under way has really cost. */
static void take_cost(struct model *model, uint64_t cost)
{
    const struct shadow_task *task = model->subject;

    if (model->current && task->home->keys != NULL && shadow_key_of(task) >= 0) {
        shadow_key_spend(task->home->keys, (unsigned)shadow_key_of(task),
                         (int64_t)cost - (int64_t)task->cost, model->now_ms);
    }
    if (model->current) {
        correct(model, &task->home->rule, cost);
        correct(model, &task->home->tenant_rule, cost);
        correct(model, &model->wide_rule, cost);
    }
}

/* PROTOCOL.md, section 2.1: its connection is lost, or it is silent, since now. */
static void session_suspend(struct model *model, struct shadow_session *session, bool unreachable)
{
    if (!session->suspended) {
        session->suspended = true;
        session->unreachable = false;
        session->away_ms = model->now_ms;
        sometimes(SOMETIMES_SESSION_SUSPENDED);
    }
    session->unreachable = session->unreachable || unreachable;
}

/* What time and the connection do to sessions, before anything is said. */
static void take_time(struct model *model)
{
    list_each(at, &model->sessions) {
        struct shadow_session *session = list_entry(at, struct shadow_session, link);

        if (session->connection != 0 && session->numbered && !session->suspended &&
            model->now_ms >= session->heard_ms + model->core.silence_ms) {
            session_suspend(model, session, false);
        }
        if (session->connection == 0 && !session->gone &&
            model->now_ms >= session->away_ms + model->core.resume_ms) {
            session_end(model, session);
        }
    }
}

/* What the peer's own command changes before any effect of it. */
static void take_event(struct model *model)
{
    const struct event *event = model->event;
    struct shadow_session *session = model_session(model, event->from);
    struct shadow_offer *offer;

    if (event->kind == EVENT_DRAIN) {
        model->draining = true;
    } else if (event->kind == EVENT_STORED) {
        shadow_rows_stored(model, event->stored);
    } else if (event->kind == EVENT_STORE) {
        model->store = event->store;
    }
    take_time(model);
    if (event->kind == EVENT_LOST && session != NULL && session->numbered) {
        session_suspend(model, session, true);
    }
    if ((event->kind == EVENT_MESSAGE || event->kind == EVENT_MALFORMED) && session != NULL &&
        !session->unreachable) {
        model->returned = session->suspended; /* it was only silent */
        session->suspended = false;
    }
    if (event->kind == EVENT_MESSAGE && session != NULL && !model_event_is(model, COMMAND_HELLO)) {
        session->spoken = true;
    }
    if (event->kind == EVENT_MALFORMED && session != NULL) {
        session->heard_ms = model->now_ms;
        take_garbled(model, session);
    }
    if (event->kind != EVENT_MESSAGE || session == NULL) {
        return;
    }
    session->heard_ms = model->now_ms;
    switch (event->message->command) {
    case COMMAND_SUBMIT:
        if (model->subject != NULL && id_equal(&model->subject->session, &session->id)) {
            model->subject->alone = false; /* it hears of it again */
        }
        break;
    case COMMAND_OFFER:
        take_offer(model, session, &event->message->offer);
        break;
    case COMMAND_WITHDRAW:
        offer = model_offer(model, session, event->message->withdraw.service);
        if (offer != NULL) {
            offer->withdrawn = true;
        }
        break;
    case COMMAND_CREDIT:
        offer = model_offer(model, session, event->message->credit.service);
        if (offer != NULL) {
            offer->credit = event->message->credit.credit;
        }
        break;
    case COMMAND_DONE:
        take_answer(model, session, &event->message->done.id, event->message->done.attempt);
        if (event->message->done.costed) {
            take_cost(model, event->message->done.cost);
        }
        break;
    case COMMAND_FAIL:
        take_answer(model, session, &event->message->fail.id, event->message->fail.attempt);
        if (event->message->fail.costed) {
            take_cost(model, event->message->fail.cost);
        }
        break;
    case COMMAND_PROGRESS:
        take_progress(model, session, &event->message->progress.id,
                      event->message->progress.attempt);
        break;
    case COMMAND_CHUNK:
        take_progress(model, session, &event->message->chunk.id, event->message->chunk.attempt);
        break;
    case COMMAND_CHECKPOINT:
        take_progress(model, session, &event->message->checkpoint.id,
                      event->message->checkpoint.attempt);
        break;
    default:
        break;
    }
    shadow_stream_event(model, session);
    shadow_memo_event(model);
    shadow_watch_event(model, session);
}

static void take_record(struct model *model, const struct fact *fact)
{
    const struct shadow_session *session;
    struct submit submit;

    if (fact->what == STORE_DIRECTIVE) {
        shadow_row_direct(model, fact, model->directed);
        return;
    }
    if (fact->what != STORE_TASK) {
        shadow_row_record(model, fact, NULL, NULL, 0);
        return;
    }
    submit = shadow_submit_of(model, fact);
    session = model_session(model, model->event->from);
    CHECK(session != NULL);
    shadow_row_record(model, fact, &submit, &session->id, fact->attempts_max);
}

/* Sessions that have nothing to come back for do not wait for it. */
static void end_idle_sessions(struct model *model)
{
    list_each(at, &model->sessions) {
        struct shadow_session *session = list_entry(at, struct shadow_session, link);
        bool idle = true;

        list_each(link, &model->tasks) {
            const struct shadow_task *task = list_entry(link, struct shadow_task, link);

            idle = idle && (task->detached || !id_equal(&task->session, &session->id));
        }
        if (idle) {
            session_end(model, session);
        }
    }
}

void model_torn(struct model *model)
{
    for (size_t i = 0; i < model->fact_count; i++) {
        if (model->facts[i].kind == FACT_RECORD) {
            take_record(model, &model->facts[i]);
        }
    }
    model->fact_count = 0;
    model->restoring = false;
    model->event = NULL;
}

static void drop_gone_sessions(struct model *model)
{
    list_each(at, &model->sessions) {
        struct shadow_session *session = list_entry(at, struct shadow_session, link);

        if (session->connection == 0 && session->gone) {
            shadow_session_drop(model, session);
        }
    }
}

void model_after(struct model *model, const struct broker *core, const struct event *event)
{
    broker_stats(core, &model->after);
    if (model->trace && (event->kind != EVENT_TICK || model->fact_count > 0)) {
        fact_print_step(model);
    }
    take_event(model);
    for (size_t i = 0; i < model->fact_count; i++) {
        const struct fact *fact = &model->facts[i];

        for (unsigned k = 0; k < checker_count; k++) {
            if (checkers[k]->fact != NULL) {
                checkers[k]->fact(model, fact);
            }
        }
        switch (fact->kind) {
        case FACT_MOVE:
            shadow_move(model, fact);
            break;
        case FACT_SEND:
            take_send(model, fact);
            break;
        case FACT_FORGET:
            take_forget(model, fact);
            break;
        case FACT_RECORD:
            take_record(model, fact);
            break;
        case FACT_NOTE:
        case FACT_GATE:
        case FACT_LETTER:
            break;
        }
        shadow_stream_fact(model, fact);
        shadow_memo_fact(model, fact);
        shadow_watch_fact(model, fact);
    }
    if (model->restoring) {
        end_idle_sessions(model);
    }
    for (unsigned k = 0; k < checker_count; k++) {
        if (checkers[k]->after != NULL) {
            checkers[k]->after(model, core);
        }
    }
    shadow_stream_settle(model);
    shadow_watch_settle(model);
    drop_gone_sessions(model);
    model->previous_ms = model->now_ms;
    model->restoring = false;
    model->event = NULL;
}

void model_at_rest(struct model *model, const struct broker *core)
{
    model->event = NULL;
    broker_stats(core, &model->after);
    for (unsigned k = 0; k < checker_count; k++) {
        if (checkers[k]->rest != NULL) {
            checkers[k]->rest(model, core);
        }
    }
}

void model_fail(const struct model *model, const char *property, const char *format, ...)
{
    va_list arguments;

    printf("VIOLATION %s at %" PRIu64 " ms: ", property, model->now_ms);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    if (model->event != NULL) {
        fact_print_step(model);
    }
    fflush(stdout);
    exit(1);
}
