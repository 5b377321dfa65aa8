#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/list.h"
#include "common/pool.h"
#include "common/table.h"

#include <stdlib.h>
#include <string.h>

struct item {
    struct table_node node;
    uint64_t key;
};

static struct item *find(const struct table *table, uint64_t key)
{
    uint32_t hash = table_hash(9, &key, sizeof key);

    for (struct table_node *node = table_chain(table, hash); node != NULL; node = node->next) {
        struct item *item = table_entry(node, struct item, node);

        if (item->key == key) {
            return item;
        }
    }
    return NULL;
}

static void everything_put_in_is_found_until_it_is_removed(void **state)
{
    const uint64_t count = 200000;
    struct item *items = calloc(count, sizeof *items);
    struct table table;

    assert_true(table_init(&table));
    for (uint64_t i = 0; i < count; i++) {
        items[i].key = i * 2;
        table_insert(&table, &items[i].node, table_hash(9, &items[i].key, sizeof items[i].key));
    }
    assert_int_equal(table.count, count);
    for (uint64_t i = 0; i < count; i++) {
        assert_ptr_equal(find(&table, i * 2), &items[i]);
        assert_null(find(&table, i * 2 + 1));
    }
    for (uint64_t i = 0; i < count; i += 2) {
        table_remove(&table, &items[i].node);
    }
    for (uint64_t i = 0; i < count; i++) {
        assert_ptr_equal(find(&table, i * 2), i % 2 == 0 ? NULL : &items[i]);
    }
    for (uint64_t i = 1; i < count; i += 2) {
        table_remove(&table, &items[i].node);
    }
    table_deinit(&table);
    free(items);
}

static void chains_stay_short(void **state)
{
    const uint64_t count = 100000;
    struct item *items = calloc(count, sizeof *items);
    struct table table;
    size_t longest = 0;

    assert_true(table_init(&table));
    for (uint64_t i = 0; i < count; i++) {
        items[i].key = i;
        table_insert(&table, &items[i].node, table_hash(9, &items[i].key, sizeof items[i].key));
    }
    for (uint64_t i = 0; i < count; i++) {
        size_t length = 0;

        for (struct table_node *node = table_chain(&table, items[i].node.hash); node;
             node = node->next) {
            length++;
        }
        longest = length > longest ? length : longest;
    }
    assert_true(longest < 16);
    for (uint64_t i = 0; i < count; i++) {
        table_remove(&table, &items[i].node);
    }
    table_deinit(&table);
    free(items);
}

static void the_seed_changes_every_hash(void **state)
{
    unsigned same = 0;

    for (uint64_t key = 0; key < 1000; key++) {
        same += table_hash(1, &key, sizeof key) == table_hash(2, &key, sizeof key);
    }
    assert_true(same < 3);
    assert_int_not_equal(table_hash(1, "a", 1), table_hash(1, "a\0", 2));
}

/* Of 4,096 keys that begin alike, about as many have a hash's low bits to themselves as of others. */
static void expect_spread(uint64_t seed, uint64_t begin, bool ends)
{
    static bool used[4096];
    unsigned count = 0;

    memset(used, 0, sizeof used);
    for (uint64_t i = 0; i < 4096; i++) {
        uint64_t key[2] = {ends ? i : begin, ends ? begin : i};
        uint32_t slot = table_hash(seed, key, sizeof key) % 4096;

        count += !used[slot];
        used[slot] = true;
    }
    assert_true(count > 2300); /* by chance: 4,096 * (1 - 1/e), which is 2,589 */
}

/* A factor that is zero or all ones makes all products alike, and its other factor nothing. */
static void nobody_who_knows_the_source_knows_ids_of_one_hash(void **state)
{
    const uint64_t known[] = {TABLE_MASK, 0xa0761d6478bd642f, 0x2d358dccaa6c78a5,
                              0x8ebc6af09c88c6e3, 0x589965cc75374cc3, 0};

    for (uint64_t n = 1; n <= 10; n++) {
        uint64_t seed = n * 0x9e3779b97f4a7c15; /* drawn, as a broker's is: not a small one */

        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
            expect_spread(seed, known[i], false);
            expect_spread(seed, ~known[i], false);
            expect_spread(seed, known[i], true);
            expect_spread(seed, ~known[i], true);
        }
    }
}

static void a_pool_is_bounded_and_zeroes_what_it_gives(void **state)
{
    struct pool pool;
    uint8_t *objects[100];

    pool_init(&pool, 40, 100);
    for (unsigned i = 0; i < 100; i++) {
        objects[i] = pool_get(&pool);
        assert_non_null(objects[i]);
        assert_int_equal(objects[i][39], 0);
        memset(objects[i], 0xff, 40);
    }
    assert_null(pool_get(&pool));
    pool_put(&pool, objects[7]);
    objects[7] = pool_get(&pool);
    assert_non_null(objects[7]);
    for (unsigned i = 0; i < 40; i++) {
        assert_int_equal(objects[7][i], 0);
    }
    for (unsigned i = 0; i < 100; i++) {
        pool_put(&pool, objects[i]);
    }
    pool_deinit(&pool);
}

static void objects_larger_than_a_chunk_work(void **state)
{
    struct pool pool;
    void *object;

    pool_init(&pool, 200000, 2);
    object = pool_get(&pool);
    assert_non_null(object);
    memset(object, 1, 200000);
    pool_put(&pool, object);
    pool_deinit(&pool);
}

static void lists_keep_order_and_append(void **state)
{
    struct list a, b, links[4];

    list_init(&a);
    list_init(&b);
    for (unsigned i = 0; i < 4; i++) {
        list_init(&links[i]);
    }
    list_push_back(&a, &links[1]);
    list_push_front(&a, &links[0]);
    list_push_back(&b, &links[2]);
    list_push_back(&b, &links[3]);
    list_append(&a, &b);
    assert_true(list_empty(&b));
    assert_ptr_equal(list_last(&a), &links[3]);
    for (unsigned i = 0; i < 4; i++) {
        assert_ptr_equal(list_pop_front(&a), &links[i]);
        assert_true(list_empty(&links[i]));
    }
    assert_null(list_pop_front(&a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_put_in_is_found_until_it_is_removed),
        cmocka_unit_test(chains_stay_short),
        cmocka_unit_test(the_seed_changes_every_hash),
        cmocka_unit_test(nobody_who_knows_the_source_knows_ids_of_one_hash),
        cmocka_unit_test(a_pool_is_bounded_and_zeroes_what_it_gives),
        cmocka_unit_test(objects_larger_than_a_chunk_work),
        cmocka_unit_test(lists_keep_order_and_append),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
