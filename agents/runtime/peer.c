#include "agents/runtime/peer_state.h"

#include "common/check.h"
#include "common/mutant.h"

#include <stdio.h>
#include <stdlib.h>

/* Until a WELCOME says otherwise. */
#define PING_MS 1000
#define SILENCE_MS 15000
#define RESUME_MS 10000
#define WINDOW_TASKS 1000
#define WINDOW_BYTES (64ULL * 1024 * 1024)
#define SUBMISSIONS_MAX (1024ULL * 1024)
#define SUBMISSIONS_BYTES_MAX (1024ULL * 1024 * 1024)
/* What a WELCOME may ask for: a ping of 0 ms would spin. */
#define PING_MS_MIN 10

static void limits_default(struct welcome *welcome)
{
    *welcome = (struct welcome){
        .version = PROTOCOL_VERSION,
        .ping_ms = PING_MS,
        .silence_ms = SILENCE_MS,
        .resume_ms = RESUME_MS,
        .window_tasks = WINDOW_TASKS,
        .window_bytes = WINDOW_BYTES,
        .payload_bytes = PAYLOAD_BYTES_MAX,
    };
}

static bool maps_init(struct peer *peer)
{
    return id_map_init(&peer->leases_by_id, peer_random(peer)) &&
           id_map_init(&peer->submissions_by_id, peer_random(peer)) &&
           id_map_init(&peer->requests_by_number, peer_random(peer)) &&
           id_map_init(&peer->readings_by_id, peer_random(peer)) &&
           id_map_init(&peer->cancels, peer_random(peer)) &&
           id_map_init(&peer->results_asked, peer_random(peer)) &&
           table_init(&peer->offerings_by_name);
}

static void maps_deinit(struct peer *peer)
{
    id_map_deinit(&peer->leases_by_id);
    id_map_deinit(&peer->submissions_by_id);
    id_map_deinit(&peer->requests_by_number);
    id_map_deinit(&peer->readings_by_id);
    id_map_deinit(&peer->cancels);
    id_map_deinit(&peer->results_asked);
    table_deinit(&peer->offerings_by_name);
}

struct peer *peer_new(const struct peer_options *options, const struct peer_sink *sink,
                      uint64_t now_ms)
{
    struct peer *peer = calloc(1, sizeof *peer);

    if (peer == NULL) {
        return NULL;
    }
    peer->random = options->seed;
    if (!maps_init(peer)) {
        maps_deinit(peer);
        free(peer);
        return NULL;
    }
    peer->sink = *sink;
    peer->options = *options;
    if (peer->options.submissions_max == 0) {
        peer->options.submissions_max = SUBMISSIONS_MAX;
    }
    if (peer->options.submissions_bytes_max == 0) {
        peer->options.submissions_bytes_max = SUBMISSIONS_BYTES_MAX;
    }
    snprintf(peer->name, sizeof peer->name, "%s", options->name);
    snprintf(peer->agent, sizeof peer->agent, "%s", options->agent);
    peer->now_ms = now_ms;
    limits_default(&peer->welcome);
    peer->hello_ms = peer->sent_ms = peer->heard_ms = now_ms;
    peer->pinged_ms = TIMERS_NEVER;
    peer->reoffer_ms = TIMERS_NEVER;
    timers_init(&peer->submission_timers);
    timers_init(&peer->request_timers);
    list_init(&peer->offerings);
    list_init(&peer->offerings_dirty);
    list_init(&peer->leases);
    list_init(&peer->lost_leases);
    list_init(&peer->submissions);
    list_init(&peer->waiting);
    list_init(&peer->waiting_children);
    list_init(&peer->starving);
    list_init(&peer->requests);
    list_init(&peer->readings);
    list_init(&peer->watchings);
    list_init(&peer->readings_idle);
    return peer;
}

void peer_free(struct peer *peer)
{
    if (peer == NULL) {
        return;
    }
    requests_free(peer);
    readings_free(peer);
    watchings_free(peer);
    submissions_free(peer);
    leases_free(peer);
    offerings_free(peer);
    timers_deinit(&peer->submission_timers);
    timers_deinit(&peer->request_timers);
    maps_deinit(peer);
    free(peer);
}

