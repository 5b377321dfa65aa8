/* reading: a stream that we read, and the chunks of the tasks in our hands. PROTOCOL.md, CHUNK,
 * READ, FLOW, CHECKPOINT, SIGNAL. */
#include "agents/runtime/peer_state.h"

#include "common/check.h"

#include <stdlib.h>

/* ---- the reader's side ---- */

static struct reading *reading_find(const struct peer *peer, const struct id *id)
{
    struct id_node *node = id_map_find(&peer->readings_by_id, id);

    return node != NULL ? list_entry(node, struct reading, by_id) : NULL;
}

static void send_read_of(struct peer *peer, const struct id *id, uint64_t attempt,
                         uint64_t sequence, uint64_t credit)
{
    struct message message = {
        .command = COMMAND_READ,
        .read = {.id = *id, .attempt = attempt, .sequence = sequence, .credit = credit}};

    if (peer_speaks(peer)) {
        peer_send(peer, &message);
    }
}

static void send_read(struct peer *peer, const struct reading *reading, uint64_t sequence,
                      uint64_t credit)
{
    send_read_of(peer, &reading->by_id.id, reading->attempt, sequence, credit);
}

struct reading *peer_read(struct peer *peer, const struct id *id, uint64_t credit, bool own,
                          void *user)
{
    struct reading *reading;

    CHECK(credit > 0 && credit <= STREAM_CREDIT_MAX);
    if (peer->reading_count >= PEER_READINGS_MAX || peer->state == SESSION_CLOSED ||
        reading_find(peer, id) != NULL) {
        return NULL;
    }
    reading = calloc(1, sizeof *reading);
    if (reading == NULL) {
        return NULL;
    }
    reading->by_id.id = *id;
    reading->credit = credit;
    reading->own = own;
    reading->user = user;
    list_init(&reading->link);
    list_init(&reading->idle);
    list_push_back(&peer->readings, &reading->link);
    id_map_insert(&peer->readings_by_id, &reading->by_id);
    peer->reading_count++;
    if (!own) {
        send_read(peer, reading, 0, credit);
    }
    return reading;
}

static void reading_free(struct peer *peer, struct reading *reading)
{
    id_map_remove(&peer->readings_by_id, &reading->by_id);
    list_unlink(&reading->link);
    list_unlink(&reading->idle);
    peer->reading_count--;
    free(reading);
}

/* A stream of ours ends with its task. But while that goes on its worker would wait for us. */
static bool ends_with_task(struct peer *peer, const struct reading *reading)
{
    struct submission *submission = submission_find(peer, &reading->by_id.id);

    if (submission == NULL || submission->cancelling || submission->message.submit.stream == 0) {
        return true;
    }
    submission->message.submit.stream = 0; /* it is not asked for again */
    return !submission->was_sent;
}

void peer_unread(struct peer *peer, struct reading *reading)
{
    if (!reading->own || !ends_with_task(peer, reading)) {
        send_read(peer, reading, reading->expected, 0);
    }
    reading_free(peer, reading);
}

void reading_decline(struct peer *peer, const struct id *id)
{
    send_read_of(peer, id, 0, 0, 0);
}

void *peer_reading_user(const struct reading *reading)
{
    return reading->user;
}

/* A READ of a task that has ended would ask for the rest of its chunks again. */
static void acknowledge(struct peer *peer, struct reading *reading)
{
    list_unlink(&reading->idle);
    if (reading->told < reading->taken && !reading->over) {
        reading->told = reading->taken;
        send_read(peer, reading, reading->taken, reading->credit);
    }
}

/* Half of the credit at a time: a READ a chunk would cost as much as the chunks. But when
 * nothing more is there by the end of the turn: the broker's ring may hold less than that half,
 * and its worker waits until we say what we have. */
void peer_reading_taken(struct peer *peer, struct reading *reading, uint64_t attempt,
                        uint64_t sequence)
{
    uint64_t through;

    CHECK(reading->queued > 0);
    reading->queued--;
    if (attempt != reading->attempt) {
        return;
    }
    /* It may be of the task's life before this one, with an attempt of the same number: nothing
     * is said of what has not come. */
    through = sequence < reading->expected ? sequence + 1 : reading->expected;
    if (reading->taken < through) {
        reading->taken = through;
    }
    if (reading->taken - reading->told >= (reading->credit + 1) / 2) {
        acknowledge(peer, reading);
    } else if (reading->own && reading->queued == 0 && list_empty(&reading->idle)) {
        list_push_back(&peer->readings_idle, &reading->idle);
    }
}

void readings_flush(struct peer *peer)
{
    struct list *at;

    while ((at = list_pop_front(&peer->readings_idle)) != NULL) {
        acknowledge(peer, list_entry(at, struct reading, idle));
    }
}

/* The task is new to the broker, and its SUBMIT says that we read it. */
static void reading_begin_anew(struct reading *reading)
{
    reading->attempt = 0;
    reading->over = false;
    reading->expected = reading->taken = reading->told = 0;
    list_unlink(&reading->idle);
}

