#include "broker/shell/post_state.h"

#include "common/check.h"

#include <stdlib.h>

#define RETRY_MS_MAX 64 /* a full connection is tried after 0, 1, 2, 4 ... ms */

struct post *post_new(const struct post_options *options, struct journal *journal)
{
    struct post *post = calloc(1, sizeof *post);

    if (post == NULL || !table_init(&post->outboxes)) {
        free(post);
        return NULL;
    }
    post->options = *options;
    post->starts = options->starts;
    post->journal = journal;
    for (size_t i = 0; i < OUTBOX_STATE_COUNT; i++) {
        list_init(&post->lists[i]);
    }
    parcel_stock_init(&post->stock);
    atomic_init(&post->flight_bytes, 0);
    return post;
}

size_t post_count(const struct post *post)
{
    return post->outboxes.count;
}

/* ---- parcels ------------------------------------------------------------ */

/* The parcel being written to; a new one if there is none. NULL: no memory. */
static struct parcel *open_parcel(struct post *post, struct outbox *outbox)
{
    struct list *last = list_last(&outbox->parcels);
    struct parcel *parcel;

    if (last != NULL) {
        return list_entry(last, struct parcel, link);
    }
    parcel = parcel_stock_take(&post->stock);
    if (parcel != NULL) {
        parcel->numbered = outbox->session != NULL;
        list_push_back(&outbox->parcels, &parcel->link);
    }
    return parcel;
}

/* Closes the parcel being written to and opens another one. False: no memory. */
static bool seal_parcel(struct post *post, struct outbox *outbox)
{
    struct parcel *full = open_parcel(post, outbox);
    struct parcel *next = parcel_stock_take(&post->stock);

    if (full == NULL || next == NULL) {
        parcel_free(next);
        return false;
    }
    next->numbered = outbox->session != NULL;
    outbox->batch_bytes += full->writer.size;
    outbox->sealed_bytes += parcel_bytes(full);
    post->pending_bytes += parcel_bytes(full);
    list_push_back(&outbox->parcels, &next->link);
    return true;
}

/* Takes the oldest parcel out of the outbox. */
static struct parcel *pop_parcel(struct post *post, struct outbox *outbox)
{
    struct parcel *parcel = list_entry(list_pop_front(&outbox->parcels), struct parcel, link);

    if (!list_empty(&outbox->parcels)) { /* it was a sealed one */
        CHECK(outbox->sealed_bytes >= parcel_bytes(parcel));
        outbox->batch_bytes -= parcel->writer.size;
        outbox->sealed_bytes -= parcel_bytes(parcel);
        post->pending_bytes -= parcel_bytes(parcel);
    }
    return parcel;
}

void outbox_drop_parcels(struct post *post, struct outbox *outbox)
{
    while (!list_empty(&outbox->parcels)) {
        parcel_stock_give(&post->stock, pop_parcel(post, outbox));
    }
    CHECK(outbox->sealed_bytes == 0);
    outbox->stalled = false;
    outbox->retry_ms = 0;
}

/* ---- outboxes ----------------------------------------------------------- */

/* Connections are numbered by libzmq, one after another: no hash needed. */
struct outbox *outbox_find(const struct post *post, connection_id connection)
{
    struct table_node *node = table_chain(&post->outboxes, connection);

    for (; node != NULL; node = node->next) {
        if (node->hash == connection) {
            return table_entry(node, struct outbox, node);
        }
    }
    return NULL;
}

void outbox_set_state(struct post *post, struct outbox *outbox, enum outbox_state state)
{
    outbox->state = state;
    list_unlink(&outbox->link);
    list_push_back(&post->lists[state], &outbox->link);
}

/* Forgets what was kept and the numbers. */
void outbox_drop_session(struct post *post, struct outbox *outbox)
{
    if (outbox->session != NULL) {
        post->kept_bytes -= letters_drop(outbox->session);
        free(outbox->session);
        outbox->session = NULL;
    }
    outbox->gone = false;
}

