#include "broker/core/broker.h"

#include "broker/core/backup.h"
#include "broker/core/dead.h"
#include "broker/core/directive.h"
#include "broker/core/durable.h"
#include "broker/core/ending.h"
#include "broker/core/handle.h"
#include "broker/core/join.h"
#include "broker/core/memo.h"
#include "broker/core/retention.h"
#include "broker/core/state.h"
#include "broker/core/stream.h"
#include "broker/core/watch.h"
#include "common/memory.h"

struct broker_options broker_options_default(void)
{
    return (struct broker_options){
        .peers_max = 65536,
        .services_max = 65536,
        .offers_per_peer_max = 256,
        .tasks_max = 16 * 1024 * 1024,
        .memory_max = 1024ULL * 1024 * 1024,
        .payload_max = PAYLOAD_BYTES_MAX,
        .window_tasks = 32768,
        .window_bytes = 256ULL * 1024 * 1024,
        .service = {.max_tasks = 16384, .max_bytes = 64ULL * 1024 * 1024, .attempts = 3},
        .ping_ms = 2000,
        .silence_ms = 15000,
        .probe_ms = 500,
        .resume_ms = 10000,
        .hold_ms = 1000,
        .cancel_grace_ms = 10000,
        .retain_ms = 60000,
        .retain_tasks = 10000,
        .retain_bytes = 64ULL * 1024 * 1024,
        .detached_retain_ms = 3600 * 1000,
        .detached_retain_tasks = 100000,
        .detached_retain_bytes = 64ULL * 1024 * 1024,
        .dead_tasks = 10000,
        .dead_bytes = 64ULL * 1024 * 1024,
        .service_linger_ms = 60000,
        .backoff_ms = 100,
        .backoff_max_ms = 30000,
        .jitter = true,
        .stream_chunks = 256,
        .stream_bytes = 1024 * 1024,
        .stream_readers = 64,
        .unsafe_bytes = 64ULL * 1024 * 1024,
    };
}

static void init_pools(struct broker *broker)
{
    const struct broker_options *options = &broker->options;
    size_t offers_max = options->services_max > options->peers_max ? options->services_max
                                                                   : options->peers_max;
    size_t tasks_max = options->tasks_max + OVERDRAFT_TASKS;

    pool_init(&broker->task_pool, sizeof(struct task), tasks_max);
    pool_init(&broker->flow_pool, sizeof(struct flow), tasks_max);
    pool_init(&broker->flight_pool, sizeof(struct flight), tasks_max);
    pool_init(&broker->affinity_pool, sizeof(struct affinity), AFFINITIES_MAX);
    pool_init(&broker->target_pool, sizeof(struct target), tasks_max + 4 * offers_max);
    pool_init(&broker->lane_pool, sizeof(struct lane), tasks_max);
    pool_init(&broker->extra_pool, sizeof(struct extra), tasks_max);
    pool_init(&broker->family_pool, sizeof(struct family), tasks_max);
    pool_init(&broker->join_pool, sizeof(struct join), tasks_max);
    pool_init(&broker->need_pool, sizeof(struct need_chunk), tasks_max);
    pool_init(&broker->wait_pool, sizeof(struct wait), tasks_max);
    pool_init(&broker->letter_pool, sizeof(struct letter), options->dead_tasks + 1);
    pool_init(&broker->terms_pool, sizeof(struct terms), tasks_max);
    pool_init(&broker->cause_pool, sizeof(struct cause),
              tasks_max + (CAUSES_FIRST + CAUSES_LAST) * options->dead_tasks);
    pool_init(&broker->stream_pool, sizeof(struct stream), tasks_max);
    pool_init(&broker->stream_block_pool, sizeof(struct stream_block),
              tasks_max * (options->stream_chunks / STREAM_BLOCK + 2));
    pool_init(&broker->reader_pool, sizeof(struct reader), 2 * tasks_max);
    pool_init(&broker->durable_pool, sizeof(struct durable), tasks_max);
    pool_init(&broker->directive_pool, sizeof(struct directive), DIRECTIVES_MAX);
    pool_init(&broker->memo_pool, sizeof(struct memo), tasks_max);
    pool_init(&broker->signal_pool, sizeof(struct kept_signal), tasks_max * SIGNALS_MAX);
    /* Sessions, and those that are gone but for a task of theirs. */
    pool_init(&broker->peer_pool, sizeof(struct peer), options->peers_max + tasks_max);
    /* Every peer has one, and every task may keep another. */
    pool_init(&broker->label_pool, sizeof(struct label),
              options->peers_max + 2 * tasks_max);
    pool_init(&broker->limit_pool, sizeof(struct limit), LIMIT_RULES_MAX);
    pool_init(&broker->account_pool, sizeof(struct account), tasks_max + ACCOUNTS_IDLE_MAX);
    pool_init(&broker->limiter_pool, sizeof(struct limiter), options->services_max);
    pool_init(&broker->service_pool, sizeof(struct service), options->services_max);
    pool_init(&broker->offer_pool, sizeof(struct offer), 4 * offers_max);
    pool_init(&broker->stray_pool, sizeof(struct stray), tasks_max);
    pool_init(&broker->watcher_pool, sizeof(struct watcher), WATCHES_MAX);
}

