#include "broker/shell/parcel.h"

#include "common/check.h"

#include <errno.h>
#include <stdlib.h>
#include <zmq.h>

/* Smaller batches are copied into the message and not counted in flight: with the
 * socket's high-water mark they cannot amount to much. */
#define BATCH_COUNTED_MIN 8192

/* ---- flight ------------------------------------------------------------ */

struct flight *flight_new(atomic_size_t *total)
{
    struct flight *flight = malloc(sizeof *flight);

    if (flight != NULL) {
        atomic_init(&flight->bytes, 0);
        atomic_init(&flight->references, 1);
        flight->total = total;
    }
    return flight;
}

void flight_unref(struct flight *flight)
{
    unsigned before;

    if (flight == NULL) {
        return;
    }
    before = atomic_fetch_sub_explicit(&flight->references, 1, memory_order_acq_rel);
    CHECK(before > 0);
    if (before == 1) {
        CHECK(atomic_load(&flight->bytes) == 0);
        free(flight);
    }
}

size_t flight_bytes(const struct flight *flight)
{
    return flight == NULL ? 0 : atomic_load_explicit(&flight->bytes, memory_order_relaxed);
}

/* Bytes on their way: a batch, which follows the struct, or a payload's blob. */
struct cargo {
    struct flight *flight;
    struct blob *blob;
    size_t size;
    uint8_t batch[];
};

/* Called by whichever thread lets go of the message last, mostly an I/O thread. */
static void cargo_free(void *data, void *hint)
{
    struct cargo *cargo = hint;

    atomic_fetch_sub_explicit(cargo->flight->total, cargo->size, memory_order_relaxed);
    atomic_fetch_sub_explicit(&cargo->flight->bytes, cargo->size, memory_order_relaxed);
    flight_unref(cargo->flight);
    blob_unref(cargo->blob);
    free(cargo);
}

/* Makes `message` of bytes that are `cargo`'s, and counts them. */
static bool cargo_load(struct cargo *cargo, zmq_msg_t *message, const uint8_t *bytes, size_t size,
                       struct flight *flight)
{
    cargo->flight = flight;
    cargo->size = size;
    /* libzmq never writes to a message that it sends. */
    if (zmq_msg_init_data(message, (void *)bytes, size, cargo_free, cargo) != 0) {
        return false;
    }
    atomic_fetch_add_explicit(&flight->references, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&flight->bytes, size, memory_order_relaxed);
    atomic_fetch_add_explicit(flight->total, size, memory_order_relaxed);
    return true;
}

static bool message_from_batch(zmq_msg_t *message, const struct codec_writer *writer,
                               struct flight *flight)
{
    struct cargo *cargo;

    if (writer->size < BATCH_COUNTED_MIN) {
        if (zmq_msg_init_size(message, writer->size) != 0) {
            return false;
        }
        memcpy(zmq_msg_data(message), writer->data, writer->size);
        return true;
    }
    cargo = malloc(sizeof *cargo + writer->size);
    if (cargo == NULL) {
        return false;
    }
    cargo->blob = NULL;
    memcpy(cargo->batch, writer->data, writer->size);
    if (!cargo_load(cargo, message, cargo->batch, writer->size, flight)) {
        free(cargo);
        return false;
    }
    return true;
}

static bool message_from_blob(zmq_msg_t *message, struct blob *blob, struct flight *flight)
{
    struct span bytes = blob_span(blob);
    struct cargo *cargo = malloc(sizeof *cargo);

    if (cargo == NULL) {
        return false;
    }
    cargo->blob = blob;
    if (!cargo_load(cargo, message, bytes.data, bytes.size, flight)) {
        free(cargo);
        return false;
    }
    blob_ref(blob);
    return true;
}

/* ---- parcel ------------------------------------------------------------ */

struct parcel *parcel_new(void)
{
    struct parcel *parcel = malloc(sizeof *parcel);

    if (parcel != NULL) {
        list_init(&parcel->link);
        parcel->numbered = false;
        codec_writer_init(&parcel->writer);
    }
    return parcel;
}

void parcel_free(struct parcel *parcel)
{
    if (parcel != NULL) {
        CHECK(list_empty(&parcel->link));
        codec_writer_deinit(&parcel->writer);
        free(parcel);
    }
}

size_t parcel_bytes(const struct parcel *parcel)
{
    return parcel->writer.size + parcel->writer.frame_bytes;
}

void routing_id_write(uint8_t bytes[ROUTING_ID_BYTES], connection_id connection)
{
    bytes[0] = 0;
    bytes[1] = (uint8_t)(connection >> 24);
    bytes[2] = (uint8_t)(connection >> 16);
    bytes[3] = (uint8_t)(connection >> 8);
    bytes[4] = (uint8_t)connection;
}

bool routing_id_read(struct span bytes, connection_id *connection)
{
    if (bytes.size != ROUTING_ID_BYTES || bytes.data[0] != 0) {
        return false;
    }
    *connection = (uint32_t)bytes.data[1] << 24 | (uint32_t)bytes.data[2] << 16 |
                  (uint32_t)bytes.data[3] << 8 | (uint32_t)bytes.data[4];
    return true;
}

