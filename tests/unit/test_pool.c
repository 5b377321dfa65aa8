/* links: core */
/* Pools: objects of one size, each its own memory, up to a number. */
#include "common/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* As many as make some small chunks and more than one large. */
#define MANY 9000

static void fill(void *object, size_t bytes, size_t number)
{
    memset(object, (int)(number % 255 + 1), bytes);
}

static bool is_filled(const uint8_t *object, size_t bytes, uint8_t with)
{
    return object[0] == with && memcmp(object, object + 1, bytes - 1) == 0;
}

/* What an object takes: lines of a cache, unless that is a quarter more than it needs. */
static size_t taken(size_t bytes)
{
    size_t lines = (bytes + 63) / 64 * 64;

    return lines <= bytes + bytes / 4 ? lines : (bytes + 15) / 16 * 16;
}

static void get_all(struct pool *pool, void **objects, size_t bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        objects[i] = pool_get(pool);
        assert_non_null(objects[i]);
        assert_int_equal((uintptr_t)objects[i] % (taken(bytes) % 64 == 0 ? 64 : 16), 0);
        assert_true(is_filled(objects[i], bytes, 0));
        fill(objects[i], bytes, i);
    }
    for (size_t i = 0; i < count; i++) { /* nobody wrote over another's */
        assert_true(is_filled(objects[i], bytes, (uint8_t)(i % 255 + 1)));
    }
}

static void use_pool(size_t bytes, size_t count)
{
    void **objects = calloc(count, sizeof(*objects));
    struct pool pool;
    uint64_t sum = 5;

    assert_non_null(objects);
    pool_init(&pool, bytes, count);
    pool_count_in(&pool, &sum);
    get_all(&pool, objects, bytes, count);
    assert_null(pool_get(&pool));
    assert_int_equal(pool.used, count);
    assert_int_equal(sum, 5 + count * taken(bytes));
    for (size_t i = 0; i < count; i += 2) {
        pool_put(&pool, objects[i]);
    }
    for (size_t i = 1; i < count; i += 2) { /* the others' stay */
        assert_true(is_filled(objects[i], bytes, (uint8_t)(i % 255 + 1)));
        pool_put(&pool, objects[i]);
    }
    assert_int_equal(sum, 5);
    get_all(&pool, objects, bytes, count); /* the same memory, as new */
    for (size_t i = 0; i < count; i++) {
        pool_put(&pool, objects[i]);
    }
    pool_deinit(&pool);
    free(objects);
}

static void small_objects_have_their_own_memory(void **state)
{
    (void)state;
    use_pool(1, 5 * MANY);
    use_pool(24, 3 * MANY);
    use_pool(80, 3 * MANY);
    use_pool(208, 3 * MANY);
}

static void objects_cross_from_small_chunks_into_large(void **state)
{
    (void)state;
    use_pool(1000, MANY);
}

static void an_object_may_be_as_large_as_a_chunk(void **state)
{
    (void)state;
    use_pool(32 * 1024, 200);  /* the largest that large chunks take */
    use_pool(32 * 1024 + 16, 40);
    use_pool(65536, 20);       /* with its chunk's head it does not fit */
    use_pool(300000, 5);
}

static void an_empty_pool_has_nothing(void **state)
{
    struct pool pool;

    (void)state;
    pool_init(&pool, 8, 0);
    assert_null(pool_get(&pool));
    pool_deinit(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_objects_have_their_own_memory),
        cmocka_unit_test(objects_cross_from_small_chunks_into_large),
        cmocka_unit_test(an_object_may_be_as_large_as_a_chunk),
        cmocka_unit_test(an_empty_pool_has_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
