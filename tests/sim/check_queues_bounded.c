/* Every queue stays within its count and bytes, every window within its tasks, memory within the
 * budget: checked when a task is accepted. (A task that comes back to the queue was
 * accepted before, and may exceed it; an empty queue takes any one task.) And the other way
 * round: what is refused for a bound is over that bound. (But for memory: the budget also has what
 * no counter shows.) A broker that drains takes nothing new. */
#include "tests/sim/check.h"
#include "tests/sim/shadow_scatter.h"
#include "tests/sim/sometimes.h"

#include <inttypes.h>

#define PROPERTY "queues_bounded"
/* Admission reckons with the records' rough size: one task may exceed the budget by as much. */
#define MEMORY_SLACK 1024

struct window {
    uint64_t tasks, bytes;
};

static struct window window_used(const struct model *model, const struct shadow_session *session)
{
    struct window used = {0, 0};

    list_each(at, &model->tasks) {
        const struct shadow_task *task = list_entry(at, struct shadow_task, link);

        if (!task->orphan && !task->alone && id_equal(&task->session, &session->id)) {
            used.tasks++;
            used.bytes += task->bytes;
        }
    }
    return used;
}

/* The last one of so many would not fit. */
static bool window_full(const struct model *model, const struct window *used, uint64_t tasks,
                        uint64_t bytes)
{
    uint64_t before = used->tasks + tasks - 1;

    return before >= model->core.window_tasks ||
           (before > 0 && used->bytes + tasks * bytes > model->core.window_bytes);
}

/* Let through a full window: a window full of parents that wait must not stop them. */
static bool first_child(const struct model *model, const struct submit *submit)
{
    const struct shadow_task *parent = model_task(model, &submit->parent);

    return parent != NULL && !id_is_nil(&submit->parent) && !submit->detached &&
           parent->live_children == 0;
}

/* But a chain of first children has an end. */
static bool overdrawn(const struct model *model, const struct window *used)
{
    return used->tasks >= 2 * model->core.window_tasks + 1024 ||
           used->bytes > 2 * model->core.window_bytes;
}

static bool queue_full(const struct shadow_service *service, uint64_t tasks, uint64_t bytes)
{
    uint64_t before = service->queued + tasks - 1;

    return before >= service->limits.max_tasks ||
           (before > 0 && service->queued_bytes + tasks * bytes > service->limits.max_bytes);
}

/* How many tasks the SUBMIT makes, of its payload each. */
static uint64_t width_of(const struct model *model, const struct submit *submit)
{
    size_t width = submit->route == ROUTE_ALL ? shadow_scatter_width(model, submit) : 1;

    return width > 0 ? width : 1;
}

/* Some of its tasks wait for others of their ordering key, maybe for this child's parent. */
static bool any_in_lane(const struct model *model, const struct shadow_service *service)
{
    list_each(at, &service->ready) {
        if (!check_lane_lets(model, list_entry(at, struct shadow_task, ready_link))) {
            return true;
        }
    }
    return false;
}