static void free_outbox(struct post *post, struct outbox *outbox)
{
    outbox_drop_session(post, outbox);
    outbox_drop_parcels(post, outbox);
    list_unlink(&outbox->link);
    table_remove(&post->outboxes, &outbox->node);
    flight_unref(outbox->flight);
    free(outbox);
}

/* Frees the dormant outboxes that have nothing in flight any more. */
static void reap_dormant(struct post *post)
{
    list_each(link, &post->lists[OUTBOX_DORMANT]) {
        struct outbox *outbox = list_entry(link, struct outbox, link);

        if (flight_bytes(outbox->flight) == 0) {
            free_outbox(post, outbox);
        }
    }
}

struct outbox *outbox_new(struct post *post, connection_id connection)
{
    struct outbox *outbox;

    if (post->outboxes.count >= post->options.connections_max) {
        reap_dormant(post);
    }
    if (post->outboxes.count >= post->options.connections_max) {
        return NULL;
    }
    outbox = calloc(1, sizeof *outbox);
    if (outbox == NULL) {
        return NULL;
    }
    outbox->flight = flight_new(&post->flight_bytes);
    if (outbox->flight == NULL) {
        free(outbox);
        return NULL;
    }
    outbox->connection = connection;
    list_init(&outbox->link);
    list_init(&outbox->parcels);
    table_insert(&post->outboxes, &outbox->node, connection);
    outbox_set_state(post, outbox, OUTBOX_BUSY);
    return outbox;
}

/* Nothing pends: keeps the outbox only if it has a session or bytes in flight. */
void outbox_rest(struct post *post, struct outbox *outbox)
{
    if (outbox->session != NULL && outbox->gone) {
        outbox_set_state(post, outbox, OUTBOX_SUSPENDED);
        return;
    }
    outbox_drop_parcels(post, outbox);
    if (outbox->welcomed) {
        outbox_set_state(post, outbox, OUTBOX_IDLE);
    } else if (flight_bytes(outbox->flight) > 0) {
        outbox_set_state(post, outbox, OUTBOX_DORMANT);
    } else {
        free_outbox(post, outbox);
    }
}

/* Drops the output; the core hears of it by post_next_lost. A connection that went
 * away is everyday life, any other reason is worth a warning. */
void outbox_lose(struct post *post, struct outbox *outbox, enum log_level level,
                 const char *reason)
{
    CHECK(outbox->state != OUTBOX_DORMANT);
    journal_say(post->journal, level, "connection_lost", LOG_UINT("connection", outbox->connection),
                LOG_WORD("reason", reason), LOG_UINT("pending_bytes", outbox->sealed_bytes),
                LOG_UINT("flight_bytes", flight_bytes(outbox->flight)));
    outbox->broken = outbox->session != NULL;
    outbox_drop_session(post, outbox);
    outbox_drop_parcels(post, outbox);
    outbox->welcomed = false;
    outbox_set_state(post, outbox, OUTBOX_LOST);
}

/* The connection is gone. What was said to a numbered session is kept for the next one. */
static void part_outbox(struct post *post, struct outbox *outbox)
{
    if (outbox->session == NULL) {
        outbox_lose(post, outbox, LOG_DEBUG, "gone");
        return;
    }
    outbox->gone = true;
    outbox->stalled = true;
    outbox_set_state(post, outbox, OUTBOX_LOST);
}

bool post_next_lost(struct post *post, connection_id *connection, bool *broken)
{
    struct list *link = list_first(&post->lists[OUTBOX_LOST]);
    struct outbox *outbox;

    if (link == NULL) {
        return false;
    }
    outbox = list_entry(link, struct outbox, link);
    *connection = outbox->connection;
    *broken = outbox->broken;
    outbox->broken = false;
    outbox_rest(post, outbox); /* may free it */
    return true;
}

bool post_is_lost(const struct post *post, connection_id connection)
{
    const struct outbox *outbox;

    if (list_empty(&post->lists[OUTBOX_LOST])) {
        return false; /* as nearly always */
    }
    outbox = outbox_find(post, connection);
    return outbox != NULL && outbox->state == OUTBOX_LOST && outbox->session == NULL;
}

