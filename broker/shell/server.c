#include "broker/shell/server.h"

#include "broker/shell/audit.h"
#include "broker/shell/inbox.h"
#include "broker/shell/loading.h"
#include "broker/shell/post.h"
#include "broker/shell/process.h"
#include "broker/shell/router.h"
#include "broker/shell/store.h"
#include "broker/shell/store_backup.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/id.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#define AHEAD 16 /* commands; their messages fit the first level cache */
/* What is taken from the socket before output is flushed: enough that batches form
 * under load, little enough that nobody's answer waits long. */
#define DRAIN_MESSAGES_MAX 256
#define DRAIN_US_MAX 100

/* A peer's libzmq (ZMQ_IMMEDIATE) forgets what it has received and not yet handed
 * out when the connection closes: between the last answer and the close, peers
 * get this long to read it. */
#define FAREWELL_MS 100
#define CONNECTIONS_SPARE 4096 /* connected, but without a session yet or any more */
#define POLL_MS_MAX 60000
#define LOST_ROUNDS_MAX 8
#define CLOCK_LOOK_MS 1000 /* how often the wall clock is looked at, */
#define CLOCK_SET_MS 1000  /* and what it may be off: a machine's own is slewed, not set */

enum server_phase {
    SERVER_RUNNING,
    SERVER_DRAINING, /* after the first signal */
    SERVER_STOPPED,
};

struct server {
    const struct config *config;
    struct journal *journal;
    int signals;
    enum server_phase phase;
    uint64_t drain_ends_ms;
    uint64_t watchdog_ms; /* 0: none */
    uint64_t alive_at_ms;
    uint64_t started_us; /* monotonic; the core's time 0, */
    uint64_t started_unix_ms; /* and what the wall clock was then, by what it is now */
    uint64_t clock_look_ms;
    struct router router;
    struct broker *broker;
    struct post *post;
    struct audit *audit; /* NULL: none is kept */
    struct store *store; /* NULL: there is none */
    enum store_state store_state; /* that the core knows */
    uint64_t stored;     /* sequence that the core knows */
    bool failed;         /* it ends because the store is lost */
    struct inbox inbox;
};

static uint64_t server_now_us(const struct server *server)
{
    return clock_now_us() - server->started_us;
}

static uint64_t server_now_ms(const struct server *server)
{
    return server_now_us(server) / 1000;
}

/* ---- effects ----------------------------------------------------------- */

static void effect_send(void *context, connection_id to, const struct message *message)
{
    struct server *server = context;

    post_write(server->post, to, message);
}

static void effect_forget(void *context, connection_id connection)
{
    struct server *server = context;

    post_forget(server->post, connection);
}

static enum resume effect_resume(void *context, const struct resume_request *request,
                                 uint64_t *start)
{
    struct server *server = context;

    return post_resume(server->post, request, start);
}

static void effect_log(void *context, const struct log_record *record)
{
    struct server *server = context;

    journal_write(server->journal, record);
}

static void effect_note(void *context, const struct note *note)
{
    struct server *server = context;

    audit_add(server->audit, note);
}

static void effect_store(void *context, const struct store_record *record)
{
    struct server *server = context;

    store_add(server->store, record);
}

static void effect_backup(void *context)
{
    struct server *server = context;

    store_back_up(server->store, server->config->backups);
}

/* ---- events ------------------------------------------------------------ */

static void step(struct server *server, enum event_kind kind, uint64_t now_ms, connection_id from)
{
    broker_step(server->broker, &(struct event){.kind = kind, .now_ms = now_ms, .from = from});
}

static void step_malformed(struct server *server, uint64_t now_ms, connection_id from,
                           const struct malformed *malformed)
{
    broker_step(server->broker, &(struct event){.kind = EVENT_MALFORMED,
                                                .now_ms = now_ms,
                                                .from = from,
                                                .malformed = malformed});
}

/* A numbered message is for the core only when its turn has come (PROTOCOL.md, section 2.1).
 * False: this one is not. */
