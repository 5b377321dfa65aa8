/* What an agent submits: root tasks, scatters with their joins, cancels, questions. */
#include "tests/sim/agent_state.h"

#include "common/check.h"
#include "tests/sim/sometimes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define LARGE_PAYLOAD (PAYLOAD_INLINE_MAX + 100)
#define JOIN_WIDTH_MAX 16
#define JOIN_LEVELS_MAX 6

/* What an agent does, beside what the broker sees. */
void agent_trace(const struct agent *agent, const char *what, const struct id *id,
                        const char *detail)
{
    char text[ID_TEXT_SIZE];

    if (agent->world->model.trace) {
        id_format(id, text);
        printf("[%8" PRIu64 "] agent%u %s %.8s%.5s %s\n", world_now_ms(agent->world),
               agent->index, what, text, text + 23, detail);
    }
}

/* ---- submitting ------------------------------------------------------------------ */

void ask_drop(struct ask *ask)
{
    list_unlink(&ask->link);
    free(ask);
}

static struct ask *ask_new(struct agent *agent, struct job *parent)
{
    struct ask *ask = calloc(1, sizeof *ask);

    CHECK(ask != NULL);
    list_init(&ask->link);
    list_init(&ask->takings);
    list_push_back(&agent->asks, &ask->link);
    ask->serial = ++agent->serials;
    ask->parent = parent;
    return ask;
}

static struct blob *draw_payload(struct agent *agent, unsigned depth)
{
    const struct sim_options *options = &agent->world->options;
    uint8_t bytes[LARGE_PAYLOAD] = {0};
    size_t size = 1 + random_below(&agent->work, (options->payload_max % LARGE_PAYLOAD) + 1);

    if (random_chance(&agent->work, options->large_payloads)) {
        size = LARGE_PAYLOAD;
        sometimes(SOMETIMES_LARGE_PAYLOAD);
    }
    for (size_t i = 0; i < size && i < 16; i++) {
        bytes[i] = (uint8_t)random_next(&agent->work);
    }
    bytes[0] = (uint8_t)depth;
    return blob_new(span_of(bytes, size < LARGE_PAYLOAD ? size : LARGE_PAYLOAD));
}

/* When it starts, how its attempts are bounded, and what is left of it. */
static void draw_retries(struct agent *agent, struct submit *submit)
{
    static const char *const codes[] = {"busy", "went_wrong", "worker_lost lease_expired",
                                        "busy bad_key", "bad_message memory_full"};
    const struct sim_options *options = &agent->world->options;
    struct random *random = &agent->retries;

    if (random_chance(random, options->delays)) {
        submit->delay_ms = 1 + random_wait(random, 1000);
    }
    if (random_chance(random, options->max_runs)) {
        submit->max_run_ms = 1 + random_wait(random, options->work_ms * 2ULL + 10);
    }
    if (random_chance(random, options->backoffs)) {
        submit->backoff_ms = random_between(random, 1, 500);
        submit->backoff_max_ms = random_chance(random, 500) ? random_between(random, 1, 2000) : 0;
    }
    if (random_chance(random, options->codes)) {
        submit->retry_on = span_from_text(codes[random_below(random, 5)]);
        submit->final_on = span_from_text(codes[random_below(random, 5)]);
    }
    submit->dead_letter = random_chance(random, options->dead_letters);
    submit->detached = !submit->held && random_chance(random, options->detached);
    if (submit->detached && random_chance(random, 500)) {
        submit->retain_ms = 1 + random_wait(random, 60000);
    }
}


/* Few keys, so that they are shared; as literals, for the submit refers to them. */
static void draw_turn(struct agent *agent, struct submit *submit)
{
    static const char *const keys[] = {"k1", "k2", "k3"};
    const struct sim_options *options = &agent->world->options;
    struct random *random = &agent->turns;

    if (random_chance(random, options->priorities)) {
        submit->priority = random_between(random, 0, PRIORITY_MAX);
    }
    if (random_chance(random, options->keys)) {
        submit->key = span_from_text(keys[random_below(random, 3)]);
    }
    if (random_chance(random, options->orders)) {
        submit->order = span_from_text(keys[random_below(random, 3)]);
    }
}

