#include "tests/sim/agent_state.h"

#include "common/check.h"
#include "tests/sim/sometimes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define RETRY_US 1000

static uint64_t agent_later_us(const struct agent *agent, uint64_t ms)
{
    return agent->world->agenda.now_us + ms * 1000;
}

/* Agenda arguments carry the life (high half) and a serial or kind (low half). */
static uint64_t agent_ticket(const struct agent *agent, uint64_t low)
{
    return agent->life << 32 | (low & 0xffffffff);
}

bool agent_void_ticket(const struct agent *agent, uint64_t argument)
{
    return agent->peer == NULL || argument >> 32 != agent->life;
}

void agent_enter(struct agent *agent, uint64_t after_ms, agenda_fn *fn, uint64_t low)
{
    agenda_enter(&agent->world->agenda, agent_later_us(agent, after_ms), fn, agent,
                 agent_ticket(agent, low));
}

/* ---- upcalls --------------------------------------------------------------------------- */

static void on_send(void *context, const struct message *message)
{
    struct agent *agent = context;

    agent_say(agent, message);
}

static void on_connected(void *context, const struct welcome *welcome)
{
}

static void on_disconnected(void *context, bool silent)
{
    struct agent *agent = context;

    if (silent) {
        agent_link_renew(agent);
    }
}

static void on_task(void *context, struct lease *lease, const struct task_message *task)
{
    struct agent *agent = context;
    const struct sim_options *options = &agent->world->options;
    struct job *job = calloc(1, sizeof *job);
    uint64_t work_ms = random_wait(&agent->work, options->work_ms);

    CHECK(job != NULL);
    list_init(&job->link);
    list_push_back(&agent->jobs, &job->link);
    job->serial = ++agent->serials;
    job->lease = lease;
    job->late = agent->node.late;
    job->depth = task->payload.bytes.size > 0 ? task->payload.bytes.data[0] : 0;
    while (!span_is(task->service, world_service(job->service))) {
        job->service++;
    }
    job->ignores_cancel = random_chance(&agent->faults, options->ignores_cancel) &&
                          !agent->world->calm;
    job->hangs = random_chance(&agent->faults, options->hangs) && !agent->world->calm;
    if (random_chance(&agent->faults, options->late) && !agent->world->calm) {
        work_ms += 20ULL * options->work_ms;
    }
    job_draw_stream(agent, job, task);
    peer_lease_set_user(lease, job);
    agent_enter(agent, work_ms, job_work, job->serial);
}

static void on_cancel(void *context, struct lease *lease, struct span reason)
{
    struct agent *agent = context;
    struct job *job = peer_lease_user(lease);

    job->cancelled = true;
    if (job->ignores_cancel && !peer_lease_lost(lease) && !agent->world->calm) {
        return;
    }
    agent_enter(agent, random_below(&agent->work, 20), job_confirm_cancel, job->serial);
}

static void on_result(void *context, struct submission *submission, const struct result *result)
{
    struct agent *agent = context;
    struct ask *ask = peer_submission_user(submission);
    struct job *job = ask->parent;

    MODEL_CHECK(&agent->world->model, "one_outcome", !ask->ended,
                "a submitter was told twice how its task ended");
    agent_trace(agent, "told", &result->record.id, outcome_name(result->record.outcome));
    ask->ended = true;
    if (result->input_count > 0) {
        peer_settle(agent->peer, result->record.payload.bytes);
    }
    if (ask->submission == NULL) {
        return; /* inside peer_submit, which tells its caller */
    }
    ask_unread(agent, ask);
    ask_drop(ask);
    if (job != NULL) {
        CHECK(job->children > 0);
        job->children--;
        if (job->children == 0) {
            job_give_credit(agent, job, false);
        }
        if (!job->cancelled) {
            agent_enter(agent, 0, job_work, job->serial);
        }
    }
}

static void on_started(void *context, struct submission *submission, const struct started *started)
{
}

static void on_progress(void *context, struct submission *submission, struct span payload)
{
}

