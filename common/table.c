#include "common/table.h"

#include "common/check.h"

#include <stdlib.h>

#define TABLE_SPLITS 32 /* at a time */

static struct table_node **bucket_at(const struct table *table, size_t index)
{
    return &table->segments[index / TABLE_SEGMENT_BUCKETS][index % TABLE_SEGMENT_BUCKETS];
}

/* Buckets below the split point have already been divided by the next bit. */
static size_t bucket_index(const struct table *table, uint32_t hash)
{
    size_t index = hash & (table->low * 2 - 1);

    return index < table->bucket_count ? index : index - table->low;
}

static bool table_add_segment(struct table *table)
{
    struct table_node **segment;

    if (table->segment_count == TABLE_SEGMENTS_MAX) {
        return false;
    }
    segment = calloc(TABLE_SEGMENT_BUCKETS, sizeof *segment);
    if (segment == NULL) {
        return false;
    }
    table->segments[table->segment_count++] = segment;
    table->bytes += TABLE_SEGMENT_BUCKETS * sizeof *segment;
    return true;
}

bool table_init(struct table *table)
{
    *table = (struct table){0};
    table->segments = calloc(TABLE_SEGMENTS_MAX, sizeof *table->segments);
    if (table->segments == NULL) {
        return false;
    }
    if (!table_add_segment(table)) {
        free(table->segments);
        table->segments = NULL;
        return false;
    }
    table->low = 64;
    table->bucket_count = 64;
    return true;
}

void table_deinit(struct table *table)
{
    CHECK(table->count == 0);
    for (size_t i = 0; i < table->segment_count; i++) {
        free(table->segments[i]);
    }
    free(table->segments);
    *table = (struct table){0};
}

/* Divides the bucket at the split point between itself and a new last one. False: no memory. */
static bool table_split(struct table *table)
{
    size_t from = table->bucket_count - table->low;
    struct table_node *node, **keep, **move;

    if (table->bucket_count == table->segment_count * TABLE_SEGMENT_BUCKETS &&
        !table_add_segment(table)) {
        return false;
    }
    keep = bucket_at(table, from);
    move = bucket_at(table, table->bucket_count);
    node = *keep;
    while (node != NULL) {
        struct table_node *next = node->next;

        if (node->hash & table->low) {
            *move = node;
            move = &node->next;
        } else {
            *keep = node;
            keep = &node->next;
        }
        node = next;
    }
    *keep = NULL;
    *move = NULL;
    table->bucket_count++;
    if (table->bucket_count == table->low * 2) {
        table->low *= 2;
    }
    return true;
}

/* Of a table of millions each node is a cache miss: those of many splits are waited for at once. */
static void table_grow(struct table *table)
{
    size_t from = table->bucket_count - table->low;
    size_t left = table->low - from; /* until all have been divided */
    size_t count = left < TABLE_SPLITS ? left : TABLE_SPLITS;

    for (size_t i = 0; i < count; i++) {
        __builtin_prefetch(*bucket_at(table, from + i), 1);
    }
    for (size_t i = 0; i < count; i++) {
        const struct table_node *node = *bucket_at(table, from + i);

        if (node != NULL) {
            __builtin_prefetch(node->next, 1);
        }
    }
    while (count > 0 && table_split(table)) {
        count--;
    }
}

void table_insert(struct table *table, struct table_node *node, uint32_t hash)
{
    struct table_node **bucket;

    if (table->count * 2 >= table->bucket_count + TABLE_SPLITS) {
        table_grow(table);
    }
    bucket = bucket_at(table, bucket_index(table, hash));
    node->hash = hash;
    node->next = *bucket;
    *bucket = node;
    table->count++;
}

void table_remove(struct table *table, struct table_node *node)
{
    struct table_node **at = bucket_at(table, bucket_index(table, node->hash));

    while (*at != NULL && *at != node) {
        at = &(*at)->next;
    }
    CHECK(*at == node);
    *at = node->next;
    node->next = NULL;
    table->count--;
}

struct table_node *table_chain(const struct table *table, uint32_t hash)
{
    return *bucket_at(table, bucket_index(table, hash));
}

void table_prefetch(const struct table *table, uint32_t hash)
{
    __builtin_prefetch(bucket_at(table, bucket_index(table, hash)), 1);
}
