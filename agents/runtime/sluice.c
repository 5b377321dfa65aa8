/* sluice: a peer: its upcalls, the turns of its loop, how it is made and freed. */
#include "agents/runtime/future.h"
#include "agents/runtime/runtime.h"
#include "agents/runtime/stream.h"
#include "agents/runtime/task_stream.h"
#include "agents/runtime/watch.h"

#include "common/check.h"
#include "common/standard.h"

#include "agents/runtime/fiber.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#define ENDPOINT_DEFAULT "tcp://127.0.0.1:5570"
#define HANDLERS_MAX_DEFAULT 10000
#define STACK_BYTES_DEFAULT (256 * 1024)
#define STACK_BYTES_MIN (64 * 1024) /* printf and libcurl callbacks need some */
#define DRAIN_MS_DEFAULT 10000
/* What a turn does before it looks at the clock and the other handles again. */
#define TURN_MESSAGES 64
#define TURN_STRANDS 1024
#define TURN_TRIMS 16
#define HELLOS_TOLD 3 /* without an answer, one a second, before that is told */

static struct sluice *sluice_of(void *handle)
{
    return ((uv_handle_t *)handle)->data;
}

/* ---- what the peer decides ---- */

/* It waits for a broker for as long as that takes, but not without a word; said again after ten
 * times as many. */
static void count_hello(struct sluice *sluice)
{
    struct log_field fields[] = {LOG_WORD("broker", sluice->endpoint),
                                 LOG_UINT("hellos", sluice->hellos + 1)};

    if (++sluice->hellos == sluice->hellos_told) {
        sluice->hellos_told *= 10;
        runtime_log(sluice, LOG_WARN, "broker_unreachable", fields, 2);
    }
}

static void on_send(void *context, const struct message *message)
{
    struct sluice *sluice = context;

    connection_write(&sluice->connection, message);
    if (message->command == COMMAND_HELLO && sluice->connect_ms == 0) { /* else it ends soon */
        count_hello(sluice);
    }
}

static void on_connected(void *context, const struct welcome *welcome)
{
    struct sluice *sluice = context;

    sluice->hellos = 0;
    sluice->hellos_told = HELLOS_TOLD;
    sluice->shard = welcome->shard;
    sluice->connect_at_ms = TIMERS_NEVER;
    run_start_main(sluice);
}

static void on_disconnected(void *context, bool silent)
{
    struct sluice *sluice = context;

    sluice->reconnect = sluice->reconnect || silent;
}

static void on_task(void *context, struct lease *lease, const struct task_message *task)
{
    task_receive(context, lease, task);
}

static void on_cancel(void *context, struct lease *lease, struct span reason)
{
    (void)context;
    task_cancel(lease, reason);
}

static void on_flow(void *context, struct lease *lease)
{
    (void)context;
    task_stream_flow(lease);
}

static void on_signal(void *context, struct lease *lease, const struct payload *payload)
{
    (void)context;
    task_stream_signal(lease, payload);
}

static void on_chunk(void *context, struct reading *reading, const struct chunk_upcall *upcall)
{
    (void)context;
    stream_receive(reading, upcall);
}

static void on_read_over(void *context, void *user, const struct error *error)
{
    (void)context;
    stream_over(user, error);
}

static void on_event(void *context, struct watching *watching, const struct event_message *event,
                     bool restarted)
{
    (void)context;
    watch_receive(watching, event, restarted);
}

static void on_watch_over(void *context, void *user, const struct error *error)
{
    (void)context;
    watch_over(user, error);
}

static void on_result(void *context, struct submission *submission, const struct result *result)
{
    (void)context;
    future_settle(submission, result);
}

static void on_accepted(void *context, struct submission *submission)
{
    (void)context;
    future_accepted(submission);
}

static void on_outcome(void *context, struct request *request, const struct result *result)
{
    (void)context;
    query_outcome(request, result);
}

static void on_started(void *context, struct submission *submission, const struct started *started)
{
    (void)context;
    future_started(submission, started);
}

static void on_progress(void *context, struct submission *submission, struct span payload)
{
    (void)context;
    future_progress(submission, payload);
}

static void on_reply(void *context, struct request *request, const struct reply *reply)
{
    (void)context;
    query_replied(request, reply);
}

static void wake_some(struct list *waiting, size_t count)
{
    while (count-- > 0 && !list_empty(waiting)) {
        strand_wake(list_entry(waiting->next, struct strand, ready));
    }
}