static void on_reply(void *context, struct request *request, const struct reply *reply)
{
}

static void on_room(void *context)
{
}

static void on_log(void *context, const struct log_record *record)
{
}

/* ---- turns --------------------------------------------------------------------------------- */

static void retry_send(void *context, uint64_t argument)
{
    struct agent *agent = context;

    if (agent_void_ticket(agent, argument)) {
        return;
    }
    agent->retrying = false;
    agent_settle(agent);
}

static void on_tick(void *context, uint64_t argument)
{
    struct agent *agent = context;

    if (agent_void_ticket(agent, argument) ||
        (argument & 0xffffffff) != (agent->tick & 0xffffffff)) {
        return;
    }
    if (!agent->node.paused) {
        peer_advance(agent->peer, world_now_ms(agent->world));
        agent_settle(agent);
    }
}

/* The end of a turn: says what there is to say, and asks to be woken. */
void agent_settle(struct agent *agent)
{
    uint64_t at_ms;

    if (agent->peer == NULL || agent->node.paused) {
        return;
    }
    peer_flush(agent->peer);
    if (!agent_link_flush(agent) && agent->node.link != NULL &&
        !agent->retrying) {
        agent->retrying = true;
        agenda_enter(&agent->world->agenda, agent->world->agenda.now_us + RETRY_US, retry_send,
                     agent, agent_ticket(agent, 0));
    }
    check_worker_told(agent);
    at_ms = peer_deadline(agent->peer);
    agent->tick++;
    if (at_ms != TIMERS_NEVER) {
        agenda_enter(&agent->world->agenda, at_ms * 1000, on_tick, agent,
                     agent_ticket(agent, agent->tick));
    }
}

static void on_receive(void *context, const struct packet *packet)
{
    struct agent *agent = context;

    if (agent->peer == NULL) {
        return;
    }
    peer_advance(agent->peer, world_now_ms(agent->world));
    agent_link_receive(agent, packet);
    agent_settle(agent);
}

static void on_linked(void *context)
{
    agent_settle(context);
}

/* ---- life ------------------------------------------------------------------------------------ */

/* In the end there are workers of each version that may be asked for. */
static struct span draw_version(struct agent *agent)
{
    static const char *const versions[] = {"v1", "v2", ""};
    unsigned which = agent->index % 2;

    if (agent->world->options.pins == 0) {
        return span_of(NULL, 0);
    }
    if (!agent->world->calm && random_chance(&agent->pins, 300)) {
        which = (unsigned)random_below(&agent->pins, 3);
    }
    return span_from_text(versions[which]);
}

/* In the end nobody does: each version must be there. */
static bool wants_to_be_alone(struct agent *agent, unsigned service)
{
    const struct sim_options *options = &agent->world->options;

    return service + 1 == options->services && !agent->world->calm &&
           random_chance(&agent->alone, options->exclusives);
}

static void agent_offer(struct agent *agent, unsigned service)
{
    struct offer_message offer = {.service = span_from_text(world_service(service)),
                                  .credit = agent->world->options.credit,
                                  .version = draw_version(agent),
                                  .exclusive = wants_to_be_alone(agent, service)};

    agent->offerings[service] = peer_offer(agent->peer, &offer, agent);
}

