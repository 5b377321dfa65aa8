#include "tests/bench/core_worker.h"

#include <stdlib.h>

struct worker_task {
    struct id id;
    uint64_t attempt;
    uint64_t chunks, until; /* sent, and may be sent */
    bool cancelled;
    uint8_t *payload; /* payload_bytes of the worker's payloads */
};

static struct worker_task *worker_at(const struct worker *worker, size_t index)
{
    return &worker->ring[(worker->first + index) % worker->capacity];
}

/* NULL: it holds no such task. */
static struct worker_task *worker_find(const struct worker *worker, const struct id *id)
{
    for (size_t i = 0; i < worker->count; i++) {
        if (id_equal(&worker_at(worker, i)->id, id)) {
            return worker_at(worker, i);
        }
    }
    return NULL;
}

/* ---- hearing -------------------------------------------------------------- */

static void take_task(struct worker *worker, const struct task_message *message)
{
    struct worker_task *task = worker_at(worker, worker->count);

    if (worker->count == worker->capacity ||
        message->payload.bytes.size != worker->plan->payload_bytes) {
        worker->strange++;
        return;
    }
    worker->count++;
    task->id = message->id;
    task->attempt = message->attempt;
    task->chunks = 0;
    task->until = message->stream;
    task->cancelled = false;
    memcpy(task->payload, message->payload.bytes.data, message->payload.bytes.size);
}

static void take_message(void *context, const struct message *message)
{
    struct worker *worker = context;
    struct worker_task *task;

    switch ((int)message->command) {
    case COMMAND_TASK:
        take_task(worker, &message->task);
        return;
    case COMMAND_CANCEL_OUT:
        task = worker_find(worker, &message->cancel_out.id);
        if (task != NULL) {
            task->cancelled = true;
        }
        return;
    case COMMAND_FLOW:
        task = worker_find(worker, &message->flow.id);
        if (task != NULL) {
            task->until = message->flow.until;
        }
        return;
    case COMMAND_PONG:
        return;
    default:
        worker->strange++;
    }
}

void worker_hear(struct worker *worker)
{
    world_hear(worker->world, worker->peer, take_message, worker);
}

/* ---- answering ------------------------------------------------------------ */

static void say_stopped(struct worker *worker, const struct worker_task *task)
{
    struct message message = {.command = COMMAND_FAIL};

    message.fail.id = task->id;
    message.fail.attempt = task->attempt;
    message.fail.error.code = span_from_text(error_code_name(ERROR_CANCELLED));
    message.fail.error.message = span_from_text("stopped, as it was told to");
    world_say(worker->world, worker->peer, &message);
}

/* True: that was its answer. False: its stream goes on when its reader has caught up. */
static bool answer(struct worker *worker, struct worker_task *task)
{
    struct payload payload = {.bytes = span_of(task->payload, worker->plan->payload_bytes)};
    struct message message = {.command = COMMAND_CHUNK};

    if (task->cancelled) {
        say_stopped(worker, task);
        return true;
    }
    while (task->chunks < worker->plan->chunks && task->chunks < task->until) {
        message.chunk = (struct chunk){task->id, task->attempt, task->chunks++, payload};
        world_say(worker->world, worker->peer, &message);
    }
    if (task->chunks < worker->plan->chunks) {
        return false;
    }
    message = (struct message){.command = COMMAND_DONE};
    message.done.id = task->id;
    message.done.attempt = task->attempt;
    message.done.payload = payload;
    world_say(worker->world, worker->peer, &message);
    return true;
}

/* The oldest becomes the youngest. */
static void put_back(struct worker *worker)
{
    struct worker_task *oldest = worker_at(worker, 0), *beyond = worker_at(worker, worker->count);
    struct worker_task swapped = *beyond;

    *beyond = *oldest; /* the same, if the ring is full */
    *oldest = swapped;
    worker->first = (worker->first + 1) % worker->capacity;
}

void worker_answer_some(struct worker *worker)
{
    size_t turn = PLAN_TURN_TASKS / WORLD_WORKERS;

    for (size_t left = worker->count < turn ? worker->count : turn; left > 0; left--) {
        if (answer(worker, worker_at(worker, 0))) {
            worker->first = (worker->first + 1) % worker->capacity;
            worker->count--;
        } else {
            put_back(worker);
        }
    }
}

/* ---- the whole ------------------------------------------------------------ */

static void offer_all(const struct worker *worker)
{
    const struct plan *plan = worker->plan;
    uint64_t credit = plan->credit > 0 ? plan->credit : plan->window;
    char name[32];

    for (uint64_t i = 0; i < plan_service_count(plan); i++) {
        struct message message = {.command = COMMAND_OFFER};

        message.offer.service = plan_service(plan, i, name, sizeof name);
        message.offer.credit = credit < CREDIT_MAX ? credit : CREDIT_MAX;
        world_say(worker->world, worker->peer, &message);
    }
}

void worker_init(struct worker *worker, const struct plan *plan, struct world *world, size_t peer)
{
    *worker = (struct worker){
        .plan = plan, .world = world, .peer = peer, .capacity = plan->window};
    worker->ring = calloc(worker->capacity, sizeof *worker->ring);
    worker->payloads = malloc(worker->capacity * plan->payload_bytes);
    if (worker->ring == NULL || worker->payloads == NULL) {
        world_fail("no memory for a worker");
    }
    for (size_t i = 0; i < worker->capacity; i++) {
        worker->ring[i].payload = worker->payloads + i * plan->payload_bytes;
    }
    offer_all(worker);
}

void worker_deinit(struct worker *worker)
{
    free(worker->ring);
    free(worker->payloads);
}
