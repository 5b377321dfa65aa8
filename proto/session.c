#include "proto/session.h"

#include "common/check.h"
#include "common/mutant.h"

#include <assert.h>

static_assert(SESSION_STRIDE > SESSION_MESSAGES_MAX, "no number of an old start is in a new one");

/* What nobody reaches by counting: who claims it is not believed. */
#define NUMBER_MAX (UINT64_MAX / 2)
#define TURNS 65536

static struct session_letter *entry_of(const struct list *link)
{
    return list_entry(link, struct session_letter, link);
}

void session_init(struct session *session)
{
    *session = (struct session){.told = 0};
    list_init(&session->kept);
    session->again = &session->kept;
}

void session_join(struct session *session, uint64_t start)
{
    CHECK(session->kept_count == 0);
    session_init(session);
    session->sent = session->acknowledged = session->received = session->told = start;
    session->owing = true;
}

uint64_t session_start(struct session *session, uint64_t above, uint64_t turn)
{
    uint64_t used = session->sent > session->received ? session->sent : session->received;

    /* The other side has sent at most SESSION_MESSAGES_MAX beyond `received`: the stride
     * leaves room for them. */
    used = above > used && above <= NUMBER_MAX ? above : used;
    session_join(session, (used / SESSION_STRIDE + 2 + turn % TURNS) * SESSION_STRIDE);
    session->owing = false;
    return session->sent;
}

/* ---- sending ---- */

bool session_takes(const struct session *session, size_t bytes)
{
    if (session->again != &session->kept || session->kept_count >= SESSION_MESSAGES_MAX) {
        return false;
    }
    return session->kept_count == 0 || session->kept_bytes + bytes <= SESSION_BYTES_MAX;
}

/* The other side is about to hear what has come. */
static void tell(struct session *session)
{
    session->told = session->received;
    session->untold_bytes = 0;
    session->owing = false;
}

struct sequence session_next(const struct session *session)
{
    return (struct sequence){.number = session->sent + 1, .acknowledged = session->received};
}

void session_keep(struct session *session, struct session_letter *letter, size_t bytes)
{
    CHECK(session_takes(session, bytes));
    letter->number = ++session->sent;
    letter->bytes = bytes;
    list_init(&letter->link);
    list_push_back(&session->kept, &letter->link);
    session->kept_count++;
    session->kept_bytes += bytes;
    tell(session);
}

struct session_letter *session_again(const struct session *session)
{
    return session->again == &session->kept ? NULL : entry_of(session->again);
}

void session_resent(struct session *session)
{
    CHECK(session->again != &session->kept);
    session->again = session->again->next;
}

bool session_owes(const struct session *session)
{
    return session->owing || session->received - session->told >= SESSION_UNTOLD_MAX ||
           session->untold_bytes >= SESSION_UNTOLD_BYTES_MAX;
}

struct sequence session_bare(struct session *session)
{
    tell(session);
    return (struct sequence){.number = 0, .acknowledged = session->received};
}

/* ---- receiving ---- */

enum session_news session_receive(struct session *session, const struct sequence *sequence,
                                  size_t bytes)
{
    if (sequence->acknowledged > session->sent || sequence->number > session->received + 1) {
        return SESSION_GAP;
    }
    if (!session->confirmed && sequence->acknowledged < session->acknowledged) {
        return SESSION_REPEATED; /* of before the start */
    }
    session->confirmed = true;
    if (sequence->acknowledged > session->acknowledged) {
        session->acknowledged = sequence->acknowledged;
    }
    if (sequence->number == 0) {
        return SESSION_BARE;
    }
    if (sequence->number <= session->received) {
        return MUTANT(SESSION_HANDLES_TWICE) ? SESSION_NEXT : SESSION_REPEATED;
    }
    session->received = sequence->number;
    session->untold_bytes += bytes;
    return SESSION_NEXT;
}

struct session_letter *session_drop(struct session *session)
{
    struct list *first = list_first(&session->kept);
    struct session_letter *letter;

    if (first == NULL) {
        return NULL;
    }
    if (session->again == first) {
        session->again = first->next;
    }
    letter = entry_of(first);
    list_unlink(first);
    CHECK(session->kept_count > 0);
    CHECK(session->kept_bytes >= letter->bytes);
    session->kept_count--;
    session->kept_bytes -= letter->bytes;
    return letter;
}

struct session_letter *session_release(struct session *session)
{
    struct list *first = list_first(&session->kept);

    if (first == NULL ||
        entry_of(first)->number > session->acknowledged + MUTANT(ACK_FREES_TOO_MUCH)) {
        return NULL;
    }
    return session_drop(session);
}

/* ---- on a new connection ---- */

bool session_resume(struct session *session, uint64_t received)
{
    if (received < session->acknowledged || received > session->sent) {
        return false;
    }
    session->again = MUTANT(SESSION_RESENDS_NOTHING) ? &session->kept : session->kept.next;
    while (session->again != &session->kept && entry_of(session->again)->number <= received) {
        session->again = session->again->next;
    }
    session->owing = true; /* our last word of it may have been lost */
    return true;
}

enum session_greeting session_greet(struct session *session, uint64_t received, bool here)
{
    if (!session->confirmed && !here) {
        return SESSION_STARTS;
    }
    if (!session->confirmed) {
        session_resume(session, session->acknowledged);
        return SESSION_STANDS;
    }
    return session_resume(session, received) ? SESSION_GOES_ON : SESSION_STALE;
}

void session_check(const struct session *session)
{
    uint64_t number = session->sent - session->kept_count;
    size_t bytes = 0;
    bool found = session->again == &session->kept;

    CHECK(session->acknowledged <= session->sent);
    CHECK(session->told <= session->received);
    CHECK(session->told < session->received || session->untold_bytes == 0);
    CHECK(session->kept_count <= SESSION_MESSAGES_MAX);
    list_each(link, &session->kept) {
        CHECK(entry_of(link)->number == ++number);
        bytes += entry_of(link)->bytes;
        found = found || session->again == link;
    }
    CHECK(found);
    CHECK(number == session->sent);
    CHECK(bytes == session->kept_bytes);
}