/* Wakes as many as there is room for; the others wait on, in their order. */
static void on_room(void *context)
{
    struct sluice *sluice = context;

    wake_some(&sluice->room_children, peer_room(sluice->peer, true));
    wake_some(&sluice->room, peer_room(sluice->peer, false));
    if (!list_empty(&sluice->room_children) || !list_empty(&sluice->room)) {
        peer_want_room(sluice->peer);
    }
}

static void on_log(void *context, const struct log_record *record)
{
    (void)context;
    log_print(stderr, record);
}

static void on_message(void *context, const struct message *message)
{
    peer_receive(((struct sluice *)context)->peer, message);
}

static void on_ahead(void *context, const struct message *messages, size_t count)
{
    peer_expect(((struct sluice *)context)->peer, messages, count);
}

static void on_bad(void *context, const struct codec_error *error)
{
    struct log_field fields[] = {
        LOG_UINT("command", error->command),
        LOG_WORD("field", error->field),
        LOG_WORD("message", error->message),
    };

    runtime_log(context, LOG_WARN, "bad_message", fields, 3);
}

void runtime_log(struct sluice *sluice, enum log_level level, const char *event,
                 const struct log_field *fields, size_t field_count)
{
    struct log_record record = {level, event, fields, field_count};

    if (level <= sluice->log_level) {
        log_print(stderr, &record);
    }
}

struct peer *runtime_peer(struct sluice *sluice)
{
    peer_tell_time(sluice->peer, uv_now(&sluice->loop));
    return sluice->peer;
}

uint64_t runtime_deadline_ms(struct sluice *sluice, uint64_t ms)
{
    uint64_t now_ms;

    uv_update_time(&sluice->loop);
    now_ms = uv_now(&sluice->loop);
    return ms < TIMERS_NEVER - now_ms ? now_ms + ms : TIMERS_NEVER;
}

bool runtime_over(const struct sluice *sluice)
{
    return sluice == NULL || sluice->state == RUN_OVER;
}

struct sluice_task *runtime_task(struct sluice *sluice)
{
    struct strand *strand = strand_current();

    return strand != NULL ? strand->task : sluice->sync_task;
}

/* ---- a turn of the loop ---- */

static uint64_t next_deadline_ms(const struct sluice *sluice)
{
    uint64_t due[] = {
        peer_deadline(sluice->peer),
        timers_next_ms(&sluice->timers),
        sluice->drain_at_ms,
        sluice->connect_at_ms,
    };
    uint64_t first = TIMERS_NEVER;

    for (size_t i = 0; i < sizeof due / sizeof due[0]; i++) {
        first = due[i] < first ? due[i] : first;
    }
    return first;
}

static void on_timer(uv_timer_t *timer)
{
    sluice_of(timer)->timer_at_ms = TIMERS_NEVER; /* the turn sees what is due */
}

/* The peer's deadline moves away with every message sent: the timer may fire early,
 * find nothing due, and be set anew; never the other way round. */
static void arm_timer(struct sluice *sluice)
{
    uint64_t at_ms = next_deadline_ms(sluice);
    uint64_t now_ms = uv_now(&sluice->loop);

    if (at_ms < sluice->timer_at_ms) {
        sluice->timer_at_ms = at_ms;
        uv_timer_start(&sluice->timer, on_timer, at_ms > now_ms ? at_ms - now_ms : 0, 0);
    }
}

static void on_idle(uv_idle_t *idle)
{
    (void)idle; /* that it is active keeps the loop from sleeping */
}

static void reconnect(struct sluice *sluice)
{
    int rc;

    sluice->reconnect = false;
    peer_restart(sluice->peer);
    rc = connection_reopen(&sluice->connection);
    if (rc != 0) {
        struct log_field fields[] = {LOG_WORD("error", strerror(-rc))};

        runtime_log(sluice, LOG_ERROR, "reconnect_failed", fields, 1); /* tried again: silence */
    }
}

/* What that means for the session is seen when there is a new one, or none for too long. */
static void note_drop(struct sluice *sluice)
{
    struct log_field fields[] = {LOG_WORD("broker", sluice->endpoint)};

    if (connection_take_drop(&sluice->connection) && peer_connected(sluice->peer)) {
        peer_cut(sluice->peer);
        runtime_log(sluice, LOG_WARN, "connection_lost", fields, 1);
    }
}

