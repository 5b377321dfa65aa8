/* links: codec */
/* Blobs: counted, released once, from any thread. */
#include "common/blob.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_copied),
        cmocka_unit_test(empty_blobs_are_blobs),
        cmocka_unit_test(null_is_the_empty_blob),
        cmocka_unit_test(foreign_bytes_stay_where_they_are),
        cmocka_unit_test(foreign_bytes_may_need_no_release),
        cmocka_unit_test(threads_release_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
