#include "tests/sim/broker.h"

#include "common/check.h"
#include "tests/sim/outbox.h"
#include "tests/sim/sometimes.h"

#include <stdio.h>
#include <stdlib.h>

#define RETRY_US 5000
#define UNIX_MS 1000000000000 /* when the world begins */

static struct link *find_link(const struct net *net, uint32_t connection)
{
    list_each(at, &net->links) {
        struct link *link = list_entry(at, struct link, all);

        if (link->connection == connection) {
            return link;
        }
    }
    return NULL;
}

uint64_t sim_broker_now_ms(const struct sim_broker *broker)
{
    return broker->agenda->now_us / 1000;
}

/* ---- effects ------------------------------------------------------------------ */

static void on_send(void *context, connection_id to, const struct message *message)
{
    struct sim_broker *broker = context;
    struct link *link;

    if (broker->quiet_sends) {
        return;
    }
    model_sent(broker->model, to, message);
    if (to == OPERATOR_CONNECTION) {
        broker->operator_hears(broker->operator_context, message);
        return;
    }
    link = find_link(broker->net, to);
    CHECK(link != NULL); /* the core speaks only to who has spoken to it */
    outbox_write(outbox_of(broker, link), message);
}

static void on_forget(void *context, connection_id connection)
{
    struct sim_broker *broker = context;

    struct link *link = find_link(broker->net, connection);

    if (broker->quiet_sends) {
        return;
    }
    model_forgot(broker->model, connection);
    if (link != NULL && link->outbox != NULL) {
        outbox_drop_session(link->outbox);
    }
}

static enum resume on_resume(void *context, const struct resume_request *request, uint64_t *start)
{
    struct sim_broker *broker = context;
    struct link *link = find_link(broker->net, request->from);
    struct link *old = request->numbered ? find_link(broker->net, request->old) : NULL;

    CHECK(link != NULL);
    return outbox_resume(outbox_of(broker, link), old == NULL ? NULL : old->outbox,
                         &broker->model->event->message->hello.session, request->received, start);
}

static void on_store(void *context, const struct store_record *record)
{
    struct sim_broker *broker = context;

    disk_add(&broker->disk, record);
    model_recorded(broker->model, record);
}

static void on_log(void *context, const struct log_record *record)
{
    struct sim_broker *broker = context;

    if (!broker->quiet_sends) {
        model_logged(broker->model, record);
    }
}

static void on_note(void *context, const struct note *note)
{
    struct sim_broker *broker = context;

    if (!broker->quiet_sends) {
        model_noted(broker->model, note);
    }
}

/* ---- steps ---------------------------------------------------------------------- */

static void schedule_tick(struct sim_broker *broker);

static void step(struct sim_broker *broker, struct event *event)
{
    struct event tick = {.kind = EVENT_TICK};

    if (broker->core == NULL) {
        return;
    }
    event->now_ms = sim_broker_now_ms(broker);
    if (event->kind != EVENT_TICK && broker_deadline(broker->core) <= event->now_ms) {
        /* As the core would do by itself; so the checkers can tell what the timers did from
         * what the event did. */
        step(broker, &tick);
    }
    broker->steps++;
    model_before(broker->model, broker->core, event);
    broker_step(broker->core, event);
    model_after(broker->model, broker->core, event);
    disk_look(&broker->disk);
}

/* Its connection is gone: what was said to a numbered session is kept for the next one. */
static void part(struct sim_broker *broker, struct outbox *outbox)
{
    struct event event = {.kind = EVENT_LOST, .from = outbox->link->connection};

    sometimes(SOMETIMES_PEER_UNREACHABLE);
    if (outbox->session != NULL) {
        outbox->gone = true;
    } else {
        outbox_free(outbox->link);
    }
    step(broker, &event);
}

/* Its output is dropped. */
static void lose(struct sim_broker *broker, struct outbox *outbox)
{
    struct event event = {.kind = outbox->session != NULL ? EVENT_BROKEN : EVENT_LOST,
                          .from = outbox->link->connection};

    sometimes(outbox->session != NULL ? SOMETIMES_SESSION_BROKEN : SOMETIMES_PEER_TOO_SLOW);
    outbox_free(outbox->link);
    step(broker, &event);
}