static bool take_number(struct server *server, const struct message *first, size_t bytes)
{
    struct message answer = {.command = COMMAND_ERROR};
    connection_id from = server->inbox.from;
    enum session_news news;

    if (!post_receive(server->post, from, &first->sequence, bytes, &news)) {
        broker_step(server->broker, &(struct event){.kind = EVENT_MESSAGE,
                                                    .now_ms = server_now_ms(server),
                                                    .from = from,
                                                    .message = first});
        return false;
    }
    switch (news) {
    case SESSION_NEXT:
        return true;
    case SESSION_REPEATED:
    case SESSION_BARE:
        return false;
    case SESSION_GAP:
        break;
    }
    answer.error.error.code = span_from_text(error_code_name(ERROR_HELLO_REQUIRED));
    answer.error.error.message = span_from_text("a message is missing before this one; send HELLO");
    answer.error.error.retryable = true;
    answer.error.command = COMMAND_SEQUENCE;
    post_write(server->post, from, &answer);
    return false;
}

/* Every command of the batch in the inbox, as long as the answers find room. Some are read ahead
 * of the one whose turn it is, so that what the core will look for comes into the caches while it
 * is at work: with a million tasks hardly any of it is there. */
static void step_batch(struct server *server, uint64_t now_ms)
{
    struct inbox *inbox = &server->inbox;
    struct message messages[AHEAD];
    struct event events[AHEAD];
    struct codec_reader reader;
    enum codec_result result;
    struct codec_error error;

    codec_reader_init(&reader, inbox->batch, inbox->frames, inbox->frame_count);
    do {
        size_t count = codec_read_some(&reader, CODEC_AT_BROKER, messages, AHEAD, &result,
                                       &error);

        if (count == 1 && messages[0].command == COMMAND_SEQUENCE && reader.command_count == 1) {
            if (!take_number(server, &messages[0], codec_reader_bytes(&reader))) {
                return;
            }
            continue;
        }
        for (size_t i = 0; i < count; i++) {
            events[i] = (struct event){.kind = EVENT_MESSAGE,
                                       .now_ms = now_ms,
                                       .from = inbox->from,
                                       .message = &messages[i]};
        }
        broker_expect(server->broker, events, count);
        for (size_t i = 0; i < count; i++) {
            broker_step(server->broker, &events[i]);
            if (post_is_lost(server->post, inbox->from)) {
                return;
            }
        }
        if (result != CODEC_OK && result != CODEC_END) {
            struct malformed malformed = {error.code, error.command, error.field, error.message,
                                          error.id};

            step_malformed(server, now_ms, inbox->from, &malformed);
        }
    } while ((result == CODEC_OK || result == CODEC_BAD) &&
             !post_is_lost(server->post, inbox->from));
}

/* A peer that has chosen its own routing id would clash with libzmq's. It has no
 * number, so the core cannot answer it: one ERROR, and if that does not fit, none. */
static void answer_stranger(struct server *server)
{
    static const char advice[] = "leave ZMQ_ROUTING_ID unset: the broker numbers connections";
    struct message message = {.command = COMMAND_ERROR};
    struct inbox *inbox = &server->inbox;
    struct parcel *parcel = parcel_new();

    journal_say(server->journal, LOG_WARN, "stranger_refused",
                LOG_TEXT("routing_id", span_of(inbox->stranger, inbox->stranger_size)));
    if (parcel == NULL) {
        return;
    }
    message.error.error.code = span_from_text(error_code_name(ERROR_BAD_MESSAGE));
    message.error.error.message = span_from_text(advice);
    message.error.field = span_from_text("routing_id");
    if (codec_write(&parcel->writer, &message) == CODEC_WRITTEN) {
        parcel_send(parcel, server->router.socket, span_of(inbox->stranger, inbox->stranger_size),
                    NULL);
    }
    parcel_free(parcel);
}

static void handle_inbox(struct server *server, uint64_t now_ms)
{
    switch (server->inbox.kind) {
    case INBOX_BATCH:
        step_batch(server, now_ms);
        return;
    case INBOX_PROBE:
        step(server, EVENT_PROBE, now_ms, server->inbox.from);
        return;
    case INBOX_MALFORMED:
        step_malformed(server, now_ms, server->inbox.from, &server->inbox.malformed);
        return;
    case INBOX_STRANGER:
        answer_stranger(server);
        return;
    }
}

