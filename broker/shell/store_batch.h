/* store_batch: records on their way to the disk, and what is left to do for them.
 *
 * A queue is one growing buffer of entries, each a part of a row (store_row.h) or that the row is
 * forgotten. The broker's thread appends to one queue while the store's works through another.
 *
 * A batch is what a whole queue comes to: one change for each key. A row that is made and forgotten
 * in one queue needs no disk at all; of a part that changes twice, the last one counts.
 *
 * One thread at a time. */
#ifndef SLUICE_BROKER_SHELL_STORE_BATCH_H
#define SLUICE_BROKER_SHELL_STORE_BATCH_H

#include "broker/shell/store_row.h"

/* Followed by the bytes of its part, and some to make the next entry aligned. */
struct store_entry {
    uint64_t key;
    struct blob *large; /* a reference; NULL: none */
    uint32_t size;      /* of the part */
    uint16_t what;      /* enum store_what */
    uint16_t part;      /* enum store_part; of STORE_FORGET it means nothing */
};

struct store_queue {
    uint8_t *data; /* entries */
    size_t size, capacity;
    size_t entries;
    size_t large_bytes;
    uint64_t records;
    uint64_t sequence; /* of the last record */
};

/* Zeroed is empty. */
void store_queue_deinit(struct store_queue *queue);
/* Empty again; keeps its memory, unless that is a lot. */
void store_queue_clear(struct store_queue *queue);
/* Appends the record, which `encoder` has encoded. False: no memory, nothing changed. */
bool store_queue_add(struct store_queue *queue, const struct store_record *record,
                     const struct store_encoder *encoder);

enum store_change_kind {
    STORE_CHANGE_NOTHING,
    STORE_CHANGE_INSERT,
    STORE_CHANGE_UPDATE,
    STORE_CHANGE_DELETE,
};

struct store_change {
    uint64_t key;
    enum store_change_kind kind;
    struct store_entry *parts[STORE_PART_COUNT]; /* NULL: as it was; its default, in an insert */
};

/* Where to look for `key` first among 2^bits slots. Keys mostly come one by one, and then no two
 * meet: Fibonacci hashing, Knuth, The Art of Computer Programming, vol. 3, 6.4. */
static inline size_t store_slot(uint64_t key, unsigned bits)
{
    return (size_t)((key * 0x9e3779b97f4a7c15) >> (64 - bits));
}

struct store_batch {
    struct store_change *changes; /* in the order of their first entries */
    size_t count, capacity;
    size_t writes;    /* of these are not NOTHING */
    uint64_t key_max; /* of all entries */
    uint32_t *index;  /* open addressing; change + 1, 0: free */
    size_t index_capacity;
};

/* Zeroed is empty. */
void store_batch_deinit(struct store_batch *batch);
/* What `queue` comes to, its parts sealed. The batch borrows from the queue. False: no memory. */
bool store_batch_make(struct store_batch *batch, struct store_queue *queue);

/* The bytes of an entry's part. */
struct span store_entry_part(const struct store_entry *entry);

#endif