/* Lost, and nothing is kept for it. */
static bool is_dropped(const struct outbox *outbox)
{
    return outbox->state == OUTBOX_LOST && outbox->session == NULL;
}

/* ---- sending ------------------------------------------------------------ */

/* Whether libzmq may be given `bytes` more for this connection. */
static bool flight_allows(const struct post *post, const struct outbox *outbox, size_t bytes)
{
    size_t flying = flight_bytes(outbox->flight);

    if (flying == 0) {
        return true; /* or a large message would never go */
    }
    return flying + bytes <= POST_FLIGHT_MAX &&
           atomic_load_explicit(&post->flight_bytes, memory_order_relaxed) + bytes <=
               post->options.bytes_max;
}

static enum parcel_result send_letter(struct post *post, struct outbox *outbox,
                                      const struct letter *letter)
{
    uint8_t id[ROUTING_ID_BYTES];

    if (!flight_allows(post, outbox, letter->bytes)) {
        return PARCEL_AGAIN;
    }
    routing_id_write(id, outbox->connection);
    return letter_send(letter, post->options.router, span_of(id, sizeof id), outbox->flight);
}

/* What a session has to send again after its connection was lost. */
static enum parcel_result send_again(struct post *post, struct outbox *outbox)
{
    struct letter *letter;

    while ((letter = letter_of(session_again(outbox->session))) != NULL) {
        enum parcel_result result = send_letter(post, outbox, letter);

        if (result != PARCEL_SENT) {
            return result;
        }
        session_resent(outbox->session);
    }
    return PARCEL_SENT;
}

/* Sends the parcel with a number, and keeps what was sent. */
static enum parcel_result send_numbered(struct post *post, struct outbox *outbox,
                                        struct parcel *parcel)
{
    enum parcel_result result = send_again(post, outbox);
    struct sequence sequence = session_next(outbox->session);
    struct letter *letter;

    if (result != PARCEL_SENT) {
        return result;
    }
    if (!session_takes(outbox->session, parcel_bytes(parcel))) {
        return PARCEL_AGAIN;
    }
    letter = letter_new(&sequence, &parcel->writer);
    if (letter == NULL) {
        return PARCEL_AGAIN;
    }
    result = send_letter(post, outbox, letter);
    if (result != PARCEL_SENT) {
        letter_free(letter);
        return result;
    }
    session_keep(outbox->session, &letter->kept, letter->bytes);
    post->kept_bytes += letter->bytes;
    codec_writer_clear(&parcel->writer);
    return PARCEL_SENT;
}

/* What is left to do when no parcel is: an acknowledgement that nothing else carried. */
static enum parcel_result send_rest(struct post *post, struct outbox *outbox)
{
    static const struct codec_writer nothing;
    enum parcel_result result;
    struct sequence bare;
    struct letter *letter;

    if (outbox->session == NULL) {
        return PARCEL_SENT;
    }
    result = send_again(post, outbox);
    if (result != PARCEL_SENT || !session_owes(outbox->session)) {
        return result;
    }
    bare = session_bare(outbox->session);
    letter = letter_new(&bare, &nothing);
    if (letter != NULL) {
        result = send_letter(post, outbox, letter);
        letter_free(letter);
    }
    return result == PARCEL_GONE ? result : PARCEL_SENT; /* the next one tells more */
}

static enum parcel_result send_parcel(struct post *post, struct outbox *outbox,
                                      struct parcel *parcel)
{
    uint8_t id[ROUTING_ID_BYTES];

    if (parcel->numbered && outbox->session != NULL) {
        return send_numbered(post, outbox, parcel);
    }
    if (!flight_allows(post, outbox, parcel_bytes(parcel))) {
        return PARCEL_AGAIN;
    }
    routing_id_write(id, outbox->connection);
    return parcel_send(parcel, post->options.router, span_of(id, sizeof id), outbox->flight);
}

