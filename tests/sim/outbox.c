#include "tests/sim/outbox.h"

#include "common/check.h"
#include "tests/sim/sometimes.h"

#include <stdlib.h>

#define OUTBOX_MESSAGES_MAX 64

struct outbox *outbox_of(struct sim_broker *broker, struct link *link)
{
    struct outbox *outbox = link->outbox;

    if (outbox == NULL) {
        outbox = calloc(1, sizeof *outbox);
        CHECK(outbox != NULL);
        list_init(&outbox->dirty);
        outbox->broker = broker;
        outbox->link = link;
        outbound_init(&outbox->outbound);
        link->outbox = outbox;
    }
    return outbox;
}

static void session_free(struct outbox *outbox)
{
    if (outbox->session != NULL) {
        letters_drop(outbox->session);
        free(outbox->session);
        outbox->session = NULL;
    }
    outbox->gone = false;
}

void outbox_free(struct link *link)
{
    struct outbox *outbox = link->outbox;

    if (outbox != NULL) {
        session_free(outbox);
        list_unlink(&outbox->dirty);
        outbound_clear(&outbox->outbound);
        free(outbox);
        link->outbox = NULL;
    }
}

static void soil(struct outbox *outbox)
{
    if (list_empty(&outbox->dirty)) {
        list_push_back(&outbox->broker->dirty, &outbox->dirty);
    }
}

void outbox_drop_session(struct outbox *outbox)
{
    if (outbox->session != NULL) {
        session_free(outbox);
        outbound_clear(&outbox->outbound);
    }
}

void outbox_write(struct outbox *outbox, const struct message *message)
{
    if (outbox->session != NULL && message->command == COMMAND_WELCOME) {
        outbound_write_first(&outbox->outbound, message);
    } else {
        outbound_write(&outbox->outbound, message);
    }
    soil(outbox);
}

/* ---- sending --------------------------------------------------------------------------- */

static enum sent send_down(void *context, const struct packet *packet)
{
    struct outbox *outbox = context;

    return link_send_down(outbox->link, packet);
}

static void see_numbered(void *context, uint64_t number, uint64_t digest)
{
    struct outbox *outbox = context;

    if (outbox->link->honest) {
        shadow_letter_said(outbox->broker->model, &outbox->thread, number, digest);
    }
}

enum outbox_state outbox_flush(struct outbox *outbox)
{
    struct carrier carrier = {.context = outbox,
                              .send = send_down,
                              .session = outbox->session,
                              .numbered = see_numbered};
    enum sent sent = outbox->gone ? SENT_AGAIN : outbound_flush(&outbox->outbound, &carrier);
    size_t most = 1024 * (size_t)outbox->broker->options->outbox_kib;
    bool slow = outbound_bytes(&outbox->outbound) > most ||
                outbound_count(&outbox->outbound) > OUTBOX_MESSAGES_MAX;

    if (outbox->session != NULL && outbox->link->honest) {
        session_check(outbox->session);
        shadow_letters_kept(outbox->broker->model, &outbox->thread, outbox->session);
    }
    switch (sent) {
    case SENT_OK:
        return OUTBOX_EMPTY;
    case SENT_UNREACHABLE:
        return OUTBOX_UNREACHABLE;
    case SENT_AGAIN:
        break;
    }
    return slow ? OUTBOX_TOO_SLOW : outbox->gone ? OUTBOX_EMPTY : OUTBOX_WAITS;
}

/* ---- numbers ------------------------------------------------------------------------------ */

/* The numbers begin anew, above all that were used. */
static enum resume resume_anew(struct outbox *outbox, struct outbox *old, const struct id *session,
                               uint64_t received, uint64_t *start)
{
    uint64_t above = received;

    if (old != NULL && old->session != NULL) {
        above = old->session->sent > above ? old->session->sent : above;
        above = old->session->received > above ? old->session->received : above;
        outbox_drop_session(old);
    }
    if (outbox->session == NULL) {
        outbox->session = malloc(sizeof *outbox->session);
        CHECK(outbox->session != NULL);
        session_init(outbox->session);
    }
    outbound_part(&outbox->outbound);
    *start = session_start(outbox->session, above, outbox->broker->starts++);
    outbox->thread =
        (struct shadow_thread){.session = *session, .start = *start, .direction = DOWN};
    return RESUME_ANEW;
}

/* The session, and what waits to be said in it, goes to another connection. */
static void move_session(struct outbox *outbox, struct outbox *old)
{
    outbox_drop_session(outbox);
    outbox->session = old->session;
    outbox->thread = old->thread;
    old->session = NULL;
    old->gone = false;
    outbound_part(&outbox->outbound);
    outbound_move(&outbox->outbound, &old->outbound);
}

enum resume outbox_resume(struct outbox *outbox, struct outbox *old, const struct id *session,
                          uint64_t received, uint64_t *start)
{
    if (old == NULL || old->session == NULL) {
        return resume_anew(outbox, old, session, received, start);
    }
    *start = old->session->received;
    switch (session_greet(old->session, received, old == outbox)) {
    case SESSION_STARTS:
        return resume_anew(outbox, old, session, received, start);
    case SESSION_STANDS:
        outbox->gone = false;
        return RESUME_ANEW;
    case SESSION_STALE:
        sometimes(SOMETIMES_HELLO_STALE);
        return RESUME_STALE;
    case SESSION_GOES_ON:
        break;
    }
    if (session_again(old->session) != NULL) {
        sometimes(SOMETIMES_SESSION_RESENT);
    }
    if (old != outbox) {
        move_session(outbox, old);
    }
    outbox->gone = false;
    return RESUME_GOES_ON;
}

bool outbox_receive(struct outbox *outbox, const struct sequence *sequence, size_t bytes,
                    enum session_news *news)
{
    if (outbox->session == NULL) {
        return false;
    }
    *news = session_receive(outbox->session, sequence, bytes);
    letters_release(outbox->session);
    if (session_owes(outbox->session) && !outbox->gone) {
        soil(outbox);
    }
    return true;
}