static void retry_flush(void *context, uint64_t incarnation);

static void flush(struct sim_broker *broker)
{
    struct list blocked;
    struct list *at;

    list_init(&blocked);
    while (broker->core != NULL && (at = list_pop_front(&broker->dirty)) != NULL) {
        struct outbox *outbox = list_entry(at, struct outbox, dirty);

        switch (outbox_flush(outbox)) {
        case OUTBOX_EMPTY:
            break;
        case OUTBOX_WAITS:
            list_push_back(&blocked, &outbox->dirty);
            break;
        case OUTBOX_UNREACHABLE:
            part(broker, outbox);
            break;
        case OUTBOX_TOO_SLOW:
            lose(broker, outbox);
            break;
        }
    }
    if (!list_empty(&blocked)) {
        list_append(&broker->dirty, &blocked);
    }
    if (!list_empty(&broker->dirty) && !broker->retrying) {
        broker->retrying = true;
        agenda_enter(broker->agenda, broker->agenda->now_us + RETRY_US, retry_flush, broker,
                     broker->incarnation);
    }
    schedule_tick(broker);
}

static void retry_flush(void *context, uint64_t incarnation)
{
    struct sim_broker *broker = context;

    if (incarnation == broker->incarnation && broker->core != NULL) {
        broker->retrying = false;
        flush(broker);
    }
}

static void on_tick(void *context, uint64_t tick)
{
    struct sim_broker *broker = context;
    struct event event = {.kind = EVENT_TICK};

    if (tick == broker->tick && broker->core != NULL) {
        step(broker, &event);
        flush(broker);
    }
}

static void schedule_tick(struct sim_broker *broker)
{
    uint64_t at_ms;

    if (broker->core == NULL) {
        return;
    }
    at_ms = broker_deadline(broker->core);
    broker->tick++;
    if (at_ms != BROKER_NEVER) {
        agenda_enter(broker->agenda, at_ms * 1000, on_tick, broker, broker->tick);
    }
}

/* ---- input ------------------------------------------------------------------------ */

static void step_malformed(struct sim_broker *broker, struct link *link, enum error_code code,
                           unsigned command, const char *field, const char *message,
                           const struct id *id)
{
    struct malformed malformed = {code, command, field, message,
                                  id != NULL ? *id : (struct id){{0}}};
    struct event event = {
        .kind = EVENT_MALFORMED, .from = link->connection, .malformed = &malformed};

    sometimes(SOMETIMES_MALFORMED);
    step(broker, &event);
}

/* A numbered message is for the core only when its turn has come. False: this one is not. */
static bool take_number(struct sim_broker *broker, struct link *link,
                        const struct message *message, const struct codec_reader *reader)
{
    struct event event = {.kind = EVENT_MESSAGE, .from = link->connection, .message = message};
    struct message answer = {.command = COMMAND_ERROR,
                             .error = {.command = COMMAND_SEQUENCE}};
    struct outbox *outbox = outbox_of(broker, link);
    struct shadow_thread thread = outbox->thread;
    enum session_news news;

    thread.direction = UP;
    if (!outbox_receive(outbox, &message->sequence, codec_reader_bytes(reader), &news)) {
        step(broker, &event);
        return false;
    }
    switch (news) {
    case SESSION_NEXT:
        if (link->honest) {
            struct span rest = span_of(reader->at, (size_t)(reader->end - reader->at));

            shadow_letter_taken(broker->model, &thread, message->sequence.number,
                                outbound_digest(rest, reader->frames, reader->frame_count));
        }
        return true;
    case SESSION_REPEATED:
        sometimes(SOMETIMES_MESSAGE_REPEATED);
        return false;
    case SESSION_BARE:
        return false;
    case SESSION_GAP:
        break;
    }
    if (link->honest) {
        shadow_letter_missing(broker->model, &thread, &message->sequence, outbox->session);
    }
    answer.error.error.code = span_from_text(error_code_name(ERROR_HELLO_REQUIRED));
    answer.error.error.message = span_from_text("a message is missing");
    outbox_write(outbox, &answer);
    return false;
}

