/* parcel: one ZeroMQ message in the making, and its way into the socket.
 *
 * A parcel collects commands for one connection (a codec_writer) until it is
 * sent. What libzmq has taken but not yet put on the wire is counted as
 * `flight`, because its high-water marks count messages and not bytes. */
#ifndef SLUICE_BROKER_SHELL_PARCEL_H
#define SLUICE_BROKER_SHELL_PARCEL_H

#include "broker/core/broker.h"
#include "common/list.h"
#include "proto/codec.h"
#include "proto/letter.h"

#include <stdatomic.h>

/* Bytes that libzmq holds for one connection. Counted down by ZeroMQ's I/O threads. */
struct flight {
    atomic_size_t bytes;
    atomic_uint references;
    atomic_size_t *total; /* of all flights; outlives the ZeroMQ context */
};

/* One reference, the caller's. NULL: no memory. */
struct flight *flight_new(atomic_size_t *total);
void flight_unref(struct flight *flight);
size_t flight_bytes(const struct flight *flight);

struct parcel {
    struct list link; /* of its outbox, or of the free ones */
    struct codec_writer writer;
    bool numbered; /* to be sent as a letter of its session */
};

struct parcel *parcel_new(void);
void parcel_free(struct parcel *parcel); /* accepts NULL */

/* Bytes in memory, attached payloads included. */
size_t parcel_bytes(const struct parcel *parcel);

enum parcel_result {
    PARCEL_SENT,  /* the parcel is empty again */
    PARCEL_AGAIN, /* no room in the socket, or no memory; nothing happened */
    PARCEL_GONE,  /* no such connection any more; nothing happened */
};

/* Sends the parcel as one message to a ROUTER with ZMQ_ROUTER_MANDATORY. Never
 * blocks, never leaves half a message behind. `flight` may be NULL for less than
 * 8 KiB without attached payloads. */
enum parcel_result parcel_send(struct parcel *parcel, void *router, struct span routing_id,
                               struct flight *flight);

/* The same with a letter, which stays as it is. */
enum parcel_result letter_send(const struct letter *letter, void *router, struct span routing_id,
                               struct flight *flight);

/* libzmq names a connection by a zero byte and four more. */
#define ROUTING_ID_BYTES 5
void routing_id_write(uint8_t bytes[ROUTING_ID_BYTES], connection_id connection);
/* False: not of that shape, so the peer has chosen it. */
bool routing_id_read(struct span bytes, connection_id *connection);

/* Empty parcels, kept with their buffers for whoever has something to say next. */
#define PARCEL_STOCK_MAX 32

struct parcel_stock {
    struct list parcels;
    size_t count;
};

void parcel_stock_init(struct parcel_stock *stock);
void parcel_stock_deinit(struct parcel_stock *stock);
/* An empty parcel, yours. NULL: no memory. */
struct parcel *parcel_stock_take(struct parcel_stock *stock);
/* Takes back an unlinked parcel; what is in it is dropped. */
void parcel_stock_give(struct parcel_stock *stock, struct parcel *parcel);

#endif