static void agent_start(struct agent *agent)
{
    static const struct peer_sink sink = {
        .send = on_send,
        .connected = on_connected,
        .disconnected = on_disconnected,
        .task = on_task,
        .cancel = on_cancel,
        .result = on_result,
        .started = on_started,
        .progress = on_progress,
        .flow = agent_on_flow,
        .signal = agent_on_signal,
        .chunk = agent_on_chunk,
        .read_over = agent_on_read_over,
        .reply = on_reply,
        .room = on_room,
        .log = on_log,
        .log_level = LOG_ERROR,
    };
    struct peer_sink mine = sink;
    uint64_t generation;
    char name[16];
    struct peer_options options = {.session = random_id(&agent->faults),
                                   .name = name,
                                   .agent = "sim",
                                   .seed = random_next(&agent->faults),
                                   .resume = agent->resumes};

    snprintf(name, sizeof name, "agent%u", agent->index);
    mine.context = agent;
    agent->life++;
    agent->retrying = false;
    agent->session = options.session;
    agent_link_open(agent);
    agent->peer = peer_new(&options, &mine, world_now_ms(agent->world));
    CHECK(agent->peer != NULL);
    generation = agent->node.generation;
    node_init(&agent->node, &agent->world->net);
    agent->node.honest = true;
    agent->node.generation = generation; /* attempts of an earlier life stay void */
    agent->node.context = agent;
    agent->node.receive = on_receive;
    agent->node.linked = on_linked;
    node_connect(&agent->node, random_below(&agent->faults, 1000));
    for (unsigned i = 0; agent->works && i < agent->world->options.services; i++) {
        agent_offer(agent, i);
    }
    if (agent->submits) {
        agent_enter(agent, random_wait(&agent->work, agent->world->options.submit_every_ms),
              ask_more, 0);
    }
    agent_settle(agent);
}

static void agent_forget(struct agent *agent)
{
    struct list *at;

    while ((at = list_pop_front(&agent->jobs)) != NULL) {
        free(list_entry(at, struct job, link));
    }
    while ((at = list_pop_front(&agent->asks)) != NULL) {
        ask_forget_stream(list_entry(at, struct ask, link));
        free(list_entry(at, struct ask, link));
    }
    agent->other = NULL;
    memset(agent->offerings, 0, sizeof agent->offerings);
}

/* kill -9 */
static void agent_crash(struct agent *agent)
{
    node_end(&agent->node);
    peer_free(agent->peer);
    agent->peer = NULL;
    agent_link_shut(agent);
    agent_forget(agent);
}

static void come_back(void *context, uint64_t life)
{
    struct agent *agent = context;

    if (agent->peer == NULL && agent->life == life) {
        agent_start(agent);
    }
}

static uint64_t crash_every_ms(const struct agent *agent)
{
    const struct sim_options *options = &agent->world->options;

    return agent->works ? options->crash_every_ms : options->submitter_crash_every_ms;
}

static void crash_loop(void *context, uint64_t argument)
{
    struct agent *agent = context;

    if (agent->world->calm) {
        return;
    }
    agenda_enter(&agent->world->agenda,
                 agent_later_us(agent, 100 + random_wait(&agent->faults, crash_every_ms(agent))),
                 crash_loop, agent, 0);
    if (agent->peer != NULL) {
        agent_crash(agent);
        agenda_enter(&agent->world->agenda,
                     agent_later_us(agent, random_wait(&agent->faults, 2000)), come_back, agent,
                     agent->life);
    }
}

static void resume(void *context, uint64_t argument)
{
    struct agent *agent = context;

    if (agent->node.paused) {
        node_pause(&agent->node, false);
        if (agent->peer != NULL) {
            peer_advance(agent->peer, world_now_ms(agent->world));
        }
        agent_settle(agent);
    }
}

static void pause_loop(void *context, uint64_t argument)
{
    struct agent *agent = context;
    const struct sim_options *options = &agent->world->options;

    if (agent->world->calm || options->pause_every_ms == 0) {
        return;
    }
    agenda_enter(&agent->world->agenda,
                 agent_later_us(agent, 100 + random_wait(&agent->faults, options->pause_every_ms)),
                 pause_loop, agent, 1);
    if (argument != 0 && agent->peer != NULL && !agent->node.paused) {
        node_pause(&agent->node, true);
        agenda_enter(&agent->world->agenda,
                     agent_later_us(agent, random_wait(&agent->faults, options->pause_ms)), resume,
                     agent, 0);
    }
}

