/* window: how much of ours may be at the broker, and what waits for room there. */
#include "agents/runtime/peer_state.h"

#include "common/check.h"

/* The lease that a child was submitted from; NULL: it has ended, or no child. */
static struct lease *parent_of(const struct peer *peer, const struct submission *submission)
{
    struct lease *lease =
        submission->has_parent ? lease_find(peer, &submission->submit.parent) : NULL;

    return lease != NULL && lease->attempt == submission->submit.parent_attempt ? lease : NULL;
}

void window_count(struct peer *peer, const struct submission *submission, bool sent)
{
    struct lease *parent = parent_of(peer, submission);

    if (parent != NULL && sent) {
        parent->children++;
    } else if (parent != NULL && parent->children > 0) {
        parent->children--;
    }
    if (submission->submit.held) {
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

    return peer->offering_count > 0 && !has_parent ? (window + 1) / 2 : window;
}

/* PROTOCOL.md, SUBMIT 4: a parent may always have one child. */
static bool first_child(const struct peer *peer, const struct submission *submission)
{
    const struct lease *parent = parent_of(peer, submission);

    return parent != NULL && peer_lease_childless(parent);
}

/* Held tasks end without our hearing of it before their join does, so only the broker
 * can count them: it refuses what is too much, and we try again. */
static bool window_fits(const struct peer *peer, const struct submission *submission)
{
    if (submission->submit.held || first_child(peer, submission)) {
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

void window_offer_room(struct peer *peer)
{
    if (peer->room_wanted && peer_room(peer, true) > 0) {
        peer->room_wanted = false;
        peer->sink.room(peer->sink.context);
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
    return peer->state == SESSION_OPEN && !list_empty(&peer->waiting_children) &&
           window_fits(peer, list_entry(peer->waiting_children.next, struct submission, waiting));
}

/* Upcalls may submit more, which comes here again: the outer loop takes it. */
void window_pump(struct peer *peer)
{
    if (peer->pumping) {
        return;
    }
    peer->pumping = true;
    do {
        pump_list(peer, &peer->waiting_children);
        pump_list(peer, &peer->waiting);
    } while (children_fit(peer)); /* submitted by upcalls meanwhile */
    peer->pumping = false;
}

static struct list *queue_of(struct peer *peer, const struct submission *submission)
{
    return submission->has_parent ? &peer->waiting_children : &peer->waiting;
}

void window_wait(struct peer *peer, struct submission *submission)
{
    if (peer->state == SESSION_OPEN && first_child(peer, submission)) {
        /* It fits whatever the window says: nobody who does not may be before it. */
        list_push_front(&peer->waiting_children, &submission->waiting);
    } else {
        list_push_back(queue_of(peer, submission), &submission->waiting);
    }
}

bool window_takes_now(struct peer *peer, const struct submission *submission)
{
    return list_empty(queue_of(peer, submission)) && window_fits(peer, submission);
}