void reading_receive(struct peer *peer, const struct chunk *chunk)
{
    struct reading *reading = reading_find(peer, &chunk->id);
    struct chunk_upcall upcall = {.chunk = chunk};

    if (reading == NULL) {
        /* Of a task that we have done with, and submitted again before we knew. */
        send_read_of(peer, &chunk->id, chunk->attempt, chunk->sequence, 0);
        return;
    }
    /* A lower one is of the task's next life, whose beginning we have not heard of. */
    if (chunk->attempt != reading->attempt) {
        upcall.restarted = reading->received;
        reading->attempt = chunk->attempt;
        reading->over = false;
        reading->expected = reading->taken = reading->told = 0;
    }
    if (chunk->sequence < reading->expected) {
        return; /* sent again: we have it */
    }
    upcall.lost = chunk->sequence - reading->expected;
    reading->expected = chunk->sequence + 1;
    /* Only the end gives what was not asked for. (Who paces nobody may be given a gap.) */
    reading->over |= reading->own && chunk->sequence >= reading->told + reading->credit;
    reading->received = true;
    reading->queued++;
    list_unlink(&reading->idle);
    peer->sink.chunk(peer->sink.context, reading, &upcall);
}

static void reading_over(struct peer *peer, struct reading *reading, const struct error *error)
{
    void *user = reading->user;

    reading_free(peer, reading);
    peer->sink.read_over(peer->sink.context, user, error);
}

void reading_receive_result(struct peer *peer, const struct id *id)
{
    struct reading *reading = peer->reading_count > 0 ? reading_find(peer, id) : NULL;

    /* That of a submission ends with it: a refusal may pass. */
    if (reading != NULL && !reading->own) {
        reading_over(peer, reading, NULL);
    }
}

void reading_receive_error(struct peer *peer, const struct error_message *error)
{
    struct reading *reading = reading_find(peer, &error->id);

    if (reading != NULL && !reading->own) {
        reading_over(peer, reading, &error->error);
    } else if (reading != NULL) {
        /* A submission that the broker does not know is submitted again, and its stream with it. */
        reading_begin_anew(reading);
    }
}

/* Before anything is submitted again: RESULT of a task that has ended comes after its chunks. What
 * another broker has taken up runs anew, with attempts of the same numbers. */
void readings_resume(struct peer *peer, bool known, bool same_broker)
{
    for (struct list *at = peer->readings.next; at != &peer->readings; at = at->next) {
        struct reading *reading = list_entry(at, struct reading, link);
        uint64_t left = reading->credit > reading->queued ? reading->credit - reading->queued : 1;

        if (!same_broker || (reading->own && !known)) {
            reading_begin_anew(reading);
        }
        if (reading->own && !(known && same_broker)) {
            continue; /* its SUBMIT says it */
        }
        if (!reading->own || reading->attempt > 0) {
            reading->told = reading->expected;
            send_read(peer, reading, reading->expected, left);
        } else {
            const struct submission *submission = submission_find(peer, &reading->by_id.id);

            if (submission != NULL && submission->was_sent) {
                send_read(peer, reading, 0, left);
            }
        }
    }
}

void readings_free(struct peer *peer)
{
    while (!list_empty(&peer->readings)) {
        reading_free(peer, list_entry(peer->readings.next, struct reading, link));
    }
}

/* ---- the worker's side ---- */

bool peer_chunk_room(const struct peer *peer, const struct lease *lease)
{
    return peer->state == SESSION_OPEN &&
           (lease->chunk_until == 0 || lease->chunk_next < lease->chunk_until);
}

void peer_chunk(struct peer *peer, struct lease *lease, struct payload payload)
{
    struct message message = {.command = COMMAND_CHUNK,
                              .chunk = {.id = lease->by_id.id,
                                        .attempt = lease->attempt,
                                        .sequence = lease->chunk_next,
                                        .payload = payload}};

    CHECK(payload.bytes.size <= CHUNK_BYTES_MAX);
    CHECK(peer_chunk_room(peer, lease));
    if (!lease->lost) {
        lease->chunk_next++;
        peer_send(peer, &message);
    }
}

void peer_checkpoint(struct peer *peer, struct lease *lease, struct payload payload)
{
    struct message message = {.command = COMMAND_CHECKPOINT,
                              .checkpoint = {.id = lease->by_id.id,
                                             .attempt = lease->attempt,
                                             .payload = payload}};

    CHECK(payload.bytes.size <= CHECKPOINT_MAX);
    if (!lease->lost && peer_speaks(peer)) {
        peer_send(peer, &message);
    }
}

/* The session goes on: who stopped for want of it can send chunks again. */
void leases_resume(struct peer *peer)
{
    list_each(at, &peer->leases) {
        if (peer->sink.flow != NULL) {
            peer->sink.flow(peer->sink.context, list_entry(at, struct lease, link));
        }
    }
}

void lease_receive_flow(struct peer *peer, const struct flow_message *flow)
{
    struct lease *lease = lease_find(peer, &flow->id);

    if (lease != NULL && lease->attempt == flow->attempt) {
        lease->chunk_until = flow->until;
        if (peer->sink.flow != NULL) {
            peer->sink.flow(peer->sink.context, lease);
        }
    }
}

void lease_receive_signal(struct peer *peer, const struct signal_out *signal)
{
    struct lease *lease = lease_find(peer, &signal->id);

    if (lease != NULL && lease->attempt == signal->attempt && peer->sink.signal != NULL) {
        peer->sink.signal(peer->sink.context, lease, &signal->payload);
    }
}
