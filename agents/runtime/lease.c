/* lease: a task in our hands, from TASK to DONE or FAIL. */
#include "agents/runtime/peer_state.h"

#include "common/check.h"

#include <stdlib.h>

struct lease *lease_find(const struct peer *peer, const struct id *id)
{
    struct id_node *node = id_map_find(&peer->leases_by_id, id);

    return node != NULL ? list_entry(node, struct lease, by_id) : NULL;
}

static struct lease *lease_new(struct peer *peer)
{
    struct lease *lease = peer->spare_leases;

    if (lease != NULL) {
        peer->spare_leases = lease->user;
    } else {
        lease = malloc(sizeof *lease);
    }
    return lease;
}

static void lease_free(struct peer *peer, struct lease *lease)
{
    lease->user = peer->spare_leases;
    peer->spare_leases = lease;
}

static void send_fail(struct peer *peer, const struct id *id, uint64_t attempt,
                      const struct error *error)
{
    struct message message = {.command = COMMAND_FAIL,
                              .fail = {.id = *id, .attempt = attempt, .error = *error}};

    if (peer_speaks(peer)) {
        peer_send(peer, &message);
    }
}

static void turn_down(struct peer *peer, const struct task_message *task, enum error_code code,
                      const char *why)
{
    struct error error = {
        .code = span_from_text(error_code_name(code)),
        .message = span_from_text(why),
        .retryable = true,
    };

    send_fail(peer, &task->id, task->attempt, &error);
}

/* The broker has given the task to somebody else, or has forgotten it. */
static void lose(struct peer *peer, struct lease *lease, const char *reason)
{
    CHECK(!lease->lost);
    id_map_remove(&peer->leases_by_id, &lease->by_id);
    list_unlink(&lease->link);
    peer->lease_count--;
    list_unlink(&lease->starving);
    list_push_back(&peer->lost_leases, &lease->link);
    lease->lost = true;
    peer->sink.cancel(peer->sink.context, lease, span_from_text(reason));
}

void lease_receive(struct peer *peer, const struct task_message *task)
{
    struct lease *lease = lease_find(peer, &task->id);
    struct offering *offering = offering_find(peer, task->service);

    if (lease != NULL) {
        if (lease->attempt > task->attempt) {
            return; /* older than what we hold */
        }
        /* No TASK is sent twice. With the same number it is another life of the task: what we hold
         * was taken back by a HELLO, and is owed no answer. */
        lease->owed = lease->owed && lease->attempt < task->attempt;
        lose(peer, lease, lease->owed ? "lease_expired" : "worker_lost");
    }
    if (offering == NULL) {
        turn_down(peer, task, ERROR_UNKNOWN_SERVICE, "this worker does not serve it");
        return;
    }
    lease = peer->lease_count < PEER_LEASES_MAX ? lease_new(peer) : NULL;
    if (lease == NULL) {
        turn_down(peer, task, ERROR_LIMIT_EXCEEDED, "this worker holds too many tasks");
        return;
    }
    *lease = (struct lease){
        .by_id = {.id = task->id}, .attempt = task->attempt, .offering = offering, .owed = true,
        .chunk_until = task->stream};
    id_map_insert(&peer->leases_by_id, &lease->by_id);
    list_init(&lease->children_waiting);
    list_init(&lease->starving);
    list_init(&lease->link);
    list_push_back(&peer->leases, &lease->link);
    peer->lease_count++;
    peer->sink.task(peer->sink.context, lease, task);
}

void lease_receive_cancel(struct peer *peer, const struct cancel_out *cancel)
{
    struct lease *lease = lease_find(peer, &cancel->id);

    if (lease == NULL || lease->attempt != cancel->attempt) {
        return; /* it has ended here: DONE or FAIL is under way */
    }
    peer->sink.cancel(peer->sink.context, lease, cancel->reason);
}

/* With the session went every lease, and the credit it took: no answer is owed. */
static void owe_nothing(struct list *leases)
{
    list_each(link, leases) {
        list_entry(link, struct lease, link)->owed = false;
    }
}

void leases_forget(struct peer *peer)
{
    owe_nothing(&peer->leases);
    owe_nothing(&peer->lost_leases);
    while (!list_empty(&peer->leases)) {
        lose(peer, list_entry(peer->leases.next, struct lease, link), "worker_lost");
    }
    CHECK(peer->lease_count == 0);
}

const struct id *peer_lease_id(const struct lease *lease)
{
    return &lease->by_id.id;
}

uint64_t peer_lease_attempt(const struct lease *lease)
{
    return lease->attempt;
}

struct offering *peer_lease_offering(const struct lease *lease)
{
    return lease->offering;
}

bool peer_lease_lost(const struct lease *lease)
{
    return lease->lost;
}

void peer_lease_set_user(struct lease *lease, void *user)
{
    lease->user = user;
}

void *peer_lease_user(const struct lease *lease)
{
    return lease->user;
}

bool peer_lease_childless(const struct lease *lease)
{
    return lease->children == 0;
}

size_t peer_lease_count(const struct peer *peer)
{
    return peer->lease_count;
}

void peer_progress(struct peer *peer, struct lease *lease, struct span payload)
{
    struct message message = {
        .command = COMMAND_PROGRESS,
        .progress = {.id = lease->by_id.id,
                     .attempt = lease->attempt,
                     .payload = {.bytes = payload}},
    };

    CHECK(payload.size <= PAYLOAD_INLINE_MAX);
    if (!lease->lost && peer->state == SESSION_OPEN) {
        peer_send(peer, &message);
    }
}

/* An answer that cannot be sent is no loss: with the session went the lease. */
static void end(struct peer *peer, struct lease *lease)
{
    if (!lease->lost) {
        id_map_remove(&peer->leases_by_id, &lease->by_id);
        peer->lease_count--;
    }
    list_unlink(&lease->link);
    list_unlink(&lease->starving);
    while (list_pop_front(&lease->children_waiting) != NULL) {
        /* They still wait; the broker will say that their parent has ended. */
    }
    lease_free(peer, lease);
}

void peer_lease_set_cost(struct lease *lease, uint64_t cost)
{
    lease->cost = cost < COST_MAX ? cost : COST_MAX;
    lease->costed = true;
}

void peer_done(struct peer *peer, struct lease *lease, struct payload payload)
{
    struct message message = {
        .command = COMMAND_DONE,
        .done = {.id = lease->by_id.id,
                 .attempt = lease->attempt,
                 .payload = payload,
                 .cost = lease->cost,
                 .costed = lease->costed},
    };

    CHECK(payload.bytes.size <= PAYLOAD_BYTES_MAX);
    if (lease->owed && peer_speaks(peer)) {
        peer_send(peer, &message);
    }
    end(peer, lease);
}

void peer_fail(struct peer *peer, struct lease *lease, const struct error *error)
{
    struct message message = {
        .command = COMMAND_FAIL,
        .fail = {.id = lease->by_id.id,
                 .attempt = lease->attempt,
                 .error = *error,
                 .cost = lease->cost,
                 .costed = lease->costed},
    };

    if (lease->owed && peer_speaks(peer)) {
        peer_send(peer, &message);
    }
    end(peer, lease);
}

void leases_free(struct peer *peer)
{
    while (!list_empty(&peer->leases)) {
        end(peer, list_entry(peer->leases.next, struct lease, link));
    }
    while (!list_empty(&peer->lost_leases)) {
        end(peer, list_entry(peer->lost_leases.next, struct lease, link));
    }
    while (peer->spare_leases != NULL) {
        struct lease *lease = peer->spare_leases;

        peer->spare_leases = lease->user;
        free(lease);
    }
}
