/* table: an intrusive hash table that never pauses.
 *
 * Linear hashing (Litwin, VLDB 1980): of 16 inserts one splits 32 buckets, so
 * that ten million entries cost no rehash of ten million. There are two buckets an entry: each
 * neighbour in a chain is a cache miss more. Nodes live inside
 * the elements; the table owns only its buckets. Callers hash (with a seed, so that
 * chosen keys cannot collide) and compare. One thread. */
#ifndef SLUICE_COMMON_TABLE_H
#define SLUICE_COMMON_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

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

static inline uint64_t table_mix(uint64_t a, uint64_t b)
{
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Up to 8 bytes, and zeros. Reads them twice where they are not a power of two: no loop. */
static inline uint64_t table_word(const uint8_t *at, size_t size)
{
    uint64_t word = 0;
    uint32_t low, high;

    if (size >= 8) {
        memcpy(&word, at, 8);
        return word;
    }
    if (size >= 4) {
        memcpy(&low, at, 4);
        memcpy(&high, at + size - 4, 4);
        return low | (uint64_t)high << (size - 4) * 8;
    }
    return at[0] | (uint64_t)at[size / 2] << size / 2 * 8 |
           (uint64_t)at[size - 1] << (size - 1) * 8;
}

/* A keyed hash of short keys (ids, names): multiply-fold in the manner of wyhash
 * (Wang Yi, public domain). Not cryptographic: `seed` and `mask` must be secret. Who knows the mask
 * chooses keys that make a factor zero, or all ones: all of them have one hash then, whatever the
 * seed. Inline: of a key whose size is known little of it is left. */
static inline uint32_t table_hash_masked(uint64_t seed, uint64_t mask, const void *key,
                                         size_t size)
{
    const uint8_t *at = key;
    uint64_t state = seed ^ 0xa0761d6478bd642fULL;
    size_t left = size;

    while (left >= 16) {
        uint64_t a, b;

        memcpy(&a, at, 8);
        memcpy(&b, at + 8, 8);
        state = table_mix(a ^ mask, b ^ state);
        at += 16;
        left -= 16;
    }
    if (left > 0) {
        state = table_mix(table_word(at, left) ^ mask,
                          (left > 8 ? table_word(at + 8, left - 8) : 0) ^ state);
    }
    return (uint32_t)table_mix(state ^ 0x8ebc6af09c88c6e3ULL, size ^ 0x589965cc75374cc3ULL);
}

#define TABLE_MASK 0xe7037ed1a0b428dbULL

/* With a mask that is drawn from the seed. */
static inline uint32_t table_hash(uint64_t seed, const void *key, size_t size)
{
    return table_hash_masked(seed, table_mix(seed ^ TABLE_MASK, 0x2d358dccaa6c78a5ULL), key, size);
}

#endif
