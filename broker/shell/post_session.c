/* post_session: numbered sessions in a post: one connection's output goes on over the next one. */
#include "broker/shell/post_state.h"

#include "common/check.h"

#include <stdlib.h>

/* Counts what is set aside anew, after parcels have come or gone in the middle. */
static void recount(struct post *post, struct outbox *outbox)
{
    post->pending_bytes -= outbox->sealed_bytes;
    outbox->batch_bytes = outbox->sealed_bytes = 0;
    list_each(link, &outbox->parcels) {
        const struct parcel *parcel = list_entry(link, struct parcel, link);

        if (link != outbox->parcels.prev) {
            outbox->batch_bytes += parcel->writer.size;
            outbox->sealed_bytes += parcel_bytes(parcel);
        }
    }
    post->pending_bytes += outbox->sealed_bytes;
}

/* From here on what is written is numbered. False: no memory. */
static bool begin_numbering(struct post *post, struct outbox *outbox)
{
    struct list *last = list_last(&outbox->parcels);
    struct parcel *parcel;

    if (last != NULL && list_entry(last, struct parcel, link)->numbered) {
        return true;
    }
    parcel = parcel_stock_take(&post->stock);
    if (parcel == NULL) {
        return false;
    }
    parcel->numbered = true;
    list_push_back(&outbox->parcels, &parcel->link);
    recount(post, outbox);
    return true;
}

void outbox_write_welcome(struct post *post, struct outbox *outbox, const struct message *message)
{
    struct parcel *parcel = parcel_stock_take(&post->stock);
    struct list *at = outbox->parcels.next;

    if (parcel == NULL || codec_write(&parcel->writer, message) != CODEC_WRITTEN) {
        parcel_free(parcel);
        outbox_lose(post, outbox, LOG_WARN, "no_memory");
        return;
    }
    while (at != &outbox->parcels && !list_entry(at, struct parcel, link)->numbered) {
        at = at->next;
    }
    list_insert_before(at, &parcel->link);
    recount(post, outbox);
    if (!begin_numbering(post, outbox)) {
        outbox_lose(post, outbox, LOG_WARN, "no_memory");
    }
}

/* The session, and what waits to be said in it, goes to another connection. */
static void move_session(struct post *post, struct outbox *from, struct outbox *to)
{
    outbox_drop_session(post, to);
    to->session = from->session;
    from->session = NULL;
    from->gone = from->welcomed = false;
    list_append(&to->parcels, &from->parcels);
    recount(post, from);
    recount(post, to);
    from->stalled = false;
    if (from->state != OUTBOX_LOST) {
        outbox_rest(post, from);
    }
}

/* Makes `outbox` one that can be written and tried at once. */
static void wake_outbox(struct post *post, struct outbox *outbox)
{
    outbox->gone = outbox->broken = outbox->forgotten = false;
    outbox->retry_at_ms = 0;
    outbox->retry_ms = 0;
    if (outbox->state != OUTBOX_BUSY) {
        outbox_set_state(post, outbox, OUTBOX_BUSY);
    }
}

static enum resume resume_anew(struct post *post, struct outbox *old, struct outbox *outbox,
                               uint64_t received, uint64_t *start)
{
    uint64_t above = received;

    if (old != NULL && old->session != NULL) {
        uint64_t used = old->session->sent > old->session->received ? old->session->sent
                                                                     : old->session->received;

        above = used > received ? used : received;
        outbox_drop_session(post, old);
        outbox_drop_parcels(post, old);
    }
    wake_outbox(post, outbox);
    if (outbox->session == NULL) {
        outbox->session = malloc(sizeof *outbox->session);
        if (outbox->session == NULL) {
            return RESUME_REFUSED;
        }
        session_init(outbox->session);
    }
    if (!begin_numbering(post, outbox)) {
        outbox_drop_session(post, outbox);
        return RESUME_REFUSED;
    }
    *start = session_start(outbox->session, above, post->starts++);
    return RESUME_ANEW;
}

enum resume post_resume(struct post *post, const struct resume_request *request, uint64_t *start)
{
    struct outbox *old = request->numbered ? outbox_find(post, request->old) : NULL;
    struct outbox *outbox = outbox_find(post, request->from);
    struct session *session = old != NULL ? old->session : NULL;

    if (outbox == NULL) {
        outbox = outbox_new(post, request->from);
    }
    if (outbox == NULL) {
        return RESUME_REFUSED;
    }
    if (session == NULL) {
        return resume_anew(post, old, outbox, request->received, start);
    }
    *start = session->received;
    switch (session_greet(session, request->received, old == outbox)) {
    case SESSION_STARTS:
        return resume_anew(post, old, outbox, request->received, start);
    case SESSION_STANDS:
        wake_outbox(post, outbox);
        return RESUME_ANEW;
    case SESSION_STALE:
        return RESUME_STALE;
    case SESSION_GOES_ON:
        break;
    }
    if (old != outbox) {
        move_session(post, old, outbox);
    }
    wake_outbox(post, outbox);
    return RESUME_GOES_ON;
}

bool post_receive(struct post *post, connection_id connection, const struct sequence *sequence,
                  size_t bytes, enum session_news *news)
{
    struct outbox *outbox = outbox_find(post, connection);

    if (outbox == NULL || outbox->session == NULL) {
        return false;
    }
    *news = session_receive(outbox->session, sequence, bytes);
    post->kept_bytes -= letters_release(outbox->session);
    if (outbox->state == OUTBOX_IDLE && session_owes(outbox->session)) {
        outbox_set_state(post, outbox, OUTBOX_BUSY);
    }
    outbox->retry_at_ms = 0; /* there may be room again */
    return true;
}