/* What peers can make without an end, and is not counted with a task. (Targets: target.c.) */
static void count_pools(struct broker *broker)
{
    struct pool *const pools[] = {
        &broker->flow_pool,    &broker->lane_pool,  &broker->flight_pool, &broker->affinity_pool,
        &broker->account_pool, &broker->stray_pool, &broker->wait_pool,   &broker->reader_pool,
    };

    for (size_t i = 0; i < sizeof pools / sizeof *pools; i++) {
        pool_count_in(pools[i], &broker->pooled_bytes);
    }
}

static void deinit_pools(struct broker *broker)
{
    pool_deinit(&broker->task_pool);
    pool_deinit(&broker->flow_pool);
    pool_deinit(&broker->lane_pool);
    pool_deinit(&broker->flight_pool);
    pool_deinit(&broker->affinity_pool);
    pool_deinit(&broker->target_pool);
    pool_deinit(&broker->extra_pool);
    pool_deinit(&broker->family_pool);
    pool_deinit(&broker->join_pool);
    pool_deinit(&broker->need_pool);
    pool_deinit(&broker->wait_pool);
    pool_deinit(&broker->letter_pool);
    pool_deinit(&broker->terms_pool);
    pool_deinit(&broker->cause_pool);
    pool_deinit(&broker->stream_pool);
    pool_deinit(&broker->stream_block_pool);
    pool_deinit(&broker->reader_pool);
    pool_deinit(&broker->durable_pool);
    pool_deinit(&broker->directive_pool);
    pool_deinit(&broker->memo_pool);
    pool_deinit(&broker->signal_pool);
    pool_deinit(&broker->peer_pool);
    pool_deinit(&broker->label_pool);
    pool_deinit(&broker->limit_pool);
    pool_deinit(&broker->account_pool);
    pool_deinit(&broker->limiter_pool);
    pool_deinit(&broker->service_pool);
    pool_deinit(&broker->offer_pool);
    pool_deinit(&broker->stray_pool);
    pool_deinit(&broker->watcher_pool);
}

/* Frees its tables, and the broker itself, which has nothing else any more. */
static void free_last(struct broker *broker)
{
    table_deinit(&broker->tasks); /* a table that was never made is all zero: fine */
    table_deinit(&broker->flows);
    table_deinit(&broker->lanes);
    table_deinit(&broker->flights);
    table_deinit(&broker->affinities);
    table_deinit(&broker->targets);
    table_deinit(&broker->services_by_name);
    table_deinit(&broker->limits);
    table_deinit(&broker->accounts);
    table_deinit(&broker->peers_by_connection);
    table_deinit(&broker->peers_by_session);
    table_deinit(&broker->strays);
    table_deinit(&broker->letters);
    memory_free(broker->page);
    memory_free(broker);
}