/* The frames behind the routing id. False: no memory; none is left initialised. */
static bool build(const struct codec_writer *writer, struct flight *flight,
                  zmq_msg_t messages[MESSAGE_FRAMES_MAX])
{
    size_t count = 0;
    bool good = message_from_batch(&messages[count], writer, flight);

    while (good && count < writer->frame_count) {
        count++;
        good = message_from_blob(&messages[count], writer->frames[count - 1], flight);
    }
    if (!good) {
        while (count-- > 0) {
            zmq_msg_close(&messages[count]);
        }
    }
    return good;
}

/* EINTR before anything was taken is the one failure that trying again cures. */
static int send_frame(zmq_msg_t *message, void *router, int flags)
{
    int rc;

    do {
        rc = zmq_msg_send(message, router, ZMQ_DONTWAIT | flags);
    } while (rc < 0 && zmq_errno() == EINTR);
    return rc < 0 ? zmq_errno() : 0;
}

/* Sends what was built, or closes it. */
static enum parcel_result send_built(zmq_msg_t messages[MESSAGE_FRAMES_MAX], size_t count,
                                     void *router, struct span routing_id)
{
    zmq_msg_t id;
    int error;

    if (zmq_msg_init_size(&id, routing_id.size) != 0) {
        error = ENOMEM;
    } else {
        memcpy(zmq_msg_data(&id), routing_id.data, routing_id.size);
        /* This frame decides: once a ROUTER has taken the routing id it takes the
         * rest, and drops it by itself if the connection goes meanwhile. */
        error = send_frame(&id, router, ZMQ_SNDMORE);
        zmq_msg_close(&id);
    }
    for (size_t i = 0; i < count; i++) {
        if (error == 0) {
            int rest = send_frame(&messages[i], router, i + 1 < count ? ZMQ_SNDMORE : 0);

            CHECK(rest == 0);
        }
        zmq_msg_close(&messages[i]);
    }
    if (error == 0) {
        return PARCEL_SENT;
    }
    return error == EHOSTUNREACH ? PARCEL_GONE : PARCEL_AGAIN;
}

enum parcel_result parcel_send(struct parcel *parcel, void *router, struct span routing_id,
                               struct flight *flight)
{
    struct codec_writer *writer = &parcel->writer;
    zmq_msg_t messages[MESSAGE_FRAMES_MAX];
    enum parcel_result result;

    CHECK(writer->size > 0);
    CHECK(writer->frame_count < MESSAGE_FRAMES_MAX);
    CHECK(flight != NULL || parcel_bytes(parcel) < BATCH_COUNTED_MIN);
    /* Everything that can fail for want of memory comes before the first frame is sent. */
    if (!build(writer, flight, messages)) {
        return PARCEL_AGAIN;
    }
    result = send_built(messages, writer->frame_count + 1, router, routing_id);
    if (result == PARCEL_SENT) {
        codec_writer_clear(writer);
    }
    return result;
}

/* A small batch is copied once more: cheaper than to count who still has it. */
static bool message_from_kept(zmq_msg_t *message, struct blob *batch, struct flight *flight)
{
    struct span bytes = blob_span(batch);

    if (bytes.size >= BATCH_COUNTED_MIN) {
        return message_from_blob(message, batch, flight);
    }
    if (zmq_msg_init_size(message, bytes.size) != 0) {
        return false;
    }
    memcpy(zmq_msg_data(message), bytes.data, bytes.size);
    return true;
}

enum parcel_result letter_send(const struct letter *letter, void *router, struct span routing_id,
                               struct flight *flight)
{
    zmq_msg_t messages[MESSAGE_FRAMES_MAX];
    size_t count = 0;
    bool good = message_from_kept(&messages[count], letter->batch, flight);

    CHECK(letter->frame_count < MESSAGE_FRAMES_MAX);
    while (good && count < letter->frame_count) {
        count++;
        good = message_from_blob(&messages[count], letter->frames[count - 1], flight);
    }
    if (!good) {
        while (count-- > 0) {
            zmq_msg_close(&messages[count]);
        }
        return PARCEL_AGAIN;
    }
    return send_built(messages, letter->frame_count + 1, router, routing_id);
}

/* ---- stock -------------------------------------------------------------- */

void parcel_stock_init(struct parcel_stock *stock)
{
    list_init(&stock->parcels);
    stock->count = 0;
}

struct parcel *parcel_stock_take(struct parcel_stock *stock)
{
    struct list *link = list_pop_front(&stock->parcels);

    if (link == NULL) {
        return parcel_new();
    }
    stock->count--;
    return list_entry(link, struct parcel, link);
}

void parcel_stock_give(struct parcel_stock *stock, struct parcel *parcel)
{
    codec_writer_clear(&parcel->writer);
    parcel->numbered = false;
    if (stock->count == PARCEL_STOCK_MAX) {
        parcel_free(parcel);
        return;
    }
    list_push_front(&stock->parcels, &parcel->link);
    stock->count++;
}

void parcel_stock_deinit(struct parcel_stock *stock)
{
    while (!list_empty(&stock->parcels)) {
        parcel_free(list_entry(list_pop_front(&stock->parcels), struct parcel, link));
    }
    stock->count = 0;
}
