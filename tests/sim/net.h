/* net: links as libzmq makes them, not as TCP does.
 *
 * A link is one connection between a node (a process) and the broker. In each direction
 * messages stay whole and in order. A cut loses any suffix of what is under way, each way;
 * nobody is told, but the broker's next send may say EHOSTUNREACH, unless the link is half open.
 * What was under way before the cut may still arrive after the node is back on a
 * new link. A new link has a new number at the broker, and begins with a probe. */
#ifndef SLUICE_TESTS_SIM_NET_H
#define SLUICE_TESTS_SIM_NET_H

#include "common/list.h"
#include "proto/codec.h"
#include "tests/sim/agenda.h"
#include "tests/sim/options.h"
#include "tests/sim/random.h"

struct world;
struct node;

struct packet {
    uint8_t *data;
    size_t size;
    struct blob *frames[MESSAGE_FRAMES_MAX - 1];
    size_t frame_count;
};

enum direction { UP, DOWN }; /* to the broker, to the node */
enum sent { SENT_OK, SENT_AGAIN, SENT_UNREACHABLE };

struct link {
    struct list all;          /* net->links */
    struct net *net;
    struct node *node;        /* NULL: the process is gone */
    uint32_t connection;
    bool node_up;             /* the node's socket takes messages for it */
    bool broker_up;           /* the broker's socket does */
    bool black_hole;          /* one side has not noticed the cut: sends vanish */
    uint64_t next[2];         /* number of the next message, each way */
    uint64_t lost_from[2];    /* messages from this number on never arrive */
    uint64_t busy_until_us[2];
    uint64_t in_flight[2];
    void *outbox;             /* the broker's, NULL: none */
    bool honest;              /* as its node */
};

struct node {
    struct net *net;
    struct link *link;        /* NULL: between links */
    bool paused;
    bool late;                /* what it gets is of a connection that is gone */
    bool gone;                /* its process has ended: nothing arrives */
    bool honest;              /* numbers its messages rightly, if at all */
    struct list backlog;      /* arrived while paused */
    uint64_t generation;      /* of connection attempts */
    uint64_t quick_us;        /* not 0: after the next cut it is back so soon */
    void *context;
    void (*receive)(void *context, const struct packet *packet);
    void (*linked)(void *context); /* a link is up: what waits can be sent */
};

struct net {
    struct agenda *agenda;
    const struct sim_options *options;
    struct random random;
    struct list links;
    uint32_t next_connection;
    bool broker_alive;
    bool calm;                /* no more faults */
    void *broker;
    void (*broker_receive)(void *broker, struct link *link, const struct packet *packet);
    uint64_t cuts, messages;
};

void net_init(struct net *net, struct agenda *agenda, const struct sim_options *options);
void net_deinit(struct net *net);

void node_init(struct node *node, struct net *net);
/* The process ends: its link breaks, what it had sent may still arrive. */
void node_end(struct node *node);
/* Connects as soon as it can; the first message is the probe. */
void node_connect(struct node *node, uint64_t after_us);
/* Closes the link itself, and connects anew. */
void node_reconnect(struct node *node);
void node_pause(struct node *node, bool paused);

/* Sends a copy of `packet`. */
enum sent node_send(struct node *node, const struct packet *packet);
enum sent link_send_down(struct link *link, const struct packet *packet);

/* A fault strikes the link. */
void link_cut(struct link *link);
/* The same, but both sides notice, and the node is back after `back_us`. */
void link_blip(struct link *link, uint64_t back_us);
/* The broker's process is gone, or back. */
void net_broker_died(struct net *net);

#endif
