#include "tests/sim/net.h"

#include "common/check.h"
#include "tests/sim/sometimes.h"

#include <stdlib.h>

#define BLACK_HOLE_US 20000000 /* until the kernel gives up: ZMQ_TCP_MAXRT and keepalive */
#define NEVER UINT64_MAX

/* A message on its way. */
struct flight {
    struct list link;
    struct link *over;
    enum direction direction;
    uint64_t number;
    struct packet packet;
};

void net_init(struct net *net, struct agenda *agenda, const struct sim_options *options)
{
    *net = (struct net){.agenda = agenda, .options = options, .next_connection = 1};
    random_init(&net->random, options->seed, "network", 0);
    list_init(&net->links);
}

static void flight_free(struct flight *flight)
{
    for (size_t i = 0; i < flight->packet.frame_count; i++) {
        blob_unref(flight->packet.frames[i]);
    }
    free(flight->packet.data);
    free(flight);
}

static void node_read(struct node *node, struct flight *flight)
{
    if (!node->gone) {
        node->late = flight->over != node->link;
        node->receive(node->context, &flight->packet);
    }
}

/* The message has crossed, or was lost on the way. */
static void arrive(void *context, uint64_t number)
{
    struct flight *flight = context;
    struct link *link = flight->over;
    enum direction direction = flight->direction;
    bool lost = number >= link->lost_from[direction];

    if (!lost && direction == DOWN && link->node != NULL && link->node->paused) {
        list_push_back(&link->node->backlog, &flight->link);
        return;
    }
    link->in_flight[direction]--;
    if (!lost && direction == UP && link->net->broker_alive) {
        link->net->broker_receive(link->net->broker, link, &flight->packet);
    } else if (!lost && direction == DOWN && link->node != NULL) {
        node_read(link->node, flight);
    }
    flight_free(flight);
}

static void launch(struct link *link, enum direction direction, const struct packet *packet)
{
    struct net *net = link->net;
    struct flight *flight = calloc(1, sizeof *flight);
    uint64_t at_us = net->agenda->now_us + 1 + random_wait(&net->random, net->options->latency_us);

    CHECK(flight != NULL);
    list_init(&flight->link);
    flight->over = link;
    flight->direction = direction;
    flight->number = link->next[direction]++;
    flight->packet = *packet;
    flight->packet.data = malloc(packet->size + 1);
    CHECK(flight->packet.data != NULL);
    if (packet->size > 0) {
        memcpy(flight->packet.data, packet->data, packet->size);
    }
    for (size_t i = 0; i < packet->frame_count; i++) {
        blob_ref(packet->frames[i]);
    }
    if (at_us < link->busy_until_us[direction]) {
        at_us = link->busy_until_us[direction]; /* never overtakes */
    }
    link->busy_until_us[direction] = at_us;
    link->in_flight[direction]++;
    net->messages++;
    agenda_enter(net->agenda, at_us, arrive, flight, flight->number);
}

static enum sent link_send(struct link *link, enum direction direction,
                           const struct packet *packet)
{
    if (link->in_flight[direction] >= link->net->options->pipe_messages) {
        sometimes(SOMETIMES_PIPE_FULL);
        return SENT_AGAIN;
    }
    if (link->black_hole) {
        sometimes(SOMETIMES_SENT_INTO_VOID);
        return SENT_OK; /* the kernel takes it; nobody gets it */
    }
    launch(link, direction, packet);
    return SENT_OK;
}

enum sent link_send_down(struct link *link, const struct packet *packet)
{
    return link->broker_up ? link_send(link, DOWN, packet) : SENT_UNREACHABLE;
}

enum sent node_send(struct node *node, const struct packet *packet)
{
    if (node->link == NULL || !node->link->node_up) {
        return SENT_AGAIN; /* ZMQ_IMMEDIATE: nothing is queued for a broker that is not there */
    }
    return link_send(node->link, UP, packet);
}

/* ---- connecting ------------------------------------------------------------- */

static void connect_now(void *context, uint64_t generation)
{
    static const struct packet probe;
    struct node *node = context;
    struct net *net = node->net;
    struct link *link;

    if (node->gone || node->link != NULL || node->generation != generation) {
        return;
    }
    if (!net->broker_alive) {
        node_connect(node, 1000 * (1 + random_wait(&net->random, net->options->reconnect_ms)));
        return;
    }
    link = calloc(1, sizeof *link);
    CHECK(link != NULL);
    list_init(&link->all);
    list_push_back(&net->links, &link->all);
    link->net = net;
    link->node = node;
    link->connection = net->next_connection++;
    link->node_up = link->broker_up = true;
    link->honest = node->honest;
    link->lost_from[UP] = link->lost_from[DOWN] = NEVER;
    node->link = link;
    launch(link, UP, &probe);
    node->linked(node->context);
}

void node_connect(struct node *node, uint64_t after_us)
{
    node->generation++;
    agenda_enter(node->net->agenda, node->net->agenda->now_us + after_us, connect_now, node,
                 node->generation);
}

void node_init(struct node *node, struct net *net)
{
    *node = (struct node){.net = net};
    list_init(&node->backlog);
}