/* What peers see of the one must tell nothing of the other: only hashes of the secret. Of words of
 * our own, so any mask will do. */
static void seed_random(struct broker *broker)
{
    uint64_t seed = broker->options.hash_seed;

    broker->random = (uint64_t)table_hash_masked(seed, TABLE_MASK, "jitter", 6) << 32;
    broker->random |= table_hash_masked(seed, TABLE_MASK, "retry", 5);
}

struct broker *broker_new(const struct broker_options *options, const struct effects *effects,
                          uint64_t now_ms)
{
    struct broker *broker = memory_new(sizeof *broker);

    if (broker == NULL) {
        return NULL;
    }
    broker->options = *options;
    broker->durable_services = options->service.durable;
    broker->effects = *effects;
    broker->now_ms = broker->started_ms = now_ms;
    broker->page = memory_new(sizeof *broker->page);
    if (broker->page == NULL || !table_init(&broker->tasks) ||
        !table_init(&broker->limits) || !table_init(&broker->accounts) ||
        !table_init(&broker->flows) ||
        !table_init(&broker->lanes) || !table_init(&broker->flights) ||
        !table_init(&broker->affinities) || !table_init(&broker->targets) ||
        !table_init(&broker->services_by_name) || !table_init(&broker->peers_by_connection) ||
        !table_init(&broker->peers_by_session) || !table_init(&broker->strays) ||
        !table_init(&broker->letters)) {
        free_last(broker);
        return NULL;
    }
    wheel_init(&broker->wheel, now_ms);
    roster_init(&broker->services);
    roster_init(&broker->limit_rows);
    list_init(&broker->idle);
    list_init(&broker->affinities_by_age);
    list_init(&broker->accounts_by_age);
    roster_init(&broker->peers);
    roster_init(&broker->detached);
    roster_init(&broker->dead);
    list_init(&broker->remembered);
    list_init(&broker->wake);
    list_init(&broker->doomed);
    list_init(&broker->dirty);
    list_init(&broker->unaccepted);
    list_init(&broker->unsafe);
    list_init(&broker->directives);
    broker->store_key = 1;
    list_init(&broker->retained);
    list_init(&broker->flights_restored);
    list_init(&broker->watchers);
    broker->notes = effects->notes;
    timer_init(&broker->retention, TIMER_RETENTION);
    init_pools(broker);
    count_pools(broker);
    seed_random(broker);
    return broker;
}

static void discard(void *context, connection_id to, const struct message *message)
{
    (void)context;
    (void)to;
    (void)message;
}

static void discard_forget(void *context, connection_id connection)
{
    (void)context;
    (void)connection;
}

static void discard_log(void *context, const struct log_record *record)
{
    (void)context;
    (void)record;
}

static void run_timers(struct broker *broker)
{
    struct timer *timer;

    wheel_advance(&broker->wheel, broker->now_ms);
    while ((timer = wheel_pop(&broker->wheel)) != NULL) {
        switch ((enum timer_kind)timer->kind) {
        case TIMER_TASK:
            task_timer(broker, list_entry(timer, struct task, timer));
            break;
        case TIMER_PEER:
            peer_timer(broker, list_entry(timer, struct peer, timer));
            break;
        case TIMER_SERVICE:
            service_free(broker, list_entry(timer, struct service, linger));
            break;
        case TIMER_LIMITER:
            limiter_timer(broker, list_entry(timer, struct limiter, timer));
            break;
        case TIMER_ACCOUNT:
            account_open(broker, list_entry(timer, struct account, timer));
            break;
        case TIMER_RETENTION:
            break; /* broker_settle trims */
        }
    }
}