/* Few keys, so that others have them, too. Idempotency keys of root tasks and needs alone: two
 * parents whose children follow each other would wait for their deadlines. */
static void draw_likeness(struct agent *agent, struct submit *submit)
{
    static const char *const keys[] = {"same1", "same2", "same3", "same4"};
    static const char *const places[] = {"near1", "near2", "near3"};
    const struct sim_options *options = &agent->world->options;
    struct random *random = &agent->twins;

    if (random_chance(random, options->affinities)) {
        submit->affinity = span_from_text(places[random_below(random, 3)]);
    }
    if (random_chance(&agent->pins, options->pins)) {
        bool second = options->workers > 1 && random_chance(&agent->pins, 500);

        submit->version = span_from_text(second ? "v2" : "v1");
    }
    if (!random_chance(random, options->twins)) {
        return;
    }
    submit->idempotency_key = span_from_text(keys[random_below(random, 4)]);
    if (random_chance(random, options->cached)) {
        submit->cache_ms = 1 + random_wait(random, 3000);
    }
}

/* What a key stands for; now and then somebody gets it wrong. */
static struct blob *twin_payload(struct agent *agent, struct span key)
{
    uint8_t bytes[16] = {0};

    memcpy(bytes + 1, key.data, key.size);
    bytes[15] = random_chance(&agent->twins, 50);
    return blob_new(span_of(bytes, sizeof bytes));
}

void draw_options(struct agent *agent, struct submit *submit)
{
    const struct sim_options *options = &agent->world->options;
    struct random *random = &agent->work;

    if (random_chance(random, options->deadlines)) {
        submit->deadline_ms = 1 + random_wait(random, 3000);
    }
    if (random_chance(random, options->queue_ttls)) {
        submit->queue_ttl_ms = 1 + random_wait(random, 2000);
    }
    if (random_chance(random, options->leases)) {
        submit->lease_ms = 1 + random_wait(random, options->work_ms * 2ULL + 10);
    }
    if (random_chance(random, 300)) {
        submit->attempts = random_between(random, 1, 4);
    }
    submit->receipts = random_chance(random, options->receipts);
    if (random_chance(&agent->costs, options->costs)) {
        submit->cost = random_between(&agent->costs, 1, 40);
    }
    draw_retries(agent, submit);
    draw_turn(agent, submit);
    submit->durable = random_chance(&agent->durables, options->durables);
}

const char *draw_service(struct agent *agent)
{
    return world_service((unsigned)random_below(&agent->work, agent->world->options.services));
}

struct ask *ask_submit(struct agent *agent, struct job *parent, const char *service,
                              struct submit *submit)
{
    struct submission_options options = {.parent = parent != NULL ? parent->lease : NULL,
                                         .no_wait = random_chance(&agent->work, 100)};
    struct ask *ask = ask_new(agent, parent);
    struct blob *payload = submit->idempotency_key.size > 0
                               ? twin_payload(agent, submit->idempotency_key)
                               : draw_payload(agent, parent != NULL ? parent->depth + 1 : 0);
    struct submission *submission;

    if (parent != NULL) {
        submit->order = span_of(NULL, 0); /* its parent, or an elder of it, might hold the lane */
    }
    submit->id = random_id(&agent->work);
    submit->service = span_from_text(service);
    submit->payload = (struct payload){blob_span(payload), payload};
    options.user = ask;
    world_saw_id(agent->world, &submit->id);
    agent_trace(agent, submit->join != JOIN_NONE ? "joins" : submit->held ? "asks, held" : "asks",
                &submit->id, service);
    agent->submitted++;
    submission = peer_submit(agent->peer, submit, &options);
    blob_unref(payload);
    if (submission == NULL) {
        /* Ended before it began: the result upcall has come already. */
        CHECK(ask->ended);
        ask_drop(ask);
        return NULL;
    }
    ask->submission = submission;
    return ask;
}

