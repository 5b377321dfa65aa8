/* blob: immutable, counted bytes: how payloads travel without being copied.
 *
 * Threads: blob_ref and blob_unref may be called from any thread (a large
 * payload is released by a ZeroMQ I/O thread once it is on the wire); the
 * bytes never change after blob_new. */
#ifndef SLUICE_COMMON_BLOB_H
#define SLUICE_COMMON_BLOB_H

#include "common/span.h"

struct blob;

/* Called once when the last reference goes; releases what `owner` stands for. */
typedef void blob_release_fn(void *owner);

/* A blob with a copy of `bytes`. One reference, the caller's. NULL: no memory. */
struct blob *blob_new(struct span bytes);

/* The same with the bytes of `head`, then those of `tail`. */
struct blob *blob_new_joined(struct span head, struct span tail);

/* A blob over bytes that live elsewhere until `release(owner)` is called.
 * NULL: no memory, and `release` is not called. */
struct blob *blob_new_foreign(struct span bytes, blob_release_fn *release, void *owner);

struct blob *blob_ref(struct blob *blob); /* returns blob; NULL gives NULL */
void blob_unref(struct blob *blob);       /* accepts NULL */

/* The bytes; they live as long as the caller's reference. NULL: empty. */
struct span blob_span(const struct blob *blob);

/* Until blob_stock_close() this thread keeps the memory of small blobs that end in it for those
 * that it makes: of up to 2 KiB, `blobs` of a size, 1 MiB at most. malloc itself does so for seven
 * of a size up to 1 KiB, and a task begins and ends some blobs. A thread closes what it has opened.
 * `blobs`: as many as are born and die between two turns of its loop; the bottom of a deeper stock
 * has left the caches when its turn comes. */
#define BLOB_STOCK_BROKER 1024
#define BLOB_STOCK_AGENT 256
void blob_stock_open(unsigned blobs);
void blob_stock_close(void);

/* Bytes of memory beyond the payload itself, for budgets. */
size_t blob_overhead(void);

#endif