/* Sends all parcels, oldest first, as far as there is room. */
static enum parcel_result send_parcels(struct post *post, struct outbox *outbox)
{
    if (outbox->gone) {
        return PARCEL_AGAIN;
    }
    while (!list_empty(&outbox->parcels)) {
        struct parcel *parcel = list_entry(outbox->parcels.next, struct parcel, link);
        size_t batch_bytes = parcel->writer.size, bytes = parcel_bytes(parcel);
        bool sealed = list_last(&outbox->parcels) != &parcel->link;
        enum parcel_result result;

        if (batch_bytes > 0) {
            result = send_parcel(post, outbox, parcel);
            if (result != PARCEL_SENT) {
                return result;
            }
            outbox->retry_ms = 0; /* it reads */
        }
        list_unlink(&parcel->link);
        parcel_stock_give(&post->stock, parcel);
        if (sealed) {
            outbox->batch_bytes -= batch_bytes;
            outbox->sealed_bytes -= bytes;
            post->pending_bytes -= bytes;
        }
    }
    return send_rest(post, outbox);
}

static void try_outbox(struct post *post, struct outbox *outbox)
{
    switch (send_parcels(post, outbox)) {
    case PARCEL_SENT:
        outbox->stalled = false;
        return;
    case PARCEL_AGAIN:
        outbox->stalled = true;
        outbox->retry_at_ms = post->now_ms + outbox->retry_ms;
        outbox->retry_ms = outbox->retry_ms == 0 ? 1 : outbox->retry_ms * 2;
        if (outbox->retry_ms > RETRY_MS_MAX) {
            outbox->retry_ms = RETRY_MS_MAX;
        }
        return;
    case PARCEL_GONE:
        part_outbox(post, outbox);
        return;
    }
}

static size_t held_bytes(const struct outbox *outbox)
{
    return outbox->sealed_bytes + (outbox->session != NULL ? outbox->session->kept_bytes : 0);
}

/* The connection that holds most of what is set aside and kept. NULL: nobody holds any. */
static struct outbox *find_slowest(struct post *post)
{
    struct outbox *slowest = NULL;

    for (enum outbox_state state = 0; state < OUTBOX_DORMANT; state++) {
        list_each(link, &post->lists[state]) {
            struct outbox *outbox = list_entry(link, struct outbox, link);

            if (held_bytes(outbox) > (slowest == NULL ? 0 : held_bytes(slowest))) {
                slowest = outbox;
            }
        }
    }
    return slowest;
}

/* All connections together hold too much: those that hold most are lost. */
static void shed(struct post *post)
{
    while (post->pending_bytes + post->kept_bytes > post->options.bytes_max) {
        struct outbox *slowest = find_slowest(post);

        if (slowest == NULL) {
            return;
        }
        outbox_lose(post, slowest, LOG_WARN, "too_slow");
    }
}

/* Makes room behind what was written: sends it early, or sets it aside. Several
 * outboxes may be lost over it, this one too. */
static void turn_parcel(struct post *post, struct outbox *outbox)
{
    if (!outbox->stalled) {
        try_outbox(post, outbox);
    }
    if (is_dropped(outbox) || !outbox->stalled) {
        return;
    }
    if (!seal_parcel(post, outbox)) {
        outbox_lose(post, outbox, LOG_WARN, "no_memory");
        return;
    }
    if (outbox->batch_bytes > POST_BATCHES_MAX) {
        outbox_lose(post, outbox, LOG_WARN, "too_slow");
    }
    shed(post);
}

static void write_outbox(struct post *post, struct outbox *outbox, const struct message *message)
{
    for (int tries = 0; tries < 2; tries++) {
        struct parcel *parcel = open_parcel(post, outbox);
        enum codec_write_result result = CODEC_NOMEM;

        if (parcel != NULL) {
            result = codec_write(&parcel->writer, message);
        }
        switch (result) {
        case CODEC_WRITTEN:
            if (parcel->writer.frame_bytes > POST_ATTACHED_MAX) {
                turn_parcel(post, outbox);
            }
            return;
        case CODEC_FULL:
            CHECK(tries == 0); /* any message fits into an empty parcel */
            turn_parcel(post, outbox);
            if (is_dropped(outbox)) {
                return;
            }
            break;
        case CODEC_NOMEM:
            outbox_lose(post, outbox, LOG_WARN, "no_memory");
            return;
        }
    }
}

