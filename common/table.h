/* table: an intrusive hash table that never pauses.
 *
 * Linear hashing (Litwin, VLDB 1980): every insert splits at most two buckets, so
 * that ten million entries cost no rehash of ten million. There are two buckets an entry: each
 * neighbour in a chain is a cache miss more. Nodes live inside
 * the elements; the table owns only its buckets. Callers hash (with a seed, so that
 * chosen keys cannot collide) and compare. One thread. */
#ifndef SLUICE_COMMON_TABLE_H
#define SLUICE_COMMON_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table_node {
    struct table_node *next;
    uint32_t hash;
};

#define TABLE_SEGMENT_BUCKETS 4096
#define TABLE_SEGMENTS_MAX 16384 /* 32 Mi entries at two an entry */

struct table {
    struct table_node ***segments; /* directory; segments appear as the table grows */
    size_t segment_count;
    size_t bucket_count; /* in use: low + split */
    size_t low;          /* power of two */
    size_t count;
    size_t bytes; /* memory of buckets and directory */
};

/* False: no memory. */
bool table_init(struct table *table);
/* CHECKs that it is empty. */
void table_deinit(struct table *table);

/* Adds `node` under `hash`. Never fails: without memory for another
 * bucket chains get longer. The caller has made sure the key is new. */
void table_insert(struct table *table, struct table_node *node, uint32_t hash);
/* CHECKs that it is there. */
void table_remove(struct table *table, struct table_node *node);

/* First node of the chain for `hash`; walk `next`, compare hash and key. NULL: none. */
struct table_node *table_chain(const struct table *table, uint32_t hash);

/* Brings the chain's head into the cache. */
void table_prefetch(const struct table *table, uint32_t hash);

#define table_entry(node, type, member) ((type *)((char *)(node) - offsetof(type, member)))

/* A keyed hash of short keys (ids, names): multiply-fold in the manner of wyhash
 * (Wang Yi, public domain). Not cryptographic: the seed must be secret. */
uint32_t table_hash(uint64_t seed, const void *key, size_t size);

#endif
