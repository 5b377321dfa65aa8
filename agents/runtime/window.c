/* window: how much of ours may be at the broker, and what waits for room there. */
#include "agents/runtime/peer_state.h"

#include "common/check.h"

/* The lease that a child was submitted from; NULL: it has ended, or no child. */
static struct lease *parent_of(const struct peer *peer, const struct submission *submission)
{
    const struct submit *submit = &submission->message.submit;
    struct lease *lease = submission->has_parent ? lease_find(peer, &submit->parent) : NULL;

    return lease != NULL && lease->attempt == submit->parent_attempt ? lease : NULL;
}

/* A parent may always have one child, whatever the window says (PROTOCOL.md, SUBMIT 4): while
 * it has none, and some wait, it starves, and its first goes before everybody. */
static void lease_place(struct peer *peer, struct lease *lease)
{
    list_unlink(&lease->starving);
    if (lease->children == 0 && !list_empty(&lease->children_waiting)) {
        list_push_back(&peer->starving, &lease->starving);
    }
}

void window_count(struct peer *peer, const struct submission *submission, bool sent)
{
    struct lease *parent = parent_of(peer, submission);

    if (parent != NULL && sent) {
        parent->children++;
    } else if (parent != NULL && parent->children > 0) {
        parent->children--;
    }
    if (parent != NULL) {
        lease_place(peer, parent);
    }
    if (submission->message.submit.held) {
        return;
    }
    if (sent) {
        peer->window_used++;
        peer->window_used_bytes += submission->cost_bytes;
    } else {
        CHECK(peer->window_used > 0);
        peer->window_used--;
        peer->window_used_bytes -= submission->cost_bytes;
    }
}

static uint64_t window_of(const struct peer *peer, bool has_parent)
{
    uint64_t window = peer->welcome.window_tasks;

    return !list_empty(&peer->offerings) && !has_parent ? window - window / 2 : window;
}

/* Held tasks end without our hearing of it before their join does, so only the broker
 * can count them: it refuses what is too much, and we try again. */
static bool window_fits(const struct peer *peer, const struct submission *submission)
{
    if (submission->message.submit.held) {
        return true;
    }
    if (peer->window_used >= window_of(peer, submission->has_parent)) {
        return false;
    }
    return peer->window_used == 0 ||
           peer->window_used_bytes + submission->cost_bytes <= peer->welcome.window_bytes;
}

size_t peer_room(const struct peer *peer, bool children)
{
    uint64_t window = window_of(peer, children);

    if (peer->open_count >= window || peer->open_bytes >= peer->welcome.window_bytes) {
        return 0;
    }
    return (size_t)(window - peer->open_count);
}

void peer_want_room(struct peer *peer)
{
    peer->room_wanted = true;
}

bool peer_pumping(const struct peer *peer)
{
    return peer->pumping;
}

void window_offer_room(struct peer *peer)
{
    if (peer->room_wanted && peer_room(peer, true) > 0) {
        peer->room_wanted = false;
        peer->sink.room(peer->sink.context);
    }
}

static void pump_starving(struct peer *peer)
{
    struct list *first;

    while (peer->state == SESSION_OPEN && (first = list_first(&peer->starving)) != NULL) {
        struct lease *lease = list_entry(first, struct lease, starving);
        struct list *child = list_first(&lease->children_waiting);

        CHECK(child != NULL);
        submission_dispatch(peer, list_entry(child, struct submission, sibling));
    }
}

static void pump_list(struct peer *peer, struct list *waiting)
{
    while (peer->state == SESSION_OPEN && !list_empty(waiting)) {
        struct submission *first = list_entry(waiting->next, struct submission, waiting);

        if (!window_fits(peer, first)) {
            return;
        }
        submission_dispatch(peer, first);
    }
}

static bool children_fit(const struct peer *peer)
{
    if (peer->state != SESSION_OPEN || list_empty(&peer->waiting_children)) {
        return false;
    }
    return !list_empty(&peer->starving) ||
           window_fits(peer, list_entry(peer->waiting_children.next, struct submission, waiting));
}

/* Children that starve are in line with the others. */
static bool nothing_waits(const struct peer *peer)
{
    return list_empty(&peer->waiting) && list_empty(&peer->waiting_children);
}

/* Upcalls may submit more, which comes here again: the outer loop takes it. */
void window_pump(struct peer *peer)
{
    if (peer->pumping || nothing_waits(peer)) {
        return;
    }
    peer->pumping = true;
    do {
        pump_starving(peer);
        pump_list(peer, &peer->waiting_children);
        pump_list(peer, &peer->waiting);
    } while (children_fit(peer)); /* submitted by upcalls meanwhile */
    peer->pumping = false;
}

void window_pump_soon(struct peer *peer)
{
    peer->pump_due = !nothing_waits(peer) || peer->room_wanted;
}

static struct list *queue_of(struct peer *peer, const struct submission *submission)
{
    return submission->has_parent ? &peer->waiting_children : &peer->waiting;
}

void window_wait(struct peer *peer, struct submission *submission)
{
    struct lease *parent = parent_of(peer, submission);

    list_push_back(queue_of(peer, submission), &submission->waiting);
    if (parent != NULL) {
        list_push_back(&parent->children_waiting, &submission->sibling);
        lease_place(peer, parent);
    }
}

void window_leave(struct peer *peer, struct submission *submission)
{
    struct lease *parent;

    if (list_empty(&submission->waiting)) {
        return;
    }
    parent = parent_of(peer, submission);
    list_unlink(&submission->waiting);
    list_unlink(&submission->sibling);
    if (parent != NULL) {
        lease_place(peer, parent);
    }
}

bool window_takes_now(struct peer *peer, const struct submission *submission)
{
    const struct lease *parent = parent_of(peer, submission);

    if (parent != NULL && parent->children == 0 && list_empty(&parent->children_waiting)) {
        return true;
    }
    return list_empty(queue_of(peer, submission)) && window_fits(peer, submission);
}

void window_enter(struct peer *peer, struct submission *submission)
{
    if (!peer->pumping && peer->state == SESSION_OPEN && nothing_waits(peer) &&
        window_takes_now(peer, submission)) {
        peer->pumping = true; /* what upcalls submit comes after it */
        submission_dispatch(peer, submission);
        peer->pumping = false;
    } else {
        window_wait(peer, submission);
    }
    window_pump(peer);
}