void post_write(struct post *post, connection_id to, const struct message *message)
{
    struct outbox *outbox = outbox_find(post, to);

    if (outbox == NULL) {
        outbox = outbox_new(post, to);
    }
    if (outbox == NULL) {
        journal_say(post->journal, LOG_WARN, "output_dropped", LOG_UINT("connection", to),
                    LOG_UINT("connections", post->outboxes.count));
        return;
    }
    if (is_dropped(outbox)) {
        return; /* the core does not know yet */
    }
    if (outbox->stalled && message->command == COMMAND_PROGRESS_OUT) {
        /* No submitter is to be lost because its worker talks faster than it reads. */
        journal_say(post->journal, LOG_WARN, "progress_dropped", LOG_UINT("connection", to));
        return;
    }
    outbox->forgotten = false;
    if (outbox->state != OUTBOX_BUSY && !outbox->gone) {
        outbox_set_state(post, outbox, OUTBOX_BUSY);
    }
    if (message->command == COMMAND_WELCOME) {
        outbox->welcomed = true;
        if (outbox->session != NULL) {
            outbox_write_welcome(post, outbox, message);
            return;
        }
    }
    write_outbox(post, outbox, message);
}

void post_forget(struct post *post, connection_id connection)
{
    struct outbox *outbox = outbox_find(post, connection);

    if (outbox == NULL || is_dropped(outbox)) {
        return;
    }
    outbox->welcomed = false;
    if (outbox->session != NULL) {
        outbox_drop_session(post, outbox);
        outbox_drop_parcels(post, outbox); /* nothing of it means anything without its number */
    }
    if (outbox->state == OUTBOX_LOST) {
        return;
    }
    outbox->forgotten = true;
    if (list_empty(&outbox->parcels)) {
        outbox_rest(post, outbox);
    }
}

void post_flush(struct post *post, uint64_t now_ms)
{
    post->now_ms = now_ms;
    list_each(link, &post->lists[OUTBOX_BUSY]) {
        struct outbox *outbox = list_entry(link, struct outbox, link);

        if (outbox->stalled && outbox->retry_at_ms > now_ms) {
            continue;
        }
        try_outbox(post, outbox);
        if (outbox->state == OUTBOX_BUSY && (!outbox->stalled || outbox->forgotten)) {
            outbox_rest(post, outbox);
        }
    }
    reap_dormant(post);
}

uint64_t post_deadline(const struct post *post)
{
    uint64_t deadline = BROKER_NEVER;

    list_each(link, &post->lists[OUTBOX_BUSY]) {
        struct outbox *outbox = list_entry(link, struct outbox, link);

        if (outbox->retry_at_ms < deadline) {
            deadline = outbox->retry_at_ms;
        }
    }
    return deadline;
}

void post_write_all(struct post *post, const struct message *message)
{
    struct list todo;

    /* Writing to one may lose another: no walk along a list that changes. */
    list_init(&todo);
    list_append(&todo, &post->lists[OUTBOX_BUSY]);
    list_append(&todo, &post->lists[OUTBOX_IDLE]);
    while (!list_empty(&todo)) {
        struct outbox *outbox = list_entry(todo.next, struct outbox, link);

        outbox_set_state(post, outbox, OUTBOX_BUSY);
        if (outbox->welcomed) {
            write_outbox(post, outbox, message);
        }
    }
}

void post_free(struct post *post)
{
    if (post == NULL) {
        return;
    }
    for (size_t i = 0; i < OUTBOX_STATE_COUNT; i++) {
        list_each(link, &post->lists[i]) {
            free_outbox(post, list_entry(link, struct outbox, link));
        }
    }
    parcel_stock_deinit(&post->stock);
    CHECK(atomic_load(&post->flight_bytes) == 0);
    table_deinit(&post->outboxes);
    free(post);
}