static void turn(struct sluice *sluice)
{
    uint64_t now_ms = uv_now(&sluice->loop);
    bool more;

    /* What has arrived is read before the time is held against the broker: after a long
     * pause of ours its answers lie in the socket, and the loop may not have looked. */
    peer_tell_time(sluice->peer, now_ms);
    note_drop(sluice);
    if (next_deadline_ms(sluice) <= now_ms) {
        connection_look(&sluice->connection);
    }
    connection_receive(&sluice->connection, TURN_MESSAGES);
    peer_advance(sluice->peer, now_ms);
    strands_advance(sluice, now_ms);
    tasks_start(sluice, TURN_STRANDS);
    more = strands_run(sluice, TURN_STRANDS);
    run_advance(sluice);
    peer_flush(sluice->peer);
    connection_flush(&sluice->connection);
    if (sluice->reconnect || connection_broken(&sluice->connection)) {
        reconnect(sluice);
    }
    more = more || tasks_can_start(sluice) || connection_more(&sluice->connection);
    if (more || fiber_pool_trim(sluice->fibers, TURN_TRIMS)) {
        uv_idle_start(&sluice->idle, on_idle);
    } else {
        uv_idle_stop(&sluice->idle);
    }
    arm_timer(sluice);
}

static void on_prepare(uv_prepare_t *prepare)
{
    turn(sluice_of(prepare));
}

static void on_check(uv_check_t *check)
{
    turn(sluice_of(check));
}

static void on_stop(uv_async_t *async)
{
    (void)async; /* the turn looks at stop_count */
}

void runtime_turns_start(struct sluice *sluice)
{
    uv_prepare_start(&sluice->prepare, on_prepare);
    uv_check_start(&sluice->check, on_check);
}

void runtime_turns_stop(struct sluice *sluice)
{
    uv_prepare_stop(&sluice->prepare);
    uv_check_stop(&sluice->check);
    uv_idle_stop(&sluice->idle);
    uv_timer_stop(&sluice->timer);
    sluice->timer_at_ms = TIMERS_NEVER;
}

/* ---- new and free ---- */

static void set_options(struct sluice *sluice, const struct sluice_options *options)
{
    size_t handlers = options->handlers_max > 0 ? options->handlers_max : HANDLERS_MAX_DEFAULT;

    sluice->connect_ms = options->connect_ms;
    sluice->hellos_told = HELLOS_TOLD;
    sluice->drain_ms = options->drain_ms > 0 ? options->drain_ms : DRAIN_MS_DEFAULT;
    sluice->handlers_max = handlers + 1; /* the main function's */
    sluice->resume = !options->no_resume;
    sluice->log_level = options->log_debug ? LOG_DEBUG : options->quiet ? LOG_WARN : LOG_INFO;
    sluice->connect_at_ms = sluice->drain_at_ms = sluice->timer_at_ms = TIMERS_NEVER;
    list_init(&sluice->strands);
    list_init(&sluice->ready);
    list_init(&sluice->room);
    list_init(&sluice->room_children);
    list_init(&sluice->services);
    list_init(&sluice->tasks);
    list_init(&sluice->tasks_wait);
    list_init(&sluice->futures);
    list_init(&sluice->spare_futures);
    timers_init(&sluice->timers);
}

static struct peer *make_peer(struct sluice *sluice, const char *name)
{
    char default_name[PEER_NAME_MAX + 1];
    struct peer_options options = {.name = name, .agent = "c/" SLUICE_VERSION,
                                   .resume = sluice->resume,
                                   .user_bytes = sizeof(struct sluice_future)};
    struct peer_sink sink = {
        .context = sluice,
        .send = on_send,
        .connected = on_connected,
        .disconnected = on_disconnected,
        .task = on_task,
        .cancel = on_cancel,
        .result = on_result,
        .accepted = on_accepted,
        .started = on_started,
        .outcome = on_outcome,
        .progress = on_progress,
        .flow = on_flow,
        .signal = on_signal,
        .chunk = on_chunk,
        .read_over = on_read_over,
        .event = on_event,
        .watch_over = on_watch_over,
        .reply = on_reply,
        .room = on_room,
        .log = on_log,
        .log_level = sluice->log_level,
    };
    uint64_t seed[3];

    if (name == NULL) {
        const char *program = program_invocation_short_name;

        program = text_valid(span_from_text(program), PEER_NAME_MAX - 16) ? program : "peer";
        snprintf(default_name, sizeof default_name, "%s-%d", program, (int)getpid());
        options.name = default_name;
    }
    if (getrandom(seed, sizeof seed, 0) != (ssize_t)sizeof seed) {
        return NULL;
    }
    memcpy(options.session.bytes, seed, sizeof options.session.bytes);
    options.seed = seed[2];
    return peer_new(&options, &sink, uv_now(&sluice->loop));
}

