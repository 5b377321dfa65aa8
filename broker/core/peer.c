#include "broker/core/peer.h"

#include "broker/core/ending.h"
#include "broker/core/retry.h"
#include "broker/core/state.h"
#include "broker/core/stream.h"
#include "broker/core/watch.h"
#include "common/mutant.h"

static uint32_t session_hash(const struct broker *broker, const struct id *session)
{
    return broker_hash(broker, session->bytes, sizeof session->bytes);
}

/* Connections are numbered by the shell, one after another: no hash needed. */
struct peer *peer_find(const struct broker *broker, connection_id connection)
{
    struct table_node *node = table_chain(&broker->peers_by_connection, connection);

    for (; node != NULL; node = node->next) {
        struct peer *peer = table_entry(node, struct peer, by_connection);

        if (peer->connection == connection) {
            return peer;
        }
    }
    return NULL;
}

struct peer *peer_find_session(const struct broker *broker, const struct id *session)
{
    uint32_t hash = session_hash(broker, session);
    struct table_node *node = table_chain(&broker->peers_by_session, hash);

    for (; node != NULL; node = node->next) {
        struct peer *peer = table_entry(node, struct peer, by_session);

        if (id_equal(&peer->session, session)) {
            return peer;
        }
    }
    return NULL;
}

struct label *label_new(struct broker *broker, struct span text)
{
    struct label *label = pool_get(&broker->label_pool);

    if (label == NULL) {
        return NULL;
    }
    label->references = 1;
    label->size = (uint32_t)(text.size < PEER_NAME_MAX ? text.size : PEER_NAME_MAX);
    memcpy(label->text, text.data, label->size);
    return label;
}

/* HELLO on a new connection tells the name anew: a process may have learned a better one. */
static void peer_describe(struct broker *broker, struct peer *peer, const struct hello *hello)
{
    struct label *name = peer->name;

    if (name == NULL || !span_equal(label_span(name), hello->name)) {
        name = label_new(broker, hello->name);
        if (name != NULL) {
            label_unref(broker, peer->name);
            peer->name = name;
        }
    }
    peer->agent_size =
        (uint32_t)(hello->agent.size < PEER_AGENT_MAX ? hello->agent.size : PEER_AGENT_MAX);
    if (peer->agent_size > 0) {
        memcpy(peer->agent, hello->agent.data, peer->agent_size);
    }
}

static void peer_connect(struct broker *broker, struct peer *peer, connection_id from)
{
    peer->state = PEER_CONNECTED;
    peer->unreachable = false;
    peer->connection = from;
    peer->heard_ms = peer->sent_ms = broker->now_ms;
    table_insert(&broker->peers_by_connection, &peer->by_connection, from);
    wheel_arm(&broker->wheel, &peer->timer, broker->now_ms + broker->options.silence_ms);
}

static void peer_note(struct broker *broker, enum note_kind kind, const struct peer *peer,
                      struct span detail)
{
    watch_emit(broker, kind, span_of(NULL, 0), label_span(peer->name), detail);
}

/* A session of that id, in no state yet. NULL: no memory. */
static struct peer *peer_new(struct broker *broker, const struct hello *hello)
{
    struct peer *peer = pool_get(&broker->peer_pool);

    if (peer == NULL) {
        return NULL;
    }
    peer->session = hello->session;
    timer_init(&peer->timer, TIMER_PEER);
    list_init(&peer->offers);
    list_init(&peer->submitted);
    list_init(&peer->waits);
    list_init(&peer->readers);
    list_init(&peer->watchers);
    peer_describe(broker, peer, hello);
    if (peer->name == NULL) {
        pool_put(&broker->peer_pool, peer);
        return NULL;
    }
    broker->serial++;
    roster_append(&broker->peers, &peer->place, broker->serial,
                  broker_hash(broker, &broker->serial, sizeof broker->serial));
    broker->stats.peers++;
    table_insert(&broker->peers_by_session, &peer->by_session,
                 session_hash(broker, &peer->session));
    return peer;
}

struct peer *peer_open(struct broker *broker, connection_id from, const struct hello *hello)
{
    struct peer *peer = broker->stats.peers < broker->options.peers_max
                            ? peer_new(broker, hello)
                            : NULL;

    if (peer == NULL) {
        return NULL;
    }
    peer_connect(broker, peer, from);
    BROKER_LOG(broker, LOG_INFO, "peer_connected", LOG_TEXT("peer", label_span(peer->name)),
               LOG_UINT("connection", from),
               LOG_TEXT("agent", span_of(peer->agent, peer->agent_size)));
    peer_note(broker, NOTE_PEER_CONNECTED, peer, span_of(peer->agent, peer->agent_size));
    return peer;
}