/* splitmix64, by Sebastiano Vigna (public domain). */
uint64_t peer_random(struct peer *peer)
{
    uint64_t z = (peer->random += 0x9e3779b97f4a7c15ULL);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

void peer_send(struct peer *peer, const struct message *message)
{
    peer->sent_ms = peer->now_ms;
    peer->sink.send(peer->sink.context, message);
}

void peer_log(struct peer *peer, enum log_level level, const char *event,
              const struct log_field *fields, size_t field_count)
{
    struct log_record record = {level, event, fields, field_count};

    if (level <= peer->sink.log_level && peer->sink.log != NULL) {
        peer->sink.log(peer->sink.context, &record);
    }
}

bool peer_connected(const struct peer *peer)
{
    return peer->state == SESSION_OPEN;
}

uint64_t peer_now_ms(const struct peer *peer)
{
    return peer->now_ms;
}

const struct welcome *peer_welcome(const struct peer *peer)
{
    return &peer->welcome;
}

/* ---- the session (PROTOCOL.md, section 2) ---- */

/* Said again for lack of an answer only, it is the same as before: the answer to the first time is
 * as good, and may take longer than ping_ms. */
static void say_hello(struct peer *peer, bool again)
{
    struct message message = {
        .command = COMMAND_HELLO,
        .hello = {
            .version = PROTOCOL_VERSION,
            .session = peer->options.session,
            .name = span_from_text(peer->name),
            .agent = span_from_text(peer->agent),
            .resume = peer->options.resume,
        },
    };

    if (!again || peer->greeting == 0) {
        peer->greeting++;
    }
    message.hello.greeting = peer->greeting;
    peer->hello_pending = true;
    peer->hello_ms = peer->now_ms;
    peer->hello_count++;
    peer_send(peer, &message);
}

static void close_session(struct peer *peer, bool silent, const char *why)
{
    struct log_field fields[] = {LOG_WORD("reason", why)};
    bool was_open = peer->state == SESSION_OPEN;

    peer->state = SESSION_JOINING;
    peer->cut = false;
    peer->resuming = peer->resuming || (was_open && peer->welcome.resume);
    peer->hello_pending = false;
    peer->hello_count = 0;
    peer->hello_ms = peer->heard_ms = peer->now_ms;
    peer->pinged_ms = TIMERS_NEVER;
    if (was_open) {
        peer_log(peer, LOG_WARN, "broker_lost", fields, 1);
    }
    if (was_open || silent) {
        peer->sink.disconnected(peer->sink.context, silent);
    }
}

void peer_restart(struct peer *peer)
{
    if (peer->state != SESSION_CLOSED) {
        close_session(peer, false, "connection_lost");
    }
}

/* Until there is a new connection: what still comes had come before this one ended. */
void peer_cut(struct peer *peer)
{
    peer->cut = peer->state == SESSION_OPEN;
}

static void take_limits(struct peer *peer, const struct welcome *welcome)
{
    struct welcome *mine = &peer->welcome;

    *mine = *welcome;
    peer->welcome_ms = peer->now_ms;
    if (mine->ping_ms < PING_MS_MIN) {
        mine->ping_ms = PING_MS;
    }
    if (mine->silence_ms < mine->ping_ms * 2) {
        mine->silence_ms = mine->ping_ms * 2;
    }
    if (mine->window_tasks == 0) {
        mine->window_tasks = WINDOW_TASKS;
    }
    if (mine->window_bytes == 0) {
        mine->window_bytes = WINDOW_BYTES;
    }
    if (mine->payload_bytes == 0 || mine->payload_bytes > PAYLOAD_BYTES_MAX) {
        mine->payload_bytes = PAYLOAD_BYTES_MAX;
    }
}

/* The order matters: leases are forgotten before the offers bring new ones, and
 * tasks are sent after the offers, so that a peer may work for itself. */
static void receive_welcome(struct peer *peer, const struct welcome *welcome)
{
    bool same_broker = peer->welcomed && id_equal(&welcome->broker, &peer->welcome.broker);
    struct log_field fields[] = {
        LOG_ID("broker", &welcome->broker),
        LOG_WORD("known", welcome->known ? "yes" : "no"),
        LOG_WORD("resumed", welcome->resumed ? "yes" : "no"),
        LOG_UINT("ping_ms", welcome->ping_ms),
        LOG_UINT("window_tasks", welcome->window_tasks),
    };

    bool anew = welcome->resume && !welcome->resumed && welcome->received != peer->start;

    if (welcome->greeting != 0 && welcome->greeting != peer->greeting &&
        !MUTANT(ANY_WELCOME_TAKEN)) {
        return; /* to an earlier HELLO: the last one is answered yet, or is under way */
    }
    if (peer->state == SESSION_OPEN && !peer->hello_pending && same_broker && !anew) {
        /* The answer to a HELLO that crossed another one: nothing was taken back. */
        take_limits(peer, welcome);
        return;
    }
    take_limits(peer, welcome);
    peer->welcomed = true;
    peer->hello_pending = false;
    peer->hello_count = 0;
    peer->state = SESSION_OPEN;
    peer_log(peer, LOG_INFO, "connected", fields, 5);
    if (welcome->resumed && peer->resuming) {
        peer->resuming = false;
        leases_resume(peer);
        peer->sink.connected(peer->sink.context, welcome);
        return;
    }
    peer->resuming = false;
    peer->probe_nonce = 0; /* the broker has heard of none */
    peer->start = welcome->received;
    leases_forget(peer);
    peer->offer_refused = false;
    offerings_send(peer);
    readings_resume(peer, welcome->known, same_broker);
    submissions_resume(peer, welcome->known);
    requests_resume(peer);
    watchings_resume(peer);
    peer->sink.connected(peer->sink.context, welcome);
}

static void log_error(struct peer *peer, const struct error_message *error)
{
    struct log_field fields[] = {
        LOG_TEXT("code", error->error.code),
        LOG_TEXT("message", error->error.message),
        LOG_UINT("command", error->command),
        LOG_TEXT("field", error->field),
        LOG_ID("task", &error->id),
    };

    peer_log(peer, LOG_WARN, "broker_error", fields, 5);
}

/* What is refused for now is offered again; that is said once, not each second. In conflict with
 * who has a service to himself, it waits until that one has gone. */
static void receive_offer_error(struct peer *peer, const struct error_message *error)
{
    bool taken = span_is(error->error.code, "conflict");
    struct log_field why = LOG_WORD("why", "somebody else has one of these services to himself");

    if (!error->error.retryable && !taken) {
        log_error(peer, error);
        return;
    }
    if (!peer->offer_refused && taken) {
        peer_log(peer, LOG_WARN, "offer_waits", &why, 1);
    } else if (!peer->offer_refused) {
        log_error(peer, error);
    }
    peer->offer_refused = true;
    offerings_refused(peer);
}

/* A task that has ended meanwhile cannot be cancelled, nor read once it is forgotten, which its
 * reader is told: not worth a word. */
static bool is_of_the_past(const struct error_message *error)
{
    return error->command == COMMAND_CANCEL ||
           (error->command == COMMAND_READ && span_is(error->error.code, "not_found"));
}

static void receive_error(struct peer *peer, const struct error_message *error)
{
    if (span_is(error->error.code, "hello_required")) {
        if (peer->state == SESSION_OPEN) {
            close_session(peer, false, "new_connection");
        }
        say_hello(peer, false);
        return;
    }
    if (error->command == COMMAND_OFFER) {
        receive_offer_error(peer, error);
    } else if (!is_of_the_past(error)) {
        log_error(peer, error);
    }
    if (error->command == COMMAND_READ) {
        reading_receive_error(peer, error);
    } else if (!id_is_nil(&error->id)) {
        submission_receive_error(peer, error);
    }
}

static void receive_open(struct peer *peer, const struct message *message)
{
    switch (message->command) {
    case COMMAND_ACCEPTED:
        submission_receive_accepted(peer, &message->accepted.id);
        break;
    case COMMAND_STARTED:
        submission_receive_started(peer, &message->started);
        break;
    case COMMAND_TASK:
        lease_receive(peer, &message->task);
        break;
    case COMMAND_RESULT:
        reading_receive_result(peer, &message->result.record.id);
        if (!submission_receive(peer, &message->result)) {
            request_receive_result(peer, &message->result);
        }
        break;
    case COMMAND_PROGRESS_OUT:
        submission_receive_progress(peer, &message->progress);
        break;
    case COMMAND_CANCEL_OUT:
        lease_receive_cancel(peer, &message->cancel_out);
        break;
    case COMMAND_CHUNK_OUT:
        reading_receive(peer, &message->chunk);
        break;
    case COMMAND_FLOW:
        lease_receive_flow(peer, &message->flow);
        break;
    case COMMAND_SIGNAL_OUT:
        lease_receive_signal(peer, &message->signal_out);
        break;
    case COMMAND_REPLY:
        if (!watching_receive_reply(peer, &message->reply)) {
            request_receive(peer, &message->reply);
        }
        break;
    case COMMAND_EVENT:
        watching_receive(peer, &message->event);
        break;
    case COMMAND_BYE:
        close_session(peer, false, "broker_leaves");
        break;
    case COMMAND_PONG:
        peer->pong_nonce = message->pong.nonce;
        break;
    default:
        break;
    }
}

static void pump(struct peer *peer)
{
    window_pump(peer);
    peer->pump_due = false;
    window_offer_room(peer);
}

void peer_receive(struct peer *peer, const struct message *message)
{
    if (peer->state == SESSION_CLOSED) {
        return;
    }
    peer->heard_ms = peer->now_ms;
    peer->pinged_ms = TIMERS_NEVER;
    if (message->command == COMMAND_WELCOME) {
        receive_welcome(peer, &message->welcome);
    } else if (message->command == COMMAND_ERROR) {
        receive_error(peer, &message->error);
    } else if (peer->state == SESSION_OPEN) {
        receive_open(peer, message);
    }
    pump(peer);
}

/* ---- liveness ---- */

static uint64_t later(uint64_t at_ms, uint64_t by_ms)
{
    return at_ms > TIMERS_NEVER - by_ms ? TIMERS_NEVER : at_ms + by_ms;
}

/* Both ways: the broker must hear us, and we want to hear it. */
static uint64_t ping_due_ms(const struct peer *peer)
{
    uint64_t quiet = peer->sent_ms < peer->heard_ms ? peer->sent_ms : peer->heard_ms;
    uint64_t due = later(quiet, peer->welcome.ping_ms);
    uint64_t paced = later(peer->ping_last_ms, peer->welcome.ping_ms);

    return peer->ping_last_ms != 0 && paced > due ? paced : due;
}

/* Silence counts only after we have asked: a process that was stopped for a
 * minute finds an old heard_ms, and a broker that is well. */
static uint64_t silence_due_ms(const struct peer *peer)
{
    uint64_t silent, asked;

    if (peer->state == SESSION_JOINING) {
        return later(peer->heard_ms, peer->welcome.silence_ms);
    }
    if (peer->pinged_ms == TIMERS_NEVER) {
        return TIMERS_NEVER;
    }
    silent = later(peer->heard_ms, peer->welcome.silence_ms);
    asked = later(peer->pinged_ms, peer->welcome.ping_ms);
    return silent > asked ? silent : asked;
}

static uint64_t hello_due_ms(const struct peer *peer)
{
    return later(peer->hello_ms, peer->welcome.ping_ms);
}

static void ping(struct peer *peer)
{
    struct message message = {.command = COMMAND_PING, .ping = {.nonce = ++peer->ping_nonce}};

    if (peer->pinged_ms == TIMERS_NEVER) {
        peer->pinged_ms = peer->now_ms;
    }
    peer->ping_last_ms = peer->now_ms;
    peer_send(peer, &message);
}

void peer_probe(struct peer *peer)
{
    if (peer->state == SESSION_OPEN) {
        ping(peer);
        peer->probe_nonce = peer->ping_nonce;
    }
}

bool peer_probed(const struct peer *peer)
{
    return peer->state != SESSION_OPEN || peer->cut || peer->pong_nonce >= peer->probe_nonce;
}

static void session_advance(struct peer *peer)
{
    if (peer->now_ms >= silence_due_ms(peer)) {
        close_session(peer, true, "silent");
        return;
    }
    if (peer->state == SESSION_JOINING) {
        if (peer->now_ms >= hello_due_ms(peer)) {
            say_hello(peer, peer->hello_pending);
        }
    } else if (peer->now_ms >= ping_due_ms(peer)) {
        ping(peer);
    }
}

void peer_tell_time(struct peer *peer, uint64_t now_ms)
{
    CHECK(now_ms >= peer->now_ms);
    peer->now_ms = now_ms;
}

void peer_advance(struct peer *peer, uint64_t now_ms)
{
    peer_tell_time(peer, now_ms);
    if (peer->state == SESSION_CLOSED) {
        return;
    }
    if (now_ms >= peer_deadline(peer)) {
        session_advance(peer);
        offerings_advance(peer);
        submissions_advance(peer);
        requests_advance(peer);
        pump(peer);
    }
}

uint64_t peer_deadline(const struct peer *peer)
{
    uint64_t due[5];
    uint64_t first = TIMERS_NEVER;

    if (peer->state == SESSION_CLOSED) {
        return TIMERS_NEVER;
    }
    if (peer->pump_due) {
        return peer->now_ms;
    }
    due[0] = timers_next_ms(&peer->submission_timers);
    due[1] = timers_next_ms(&peer->request_timers);
    due[2] = silence_due_ms(peer);
    due[3] = peer->state == SESSION_JOINING ? hello_due_ms(peer) : ping_due_ms(peer);
    due[4] = peer->state == SESSION_OPEN ? peer->reoffer_ms : TIMERS_NEVER;
    for (size_t i = 0; i < 5; i++) {
        first = due[i] < first ? due[i] : first;
    }
    return first;
}

void peer_flush(struct peer *peer)
{
    if (peer_speaks(peer) && !list_empty(&peer->offerings_dirty)) {
        offerings_flush(peer);
    }
    readings_flush(peer);
}

void peer_bye(struct peer *peer, struct span reason)
{
    struct message message = {.command = COMMAND_BYE, .bye = {.reason = reason}};

    if (peer->state == SESSION_OPEN) {
        peer_send(peer, &message);
    }
    peer->state = SESSION_CLOSED;
}

void peer_check(const struct peer *peer)
{
    size_t sent = 0, open = 0, all = 0, timed = 0;
    uint64_t sent_bytes = 0;

    for (struct list *at = peer->submissions.next; at != &peer->submissions; at = at->next) {
        const struct submission *submission = list_entry(at, struct submission, all);
        bool counted = !submission->message.submit.held;

        CHECK(submission_find(peer, &submission->by_id.id) == submission);
        CHECK(list_empty(&submission->waiting) == (submission->state != SUBMISSION_WAITING));
        CHECK(submission->timer.place > 0 ||
              (submission->deadline_ms == TIMERS_NEVER && submission->state != SUBMISSION_PAUSING &&
               (submission->taken || submission->ttl_ms == TIMERS_NEVER)));
        timed += submission->timer.place > 0;
        sent += counted && submission->state == SUBMISSION_SENT;
        sent_bytes += counted && submission->state == SUBMISSION_SENT ? submission->cost_bytes : 0;
        open += counted;
        all++;
    }
    CHECK(all == peer->submission_count && all == peer->submissions_by_id.table.count);
    CHECK(timed == peer->submission_timers.count && all <= peer->submission_timers.capacity);
    CHECK(sent == peer->window_used && sent_bytes == peer->window_used_bytes);
    CHECK(open == peer->open_count);
    CHECK(peer->request_count == peer->requests_by_number.table.count);
    CHECK(peer->request_count == peer->request_timers.count);
    CHECK(peer->lease_count == peer->leases_by_id.table.count);
}
