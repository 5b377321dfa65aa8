/* What an agent streams: chunks that a submitter reads fast or slowly, that a worker says as far
 * as it may; checkpoints, and signals that a handler waits for. */
#include "tests/sim/agent_state.h"

#include "common/check.h"

#include <inttypes.h>
#include <stdlib.h>

#define CREDIT_AHEAD 8
#define BURST 4
#define STALLED_MS 500 /* it looks again, should FLOW get lost with its connection */

/* A chunk that a slow reader has yet to take. */
struct taking {
    struct list link;
    uint64_t attempt, sequence;
};

/* ---- reading ------------------------------------------------------------------------- */

void ask_draw_stream(struct agent *agent, struct submit *submit)
{
    if (random_chance(&agent->streams, agent->world->options.streams)) {
        submit->stream = random_between(&agent->streams, 1, CREDIT_AHEAD);
    }
}

void ask_read(struct agent *agent, struct ask *ask, const struct submit *submit)
{
    ask->slow = random_chance(&agent->streams, agent->world->options.slow_readers);
    if (submit->stream > 0) {
        ask->reading = peer_read(agent->peer, &submit->id, submit->stream, true, ask);
        CHECK(ask->reading != NULL);
    }
}

void ask_forget_stream(struct ask *ask)
{
    struct list *at;

    while ((at = list_pop_front(&ask->takings)) != NULL) {
        free(list_entry(at, struct taking, link));
    }
}

void ask_unread(struct agent *agent, struct ask *ask)
{
    ask_forget_stream(ask);
    if (ask->reading != NULL) {
        peer_unread(agent->peer, ask->reading);
        ask->reading = NULL;
    }
}

static void take_one(void *context, uint64_t argument)
{
    struct agent *agent = context;

    if (agent_void_ticket(agent, argument)) {
        return;
    }
    if (agent->node.paused) {
        agent_enter(agent, 100, take_one, argument);
        return;
    }
    peer_advance(agent->peer, world_now_ms(agent->world)); /* may end some */
    list_each(at, &agent->asks) {
        struct ask *ask = list_entry(at, struct ask, link);
        struct list *first = list_first(&ask->takings);

        if ((ask->serial & 0xffffffff) == (argument & 0xffffffff) && first != NULL) {
            struct taking *taking = list_entry(first, struct taking, link);

            peer_reading_taken(agent->peer, ask->reading, taking->attempt, taking->sequence);
            list_unlink(&taking->link);
            free(taking);
            break;
        }
    }
    agent_settle(agent);
}

static void take_later(struct agent *agent, struct ask *ask, const struct chunk *chunk)
{
    struct taking *taking = calloc(1, sizeof *taking);

    CHECK(taking != NULL);
    list_init(&taking->link);
    taking->attempt = chunk->attempt;
    taking->sequence = chunk->sequence;
    list_push_back(&ask->takings, &taking->link);
    agent_enter(agent, random_wait(&agent->streams, 300), take_one, ask->serial);
}

/* Each chunk says its own number. */
static void fill_chunk(uint8_t *bytes, uint64_t sequence)
{
    for (unsigned i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(sequence >> 8 * i);
    }
}

/* Nothing of a stream that it paces is lost. (It cannot tell chunks of a broker that was killed,
 * late from its connection, from those of the one that is asked to begin the task anew; and a
 * detached task goes on when its submitter has been away for too long.) */
static bool loses_nothing(const struct agent *agent, const struct ask *ask)
{
    const struct sim_options *options = &agent->world->options;

    return ask != NULL && options->restart_every_ms == 0 && options->drain == 0 &&
           options->detached == 0;
}

void agent_on_chunk(void *context, struct reading *reading, const struct chunk_upcall *upcall)
{
    struct agent *agent = context;
    struct ask *ask = peer_reading_user(reading);
    const struct chunk *chunk = upcall->chunk;
    size_t size = chunk->payload.bytes.size < 8 ? chunk->payload.bytes.size : 8;
    uint8_t number[8];

    fill_chunk(number, chunk->sequence);
    MODEL_CHECK(&agent->world->model, "chunks_in_order",
                size == 0 || memcmp(chunk->payload.bytes.data, number, size) == 0 ||
                    agent->world->options.hostiles > 0,
                "agent%u got another chunk than the one numbered %" PRIu64, agent->index,
                chunk->sequence);
    MODEL_CHECK(&agent->world->model, "chunks_in_order",
                !loses_nothing(agent, ask) || upcall->lost == 0,
                "agent%u paces its stream, and has lost %" PRIu64 " chunks before %" PRIu64,
                agent->index, upcall->lost, chunk->sequence);
    if (ask != NULL && ask->slow) {
        take_later(agent, ask, chunk);
    } else {
        peer_reading_taken(agent->peer, reading, chunk->attempt, chunk->sequence);
    }
}

/* Reads some other peer's stream for a while. */
void agent_read_other(struct agent *agent)
{
    struct id id = world_some_id(agent->world, &agent->streams);

    if (agent->other != NULL) {
        peer_unread(agent->peer, agent->other);
        agent->other = NULL;
    } else {
        agent->other = peer_read(agent->peer, &id,
                                 random_between(&agent->streams, 1, CREDIT_AHEAD), false, NULL);
    }
}