struct peer *peer_restore(struct broker *broker, const struct id *session, struct span name)
{
    struct hello hello = {.session = *session, .name = name};
    struct peer *peer = peer_find_session(broker, session);

    if (peer != NULL) {
        return peer;
    }
    peer = peer_new(broker, &hello);
    if (peer != NULL) {
        peer->state = PEER_AWAY;
        peer->spoken = true; /* it is known when it comes */
        peer->lost_ms = broker->now_ms;
        wheel_arm(&broker->wheel, &peer->timer, peer->lost_ms + broker->options.resume_ms);
    }
    return peer;
}

/* Everything this peer holds goes to the next attempt. The newest lease first, so
 * that at the front of the queue the oldest task is first again. */
static void peer_drop_leases(struct broker *broker, struct offer *offer)
{
    const struct failure lost = {.error = ERROR_WORKER_LOST, .retryable = true, .at_once = true};
    struct list *link;

    while ((link = list_last(&offer->leases)) != NULL) {
        struct task *task = list_entry(link, struct task, link);
        bool cancelling = task->state == TASK_CANCELLING;

        limit_released(broker, task);
        list_unlink(&task->link);
        task->offer = NULL;
        CHECK(offer->held > 0);
        offer->held--;
        offer->peer->held--;
        if (!offer_withdrawn(offer)) {
            offer->service->held--;
        }
        if (cancelling) {
            task_wake(broker, task);
        } else {
            task_attempt_failed(broker, task, &lost);
        }
    }
}

/* The worker half of a session ends: leases, strays, offers. */
static void peer_stop_work(struct broker *broker, struct peer *peer)
{
    struct list *link;

    while ((link = list_first(&peer->offers)) != NULL) {
        struct offer *offer = list_entry(link, struct offer, peer_link);

        peer_drop_leases(broker, offer);
        offer_drop_strays(broker, offer);
        offer_withdraw(broker, offer);
    }
    CHECK(peer->held == 0);
}

static void peer_disconnect(struct broker *broker, struct peer *peer)
{
    if (peer->state != PEER_CONNECTED && peer->state != PEER_SUSPENDED) {
        return;
    }
    watch_end_all(broker, peer);
    table_remove(&broker->peers_by_connection, &peer->by_connection);
    peer->state = PEER_AWAY;
    peer->numbered = false;
    wheel_cancel(&broker->wheel, &peer->timer);
    broker->effects.forget(broker->effects.context, peer->connection);
}

void peer_reopen(struct broker *broker, struct peer *peer, connection_id from,
                 const struct hello *hello)
{
    bool here = peer_find(broker, from) == peer;

    peer_stop_work(broker, peer);
    stream_peer_away(broker, peer);
    peer->reopened_ms = broker->now_ms;
    peer->reads_again = !list_empty(&peer->readers);
    if (here && peer->numbered && !hello->resume) {
        broker->effects.forget(broker->effects.context, from); /* its numbers */
    }
    peer->numbered = false;
    watch_end_all(broker, peer);
    if (here && peer->state == PEER_CONNECTED) {
        return;
    }
    if (here) {
        table_remove(&broker->peers_by_connection, &peer->by_connection);
    } else {
        peer_disconnect(broker, peer);
    }
    peer_describe(broker, peer, hello);
    peer_connect(broker, peer, from);
    BROKER_LOG(broker, LOG_INFO, "peer_reconnected", LOG_TEXT("peer", label_span(peer->name)),
               LOG_UINT("connection", from), LOG_UINT("submitted", peer->submitted_count));
    peer_note(broker, NOTE_PEER_CONNECTED, peer, span_from_text("again"));
}

void peer_place_offers(struct broker *broker, struct peer *peer)
{
    list_each(link, &peer->offers) {
        offer_refresh(broker, list_entry(link, struct offer, peer_link));
    }
}

/* It works on: what it held and offered has waited for it. */
static void peer_unsuspend(struct broker *broker, struct peer *peer)
{
    peer_place_offers(broker, peer);
    if (peer->held > 0) {
        peer_watch(broker, peer);
    }
}

void peer_resume(struct broker *broker, struct peer *peer, connection_id from,
                 const struct hello *hello)
{
    CHECK(peer->state == PEER_CONNECTED || peer->state == PEER_SUSPENDED);
    CHECK(peer->numbered);
    table_remove(&broker->peers_by_connection, &peer->by_connection);
    peer_describe(broker, peer, hello);
    peer_connect(broker, peer, from);
    peer_unsuspend(broker, peer);
    BROKER_LOG(broker, LOG_INFO, "peer_resumed", LOG_TEXT("peer", label_span(peer->name)),
               LOG_UINT("connection", from), LOG_UINT("held", peer->held),
               LOG_UINT("submitted", peer->submitted_count));
}