static void step_batch(struct sim_broker *broker, struct link *link, const struct packet *packet)
{
    struct codec_reader reader;
    enum codec_result result;

    codec_reader_init(&reader, span_of(packet->data, packet->size), packet->frames,
                      packet->frame_count);
    do {
        struct message message;
        struct codec_error error;

        result = codec_read(&reader, CODEC_AT_BROKER, &message, &error);
        if (result == CODEC_OK && message.command == COMMAND_SEQUENCE &&
            reader.command_count == 1) {
            if (!take_number(broker, link, &message, &reader)) {
                return;
            }
        } else if (result == CODEC_OK) {
            struct event event = {
                .kind = EVENT_MESSAGE, .from = link->connection, .message = &message};

            step(broker, &event);
        } else if (result != CODEC_END) {
            step_malformed(broker, link, error.code, error.command, error.field, error.message,
                           &error.id);
        }
    } while ((result == CODEC_OK || result == CODEC_BAD) && broker->core != NULL);
}

static void on_receive(void *context, struct link *link, const struct packet *packet)
{
    struct sim_broker *broker = context;
    struct event probe = {.kind = EVENT_PROBE, .from = link->connection};

    if (broker->core == NULL) {
        return;
    }
    if (packet->size == 0 && packet->frame_count == 0) {
        step(broker, &probe);
    } else if (packet->size > BATCH_BYTES_MAX) {
        step_malformed(broker, link, ERROR_TOO_LARGE, 0, "batch", "too large", NULL);
    } else {
        step_batch(broker, link, packet);
    }
    flush(broker);
}

/* ---- its store ------------------------------------------------------------------------- */

static void on_stored(void *context, uint64_t sequence)
{
    struct sim_broker *broker = context;
    struct event event = {.kind = EVENT_STORED, .stored = sequence};

    step(broker, &event);
    if (broker->options->store_us > 0) {
        flush(broker); /* else whoever has made the record does */
    }
}

void sim_broker_store(struct sim_broker *broker, enum store_state state)
{
    struct event event = {.kind = EVENT_STORE, .store = state};

    if (broker->core == NULL || broker->disk.state == STORE_LOST ||
        broker->disk.state == state) {
        return;
    }
    sometimes(state == STORE_LOST   ? SOMETIMES_STORE_LOST
              : state == STORE_FULL ? SOMETIMES_STORE_FULL
                                    : SOMETIMES_STORE_OPEN_AGAIN);
    broker->disk.state = state;
    step(broker, &event);
    if (state == STORE_LOST) {
        sim_broker_drain(broker);
    }
    disk_look(&broker->disk);
    flush(broker);
}

bool sim_broker_drained(const struct sim_broker *broker)
{
    return broker->core != NULL && broker_drained(broker->core);
}

/* A row that cannot be read is set aside, and named. */
static void lose_rows(struct sim_broker *broker)
{
    struct shelf *shelf = broker->disk.shelf;

    for (size_t i = shelf_count(shelf); i > 0 && broker->options->damaged > 0; i--) {
        const struct store_row *row = shelf_row(shelf, i - 1);

        if (random_chance(&broker->disk.random, broker->options->damaged)) {
            sometimes(SOMETIMES_ROW_DAMAGED);
            model_damaged(broker->model, row->key);
            shelf_lose(shelf, i - 1);
        }
    }
}

/* Of the rows the first `count`; true: those were all. */
static bool restore(struct sim_broker *broker, struct broker *core, size_t count)
{
    struct shelf *shelf = broker->disk.shelf;
    size_t rows = shelf_count(shelf);

    for (size_t i = 0; i < rows && i < count; i++) {
        CHECK(broker_restore(core, shelf_row(shelf, i)));
    }
    if (count < rows) {
        return false;
    }
    broker_restored(core, shelf_next_key(shelf));
    return true;
}