/* `follows`: it waits for another task of its key, or is answered by it, and never queues for it. */
static void see_acceptance(struct model *model, const struct submit *submit, bool follows)
{
    const struct shadow_session *session = model_session(model, model->event->from);
    const struct shadow_service *service = model_service(model, submit->service);
    uint64_t bytes = submit->payload.bytes.size;
    uint64_t memory_max;
    struct window used;

    if (session == NULL) {
        return;
    }
    MODEL_CHECK(model, PROPERTY,
                !model->draining || submit->join != JOIN_NONE || !id_is_nil(&submit->parent),
                "a new task is accepted while the broker drains");
    used = window_used(model, session);
    MODEL_CHECK(model, PROPERTY,
                !window_full(model, &used, 1, bytes) ||
                    (first_child(model, submit) && !overdrawn(model, &used)),
                "a task of %" PRIu64 " bytes is accepted into a window that holds %" PRIu64
                " tasks, %" PRIu64 " bytes, of at most %" PRIu64 ", %" PRIu64,
                bytes, used.tasks, used.bytes, model->core.window_tasks,
                model->core.window_bytes);
    MODEL_CHECK(model, PROPERTY, bytes <= model->core.payload_max,
                "a payload of %" PRIu64 " bytes is accepted", bytes);
    if (submit->join == JOIN_NONE && !follows && service != NULL && !service->vague) {
        MODEL_CHECK(model, PROPERTY,
                    !queue_full(service, 1, bytes) ||
                        (first_child(model, submit) && any_in_lane(model, service)),
                    "a task of %" PRIu64 " bytes is accepted into the queue of '%s', which holds "
                    "%" PRIu64 " tasks, %" PRIu64 " bytes, of at most %" PRIu64 ", %" PRIu64,
                    bytes, service->name, service->queued, service->queued_bytes,
                    service->limits.max_tasks, service->limits.max_bytes);
    }
    memory_max = model->core.memory_max + MEMORY_SLACK;
    if (first_child(model, submit)) {
        if (model->after.memory_bytes > memory_max) {
            sometimes(SOMETIMES_RESERVE_TAKEN);
        }
        memory_max += model->core.memory_max / 4 + bytes;
    }
    MODEL_CHECK(model, PROPERTY, model->after.memory_bytes <= memory_max,
                "a task is accepted, and memory is %" PRIu64 " bytes of %" PRIu64,
                model->after.memory_bytes, model->core.memory_max);
}

static void see_refusal(struct model *model, const struct fact *fact)
{
    const struct submit *submit = &model->event->message->submit;
    const struct shadow_session *session = model_session(model, fact->connection);
    const struct shadow_service *service = model_service(model, submit->service);
    uint64_t bytes = submit->payload.bytes.size;
    struct window used;

    if (session == NULL) {
        return;
    }
    if (strcmp(fact->code, "queue_full") == 0) {
        MODEL_CHECK(model, PROPERTY,
                    service != NULL &&
                        (service->vague || queue_full(service, width_of(model, submit), bytes)),
                    "queue_full, but '%s' holds %" PRIu64 " tasks, %" PRIu64 " bytes of %" PRIu64
                    ", %" PRIu64,
                    service == NULL ? "?" : service->name, service == NULL ? 0 : service->queued,
                    service == NULL ? 0 : service->queued_bytes,
                    service == NULL ? 0 : service->limits.max_tasks,
                    service == NULL ? 0 : service->limits.max_bytes);
    } else if (strcmp(fact->code, "window_exceeded") == 0) {
        used = window_used(model, session);
        MODEL_CHECK(model, PROPERTY,
                    window_full(model, &used,
                                width_of(model, submit) + (submit->route == ROUTE_ALL), bytes) &&
                        (submit->route == ROUTE_ALL || !first_child(model, submit) ||
                         overdrawn(model, &used)),
                    "window_exceeded at %" PRIu64 " tasks, %" PRIu64 " bytes of %" PRIu64
                    ", %" PRIu64,
                    used.tasks, used.bytes, model->core.window_tasks, model->core.window_bytes);
    }
}

static void on_fact(struct model *model, const struct fact *fact)
{
    struct submit submit;

    if (!model_event_is(model, COMMAND_SUBMIT)) {
        return;
    }
    if (fact->kind == FACT_MOVE && fact->from == SHADOW_NEW) {
        submit = model->event->message->submit;
        if (submit.route == ROUTE_ALL) {
            submit = shadow_scatter_submit(model, fact, &submit);
        }
        see_acceptance(model, &submit, fact->to == SHADOW_WAITING);
    } else if (fact->kind == FACT_SEND && fact->command == COMMAND_RESULT &&
               fact->outcome == OUTCOME_REFUSED) {
        see_refusal(model, fact);
    }
}

const struct checker check_queues_bounded = {.property = PROPERTY, .fact = on_fact};