/* Whatever is under way loses a suffix. */
static void lose_suffix(struct link *link, enum direction direction)
{
    uint64_t first = link->next[direction] - link->in_flight[direction];
    uint64_t from = first + random_below(&link->net->random, link->in_flight[direction] + 1);

    if (from < link->lost_from[direction]) {
        link->lost_from[direction] = from;
    }
    if (from < link->next[direction]) {
        sometimes(SOMETIMES_MESSAGE_LOST);
    }
}

static void notice_broker(void *context, uint64_t argument)
{
    struct link *link = context;

    link->broker_up = false;
}

static void notice_node(void *context, uint64_t argument)
{
    struct link *link = context;
    struct node *node = link->node;

    link->node_up = false;
    if (node != NULL && node->link == link) {
        uint64_t back_us = node->quick_us;

        node->link = NULL;
        node->quick_us = 0;
        node_connect(node, back_us > 0 ? back_us
                                       : 1000 * (1 + random_wait(&link->net->random,
                                                                 link->net->options->reconnect_ms)));
    }
}

void link_cut(struct link *link)
{
    struct net *net = link->net;
    bool half_open = random_chance(&net->random, net->options->half_open);
    bool node_blind = half_open && random_chance(&net->random, 500);
    uint64_t delay_us = random_wait(&net->random, net->options->latency_us);
    uint64_t now_us = net->agenda->now_us;

    if (!link->node_up || !link->broker_up || link->black_hole) {
        return;
    }
    net->cuts++;
    link->black_hole = true;
    lose_suffix(link, UP);
    lose_suffix(link, DOWN);
    if (half_open) {
        sometimes(SOMETIMES_HALF_OPEN);
    }
    agenda_enter(net->agenda, now_us + (half_open && !node_blind ? BLACK_HOLE_US : delay_us),
                 notice_broker, link, 0);
    agenda_enter(net->agenda, now_us + (node_blind ? BLACK_HOLE_US : delay_us), notice_node,
                 link, 0);
}

void link_blip(struct link *link, uint64_t back_us)
{
    struct net *net = link->net;
    uint64_t now_us = net->agenda->now_us;

    if (!link->node_up || !link->broker_up || link->black_hole || link->node == NULL) {
        return;
    }
    net->cuts++;
    link->black_hole = true;
    lose_suffix(link, UP);
    lose_suffix(link, DOWN);
    link->node->quick_us = back_us;
    agenda_enter(net->agenda, now_us + random_wait(&net->random, net->options->latency_us),
                 notice_broker, link, 0);
    agenda_enter(net->agenda, now_us + random_wait(&net->random, net->options->latency_us),
                 notice_node, link, 0);
}

void node_reconnect(struct node *node)
{
    struct link *link = node->link;

    if (link == NULL) {
        return;
    }
    link->black_hole = true;
    lose_suffix(link, UP);
    link->lost_from[DOWN] = 0;
    agenda_enter(node->net->agenda,
                 node->net->agenda->now_us + random_wait(&node->net->random,
                                                         node->net->options->latency_us),
                 notice_broker, link, 0);
    notice_node(link, 0);
}

static void drop_backlog(struct node *node)
{
    struct list *at;

    while ((at = list_pop_front(&node->backlog)) != NULL) {
        struct flight *flight = list_entry(at, struct flight, link);

        flight->over->in_flight[DOWN]--;
        flight_free(flight);
    }
}

void node_end(struct node *node)
{
    struct link *link = node->link;

    node->gone = true;
    drop_backlog(node);
    list_each(at, &node->net->links) {
        struct link *old = list_entry(at, struct link, all);

        if (old->node == node) {
            old->node = NULL;
        }
    }
    if (link == NULL) {
        return;
    }
    node->link = NULL;
    link->node_up = false;
    link->lost_from[DOWN] = 0;
    lose_suffix(link, UP);
    agenda_enter(node->net->agenda,
                 node->net->agenda->now_us + random_wait(&node->net->random,
                                                         node->net->options->latency_us),
                 notice_broker, link, 0);
}

void node_pause(struct node *node, bool paused)
{
    struct list *at;

    node->paused = paused;
    while (!node->paused && !node->gone && (at = list_pop_front(&node->backlog)) != NULL) {
        struct flight *flight = list_entry(at, struct flight, link);

        flight->over->in_flight[DOWN]--;
        node_read(node, flight);
        flight_free(flight);
    }
}

void net_broker_died(struct net *net)
{
    net->broker_alive = false;
    list_each(at, &net->links) {
        struct link *link = list_entry(at, struct link, all);

        link->outbox = NULL;
        link->broker_up = false;
        link->lost_from[UP] = 0;
        if (link->node_up) {
            lose_suffix(link, DOWN);
            link->black_hole = true;
            agenda_enter(net->agenda,
                         net->agenda->now_us + random_wait(&net->random, net->options->latency_us),
                         notice_node, link, 0);
        }
    }
}

void net_deinit(struct net *net)
{
    struct list *at;

    /* What is still under way is on the agenda alone. */
    for (size_t i = 0; i < net->agenda->count; i++) {
        if (net->agenda->heap[i].fn == arrive) {
            flight_free(net->agenda->heap[i].context);
        }
    }
    net->agenda->count = 0;
    while ((at = list_pop_front(&net->links)) != NULL) {
        free(list_entry(at, struct link, all));
    }
}