/* Who gets the outcomes, and when; "": nobody, it is a pure join. */
static const char *draw_reducer(struct agent *agent, struct submit *join)
{
    const struct sim_options *options = &agent->world->options;
    struct random *random = &agent->shapes;

    if (!random_chance(random, options->join_tasks)) {
        return "";
    }
    join->run_if = random_chance(random, 500)   ? RUN_IF_DONE
                   : random_chance(random, 500) ? RUN_IF_FAILED
                                                : RUN_IF_ALWAYS;
    join->no_inputs = random_chance(random, 200);
    join->if_absent = IF_ABSENT_WAIT;
    join->attempts = random_between(random, 1, 3);
    if (random_chance(random, 200)) {
        join->delay_ms = 1 + random_wait(random, 500);
    }
    return world_service((unsigned)random_below(random, options->services));
}

/* How many of its needs it takes. */
static void draw_enough(struct agent *agent, struct submit *join)
{
    if (join->needs_count > 0 && random_chance(&agent->shapes, agent->world->options.join_some)) {
        join->join = random_chance(&agent->shapes, 400) ? JOIN_ANY : JOIN_K;
        join->k = join->join == JOIN_K
                      ? random_between(&agent->shapes, 1, join->needs_count)
                      : 0;
    }
}

/* Joins over a join, each with a need or two of its own: as deep as it is drawn. */
static void ask_join_deeper(struct agent *agent, struct id below, bool durable)
{
    const struct sim_options *options = &agent->world->options;
    struct random *random = &agent->depths;
    bool more = random_chance(random, options->join_levels);

    for (unsigned level = 1; more; level++) {
        uint8_t needs[3 * ID_BYTES];
        struct submit join = {.priority = PRIORITY_DEFAULT,
                              .join = random_chance(random, 600) ? JOIN_ALL : JOIN_SETTLED,
                              .needs = needs,
                              .needs_count = 1,
                              .needs_stride = ID_BYTES,
                              .durable = durable};
        const char *service;

        more = level < JOIN_LEVELS_MAX && random_chance(random, options->join_levels);
        join.held = more && random_chance(random, 400); /* the next one tells of it */
        memcpy(needs, below.bytes, ID_BYTES);
        for (uint64_t i = random_below(random, 3); i > 0; i--) {
            struct submit submit = {.priority = PRIORITY_DEFAULT,
                                    .held = random_chance(random, 500),
                                    .durable = durable};

            if (ask_submit(agent, NULL, draw_service(agent), &submit) != NULL) {
                memcpy(needs + join.needs_count++ * ID_BYTES, submit.id.bytes, ID_BYTES);
            }
        }
        draw_enough(agent, &join);
        service = draw_reducer(agent, &join);
        if (ask_submit(agent, NULL, service, &join) == NULL) {
            return;
        }
        below = join.id;
    }
}

static void ask_join(struct agent *agent)
{
    const struct sim_options *options = &agent->world->options;
    struct random *random = &agent->work;
    size_t width = random_below(random, (options->join_width % JOIN_WIDTH_MAX) + 1);
    uint8_t needs[JOIN_WIDTH_MAX * ID_BYTES];
    size_t count = 0;
    bool durable = random_chance(&agent->durables, options->durables);

    for (size_t i = 0; i < width; i++) {
        struct submit submit = {.priority = PRIORITY_DEFAULT,
                                .held = random_chance(random, 800)};
        struct ask *ask;

        draw_options(agent, &submit);
        draw_likeness(agent, &submit);
        submit.durable = submit.durable || durable;
        ask = ask_submit(agent, NULL, draw_service(agent), &submit);
        if (ask != NULL) {
            memcpy(needs + count++ * ID_BYTES, submit.id.bytes, ID_BYTES);
        }
    }
    for (unsigned i = 0; i < 1U + random_chance(random, options->shared_needs); i++) {
        struct submit join = {.priority = PRIORITY_DEFAULT,
                              .join = random_chance(random, 500) ? JOIN_ALL : JOIN_SETTLED,
                              .needs = needs,
                              .needs_count = count,
                              .needs_stride = ID_BYTES,
                              .durable = durable};

        if (random_chance(random, options->deadlines)) {
            join.deadline_ms = 1 + random_wait(random, 2000);
        }
        draw_enough(agent, &join);
        if (ask_submit(agent, NULL, draw_reducer(agent, &join), &join) != NULL) {
            ask_join_deeper(agent, join.id, durable);
        }
    }
}