/* Every session ends, every task is cancelled, every record is forgotten: what is left
 * after that is a leak, and the deinits CHECK for it. */
void broker_free(struct broker *broker)
{
    struct list *link;

    if (broker == NULL) {
        return;
    }
    broker->effects = (struct effects){.send = discard,
                                       .forget = discard_forget,
                                       .log = discard_log,
                                       .log_level = LOG_ERROR};
    broker->notes = 0;
    durable_stored(broker, broker->store_sequence); /* nobody hears of it */
    while ((link = list_first(&broker->peers.lanes[0])) != NULL) {
        peer_end(broker, list_entry(link, struct peer, place.lanes), "broker stops");
    }
    list_each(detached, &broker->detached.lanes[0]) {
        task_doom(broker, list_entry(detached, struct terms, place.lanes)->task);
    }
    broker_settle(broker);
    /* What waits for something else to stop does so no longer than its grace. */
    for (unsigned i = 0; i < 2; i++) {
        broker->now_ms += broker->options.cancel_grace_ms + 1;
        run_timers(broker);
        broker_settle(broker);
    }
    while (retention_evict(broker)) {
    }
    while ((link = list_first(&broker->dead.lanes[0])) != NULL) {
        dead_drop(broker, list_entry(link, struct letter, place.lanes));
    }
    limit_clear(broker);
    directive_clear(broker);
    restore_end(broker);
    while ((link = list_first(&broker->services.lanes[0])) != NULL) {
        service_free(broker, list_entry(link, struct service, place.lanes));
    }
    wheel_cancel(&broker->wheel, &broker->retention);
    wheel_deinit(&broker->wheel);
    CHECK(broker->memory_bytes == 0);
    CHECK(broker->pooled_bytes == 0);
    CHECK(broker->retained_count == 0);
    CHECK(broker->retained_bytes == 0);
    CHECK(broker->remembered_count == 0);
    CHECK(broker->remembered_bytes == 0);
    CHECK(broker->dead_bytes == 0);
    CHECK(broker->text_bytes == 0);
    blob_unref(broker->options_last);
    deinit_pools(broker);
    free_last(broker);
}

bool broker_configure_service(struct broker *broker, struct span name,
                              const struct service_limits *limits)
{
    struct service *service = service_open(broker, name);

    if (service == NULL) {
        return false;
    }
    service->configured = true;
    service_note_idle(broker, service);
    if (limits->max_tasks > 0) {
        service->limits.max_tasks = limits->max_tasks;
    }
    if (limits->max_bytes > 0) {
        service->limits.max_bytes = limits->max_bytes;
    }
    if (limits->attempts > 0) {
        service->limits.attempts = limits->attempts;
    }
    service->limits.lease_ms = limits->lease_ms;
    service->limits.max_run_ms = limits->max_run_ms;
    service->limits.backoff_ms = limits->backoff_ms;
    service->limits.backoff_max_ms = limits->backoff_max_ms;
    service->limits.durable |= limits->durable;
    broker->durable_services |= limits->durable;
    return true;
}

bool broker_configure_limit(struct broker *broker, struct span service, struct span tenant,
                            struct span key, const struct limit_values *values)
{
    return limit_set(broker, service, key, tenant, values) == ERROR_NONE;
}

static void handle_ping(struct broker *broker, struct peer *peer, const struct ping *ping)
{
    struct message message = {.command = COMMAND_PONG};

    message.pong.nonce = ping->nonce;
    peer_send(broker, peer, &message);
    if (peer->reads_again && broker->now_ms - peer->reopened_ms >= broker->options.resume_ms) {
        peer->reads_again = false;
        stream_peer_stayed_away(broker, peer);
    }
}

