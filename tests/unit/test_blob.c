/* links: codec */
/* Blobs: counted, released once, from any thread. */
#include "common/blob.h"

#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void count_release(void *owner)
{
    ++*(int *)owner;
}

static void bytes_are_copied(void **state)
{
    char bytes[] = "payload";
    struct blob *blob = blob_new(span_of(bytes, 7));

    assert_non_null(blob);
    bytes[0] = 'P';
    assert_true(span_is(blob_span(blob), "payload"));
    assert_ptr_equal(blob_ref(blob), blob);
    blob_unref(blob);
    assert_true(span_is(blob_span(blob), "payload"));
    blob_unref(blob);
}

static void empty_blobs_are_blobs(void **state)
{
    struct blob *blob = blob_new(span_of(NULL, 0));

    assert_non_null(blob);
    assert_int_equal(blob_span(blob).size, 0);
    blob_unref(blob);
}

static void null_is_the_empty_blob(void **state)
{
    assert_int_equal(blob_span(NULL).size, 0);
    assert_null(blob_ref(NULL));
    blob_unref(NULL);
}

static void foreign_bytes_stay_where_they_are(void **state)
{
    static const char bytes[] = "elsewhere";
    int released = 0;
    struct blob *blob = blob_new_foreign(span_of(bytes, 9), count_release, &released);

    assert_ptr_equal(blob_span(blob).data, bytes);
    assert_int_equal(blob_span(blob).size, 9);
    blob_ref(blob);
    blob_unref(blob);
    assert_int_equal(released, 0);
    blob_unref(blob);
    assert_int_equal(released, 1);
}

static void foreign_bytes_may_need_no_release(void **state)
{
    struct blob *blob = blob_new_foreign(span_of("static", 6), NULL, NULL);

    assert_true(span_is(blob_span(blob), "static"));
    blob_unref(blob);
}

#define REFERENCES 10000

static void *drop_references(void *blob)
{
    for (int i = 0; i < REFERENCES; i++) {
        blob_unref(blob_ref(blob));
        blob_unref(blob);
    }
    return NULL;
}

static void threads_release_once(void **state)
{
    int released = 0;
    struct blob *blob = blob_new_foreign(span_of("shared", 6), count_release, &released);
    pthread_t threads[4];

    for (int i = 0; i < 4 * REFERENCES; i++) {
        blob_ref(blob);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, drop_references, blob), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(released, 0);
    blob_unref(blob);
    assert_int_equal(released, 1);
}

/* More of each size than a stock keeps; the sizes on both sides of the largest that it takes. */
#define SIZES 2200
#define SIZES_STEP 37
#define OF_A_SIZE 300

static void make_and_end_all(uint8_t first)
{
    static struct blob *blobs[SIZES / SIZES_STEP + 1][OF_A_SIZE];
    uint8_t bytes[SIZES];

    for (size_t size = 0; size < SIZES; size += SIZES_STEP) {
        for (size_t i = 0; i < OF_A_SIZE; i++) {
            memset(bytes, (uint8_t)(first + size + i), size);
            blobs[size / SIZES_STEP][i] = blob_new(span_of(bytes, size));
            assert_non_null(blobs[size / SIZES_STEP][i]);
        }
    }
    for (size_t size = 0; size < SIZES; size += SIZES_STEP) {
        for (size_t i = 0; i < OF_A_SIZE; i++) {
            struct span span = blob_span(blobs[size / SIZES_STEP][i]);

            assert_int_equal(span.size, size);
            for (size_t at = 0; at < size; at++) {
                assert_int_equal(span.data[at], (uint8_t)(first + size + i));
            }
            blob_unref(blobs[size / SIZES_STEP][i]);
        }
    }
}

static void what_a_stock_gives_is_as_good_as_new(void **state)
{
    (void)state;
    blob_stock_open(BLOB_STOCK_AGENT);
    make_and_end_all(1);
    make_and_end_all(77);
    blob_stock_close();
    make_and_end_all(3);
}

static void *make_blob(void *arg)
{
    (void)arg;
    return blob_new(span_of("of another thread", 17));
}

static void *end_blob(void *blob)
{
    blob_unref(blob);
    return NULL;
}

/* A payload is made by one thread and may end in another, with a stock of its own or without. */
static void a_stock_is_of_its_thread(void **state)
{
    pthread_t thread;
    void *theirs;
    struct blob *ours;

    (void)state;
    blob_stock_open(BLOB_STOCK_AGENT);
    ours = blob_new(span_of("of this thread", 14));
    assert_int_equal(pthread_create(&thread, NULL, make_blob, NULL), 0);
    assert_int_equal(pthread_join(thread, &theirs), 0);
    assert_int_equal(pthread_create(&thread, NULL, end_blob, ours), 0);
    assert_true(span_is(blob_span(theirs), "of another thread"));
    blob_unref(theirs);
    assert_int_equal(pthread_join(thread, NULL), 0);
    blob_stock_close();
}

#ifndef __SANITIZE_ADDRESS__ /* there is no stock then */
static void a_stock_is_used(void **state)
{
    struct blob *blob, *next;

    (void)state;
    blob_stock_open(BLOB_STOCK_AGENT);
    blob = blob_new(span_of("some bytes", 10));
    blob_unref(blob);
    next = blob_new(span_of("other byte", 10));
    assert_ptr_equal(next, blob);
    blob_unref(next);
    blob_stock_close();
}

#define MALLOCS_OWN (16 * 1024) /* what that moves by */

/* Whatever sizes there were, it keeps 1 MiB at most. */
static void a_stock_is_bounded(void **state)
{
    size_t before;

    (void)state;
    make_and_end_all(1); /* malloc has its own few of each size then, which it counts as in use */
    before = mallinfo2().uordblks;
    blob_stock_open(BLOB_STOCK_AGENT);
    make_and_end_all(1);
    assert_in_range(mallinfo2().uordblks - before, 512 * 1024, 1024 * 1024 + MALLOCS_OWN);
    blob_stock_close();
    assert_in_range(mallinfo2().uordblks, before - MALLOCS_OWN, before + MALLOCS_OWN);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_copied),
        cmocka_unit_test(empty_blobs_are_blobs),
        cmocka_unit_test(null_is_the_empty_blob),
        cmocka_unit_test(foreign_bytes_stay_where_they_are),
        cmocka_unit_test(foreign_bytes_may_need_no_release),
        cmocka_unit_test(threads_release_once),
        cmocka_unit_test(what_a_stock_gives_is_as_good_as_new),
        cmocka_unit_test(a_stock_is_of_its_thread),
#ifndef __SANITIZE_ADDRESS__
        cmocka_unit_test(a_stock_is_used),
        cmocka_unit_test(a_stock_is_bounded),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