static void cancel_ask(void *context, uint64_t argument)
{
    struct agent *agent = context;

    if (agent_void_ticket(agent, argument)) {
        return;
    }
    peer_advance(agent->peer, world_now_ms(agent->world)); /* may end some */
    list_each(at, &agent->asks) {
        struct ask *ask = list_entry(at, struct ask, link);

        if ((ask->serial & 0xffffffff) == (argument & 0xffffffff)) {
            peer_cancel(agent->peer, ask->submission, span_from_text("changed my mind"));
            break;
        }
    }
    agent_settle(agent);
}

/* To every worker, without what does not go with that; now and then with it. */
static void draw_scatter(struct agent *agent, struct submit *submit)
{
    if (!random_chance(&agent->pins, agent->world->options.scatters)) {
        return;
    }
    submit->route = ROUTE_ALL;
    if (random_chance(&agent->pins, 30)) {
        return;
    }
    submit->order = submit->affinity = submit->idempotency_key = span_of(NULL, 0);
    submit->cache_ms = 0;
    submit->detached = submit->dead_letter = submit->durable = false;
    submit->stream = 0;
}

static void submit_root(struct agent *agent)
{
    const struct sim_options *options = &agent->world->options;
    struct submit submit = {.priority = PRIORITY_DEFAULT};
    const char *service = draw_service(agent);
    struct ask *ask;

    draw_options(agent, &submit);
    draw_likeness(agent, &submit);
    if (random_chance(&agent->work, 500)) {
        submit.if_absent = IF_ABSENT_WAIT;
    }
    if (random_chance(&agent->work, options->lone_service)) {
        service = world_service(WORLD_LONE_SERVICE);
    }
    ask_draw_stream(agent, &submit);
    draw_scatter(agent, &submit);
    ask = ask_submit(agent, NULL, service, &submit);
    if (ask != NULL) {
        ask_read(agent, ask, &submit);
    }
    if (random_chance(&agent->streams, options->signals)) {
        agent_enter(agent, random_wait(&agent->streams, 1500), agent_signal,
                    ask != NULL ? ask->serial : 0);
    }
    if (ask != NULL && random_chance(&agent->work, options->cancels)) {
        agent_enter(agent, random_wait(&agent->work, 2000), cancel_ask, ask->serial);
    }
}

static void on_question(struct agent *agent)
{
    struct id id = world_some_id(agent->world, &agent->work);
    struct span argument = span_of(id.bytes, sizeof id.bytes);
    enum query_what what = (enum query_what)random_below(&agent->work, QUERY_WHAT_COUNT);

    if (random_chance(&agent->work, 200)) {
        peer_cancel_id(agent->peer, &id, span_from_text("by id"), 5000, NULL);
        return;
    }
    if (what == QUERY_CATALOG || what == QUERY_PEERS || what == QUERY_STATS ||
        what == QUERY_LIST || what == QUERY_DEAD || what == QUERY_LIMITS) {
        argument = span_of(NULL, 0);
    }
    peer_query(agent->peer, what, argument, 5000, NULL);
}

void ask_more(void *context, uint64_t argument)
{
    struct agent *agent = context;
    const struct sim_options *options = &agent->world->options;

    if (agent_void_ticket(agent, argument) || agent->world->calm ||
        agent->roots >= options->tasks_max) {
        return;
    }
    agent_enter(agent, random_wait(&agent->work, options->submit_every_ms), ask_more, 0);
    if (agent->node.paused) {
        return;
    }
    agent->roots++;
    peer_advance(agent->peer, world_now_ms(agent->world));
    if (random_chance(&agent->streams, options->streams)) {
        agent_read_other(agent);
    }
    if (random_chance(&agent->work, options->queries)) {
        on_question(agent);
    } else if (random_chance(&agent->work, options->joins)) {
        ask_join(agent);
    } else {
        submit_root(agent);
    }
    agent_settle(agent);
}