static void receive_some(struct server *server)
{
    uint64_t now_us = server_now_us(server);
    uint64_t end_us = now_us + DRAIN_US_MAX;

    for (int i = 0; i < DRAIN_MESSAGES_MAX && now_us < end_us; i++) {
        if (!inbox_receive(&server->inbox, server->router.socket)) {
            break;
        }
        handle_inbox(server, now_us / 1000);
        if (server->store != NULL) {
            store_flush(server->store);
        }
        now_us = server_now_us(server);
    }
    inbox_clear(&server->inbox);
}

/* Sends what there is to send. Lost connections are news to the core, which may have
 * more to say about them; what is left after some rounds waits for the next turn. */
static void flush(struct server *server)
{
    if (server->store != NULL) {
        store_flush(server->store);
    }
    for (int i = 0; i < LOST_ROUNDS_MAX; i++) {
        connection_id lost;
        bool broken, news = false;

        post_flush(server->post, server_now_ms(server));
        while (post_next_lost(server->post, &lost, &broken)) {
            step(server, broken ? EVENT_BROKEN : EVENT_LOST, server_now_ms(server), lost);
            news = true;
        }
        if (!news) {
            return;
        }
    }
}

static void drain(struct server *server, uint64_t now_ms)
{
    server->phase = SERVER_DRAINING;
    server->drain_ends_ms =
        server->config->drain_ms == 0 ? BROKER_NEVER : now_ms + server->config->drain_ms;
    process_notify_stopping();
    step(server, EVENT_DRAIN, now_ms, 0);
    journal_say(server->journal, LOG_INFO, "broker_draining",
                LOG_UINT("drain_ms", server->config->drain_ms));
}

static void handle_backup(struct server *server, uint64_t now_ms)
{
    const struct store_backup *backup = store_last_backup(server->store);
    struct backup_end end = {.path = span_from_text(backup->path),
                             .bytes = backup->bytes,
                             .why = span_from_text(backup->problem.text)};

    if (end.why.size == 0) {
        journal_say(server->journal, LOG_INFO, "backup_done", LOG_TEXT("path", end.path),
                    LOG_UINT("bytes", end.bytes));
    } else {
        journal_say(server->journal, LOG_ERROR, "backup_failed", LOG_TEXT("why", end.why));
    }
    broker_step(server->broker, &(struct event){.kind = EVENT_BACKUP,
                                                .now_ms = now_ms,
                                                .backup = &end});
}

/* What the store's thread has to say. If it cannot be trusted any more, the broker ends when what
 * is not durable has: at its next start it has all that anybody was told of. */
static void handle_store(struct server *server)
{
    uint64_t now_ms = server_now_ms(server);
    struct store_news news;

    store_take_news(server->store, &news);
    if (news.sequence > server->stored) {
        server->stored = news.sequence;
        broker_step(server->broker, &(struct event){.kind = EVENT_STORED,
                                                    .now_ms = now_ms,
                                                    .stored = news.sequence});
    }
    if (news.backup_ended) {
        handle_backup(server, now_ms);
    }
    if (news.state == server->store_state) {
        return;
    }
    server->store_state = news.state;
    journal_say(server->journal, news.state == STORE_OPEN ? LOG_INFO : LOG_ERROR, "store_state",
                LOG_WORD("state", store_state_name(news.state)), LOG_WORD("why", news.why));
    broker_step(server->broker, &(struct event){.kind = EVENT_STORE,
                                                .now_ms = now_ms,
                                                .store = news.state});
    if (news.state == STORE_LOST) {
        server->failed = true;
        if (server->phase == SERVER_RUNNING) {
            drain(server, now_ms);
        }
    }
}

/* ---- the loop ---------------------------------------------------------- */

static void handle_signal(struct server *server)
{
    uint64_t now_ms = server_now_ms(server);

    if (!process_take_signal(server->signals)) {
        return;
    }
    if (server->phase == SERVER_DRAINING) {
        server->phase = SERVER_STOPPED;
        return;
    }
    drain(server, now_ms);
}

