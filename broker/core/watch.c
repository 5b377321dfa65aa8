#include "broker/core/watch.h"

#include "common/mutant.h"

const char *note_kind_name(enum note_kind kind)
{
    static const char *const names[NOTE_COUNT] = {
#define NOTE_NAME(name, text) [NOTE_##name] = text,
        NOTES(NOTE_NAME)
#undef NOTE_NAME
    };

    CHECK(kind < NOTE_COUNT);
    return names[kind];
}

/* ---- watchers ------------------------------------------------------------------ */

static void note_wants(struct broker *broker)
{
    broker->notes = list_empty(&broker->watchers) ? broker->effects.notes : NOTES_ALL;
}

struct watcher *watcher_find(const struct peer *peer, uint64_t request)
{
    list_each(link, &peer->watchers) {
        struct watcher *watcher = list_entry(link, struct watcher, peer_link);

        if (watcher->request == request) {
            return watcher;
        }
    }
    return NULL;
}

struct watcher *watcher_new(struct broker *broker, struct peer *peer, const struct watch *watch)
{
    struct watcher *watcher = peer->watcher_count < WATCHES_PER_PEER_MAX
                                  ? pool_get(&broker->watcher_pool)
                                  : NULL;

    if (watcher == NULL) {
        return NULL;
    }
    CHECK(watch->service.size <= sizeof watcher->service);
    watcher->peer = peer;
    watcher->request = watch->request;
    watcher->task = watch->task;
    watcher->service_size = (uint32_t)watch->service.size;
    if (watch->service.size > 0) {
        memcpy(watcher->service, watch->service.data, watch->service.size);
    }
    list_init(&watcher->link);
    list_init(&watcher->peer_link);
    list_push_back(&broker->watchers, &watcher->link);
    list_push_back(&peer->watchers, &watcher->peer_link);
    peer->watcher_count++;
    note_wants(broker);
    return watcher;
}

void watcher_free(struct broker *broker, struct watcher *watcher)
{
    CHECK(watcher->peer->watcher_count > 0);
    watcher->peer->watcher_count--;
    list_unlink(&watcher->link);
    list_unlink(&watcher->peer_link);
    pool_put(&broker->watcher_pool, watcher);
    note_wants(broker);
}

void watch_end_all(struct broker *broker, struct peer *peer)
{
    struct list *link;

    while ((link = list_first(&peer->watchers)) != NULL) {
        watcher_free(broker, list_entry(link, struct watcher, peer_link));
    }
}

/* ---- events -------------------------------------------------------------------- */

static bool matches(const struct watcher *watcher, const struct note *note)
{
    struct span service = span_of(watcher->service, watcher->service_size);

    return (id_is_nil(&watcher->task) || id_equal(&watcher->task, &note->task)) &&
           (service.size == 0 || span_equal(service, note->service));
}

static void watcher_tell(struct broker *broker, struct watcher *watcher, const struct note *note)
{
    struct message message = {.command = COMMAND_EVENT};

    if (watcher->credit == 0) {
        watcher->sequence++;
        watcher->lost += !MUTANT(EVENT_LOSS_UNCOUNTED);
        return;
    }
    watcher->credit--;
    watcher->sequence++;
    message.event = (struct event_message){
        .request = watcher->request,
        .sequence = watcher->sequence,
        .lost = watcher->lost,
        .kind = span_from_text(note_kind_name(note->kind)),
        .task = note->task,
        .service = note->service,
        .peer = note->peer,
        .attempt = note->attempt,
        .detail = note->detail,
    };
    watcher->lost = 0;
    peer_send(broker, watcher->peer, &message);
}

void watch_tell(struct broker *broker, const struct note *note)
{
    list_each(link, &broker->watchers) {
        struct watcher *watcher = list_entry(link, struct watcher, link);

        if (matches(watcher, note)) {
            watcher_tell(broker, watcher, note);
        }
    }
    if ((broker->effects.notes >> note->kind & 1) != 0) {
        broker->effects.note(broker->effects.context, note);
    }
}

/* The code of the error that ended it, or its last attempt. */
static struct span cause_of(const struct broker *broker, const struct task *task)
{
    return task->error == ERROR_NONE ? broker->cause
                                     : span_from_text(error_code_name(task->error));
}

static void tell_move(struct broker *broker, const struct task *task, enum task_state from)
{
    struct span none = span_of(NULL, 0);

    if (from == TASK_NEW) {
        watch_task(broker, NOTE_SUBMITTED, task, label_span(task->owner->name),
                   span_from_text(task_state_name(task->state)));
        return;
    }
    switch ((enum task_state)task->state) {
    case TASK_LEASED:
        watch_task(broker, NOTE_STARTED, task, label_span(task->offer->peer->name), none);
        break;
    case TASK_DELAYED:
        watch_task(broker, NOTE_DELAYED, task, none, none);
        break;
    case TASK_CANCELLING:
        watch_task(broker, NOTE_CANCELLING, task, label_span(task->worker), none);
        break;
    case TASK_DONE:
        watch_task(broker, NOTE_DONE, task, label_span(task->worker), none);
        break;
    case TASK_FAILED:
        watch_task(broker, NOTE_FAILED, task, label_span(task->worker), cause_of(broker, task));
        break;
    case TASK_CANCELLED:
        watch_task(broker, NOTE_CANCELLED, task, label_span(task->worker),
                   task->unconfirmed ? span_from_text("unconfirmed") : none);
        break;
    case TASK_EXPIRED:
        watch_task(broker, NOTE_EXPIRED, task, label_span(task->worker), none);
        break;
    case TASK_NEW:
    case TASK_WAITING:
    case TASK_READY:
    case TASK_STORING:
        break;
    }
}

void watch_move(struct broker *broker, const struct task *task, enum task_state from)
{
    if (broker->notes != 0) {
        tell_move(broker, task, from);
    }
}

void watch_progress(struct broker *broker, const struct task *task)
{
    uint32_t hash = broker_hash(broker, task->id.bytes, sizeof task->id.bytes);
    struct progress_told *told = &broker->told[hash % PROGRESS_SLOTS];

    if (told->hash == hash && broker->now_ms < told->again_ms) {
        return;
    }
    *told = (struct progress_told){.hash = hash, .again_ms = broker->now_ms + PROGRESS_MS};
    watch_task(broker, NOTE_PROGRESS, task, label_span(task->worker), span_of(NULL, 0));
}
