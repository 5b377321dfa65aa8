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
    blob = malloc(BLOB_OWN_HEAD + head.size + tail.size);
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
    if (blob->inline_size == UINT32_MAX && blob->release != NULL) {
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