void peer_hear(struct broker *broker, struct peer *peer)
{
    peer->heard_ms = broker->now_ms;
    if (peer->state == PEER_SUSPENDED && !peer->unreachable) {
        peer->state = PEER_CONNECTED;
        wheel_arm(&broker->wheel, &peer->timer, broker->now_ms + broker->options.silence_ms);
        peer_unsuspend(broker, peer);
    }
}

static uint64_t peer_hold_ms(const struct broker *broker, const struct peer *peer)
{
    const struct broker_options *options = &broker->options;

    return peer->held > 0 && options->hold_ms < options->resume_ms ? options->hold_ms
                                                                   : options->resume_ms;
}

void peer_suspend(struct broker *broker, struct peer *peer, const char *why, bool unreachable)
{
    if (peer->state == PEER_SUSPENDED) {
        peer->unreachable = peer->unreachable || unreachable;
        return;
    }
    if (!peer->numbered) {
        peer_lose(broker, peer, why);
        return;
    }
    BROKER_LOG(broker, LOG_INFO, "peer_suspended", LOG_TEXT("peer", label_span(peer->name)),
               LOG_UINT("connection", peer->connection), LOG_WORD("why", why),
               LOG_UINT("held", peer->held), LOG_UINT("submitted", peer->submitted_count));
    peer->state = PEER_SUSPENDED;
    peer->unreachable = unreachable;
    peer->lost_ms = broker->now_ms;
    peer_place_offers(broker, peer);
    wheel_arm(&broker->wheel, &peer->timer, broker->now_ms + peer_hold_ms(broker, peer));
}

void peer_lose(struct broker *broker, struct peer *peer, const char *why)
{
    bool suspended = peer->state == PEER_SUSPENDED;

    CHECK(peer->state == PEER_CONNECTED || suspended);
    peer->lost_ms = suspended ? peer->lost_ms : broker->now_ms;
    BROKER_LOG(broker, LOG_WARN, "peer_lost", LOG_TEXT("peer", label_span(peer->name)),
               LOG_UINT("connection", peer->connection), LOG_WORD("why", why),
               LOG_UINT("held", peer->held), LOG_UINT("submitted", peer->submitted_count));
    broker->stats.peers_lost++;
    peer_disconnect(broker, peer);
    peer_note(broker, NOTE_PEER_LOST, peer, span_from_text(why));
    peer_stop_work(broker, peer);
    stream_peer_away(broker, peer);
    if (list_empty(&peer->submitted)) {
        peer_end(broker, peer, why);
        return;
    }
    wheel_arm(&broker->wheel, &peer->timer, peer->lost_ms + broker->options.resume_ms);
}

static void peer_drop_waits(struct broker *broker, struct peer *peer)
{
    struct list *link;

    while ((link = list_first(&peer->waits)) != NULL) {
        struct wait *wait = list_entry(link, struct wait, peer_link);

        list_unlink(&wait->peer_link);
        list_unlink(&wait->task_link);
        peer->wait_count[wait->kind]--;
        pool_put(&broker->wait_pool, wait);
    }
}

void peer_end(struct broker *broker, struct peer *peer, const char *why)
{
    uint64_t cancelled = 0;

    CHECK(peer->state != PEER_GONE);
    peer_disconnect(broker, peer);
    peer_note(broker, NOTE_PEER_ENDED, peer, span_from_text(why));
    peer_stop_work(broker, peer);
    peer_drop_waits(broker, peer);
    wheel_cancel(&broker->wheel, &peer->timer);
    table_remove(&broker->peers_by_session, &peer->by_session);
    roster_remove(&peer->place);
    broker->stats.peers--;
    peer->state = PEER_GONE;
    peer->tasks++; /* not to be freed by the last task that ends below */
    list_each(link, &peer->submitted) {
        struct task *task = list_entry(link, struct task, owner_link);

        if (MUTANT(ORPHANS_KEPT) && task->state == TASK_LEASED) {
            continue;
        }
        if ((task->detached && !MUTANT(DETACHED_DIES)) || task->state == TASK_STORING) {
            /* What is storing has an outcome, for whoever asks. */
            peer->submitted_count--;
            peer->submitted_bytes -= blob_span(task->body).size;
            list_unlink(&task->owner_link);
            continue;
        }
        task->orphan = true;
        task_doom(broker, task);
        cancelled++;
    }
    BROKER_LOG(broker, LOG_INFO, "peer_ended", LOG_TEXT("peer", label_span(peer->name)),
               LOG_ID("session", &peer->session), LOG_WORD("why", why),
               LOG_UINT("cancelled", cancelled));
    stream_peer_gone(broker, peer);
    peer->tasks--;
    peer_release(broker, peer);
}

