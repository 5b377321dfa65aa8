/* watch: what happens, told to whoever wants to know.
 *
 * A watcher is one peer's WATCH: it gets what matches its filter as EVENT while it has
 * credit. Without credit an event is lost to it and counted: nobody waits for a watcher.
 * Whoever carries out the core's effects may ask for notes, too: an audit is kept of those.
 *
 * Costs one test of a bit while nobody wants to know; else one look at each of the
 * WATCHES_MAX watchers at most. Owner of the watchers: the broker's pool. */
#ifndef SLUICE_BROKER_CORE_WATCH_H
#define SLUICE_BROKER_CORE_WATCH_H

#include "broker/core/state.h"

#define WATCHES_MAX 256
#define WATCHES_PER_PEER_MAX 16

struct watcher {
    struct list link;      /* broker->watchers */
    struct list peer_link; /* peer->watchers */
    struct peer *peer;
    uint64_t request;  /* names it, among those of its peer */
    uint64_t credit;   /* events that it still takes */
    uint64_t sequence; /* of the last event, told or lost */
    uint64_t lost;     /* events since the last one told */
    struct id task;    /* only of this one; nil: all */
    uint32_t service_size;
    uint8_t service[SERVICE_NAME_MAX]; /* only of this one; empty: all */
};

/* The WATCH of `peer` under this number; NULL: none. */
struct watcher *watcher_find(const struct peer *peer, uint64_t request);
/* NULL: this peer, or all of them, have as many as they may have. */
struct watcher *watcher_new(struct broker *broker, struct peer *peer, const struct watch *watch);
void watcher_free(struct broker *broker, struct watcher *watcher);
/* A peer's watches end with its connection. */
void watch_end_all(struct broker *broker, struct peer *peer);

/* Tells a note that somebody wants: call watch_emit and watch_task instead. */
void watch_tell(struct broker *broker, const struct note *note);

static inline bool watch_wanted(const struct broker *broker, enum note_kind kind)
{
    return (broker->notes >> kind & 1) != 0;
}

/* It has happened, to no task. */
static inline void watch_emit(struct broker *broker, enum note_kind kind, struct span service,
                              struct span peer, struct span detail)
{
    if (watch_wanted(broker, kind)) {
        watch_tell(broker, &(struct note){.kind = kind,
                                          .service = service,
                                          .peer = peer,
                                          .detail = detail});
    }
}

/* It has happened to `task`. */
static inline void watch_task(struct broker *broker, enum note_kind kind,
                              const struct task *task, struct span peer, struct span detail)
{
    if (watch_wanted(broker, kind)) {
        watch_tell(broker, &(struct note){.kind = kind,
                                          .attempt = task_attempt(task),
                                          .task = task->id,
                                          .service = task_service_name(task),
                                          .peer = peer,
                                          .detail = detail});
    }
}

/* The task's worker is still at it: told once a second of a task, of whichever tasks say so most
 * often. (As many as share a slot, a second, may be told more often.) */
void watch_progress(struct broker *broker, const struct task *task);

/* The task has moved from state `from`: called where all moves are made. */
void watch_move(struct broker *broker, const struct task *task, enum task_state from);

#endif