/* Killed before it has begun to serve. */
static void tear(struct sim_broker *broker, const struct broker_options *options,
                 const struct effects *effects, const struct event *event)
{
    struct broker *core = broker_new(options, effects, event->now_ms);
    size_t rows;

    CHECK(core != NULL);
    lose_rows(broker);
    rows = shelf_count(broker->disk.shelf);
    sometimes(SOMETIMES_RESTORE_TORN);
    model_restoring(broker->model);
    model_before(broker->model, core, event);
    restore(broker, core, (size_t)random_below(&broker->disk.random, rows + 1));
    model_torn(broker->model);
    broker->quiet_sends = true;
    broker_free(core);
    broker->quiet_sends = false;
    model_crashed(broker->model, disk_crash(&broker->disk));
    model_started(broker->model, options);
}

static void begin(struct sim_broker *broker, const struct broker_options *options,
                  const struct effects *effects)
{
    struct event open = {
        .kind = EVENT_STORE, .now_ms = sim_broker_now_ms(broker), .store = STORE_OPEN};

    model_started(broker->model, options);
    while (random_chance(&broker->disk.random, broker->options->torn)) {
        tear(broker, options, effects, &open);
    }
    broker->core = broker_new(options, effects, open.now_ms);
    CHECK(broker->core != NULL);
    broker->disk.state = STORE_OPEN;
    lose_rows(broker);
    model_restoring(broker->model);
    model_before(broker->model, broker->core, &open);
    CHECK(restore(broker, broker->core, SIZE_MAX));
    broker_step(broker->core, &open);
    model_after(broker->model, broker->core, &open);
    disk_look(&broker->disk);
}

/* ---- life --------------------------------------------------------------------------- */

void sim_broker_init(struct sim_broker *broker, struct net *net, const struct sim_options *options,
                     struct model *model)
{
    *broker = (struct sim_broker){
        .net = net, .agenda = net->agenda, .options = options, .model = model};
    list_init(&broker->dirty);
    random_init(&broker->random, options->seed, "broker", 0);
    disk_init(&broker->disk, net->agenda, options, on_stored, broker);
    net->broker = broker;
    net->broker_receive = on_receive;
}

static struct broker_options core_options(struct sim_broker *broker)
{
    const struct sim_options *from = broker->options;
    struct broker_options options = broker_options_default();

    options.hash_seed = random_next(&broker->random);
    options.broker = random_id(&broker->random);
    options.started_unix_ms = UNIX_MS + sim_broker_now_ms(broker);
    if (from->unsafe_kib > 0) {
        options.unsafe_bytes = from->unsafe_kib * 1024ULL;
    }
    options.peers_max = from->submitters + from->workers + from->onlookers + from->peers_spare +
                        (from->drains > 0 || from->said_live > 0 || from->pauses > 0 ||
                         from->exhumed > 0); /* the operator */
    options.services_max = 16;
    options.offers_per_peer_max = 8;
    options.tasks_max = 100000;
    options.memory_max = from->memory_kib * 1024ULL;
    options.window_tasks = from->window_tasks;
    options.window_bytes = 65536 + from->window_tasks * 1000ULL; /* above any one payload */
    options.service.max_tasks = from->queue_tasks;
    options.service.max_bytes = from->queue_bytes;
    options.service.durable = from->all_durable > 0;
    options.retain_ms = from->retain_ms;
    options.retain_tasks = from->retain_tasks;
    options.resume_ms = from->resume_ms;
    options.hold_ms = from->hold_ms;
    options.silence_ms = from->silence_ms;
    options.ping_ms = from->silence_ms / 4 + 1;
    options.cancel_grace_ms = from->cancel_grace_ms;
    options.service_linger_ms = 5000;
    options.detached_retain_ms = 4ULL * from->retain_ms;
    options.detached_retain_tasks = 2ULL * from->retain_tasks + 20;
    options.dead_tasks = from->dead_tasks;
    options.dead_bytes = options.memory_max / 8;
    options.stream_chunks = from->ring_chunks;
    options.stream_bytes = from->ring_kib * 1024ULL;
    return options;
}