void peer_claim(struct broker *broker, struct peer *peer, struct task *task)
{
    struct peer *before = task->owner;

    CHECK(task->detached || task->state == TASK_STORING);
    if (before == peer) {
        return;
    }
    CHECK(before->state == PEER_GONE);
    task->owner = peer;
    peer->tasks++;
    before->tasks--;
    peer_release(broker, before);
    if (!task_ended(task)) {
        list_push_back(&peer->submitted, &task->owner_link);
        peer->submitted_count++;
        peer->submitted_bytes += blob_span(task->body).size;
    }
}

void peer_release(struct broker *broker, struct peer *peer)
{
    if (peer->state != PEER_GONE || peer->tasks > 0) {
        return;
    }
    CHECK(list_empty(&peer->offers));
    CHECK(list_empty(&peer->submitted));
    CHECK(list_empty(&peer->waits));
    CHECK(list_empty(&peer->readers));
    CHECK(peer->submitted_count == 0);
    label_unref(broker, peer->name);
    pool_put(&broker->peer_pool, peer);
}

void peer_watch(struct broker *broker, struct peer *peer)
{
    uint64_t due_ms = broker->now_ms + broker->options.probe_ms;

    CHECK(peer->state == PEER_CONNECTED || MUTANT(SUSPENDED_GETS_TASKS));
    if (peer->timer.due_ms > due_ms) {
        wheel_arm(&broker->wheel, &peer->timer, due_ms);
    }
}

/* TIMERS hold, resume. */
static void peer_absence_timer(struct broker *broker, struct peer *peer)
{
    uint64_t now_ms = broker->now_ms;

    if (now_ms == broker->awake_ms) {
        peer->lost_ms = now_ms + 1; /* its HELLO may be there, unread */
        wheel_arm(&broker->wheel, &peer->timer, peer->lost_ms + broker->options.resume_ms);
        if (peer->state == PEER_SUSPENDED) {
            wheel_arm(&broker->wheel, &peer->timer,
                      peer->lost_ms + peer_hold_ms(broker, peer));
        }
        return;
    }
    if (peer->state == PEER_SUSPENDED && MUTANT(SESSION_NEVER_LAPSES)) {
        wheel_arm(&broker->wheel, &peer->timer, now_ms + broker->options.resume_ms);
        return;
    }
    if (now_ms >= peer->lost_ms + broker->options.resume_ms) {
        broker->stats.peers_lost += peer->state == PEER_SUSPENDED;
        peer_end(broker, peer, "not back within resume_ms");
        return;
    }
    CHECK(peer->state == PEER_SUSPENDED);
    if (now_ms >= peer->lost_ms + peer_hold_ms(broker, peer)) {
        peer_lose(broker, peer, "not back within hold_ms");
        return;
    }
    wheel_arm(&broker->wheel, &peer->timer, peer->lost_ms + peer_hold_ms(broker, peer));
}

/* TIMERS silence, probe. The timer is not moved at every message: it fires,
 * looks at the clock, and is armed again. */
void peer_timer(struct broker *broker, struct peer *peer)
{
    uint64_t now_ms = broker->now_ms;
    uint64_t since_ms = peer->heard_ms > broker->awake_ms ? peer->heard_ms : broker->awake_ms;
    uint64_t silent_at_ms = since_ms + broker->options.silence_ms;
    uint64_t due_ms = silent_at_ms;

    if (peer->state != PEER_CONNECTED) {
        peer_absence_timer(broker, peer);
        return;
    }
    if (now_ms >= silent_at_ms && !MUTANT(SILENCE_UNNOTICED)) {
        peer_suspend(broker, peer, "silent", false);
        return;
    }
    if (peer->held > 0) {
        /* A PONG nobody asked for: if the connection is dead, this send says so. */
        if (now_ms - peer->sent_ms >= broker->options.probe_ms) {
            struct message probe = {.command = COMMAND_PONG};

            peer_send(broker, peer, &probe);
        }
        if (now_ms + broker->options.probe_ms < due_ms) {
            due_ms = now_ms + broker->options.probe_ms;
        }
    }
    wheel_arm(&broker->wheel, &peer->timer, due_ms);
}

struct offer *peer_offer(const struct peer *peer, struct span service)
{
    list_each(link, &peer->offers) {
        struct offer *offer = list_entry(link, struct offer, peer_link);

        if (!offer_withdrawn(offer) && span_equal(service_name(offer->service), service)) {
            return offer;
        }
    }
    return NULL;
}

void peer_send(struct broker *broker, struct peer *peer, const struct message *message)
{
    if (peer->state != PEER_CONNECTED && peer->state != PEER_SUSPENDED) {
        return;
    }
    peer->sent_ms = broker->now_ms;
    broker->effects.send(broker->effects.context, peer->connection, message);
}