static void open_handles(struct sluice *sluice)
{
    uv_prepare_init(&sluice->loop, &sluice->prepare);
    uv_check_init(&sluice->loop, &sluice->check);
    uv_idle_init(&sluice->loop, &sluice->idle);
    uv_timer_init(&sluice->loop, &sluice->timer);
    CHECK(uv_async_init(&sluice->loop, &sluice->stopper, on_stop) == 0);
    sluice->prepare.data = sluice->check.data = sluice->idle.data = sluice;
    sluice->timer.data = sluice->stopper.data = sluice;
}

struct sluice *sluice_new(const struct sluice_options *options)
{
    static const struct sluice_options defaults;
    struct sluice *sluice = calloc(1, sizeof *sluice);
    const char *endpoint;
    size_t stack_bytes;
    int rc = -ENOMEM;

    if (sluice == NULL) {
        return NULL;
    }
    options = options != NULL ? options : &defaults;
    endpoint = options->broker != NULL ? options->broker : getenv("SLUICE_BROKER");
    endpoint = endpoint != NULL && endpoint[0] != '\0' ? endpoint : ENDPOINT_DEFAULT;
    if (options->name != NULL && (options->name[0] == '\0' ||
                                  !text_valid(span_from_text(options->name), PEER_NAME_MAX))) {
        free(sluice);
        errno = EINVAL;
        return NULL;
    }
    standard_open();
    if (uv_loop_init(&sluice->loop) != 0) {
        free(sluice);
        return NULL;
    }
    set_options(sluice, options);
    open_handles(sluice);
    stack_bytes = options->stack_bytes > 0 ? options->stack_bytes : STACK_BYTES_DEFAULT;
    sluice->fibers = fiber_pool_new(stack_bytes > STACK_BYTES_MIN ? stack_bytes : STACK_BYTES_MIN);
    sluice->peer = make_peer(sluice, options->name);
    sluice->endpoint = strdup(endpoint);
    if (sluice->fibers != NULL && sluice->peer != NULL && sluice->endpoint != NULL) {
        sluice->connection.context = sluice;
        sluice->connection.on_message = on_message;
        sluice->connection.on_ahead = on_ahead;
        sluice->connection.on_bad = on_bad;
        rc = connection_open(&sluice->connection, &sluice->loop, endpoint);
    }
    if (rc != 0) {
        sluice_free(sluice);
        errno = -rc;
        return NULL;
    }
    return sluice;
}

static void close_handle(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

void sluice_free(struct sluice *sluice)
{
    if (sluice == NULL) {
        return;
    }
    CHECK(sluice->state == RUN_IDLE || sluice->state == RUN_OVER);
    if (sluice->http_free != NULL) {
        sluice->http_free(sluice);
    }
    while (strands_at_work(sluice)) {
        uv_run(&sluice->loop, UV_RUN_ONCE);
    }
    futures_orphan(sluice);
    strands_drop(sluice); /* before what they wait at */
    tasks_free(sluice);
    connection_close(&sluice->connection, LEAVE_MS);
    peer_free(sluice->peer);
    registry_free(sluice);
    timers_deinit(&sluice->timers);
    fiber_pool_free(sluice->fibers);
    /* Handles that users added are closed too, without their callbacks. */
    uv_walk(&sluice->loop, close_handle, NULL);
    while (uv_run(&sluice->loop, UV_RUN_DEFAULT) != 0) {
    }
    CHECK(uv_loop_close(&sluice->loop) == 0);
    free(sluice->endpoint);
    free(sluice);
}

/* ---- small questions ---- */

uv_loop_t *sluice_loop(struct sluice *sluice)
{
    return &sluice->loop;
}

bool sluice_connected(const struct sluice *sluice)
{
    return peer_connected(sluice->peer);
}

uint64_t sluice_now_ms(const struct sluice *sluice)
{
    return uv_now(&sluice->loop);
}

const char *sluice_endpoint(const struct sluice *sluice)
{
    return sluice->endpoint;
}

const char *sluice_version(void)
{
    return SLUICE_VERSION;
}

void sluice_log(struct sluice *sluice, const char *event, const char *format, ...)
{
    char line[1024];
    size_t used = (size_t)snprintf(line, sizeof line, "%s ", event);
    va_list arguments;

    used = used < sizeof line ? used : sizeof line - 1;
    va_start(arguments, format);
    vsnprintf(line + used, sizeof line - used, format, arguments);
    va_end(arguments);
    for (char *at = line; *at != '\0'; at++) {
        /* What came from elsewhere must not start a line of its own. */
        *at = (unsigned char)*at < 0x20 || *at == 0x7f ? ' ' : *at;
    }
    runtime_log(sluice, LOG_INFO, line, NULL, 0);
}
