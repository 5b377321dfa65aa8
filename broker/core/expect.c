/* expect: brings what messages name into the caches, ahead of the steps that look for it.
 *
 * With a million tasks, ten thousand keys or a thousand services hardly any of it is there. Each
 * round touches, for all messages, what the round before has made known: so their misses are
 * waited for together. Nothing is changed, and what is found may be of another id: a guess that is
 * wrong costs a little time. */
#include "broker/core/state.h"

#define EXPECT_MAX 16 /* more would push out the first */
#define LINE 64

struct guess {
    const struct id *id;      /* NULL: not worth a look */
    uint32_t task_hash, name_hash, flow_hash;
    const struct peer *peer;  /* of a submit to another flow than its peer's last; NULL: else */
    struct service *service;
    const struct submit *submit;
};

static void prefetch_service(const struct service *service)
{
    prefetch_bytes(service, offsetof(struct service, ring) + LINE); /* to its first turns */
    prefetch_bytes(&service->flows, LINE);
    prefetch_bytes(&service->offers, LINE);
    prefetch_bytes(&service->loads.occupied, LINE);
}

/* Where tasks are, and services. */
static void look_for(const struct broker *broker, const struct peer *peer,
                     const struct message *message, struct guess *guess)
{
    struct span name;

    *guess = (struct guess){.id = NULL};
    if (message->command == COMMAND_DONE) {
        guess->id = &message->done.id;
    } else if (message->command == COMMAND_SUBMIT) {
        guess->id = &message->submit.id;
        guess->submit = &message->submit;
    } else {
        return;
    }
    guess->task_hash = broker_hash(broker, guess->id->bytes, sizeof guess->id->bytes);
    table_prefetch(&broker->tasks, guess->task_hash);
    if (guess->submit == NULL || peer == NULL || guess->submit->service.size == 0 ||
        flow_of_last(peer, guess->submit) != NULL) {
        return;
    }
    name = guess->submit->service;
    guess->peer = peer;
    if (peer->flow != NULL && span_equal(service_name(peer->flow->service), name)) {
        guess->service = peer->flow->service;
        guess->flow_hash = flow_hash(broker, guess->service, peer, guess->submit);
        table_prefetch(&broker->flows, guess->flow_hash);
    } else {
        guess->name_hash = broker_hash(broker, name.data, name.size);
        table_prefetch(&broker->services_by_name, guess->name_hash);
    }
}

/* The tasks, services and flows. */
static void look_at(const struct broker *broker, struct guess *guess)
{
    struct table_node *node;

    if (guess->id == NULL) {
        return;
    }
    prefetch_bytes(table_chain(&broker->tasks, guess->task_hash), sizeof(struct task));
    if (guess->peer == NULL) {
        return;
    }
    if (guess->service != NULL) {
        prefetch_bytes(table_chain(&broker->flows, guess->flow_hash), sizeof(struct flow));
        return;
    }
    node = table_chain(&broker->services_by_name, guess->name_hash);
    if (node != NULL) {
        guess->service = table_entry(node, struct service, node);
        prefetch_service(guess->service);
    }
}

/* What those refer to. */
static void look_behind(const struct broker *broker, const struct guess *guess)
{
    const struct table_node *node;

    if (guess->id == NULL) {
        return;
    }
    if (guess->submit == NULL) {
        node = table_chain(&broker->tasks, guess->task_hash);
        if (node != NULL && table_entry(node, struct task, node)->service != NULL) {
            const struct task *task = table_entry(node, struct task, node);

            prefetch_bytes(task->flow, sizeof(struct flow));
            prefetch_bytes(task->offer, sizeof(struct offer));
            prefetch_service(task->service);
        }
    } else if (guess->service != NULL && guess->name_hash != 0) {
        uint32_t hash = flow_hash(broker, guess->service, guess->peer, guess->submit);

        prefetch_bytes(loads_least(&guess->service->loads), sizeof(struct offer));
        prefetch_bytes(table_chain(&broker->flows, hash), sizeof(struct flow));
    }
}

void broker_expect(const struct broker *broker, connection_id from,
                   const struct message *messages, size_t count)
{
    const struct peer *peer = peer_find(broker, from);
    struct guess guesses[EXPECT_MAX];

    count = count < EXPECT_MAX ? count : EXPECT_MAX;
    for (size_t i = 0; i < count; i++) {
        look_for(broker, peer, &messages[i], &guesses[i]);
    }
    for (size_t i = 0; i < count; i++) {
        look_at(broker, &guesses[i]);
    }
    for (size_t i = 0; i < count; i++) {
        look_behind(broker, &guesses[i]);
    }
}
