#include "common/blob.h"

#include "common/check.h"

#include <stdatomic.h>
#include <stdlib.h>

struct blob {
    atomic_uint references;
    uint32_t inline_size;     /* own blobs: bytes follow the struct */
    const uint8_t *data;      /* foreign blobs; NULL in own ones */
    size_t size;
    blob_release_fn *release; /* foreign blobs only */
    void *owner;
};

/* An own blob ends here: the foreign fields would cost it 32 bytes. */
#define BLOB_OWN_HEAD offsetof(struct blob, data)

/* ---- the stock ---- */

/* Sizes are malloc's (16 bytes apart, less what it keeps for itself), so that a blob from the stock
 * takes no more memory than another. */
#define STOCK_CLASSES 130 /* payloads of 2 KiB and a little more */
#define STOCK_BYTES (1024 * 1024) /* of all classes */

struct spare {
    struct spare *next;
};

static _Thread_local struct {
    unsigned blobs_max; /* of a class; 0: it is closed */
    struct spare *spares[STOCK_CLASSES];
    unsigned counts[STOCK_CLASSES];
    size_t bytes;
} stock;

static size_t class_of(size_t bytes)
{
    return (bytes + 7) / 16;
}

void blob_stock_open(unsigned blobs)
{
#ifdef __SANITIZE_ADDRESS__
    blobs = 0; /* it has to see what is used after it was freed */
#endif
    stock.blobs_max = blobs;
}

void blob_stock_close(void)
{
    stock.blobs_max = 0;
    for (size_t i = 0; i < STOCK_CLASSES; i++) {
        while (stock.spares[i] != NULL) {
            struct spare *spare = stock.spares[i];

            stock.spares[i] = spare->next;
            free(spare);
        }
        stock.counts[i] = 0;
    }
    stock.bytes = 0;
}

static struct blob *take_memory(size_t bytes)
{
    size_t class = class_of(bytes);
    struct spare *spare = class < STOCK_CLASSES ? stock.spares[class] : NULL;

    if (spare == NULL) {
        return malloc(class < STOCK_CLASSES ? class * 16 + 8 : bytes);
    }
    stock.spares[class] = spare->next;
    stock.counts[class]--;
    stock.bytes -= (class + 1) * 16;
    return (struct blob *)spare;
}

static void give_memory(struct blob *blob, size_t bytes)
{
    size_t class = class_of(bytes);
    struct spare *spare = (struct spare *)blob;

    if (class >= STOCK_CLASSES || stock.counts[class] >= stock.blobs_max ||
        stock.bytes + (class + 1) * 16 > STOCK_BYTES) {
        free(blob);
        return;
    }
    spare->next = stock.spares[class];
    stock.spares[class] = spare;
    stock.counts[class]++;
    stock.bytes += (class + 1) * 16;
}

/* ---- blobs ---- */

static void copy(uint8_t *to, struct span from)
{
    if (from.size > 0) {
        memcpy(to, from.data, from.size);
    }
}

struct blob *blob_new_joined(struct span head, struct span tail)
{
    struct blob *blob;

    if (head.size > UINT32_MAX - 1 || tail.size > UINT32_MAX - 1 - head.size) {
        return NULL;
    }
    blob = take_memory(BLOB_OWN_HEAD + head.size + tail.size);
    if (blob == NULL) {
        return NULL;
    }
    atomic_init(&blob->references, 1);
    blob->inline_size = (uint32_t)(head.size + tail.size);
    copy((uint8_t *)blob + BLOB_OWN_HEAD, head);
    copy((uint8_t *)blob + BLOB_OWN_HEAD + head.size, tail);
    return blob;
}

struct blob *blob_new(struct span bytes)
{
    return blob_new_joined(bytes, span_of(NULL, 0));
}

struct blob *blob_new_foreign(struct span bytes, blob_release_fn *release, void *owner)
{
    struct blob *blob = malloc(sizeof *blob);

    if (blob == NULL) {
        return NULL;
    }
    atomic_init(&blob->references, 1);
    blob->inline_size = UINT32_MAX;
    blob->data = bytes.data;
    blob->size = bytes.size;
    blob->release = release;
    blob->owner = owner;
    return blob;
}

struct blob *blob_ref(struct blob *blob)
{
    if (blob != NULL) {
        unsigned before = atomic_fetch_add_explicit(&blob->references, 1, memory_order_relaxed);
        CHECK(before > 0);
    }
    return blob;
}

void blob_unref(struct blob *blob)
{
    if (blob == NULL) {
        return;
    }
    /* The last holder needs no locked instruction: nobody else is left to race with. */
    if (atomic_load_explicit(&blob->references, memory_order_acquire) != 1) {
        unsigned before = atomic_fetch_sub_explicit(&blob->references, 1, memory_order_acq_rel);

        CHECK(before > 0);
        if (before > 1) {
            return;
        }
    }
    if (blob->inline_size != UINT32_MAX) {
        give_memory(blob, BLOB_OWN_HEAD + blob->inline_size);
        return;
    }
    if (blob->release != NULL) {
        blob->release(blob->owner);
    }
    free(blob);
}

struct span blob_span(const struct blob *blob)
{
    if (blob == NULL) {
        return span_of(NULL, 0);
    }
    if (blob->inline_size == UINT32_MAX) {
        return span_of(blob->data, blob->size);
    }
    return span_of((const uint8_t *)blob + BLOB_OWN_HEAD, blob->inline_size);
}

size_t blob_overhead(void)
{
    return BLOB_OWN_HEAD + 16; /* head, and what malloc rounds up and keeps */
}
