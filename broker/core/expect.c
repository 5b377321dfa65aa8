/* expect: brings what messages name into the caches, ahead of the steps that look for it.
 *
 * With a million tasks, ten thousand keys or a thousand services hardly any of it is there. Each
 * round touches, for all messages, what the round before has made known: so their misses are
 * waited for together. What is found may be of another id: a guess that is wrong costs a little
 * time. Only the hashes are kept. */
#include "broker/core/state.h"

#define EXPECT_MAX 16 /* more would push out the first */
#define LINE 64

/* What a task that begins and one that ends have to do with. */
static void prefetch_counts(const struct service *service)
{
    prefetch_bytes(&service->dirty_link,
                   offsetof(struct service, limits) - offsetof(struct service, dirty_link));
    prefetch_bytes(&service->loads, LINE);
}

static void prefetch_service(const struct service *service)
{
    prefetch_bytes(service, LINE); /* to its name */
    prefetch_counts(service);
    prefetch_bytes(&service->limits, LINE);
    prefetch_bytes(&service->ring, 2 * LINE); /* to the turns of its middle priorities */
}

/* Where tasks are, and flows. */
static void look_for(const struct broker *broker, const struct peer *peer, struct event *event)
{
    const struct message *message = event->message;
    struct hint *hint = &event->hint;
    const struct flow *last;

    *hint = (struct hint){.task_known = false};
    if (message->command == COMMAND_DONE) {
        hint->task = task_hash(broker, &message->done.id);
    } else if (message->command == COMMAND_SUBMIT) {
        hint->task = task_hash(broker, &message->submit.id);
        /* The peer's last flow is found without. */
        last = peer != NULL ? flow_of_last(peer, &message->submit) : NULL;
        if (last != NULL) {
            hint->last = last->serial;
        } else if (peer != NULL && message->submit.service.size > 0) {
            hint->peer = peer->place.serial;
        }
    } else {
        return;
    }
    hint->task_known = true;
    table_prefetch(&broker->tasks, hint->task);
    if (hint->peer != 0) {
        hint->flow = flow_hash(broker, hint->peer, &message->submit);
        table_prefetch(&broker->flows, hint->flow);
    }
}

static const struct task *task_at(const struct broker *broker, const struct hint *hint)
{
    struct table_node *node = table_chain(&broker->tasks, hint->task);

    return node != NULL ? table_entry(node, struct task, node) : NULL;
}

static const struct flow *flow_at(const struct broker *broker, const struct hint *hint)
{
    struct table_node *node = table_chain(&broker->flows, hint->flow);

    return node != NULL ? table_entry(node, struct flow, node) : NULL;
}

/* The tasks and flows. */
static void look_at(const struct broker *broker, const struct hint *hint)
{
    if (hint->task_known) {
        prefetch_bytes(task_at(broker, hint), sizeof(struct task));
    }
    if (hint->peer != 0) {
        prefetch_bytes(flow_at(broker, hint), offsetof(struct flow, key));
    }
}

/* What those refer to. */
static void look_behind(const struct broker *broker, const struct event *event)
{
    const struct task *task;
    const struct flow *flow;

    if (event->hint.peer != 0) {
        flow = flow_at(broker, &event->hint);
        if (flow != NULL) {
            prefetch_service(flow->service);
        }
    } else if (event->message->command == COMMAND_DONE) {
        task = task_at(broker, &event->hint);
        if (task != NULL && task->service != NULL) {
            prefetch_bytes(task->offer, offsetof(struct offer, peer_link));
            __builtin_prefetch(task->body, 1); /* it makes way for the result */
            prefetch_counts(task->service);
        }
    }
}

static void prefetch_offer(const struct list *link)
{
    prefetch_bytes(list_entry(link, struct offer, load_link), offsetof(struct offer, peer_link));
}

/* Who may serve it. */
static void prefetch_offers(const struct loads *loads)
{
    struct list *least = loads_least(loads);

    if (least != NULL) {
        prefetch_offer(least);
        /* The other one of two; of more, maybe another: the next one's place is not there yet. */
        prefetch_offer(loads->offers[__builtin_ctzll(loads->occupied)].prev);
    }
}

static void look_beyond(const struct broker *broker, const struct hint *hint)
{
    const struct flow *flow = hint->peer != 0 ? flow_at(broker, hint) : NULL;

    if (flow != NULL) {
        prefetch_offers(&flow->service->loads);
    }
}

void broker_expect(const struct broker *broker, struct event *events, size_t count)
{
    const struct peer *peer = count > 0 ? peer_find(broker, events[0].from) : NULL;

    count = count < EXPECT_MAX ? count : EXPECT_MAX;
    for (size_t i = 0; i < count; i++) {
        look_for(broker, peer, &events[i]);
    }
    for (size_t i = 0; i < count; i++) {
        look_at(broker, &events[i].hint);
    }
    for (size_t i = 0; i < count; i++) {
        look_behind(broker, &events[i]);
    }
    for (size_t i = 0; i < count; i++) {
        look_beyond(broker, &events[i].hint);
    }
}

void broker_expect_rows(const struct broker *broker, const struct store_row *rows, size_t count)
{
    struct hint hints[EXPECT_MAX];

    count = count < EXPECT_MAX ? count : EXPECT_MAX;
    for (size_t i = 0; i < count; i++) {
        hints[i] = (struct hint){.task = task_hash(broker, &rows[i].submit.id),
                                 .task_known = !rows[i].is_directive};
        table_prefetch(&broker->tasks, hints[i].task);
    }
    for (size_t i = 0; i < count; i++) {
        look_at(broker, &hints[i]);
    }
}