static void handle_message(struct broker *broker, connection_id from,
                           const struct message *message, const struct hint *hint)
{
    struct peer *peer;

    if (message->command == COMMAND_HELLO) {
        handle_hello(broker, from, &message->hello);
        return;
    }
    peer = peer_find(broker, from);
    if (peer == NULL) {
        send_error(broker, from, ERROR_HELLO_REQUIRED, message->command, "", NULL);
        return;
    }
    peer_hear(broker, peer);
    peer->spoken = true;
    switch (message->command) {
    case COMMAND_OFFER:
        handle_offer(broker, peer, &message->offer);
        break;
    case COMMAND_WITHDRAW:
        handle_withdraw(broker, peer, &message->withdraw);
        break;
    case COMMAND_CREDIT:
        handle_credit(broker, peer, &message->credit);
        break;
    case COMMAND_SUBMIT:
        handle_submit(broker, peer, &message->submit, hint);
        break;
    case COMMAND_CANCEL:
        handle_cancel(broker, peer, &message->cancel);
        break;
    case COMMAND_DONE:
        handle_done(broker, peer, &message->done, hint);
        break;
    case COMMAND_FAIL:
        handle_fail(broker, peer, &message->fail);
        break;
    case COMMAND_PROGRESS:
        handle_progress(broker, peer, &message->progress);
        break;
    case COMMAND_CHUNK:
        handle_chunk(broker, peer, &message->chunk);
        break;
    case COMMAND_READ:
        handle_read(broker, peer, &message->read);
        break;
    case COMMAND_CHECKPOINT:
        handle_checkpoint(broker, peer, &message->checkpoint);
        break;
    case COMMAND_SIGNAL:
        handle_signal(broker, peer, &message->signal);
        break;
    case COMMAND_QUERY:
        handle_query(broker, peer, &message->query);
        break;
    case COMMAND_CONTROL:
        handle_control(broker, peer, &message->control);
        break;
    case COMMAND_WATCH:
        handle_watch(broker, peer, &message->watch);
        break;
    case COMMAND_PING:
        handle_ping(broker, peer, &message->ping);
        break;
    case COMMAND_BYE:
        peer_end(broker, peer, "bye");
        break;
    default:
        broker->stats.bad_messages++;
        send_error(broker, from, ERROR_UNSUPPORTED, message->command, "", NULL);
    }
}

static void handle_malformed(struct broker *broker, connection_id from,
                             const struct malformed *malformed)
{
    struct peer *peer = peer_find(broker, from);

    broker->stats.bad_messages++;
    if (peer != NULL) {
        peer_hear(broker, peer);
    }
    BROKER_LOG(broker, LOG_WARN, "bad_message", LOG_UINT("connection", from),
               LOG_TEXT("peer", peer != NULL ? label_span(peer->name) : span_of(NULL, 0)),
               LOG_WORD("field", malformed->field), LOG_WORD("why", malformed->message));
    if (peer == NULL) {
        send_error(broker, from, ERROR_HELLO_REQUIRED, malformed->command, "", NULL);
        return;
    }
    struct message message = {.command = COMMAND_ERROR};

    message.error.error = error_of(malformed->code);
    message.error.error.message = span_from_text(malformed->message);
    message.error.command = malformed->command;
    message.error.field = span_from_text(malformed->field);
    message.error.id = malformed->id;
    peer_send(broker, peer, &message);
    if (malformed->command == COMMAND_DONE || malformed->command == COMMAND_FAIL) {
        handle_garbled_answer(broker, peer, &malformed->id);
    }
}

/* A new connection. If its rid is that of a session, that session said HELLO first. */
static void handle_probe(struct broker *broker, connection_id from)
{
    if (peer_find(broker, from) == NULL) {
        send_error(broker, from, ERROR_HELLO_REQUIRED, 0, "", NULL);
    }
}

static void handle_lost(struct broker *broker, connection_id from, bool broken)
{
    struct peer *peer = peer_find(broker, from);

    if (peer != NULL && broken) {
        peer_lose(broker, peer, "output_dropped");
    } else if (peer != NULL) {
        peer_suspend(broker, peer, "unreachable", true);
    }
}