static void check_drained(struct server *server, uint64_t now_ms)
{
    if (server->phase != SERVER_DRAINING) {
        return;
    }
    if (now_ms >= server->drain_ends_ms) {
        struct broker_stats stats;

        broker_stats(server->broker, &stats);
        journal_say(server->journal, LOG_WARN, "drain_timeout",
                    LOG_UINT("unfinished", stats.tasks));
        server->phase = SERVER_STOPPED;
    } else if (broker_drained(server->broker) && post_deadline(server->post) == BROKER_NEVER) {
        server->phase = SERVER_STOPPED;
    }
}

/* How long to wait for something to arrive. */
static long poll_ms(const struct server *server, uint64_t now_ms)
{
    uint64_t deadline = broker_deadline(server->broker);
    uint64_t others[] = {post_deadline(server->post), journal_deadline(server->journal),
                         server->watchdog_ms == 0 ? BROKER_NEVER : server->alive_at_ms,
                         server->phase == SERVER_DRAINING ? server->drain_ends_ms : BROKER_NEVER};

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        deadline = others[i] < deadline ? others[i] : deadline;
    }
    if (deadline <= now_ms) {
        return 0;
    }
    return deadline - now_ms < POLL_MS_MAX ? (long)(deadline - now_ms) : POLL_MS_MAX;
}

/* What is due after a restart is so by the wall clock: it goes on while the machine sleeps, and it
 * may be set. */
static void look_at_clock(struct server *server, uint64_t now_ms)
{
    uint64_t known_ms = server->started_unix_ms + now_ms, unix_ms, difference_ms;

    if (now_ms < server->clock_look_ms) {
        return;
    }
    server->clock_look_ms = now_ms + CLOCK_LOOK_MS;
    unix_ms = clock_unix_ms();
    difference_ms = unix_ms > known_ms ? unix_ms - known_ms : known_ms - unix_ms;
    if (difference_ms < CLOCK_SET_MS) {
        return;
    }
    journal_say(server->journal, LOG_INFO, "clock_set", LOG_UINT("unix_ms", unix_ms),
                LOG_UINT("was_unix_ms", known_ms));
    server->started_unix_ms = unix_ms - now_ms;
    broker_step(server->broker, &(struct event){.kind = EVENT_CLOCK,
                                                .now_ms = now_ms,
                                                .unix_ms = unix_ms});
}

static void keep_alive(struct server *server, uint64_t now_ms)
{
    if (server->watchdog_ms != 0 && now_ms >= server->alive_at_ms) {
        process_notify_alive();
        server->alive_at_ms = now_ms + server->watchdog_ms;
    }
}

bool server_run(struct server *server)
{
    while (server->phase != SERVER_STOPPED) {
        zmq_pollitem_t items[] = {{.socket = server->router.socket, .events = ZMQ_POLLIN},
                                  {.fd = server->signals, .events = ZMQ_POLLIN},
                                  {.fd = server->store != NULL ? store_fd(server->store) : -1,
                                   .events = ZMQ_POLLIN}};
        uint64_t now_ms = server_now_ms(server);

        /* EINTR is a turn in which nothing has arrived. */
        zmq_poll(items, server->store != NULL ? 3 : 2, poll_ms(server, now_ms));
        now_ms = server_now_ms(server);
        journal_tick(server->journal, now_ms);
        look_at_clock(server, now_ms);
        if (items[1].revents != 0) {
            handle_signal(server);
        }
        if (items[0].revents != 0) {
            receive_some(server);
            now_ms = server_now_ms(server);
        }
        if (items[2].revents != 0) {
            handle_store(server);
        }
        if (broker_deadline(server->broker) <= now_ms) {
            step(server, EVENT_TICK, now_ms, 0);
        }
        flush(server);
        if (server->audit != NULL) {
            audit_look(server->audit, server->journal);
        }
        keep_alive(server, now_ms);
        check_drained(server, now_ms);
    }
    return !server->failed;
}

/* ---- start and end ----------------------------------------------------- */

static bool load(struct server *server, struct problem *problem)
{
    if (!loading_run(server->store, server->config->store, server->broker, server->journal,
                     problem)) {
        return false;
    }
    server->store_state = STORE_OPEN;
    broker_step(server->broker, &(struct event){.kind = EVENT_STORE,
                                                .now_ms = server_now_ms(server),
                                                .store = STORE_OPEN});
    return true;
}