static void withdraw_loop(void *context, uint64_t argument)
{
    struct agent *agent = context;
    const struct sim_options *options = &agent->world->options;
    unsigned service = (unsigned)random_below(&agent->faults, options->services);

    if (agent->world->calm || options->withdraws == 0) {
        return;
    }
    agenda_enter(&agent->world->agenda,
                 agent_later_us(agent, 500 + random_wait(&agent->faults, 3000)), withdraw_loop,
                 agent, 0);
    if (agent->peer == NULL || agent->node.paused ||
        !random_chance(&agent->faults, options->withdraws)) {
        return;
    }
    peer_advance(agent->peer, world_now_ms(agent->world));
    if (agent->offerings[service] != NULL && peer_offered(agent->offerings[service])) {
        peer_withdraw(agent->peer, agent->offerings[service]);
    } else {
        agent_offer(agent, service);
    }
    agent_settle(agent);
}

struct agent *agent_new(struct world *world, unsigned index, bool submits, bool works)
{
    struct agent *agent = calloc(1, sizeof *agent);
    struct random random;

    CHECK(agent != NULL);
    agent->world = world;
    agent->index = index;
    agent->submits = submits;
    agent->works = works;
    random_init(&random, world->options.seed, "numbered", 1 + index);
    agent->resumes = random_chance(&random, world->options.numbered);
    random_init(&agent->work, world->options.seed, "work", index);
    random_init(&agent->retries, world->options.seed, "retries", index);
    random_init(&agent->durables, world->options.seed, "durables", index);
    random_init(&agent->policies, world->options.seed, "policies", index);
    random_init(&agent->streams, world->options.seed, "streams", index);
    random_init(&agent->turns, world->options.seed, "turns", index);
    random_init(&agent->shapes, world->options.seed, "shapes", index);
    random_init(&agent->depths, world->options.seed, "depths", index);
    random_init(&agent->twins, world->options.seed, "twins", index);
    random_init(&agent->costs, world->options.seed, "costs", index);
    random_init(&agent->pins, world->options.seed, "pins", index);
    random_init(&agent->alone, world->options.seed, "alone", index);
    random_init(&agent->faults, world->options.seed, "faults", index);
    list_init(&agent->jobs);
    list_init(&agent->asks);
    agent_start(agent);
    if (crash_every_ms(agent) > 0) {
        uint64_t wait_ms = 100 + random_wait(&agent->faults, crash_every_ms(agent));

        agenda_enter(&world->agenda, agent_later_us(agent, wait_ms), crash_loop, agent, 0);
    }
    pause_loop(agent, 0);
    if (works) {
        withdraw_loop(agent, 0);
    }
    return agent;
}

void agent_free(struct agent *agent)
{
    if (agent == NULL) {
        return;
    }
    if (agent->peer != NULL) {
        agent_crash(agent);
    }
    free(agent);
}

void agent_calm(struct agent *agent)
{
    if (agent->peer == NULL) {
        agent_start(agent);
    }
    if (agent->node.paused) {
        resume(agent, 0);
    }
    peer_advance(agent->peer, world_now_ms(agent->world));
    for (unsigned i = 0; agent->works && i < agent->world->options.services; i++) {
        agent_offer(agent, i);
    }
    if (agent->works) {
        agent_offer(agent, WORLD_LONE_SERVICE);
    }
    list_each(at, &agent->jobs) {
        struct job *job = list_entry(at, struct job, link);

        job->hangs = false;
        job->ignores_cancel = false;
        agent_enter(agent, 0, job->cancelled ? job_confirm_cancel : job_work, job->serial);
    }
    agent_settle(agent);
}

size_t agent_pending(const struct agent *agent)
{
    size_t count = 0;

    list_each(at, &agent->asks) {
        count++;
    }
    list_each(at, &agent->jobs) {
        count++;
    }
    return count;
}

void agent_check_rest(const struct agent *agent)
{
    if (agent->peer != NULL) {
        peer_check(agent->peer);
    }
    MODEL_CHECK(&agent->world->model, "none_forgotten", agent_pending(agent) == 0,
                "agent%u still has tasks that have not ended", agent->index);
}

uint64_t agent_submitted(const struct agent *agent)
{
    return agent->submitted;
}