void sim_broker_start(struct sim_broker *broker)
{
    struct broker_options options = core_options(broker);
    struct effects effects = {.context = broker,
                              .send = on_send,
                              .forget = on_forget,
                              .log = on_log,
                              .log_level = LOG_DEBUG,
                              .resume = on_resume,
                              .store = on_store,
                              .note = on_note,
                              .notes = broker->options->watchers_noted > 0 ? NOTES_ALL : 0};

    CHECK(broker->core == NULL);
    broker->incarnation++;
    broker->draining = false;
    broker->retrying = false;
    begin(broker, &options, &effects);
    broker->net->broker_alive = true;
    schedule_tick(broker);
}

void sim_broker_kill(struct sim_broker *broker)
{
    struct broker_stats stats;

    if (broker->core == NULL) {
        return;
    }
    broker_stats(broker->core, &stats);
    if (stats.tasks > 0) {
        sometimes(SOMETIMES_BROKER_RESTARTED_WITH_TASKS);
    }
    broker->restarts++;
    broker->quiet_sends = true;
    broker_free(broker->core);
    broker->quiet_sends = false;
    broker->core = NULL;
    list_each(at, &broker->net->links) {
        outbox_free(list_entry(at, struct link, all));
    }
    net_broker_died(broker->net);
    model_crashed(broker->model, disk_crash(&broker->disk));
    model_stopped(broker->model);
}

void sim_broker_drain(struct sim_broker *broker)
{
    struct event event = {.kind = EVENT_DRAIN};

    if (broker->core != NULL) {
        broker->draining = true;
        step(broker, &event);
        flush(broker);
    }
}

void sim_broker_operate(struct sim_broker *broker, const struct message *message,
                        void (*hears)(void *context, const struct message *message),
                        void *context)
{
    struct event event = {
        .kind = EVENT_MESSAGE, .from = OPERATOR_CONNECTION, .message = message};

    broker->operator_hears = hears;
    broker->operator_context = context;
    step(broker, &event);
    flush(broker);
}

void sim_broker_limit(struct sim_broker *broker, const char *service, uint64_t max_tasks,
                      uint64_t max_bytes)
{
    struct service_limits limits = {.max_tasks = max_tasks, .max_bytes = max_bytes};
    struct event tick = {.kind = EVENT_TICK};

    if (broker->core == NULL) {
        return;
    }
    step(broker, &tick);
    if (broker_configure_service(broker->core, span_from_text(service), &limits)) {
        model_limited(broker->model, service, &limits);
    }
    flush(broker);
}

void sim_broker_police(struct sim_broker *broker, const char *service,
                       const struct limit_values *values)
{
    struct event tick = {.kind = EVENT_TICK};

    if (broker->core == NULL) {
        return;
    }
    step(broker, &tick);
    if (broker_configure_limit(broker->core, span_from_text(service), span_of(NULL, 0),
                               span_of(NULL, 0), values)) {
        model_policed(broker->model, service, values);
        step(broker, &tick);
    }
    flush(broker);
}

void sim_broker_police_tenant(struct sim_broker *broker, const char *service,
                              const struct limit_values *values)
{
    struct event tick = {.kind = EVENT_TICK};

    if (broker->core == NULL) {
        return;
    }
    step(broker, &tick);
    if (broker_configure_limit(broker->core, span_from_text(service), span_from_text("default"),
                               span_of(NULL, 0), values)) {
        model_tenant_policed(broker->model, service, values);
        step(broker, &tick);
    }
    flush(broker);
}

void sim_broker_police_key(struct sim_broker *broker, const char *service, unsigned rule,
                           const struct limit_values *values)
{
    static const char *const names[SHADOW_KEYS + 1] = {"k1", "k2", "k3", "*"};
    struct event tick = {.kind = EVENT_TICK};

    if (broker->core == NULL) {
        return;
    }
    step(broker, &tick);
    if (broker_configure_limit(broker->core, span_from_text(service), span_of(NULL, 0),
                               span_from_text(names[rule]), values)) {
        model_key_policed(broker->model, service, rule, values);
        step(broker, &tick);
    }
    flush(broker);
}

void sim_broker_deinit(struct sim_broker *broker)
{
    sim_broker_kill(broker);
    disk_deinit(&broker->disk);
}
