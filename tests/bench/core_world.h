/* core_world: a broker's core and its peers in one thread, joined by batches of commands where
 * sockets would be.
 *
 * What a peer says is encoded into batches as a runtime does it; the broker's side decodes them,
 * reads ahead and steps as broker/shell/server.c does, and encodes what the core has to say. A
 * payload too large for a batch is handed over by reference, as ZeroMQ does within a process.
 * The clock is the world's: it moves with each turn, so that nothing depends on the machine.
 *
 * Whatever goes wrong that is no outcome of a task (no memory, a command that cannot be read)
 * ends the program with a message. One thread. */
#ifndef SLUICE_TESTS_BENCH_CORE_WORLD_H
#define SLUICE_TESTS_BENCH_CORE_WORLD_H

#include "broker/core/broker.h"
#include "proto/codec.h"

#define WORLD_SUBMITTER 0
#define WORLD_WORKER 1 /* the first */
#define WORLD_WORKERS 2
#define WORLD_PEERS (WORLD_WORKER + WORLD_WORKERS)

/* Turns of the broker in a millisecond: with 100 tasks a turn, a million tasks a second. */
#define WORLD_TURNS_PER_MS 10

/* What one side has said to the other and the other has not read yet. */
struct world_link {
    struct codec_writer *batches; /* a batch that is full is followed by another one */
    size_t used, made;
};

struct world_peer {
    connection_id connection;
    struct world_link up, down; /* to the broker, and from it */
};

struct world {
    struct broker *broker;
    struct world_peer peers[WORLD_PEERS];
    uint64_t now_ms, turns;
    /* Of the broker's side, since whoever reads them has set them to 0. */
    uint64_t steps;
    uint64_t heap_calls;
    double cpu_s;
};

/* A broker with a random `seed` for its hashes, whose peers have said HELLO. */
void world_init(struct world *world, uint64_t seed);
void world_deinit(struct world *world);

/* Encodes `message` from `peer`: the broker hears of it in its next turn. */
void world_say(struct world *world, size_t peer, const struct message *message);

/* The broker reads all that was said to it and answers; some time passes. */
void world_turn(struct world *world);

/* Decodes what the broker has said to `peer`. The listener may world_say. */
void world_hear(struct world *world, size_t peer,
                void (*listener)(void *context, const struct message *message), void *context);

/* What world_turn measures. A function that callgrind finds by its name: make bench-guard. */
void measured_broker(struct world *world);

/* Ends the program with exit code 1. */
_Noreturn void world_fail(const char *what);

#endif