void agent_on_read_over(void *context, void *user, const struct error *error)
{
    struct agent *agent = context;

    agent->other = NULL;
}

/* ---- saying -------------------------------------------------------------------------- */

void job_draw_stream(struct agent *agent, struct job *job, const struct task_message *task)
{
    const struct sim_options *options = &agent->world->options;
    struct random *random = &agent->streams;

    if (task->stream > 0 || random_chance(random, options->streams / 4)) {
        job->chunks_left = random_between(random, 0, options->chunks);
    }
    job->stores = random_chance(random, options->checkpoints);
    if (random_chance(random, options->signals)) {
        job->signal_until_ms = world_now_ms(agent->world) + 1 + random_wait(random, 2000);
    }
}

static void say_chunk(struct agent *agent, struct job *job)
{
    static uint8_t bytes[CHUNK_BYTES_MAX + 8];
    size_t most = agent->world->options.chunk_bytes;
    size_t size = random_below(&agent->streams, (most < CHUNK_BYTES_MAX ? most : CHUNK_BYTES_MAX) + 1);
    struct blob *blob;

    fill_chunk(bytes, job->said++);
    blob = blob_new(span_of(bytes, size));
    CHECK(blob != NULL || size == 0);
    peer_chunk(agent->peer, job->lease, (struct payload){blob_span(blob), blob});
    blob_unref(blob);
    job->chunks_left--;
}

static void store_checkpoint(struct agent *agent, struct job *job)
{
    uint64_t drawn[16];
    size_t size = random_below(&agent->streams, sizeof drawn + 1);
    struct blob *blob;

    for (unsigned i = 0; i < 16; i++) {
        drawn[i] = random_next(&agent->streams);
    }
    blob = blob_new(span_of(drawn, size));
    CHECK(blob != NULL || size == 0);
    peer_checkpoint(agent->peer, job->lease, (struct payload){blob_span(blob), blob});
    blob_unref(blob);
}

static void look(void *context, uint64_t argument)
{
    struct agent *agent = context;
    struct job *job = agent_void_ticket(agent, argument) ? NULL : job_find(agent, argument);

    if (job != NULL && job->look_ms > 0 && world_now_ms(agent->world) >= job->look_ms) {
        job->look_ms = 0;
        job_work(agent, argument);
    }
}

/* It goes on talking after `ms`, and not when it would have else. */
static void look_after(struct agent *agent, struct job *job, uint64_t ms)
{
    job->look_ms = world_now_ms(agent->world) + ms;
    agent_enter(agent, ms, look, job->serial);
}

bool job_talk(struct agent *agent, struct job *job)
{
    uint64_t now_ms = world_now_ms(agent->world);

    if (job->stores && random_chance(&agent->streams, 300)) {
        store_checkpoint(agent, job);
    }
    for (unsigned i = 0; i < BURST && job->chunks_left > 0; i++) {
        if (peer_chunk_room(agent->peer, job->lease)) {
            say_chunk(agent, job);
        } else {
            look_after(agent, job, STALLED_MS);
            return false;
        }
    }
    if (job->chunks_left > 0) {
        look_after(agent, job, 1 + random_wait(&agent->streams, 20));
        return false;
    }
    if (now_ms < job->signal_until_ms && !agent->world->calm) {
        /* Somebody outside has to say something: that takes none of its credit. */
        job_give_credit(agent, job, true);
        look_after(agent, job, job->signal_until_ms - now_ms);
        return false;
    }
    if (job->signal_until_ms > 0 && job->children == 0) {
        job_give_credit(agent, job, false);
    }
    job->signal_until_ms = 0;
    return true;
}

void agent_on_flow(void *context, struct lease *lease)
{
    struct agent *agent = context;
    struct job *job = peer_lease_user(lease);

    if (job->chunks_left > 0) {
        look_after(agent, job, 0);
    }
}

void agent_on_signal(void *context, struct lease *lease, const struct payload *payload)
{
    struct agent *agent = context;
    struct job *job = peer_lease_user(lease);

    if (job->signal_until_ms > 0) {
        job->signal_until_ms = world_now_ms(agent->world);
        look_after(agent, job, 0);
    }
}

/* ---- signalling ---------------------------------------------------------------------- */

/* To its own tasks, or anybody's; now and then more than are kept. */
void agent_signal(void *context, uint64_t argument)
{
    struct agent *agent = context;
    struct random *random = &agent->streams;
    uint64_t count = random_chance(random, 50) ? SIGNALS_MAX + 2 : random_between(random, 1, 3);
    struct id id;

    if (agent_void_ticket(agent, argument) || agent->node.paused) {
        return;
    }
    peer_advance(agent->peer, world_now_ms(agent->world));
    id = world_some_id(agent->world, random);
    list_each(at, &agent->asks) {
        const struct ask *ask = list_entry(at, struct ask, link);

        if ((ask->serial & 0xffffffff) == (argument & 0xffffffff)) {
            id = *peer_submission_id(ask->submission);
        }
    }
    for (uint64_t i = 0; i < count; i++) {
        uint64_t drawn = random_next(random);

        peer_signal(agent->peer, &id, span_of(&drawn, sizeof drawn), 5000, NULL);
    }
    agent_settle(agent);
}
