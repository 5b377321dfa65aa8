/* Deadlines, queue TTLs, leases, delays, graces, silence and resume fire within one tick, and
 * never early: after a step at `now` nothing is left that was due by then. */
#include "tests/sim/check.h"
#include "tests/sim/sometimes.h"

#include <inttypes.h>

#define PROPERTY "timers_fire"

struct due {
    const char *timer; /* NULL: none */
    uint64_t at_ms;
};

/* What the task's state waits for at the latest. */
static struct due next_due(const struct model *model, const struct shadow_task *task)
{
    struct due due = {"deadline", task->deadline_ms};

    if (task->state == SHADOW_STORING) {
        return (struct due){NULL, UINT64_MAX};
    }
    if (task->state == SHADOW_CANCELLING) {
        /* A task that waits for what is below it gives that one tick more, to end first. */
        bool waits = task->live_children > 0 || task->policy != JOIN_NONE;

        return (struct due){"cancel grace",
                            task->cancelled_ms + model->core.cancel_grace_ms + waits};
    }
    if (task->state == SHADOW_READY && task->attempt == 0 && task->ttl_ms < due.at_ms) {
        due = (struct due){"queue TTL", task->ttl_ms};
    }
    if (task->state == SHADOW_LEASED && task->lease_until_ms < due.at_ms) {
        due = (struct due){"lease", task->lease_until_ms};
    }
    if (task->state == SHADOW_DELAYED && task->delayed_until_ms < due.at_ms) {
        due = (struct due){"delay", task->delayed_until_ms};
    }
    return due;
}

static void check_tasks(struct model *model)
{
    list_each(at, &model->tasks) {
        const struct shadow_task *task = list_entry(at, struct shadow_task, link);
        struct due due = next_due(model, task);

        MODEL_CHECK(model, PROPERTY, due.at_ms > model->now_ms,
                    "%s is still %s, its %s was due at %" PRIu64 " ms", model_id_text(&task->id),
                    shadow_state_name(task->state), due.timer, due.at_ms);
        MODEL_CHECK(model, PROPERTY,
                    !task->orphan || task->state == SHADOW_CANCELLING ||
                        task->state == SHADOW_STORING,
                    "%s is still %s, its session is gone", model_id_text(&task->id),
                    shadow_state_name(task->state));
    }
}

/* How long a suspended session is waited for. */
static uint64_t wait_ms(const struct model *model, const struct shadow_session *session)
{
    uint64_t resume_ms = model->core.resume_ms, hold_ms = model->core.hold_ms;

    return model_holds(model, session) && hold_ms < resume_ms ? hold_ms : resume_ms;
}

static void check_sessions(struct model *model)
{
    list_each(at, &model->sessions) {
        const struct shadow_session *session = list_entry(at, struct shadow_session, link);

        MODEL_CHECK(model, PROPERTY,
                    session->connection == 0 || session->suspended ||
                        session->heard_ms + model->core.silence_ms > model->now_ms,
                    "c%u was silent since %" PRIu64 " ms, and is not lost", session->connection,
                    session->heard_ms);
        MODEL_CHECK(model, PROPERTY,
                    !session->suspended ||
                        session->away_ms + wait_ms(model, session) > model->now_ms,
                    "c%u is suspended since %" PRIu64 " ms, and is not lost", session->connection,
                    session->away_ms);
    }
}

static void after(struct model *model, const struct broker *core)
{
    if (model->now_ms != model->previous_ms || model->event->kind == EVENT_TICK ||
        model_event_is(model, COMMAND_BYE)) {
        check_tasks(model);
        check_sessions(model);
    }
}

static void see_cancel(struct model *model, const struct fact *fact)
{
    const struct shadow_task *task = model_task(model, &fact->id);

    MODEL_CHECK(model, PROPERTY, task != NULL && task->attempt == fact->attempt,
                "CANCEL of %s, attempt %" PRIu64 ", which is not under way",
                model_id_text(&fact->id), fact->attempt);
    if (strcmp(fact->reason, "expired") == 0) {
        MODEL_CHECK(model, PROPERTY, task->deadline_ms <= model->now_ms,
                    "CANCEL expired of %s, due at %" PRIu64 " ms", model_id_text(&fact->id),
                    task->deadline_ms);
    } else if (strcmp(fact->reason, "lease_expired") == 0) {
        MODEL_CHECK(model, PROPERTY,
                    task->state == SHADOW_LEASED && task->lease_until_ms <= model->now_ms,
                    "CANCEL lease_expired of %s, which is %s until %" PRIu64 " ms",
                    model_id_text(&fact->id), shadow_state_name(task->state),
                    task->lease_until_ms);
    } else if (model->chunk_code != NULL && model->subject == task) {
        MODEL_CHECK(model, PROPERTY, strcmp(fact->reason, model->chunk_code) == 0,
                    "CANCEL '%s' of %s, whose CHUNK was refused %s", fact->reason,
                    model_id_text(&fact->id), model->chunk_code);
    } else {
        MODEL_CHECK(model, PROPERTY,
                    strcmp(fact->reason, "cancelled") == 0 && task->state == SHADOW_CANCELLING,
                    "CANCEL '%s' of %s, which is %s", fact->reason, model_id_text(&fact->id),
                    shadow_state_name(task->state));
    }
}

static void see_task(struct model *model, const struct fact *fact)
{
    const struct shadow_task *task = model_task(model, &fact->id);
    uint64_t left_ms;

    if (task != NULL) {
        left_ms = task->deadline_ms == UINT64_MAX ? 0 : task->deadline_ms - model->now_ms;
        MODEL_CHECK(model, PROPERTY, fact->deadline_ms == left_ms,
                    "TASK %s says it has %" PRIu64 " ms left, expected %" PRIu64,
                    model_id_text(&fact->id), fact->deadline_ms, left_ms);
    }
}

/* A session is lost for silence, and for nothing else that the clock does. */
static void see_forget(struct model *model, const struct fact *fact)
{
    const struct shadow_session *session = model_session(model, fact->connection);

    if (model->event->kind != EVENT_TICK || session == NULL) {
        return;
    }
    if (session->suspended) {
        MODEL_CHECK(model, PROPERTY,
                    session->away_ms + wait_ms(model, session) <= model->now_ms,
                    "c%u is lost, but suspended only since %" PRIu64 " ms", fact->connection,
                    session->away_ms);
        sometimes(SOMETIMES_SESSION_LAPSED);
        return;
    }
    MODEL_CHECK(model, PROPERTY, session->heard_ms + model->core.silence_ms <= model->now_ms,
                "c%u is lost, but it was heard at %" PRIu64 " ms", fact->connection,
                session->heard_ms);
}

static void on_fact(struct model *model, const struct fact *fact)
{
    if (fact->kind == FACT_FORGET) {
        see_forget(model, fact);
    } else if (fact->kind == FACT_SEND && fact->command == COMMAND_CANCEL_OUT) {
        see_cancel(model, fact);
    } else if (fact->kind == FACT_SEND && fact->command == COMMAND_TASK) {
        see_task(model, fact);
    }
}

const struct checker check_timers_fire = {.property = PROPERTY, .fact = on_fact, .after = after};