static bool open_broker(struct server *server, struct problem *problem)
{
    const struct config *config = server->config;
    struct broker_options options = config->broker;
    struct effects effects = {.context = server,
                              .send = effect_send,
                              .forget = effect_forget,
                              .log = effect_log,
                              .log_level = server->journal->level,
                              .resume = effect_resume,
                              .note = effect_note,
                              .store = server->store != NULL ? effect_store : NULL,
                              .backup = server->store != NULL ? effect_backup : NULL,
                              .notes = server->audit != NULL ? AUDIT_NOTES : 0};

    uint64_t now_ms = server_now_ms(server);

    options.broker = id_new();
    options.started_unix_ms = clock_unix_ms();
    server->started_unix_ms = options.started_unix_ms - now_ms;
    if (getrandom(&options.hash_seed, sizeof options.hash_seed, 0) !=
        (ssize_t)sizeof options.hash_seed) {
        problem_set(problem, "the system gives no random bytes");
        return false;
    }
    server->broker = broker_new(&options, &effects, now_ms);
    if (server->broker == NULL) {
        problem_set(problem, "out of memory");
        return false;
    }
    return config_apply(config, server->broker, problem) &&
           (server->store == NULL || load(server, problem));
}

struct server *server_new(const struct config *config, struct journal *journal, int signals,
                          struct problem *problem)
{
    struct server *server = calloc(1, sizeof *server);

    if (server == NULL) {
        problem_set(problem, "out of memory");
        return NULL;
    }
    server->config = config;
    server->journal = journal;
    server->signals = signals;
    server->started_us = clock_now_us();
    server->watchdog_ms = process_watchdog_ms();
    inbox_init(&server->inbox);
    /* Bound last: from then on peers may come, and everything must be there. */
    if (config->audit[0] != '\0') {
        server->audit = audit_open(config, journal, problem);
        if (server->audit == NULL) {
            server_free(server);
            return NULL;
        }
    }
    if (config->store[0] != '\0') {
        server->store = store_open(config->store, problem);
        if (server->store == NULL) {
            server_free(server);
            return NULL;
        }
    }
    if (open_broker(server, problem) && router_open(&server->router, config, problem)) {
        struct post_options options = {
            .router = server->router.socket,
            .connections_max = config->broker.peers_max + CONNECTIONS_SPARE,
            .bytes_max = config->broker.memory_max,
            .starts = clock_unix_us(),
        };

        server->post = post_new(&options, journal);
        if (server->post != NULL) {
            return server;
        }
        problem_set(problem, "out of memory");
    }
    server_free(server);
    return NULL;
}

const char *server_bound(const struct server *server)
{
    return server->router.bound;
}

/* What is known of the core's end, for the log. */
static void log_end(struct server *server)
{
    struct broker_stats stats;

    broker_stats(server->broker, &stats);
    journal_say(server->journal, LOG_INFO, "broker_stopped", LOG_UINT("submitted", stats.submitted),
                LOG_UINT("done", stats.done), LOG_UINT("failed", stats.failed),
                LOG_UINT("unfinished", stats.tasks));
}

static void say_bye(struct server *server)
{
    struct message bye = {.command = COMMAND_BYE, .bye = {.reason = span_from_text("stopping")}};
    zmq_pollitem_t signals = {.fd = server->signals, .events = ZMQ_POLLIN};

    if (post_count(server->post) == 0) {
        return;
    }
    post_write_all(server->post, &bye);
    post_flush(server->post, server_now_ms(server));
    zmq_poll(&signals, 1, FAREWELL_MS); /* one more signal, and we go at once */
}

void server_free(struct server *server)
{
    if (server == NULL) {
        return;
    }
    if (server->post != NULL) {
        say_bye(server);
        log_end(server);
    }
    broker_free(server->broker);
    store_close(server->store);
    audit_close(server->audit, server->journal);
    inbox_deinit(&server->inbox);
    router_close(&server->router);
    post_free(server->post);
    free(server);
}