/* Stepped long after its deadline, the broker was the one that slept (a stopped process, a
 * suspended machine): what its peers said meanwhile has yet to be read. */
static void note_sleep(struct broker *broker, uint64_t now_ms)
{
    uint64_t due_ms = broker_deadline(broker);

    if (now_ms > due_ms && now_ms - due_ms > broker->options.ping_ms) {
        BROKER_LOG(broker, LOG_WARN, "overslept", LOG_UINT("late_ms", now_ms - due_ms));
        broker->awake_ms = now_ms;
    }
}

void broker_step(struct broker *broker, const struct event *event)
{
    CHECK(event->now_ms >= broker->now_ms);
    /* What is due is over before anything new is heard: a late answer is late. */
    if (event->now_ms > broker->now_ms || event->kind == EVENT_TICK) {
        note_sleep(broker, event->now_ms);
        broker->now_ms = event->now_ms;
        run_timers(broker);
        broker_settle(broker);
    }
    switch (event->kind) {
    case EVENT_MESSAGE:
        handle_message(broker, event->from, event->message, &event->hint);
        break;
    case EVENT_MALFORMED:
        handle_malformed(broker, event->from, event->malformed);
        break;
    case EVENT_PROBE:
        handle_probe(broker, event->from);
        break;
    case EVENT_LOST:
        handle_lost(broker, event->from, false);
        break;
    case EVENT_BROKEN:
        handle_lost(broker, event->from, true);
        break;
    case EVENT_TICK:
        break;
    case EVENT_STORED:
        broker->stats.store_commits++;
        durable_stored(broker, event->stored);
        break;
    case EVENT_STORE:
        broker->store_state = event->store;
        if (event->store == STORE_LOST) {
            durable_lost(broker);
        }
        break;
    case EVENT_BACKUP:
        backup_end(broker, event->backup);
        break;
    case EVENT_CLOCK:
        broker->options.started_unix_ms = event->unix_ms - (event->now_ms - broker->started_ms);
        break;
    case EVENT_DRAIN:
        broker->draining = broker->stopping = true;
        watch_emit(broker, NOTE_DRAINING, span_of(NULL, 0), span_of(NULL, 0), span_of(NULL, 0));
        BROKER_LOG(broker, LOG_INFO, "draining",
                   LOG_UINT("tasks", broker->state_count[TASK_LEASED]));
        break;
    }
    broker_settle(broker);
}

uint64_t broker_deadline(const struct broker *broker)
{
    return wheel_next_ms(&broker->wheel);
}

static uint64_t unfinished(const struct broker *broker)
{
    return broker->state_count[TASK_WAITING] + broker->state_count[TASK_READY] +
           broker->state_count[TASK_DELAYED] + broker->state_count[TASK_LEASED] +
           broker->state_count[TASK_CANCELLING] + broker->state_count[TASK_STORING];
}

bool broker_drained(const struct broker *broker)
{
    return broker->stopping && unfinished(broker) == durable_kept(broker);
}

void broker_stats(const struct broker *broker, struct broker_stats *stats)
{
    *stats = broker->stats;
    stats->services = broker->services_by_name.count;
    stats->offers = broker->offer_pool.used;
    stats->tasks = unfinished(broker);
    stats->waiting = broker->state_count[TASK_WAITING];
    stats->delayed = broker->state_count[TASK_DELAYED];
    stats->ready = broker->state_count[TASK_READY];
    stats->leased = broker->state_count[TASK_LEASED];
    stats->cancelling = broker->state_count[TASK_CANCELLING];
    stats->storing = broker->state_count[TASK_STORING];
    stats->retained = broker->retained_count;
    stats->memory_bytes = broker->memory_bytes + broker->dead_bytes;
    stats->detached = broker->detached_count;
    stats->remembered = broker->remembered_count;
    stats->dead = broker->letters.count;
    stats->dead_bytes = broker->dead_bytes;
}
