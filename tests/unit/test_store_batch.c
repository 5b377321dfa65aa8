/* links: shell */
/* What queued records come to: one change for each row, and none for what is over already. */
#include "broker/shell/store_batch.h"
#include "tests/unit/store_fixture.h"

struct fixture {
    struct sample sample;
    struct store_encoder encoder;
    struct store_queue queue;
    struct store_batch batch;
    uint64_t sequence;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    store_encoder_init(&f->encoder);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    store_batch_deinit(&f->batch);
    store_queue_deinit(&f->queue);
    store_encoder_deinit(&f->encoder);
    free(f);
    return 0;
}

static void add(struct fixture *f, enum store_what what, uint64_t key)
{
    struct store_record record = record_of(&f->sample, what, key);

    record.sequence = ++f->sequence;
    assert_true(store_encode(&f->encoder, &record));
    assert_true(store_queue_add(&f->queue, &record, &f->encoder));
}

/* The change of the only key. */
static const struct store_change *only(struct fixture *f)
{
    assert_true(store_batch_make(&f->batch, &f->queue));
    assert_int_equal(f->batch.count, 1);
    return &f->batch.changes[0];
}

static void a_task_that_ended_is_one_insert(void **state)
{
    struct fixture *f = *state;
    const struct store_change *change;

    add(f, STORE_TASK, 8);
    add(f, STORE_ATTEMPT, 8);
    add(f, STORE_CHECKPOINT, 8);
    add(f, STORE_END, 8);
    change = only(f);
    assert_int_equal(change->kind, STORE_CHANGE_INSERT);
    assert_int_equal(f->batch.writes, 1);
    for (unsigned i = 0; i < STORE_PART_COUNT; i++) {
        assert_non_null(change->parts[i]);
    }
    assert_int_equal(f->queue.sequence, 4);
    assert_int_equal(f->queue.records, 4);
}

static void a_task_that_is_forgotten_is_nothing(void **state)
{
    struct fixture *f = *state;

    add(f, STORE_TASK, 8);
    add(f, STORE_END, 8);
    add(f, STORE_FORGET, 8);
    assert_int_equal(only(f)->kind, STORE_CHANGE_NOTHING);
    assert_int_equal(f->batch.writes, 0);
    assert_int_equal(f->batch.key_max, 8); /* yet its key is used */
}

static void what_came_before_is_updated_once(void **state)
{
    struct fixture *f = *state;
    const struct store_change *change;

    add(f, STORE_ATTEMPT, 3);
    add(f, STORE_CHECKPOINT, 3);
    add(f, STORE_CHECKPOINT, 3);
    change = only(f);
    assert_int_equal(change->kind, STORE_CHANGE_UPDATE);
    assert_null(change->parts[STORE_PART_TASK]);
    assert_null(change->parts[STORE_PART_OUTCOME]);
    assert_ptr_not_equal(change->parts[STORE_PART_CHECKPOINT], NULL);
    /* The last of them is the last in the queue. */
    assert_true((const uint8_t *)change->parts[STORE_PART_CHECKPOINT] >
                f->queue.data + f->queue.size / 2);
}

static void what_came_before_is_deleted_once(void **state)
{
    struct fixture *f = *state;

    add(f, STORE_ATTEMPT, 3);
    add(f, STORE_END, 3);
    add(f, STORE_FORGET, 3);
    assert_int_equal(only(f)->kind, STORE_CHANGE_DELETE);
    assert_int_equal(f->batch.writes, 1);
}

static void each_key_has_one_change(void **state)
{
    struct fixture *f = *state;

    for (unsigned round = 0; round < 3; round++) {
        for (uint64_t key = 1; key <= 5000; key++) {
            add(f, STORE_TASK, key << 20); /* keys that meet in the index */
        }
        for (uint64_t key = 1; key <= 5000; key += 2) {
            add(f, STORE_FORGET, key << 20);
        }
        assert_true(store_batch_make(&f->batch, &f->queue));
        assert_int_equal(f->batch.count, 5000);
        assert_int_equal(f->batch.writes, 2500);
        assert_int_equal(f->batch.key_max, 5000ULL << 20);
        for (uint64_t key = 1; key <= 5000; key++) {
            assert_int_equal(f->batch.changes[key - 1].key, key << 20);
        }
        store_queue_clear(&f->queue);
        assert_int_equal(f->queue.records, 0);
    }
}

/* So many keys, one after the other or far apart, go into twice as many slots: how far from where
 * it is looked for first is one found, on the average? */
static size_t mean_distance(uint64_t stride, unsigned bits)
{
    size_t slots = (size_t)1 << bits, distance = 0;
    bool *taken = calloc(slots, sizeof *taken);

    for (uint64_t i = 1; i <= slots / 2; i++) {
        size_t slot = store_slot(1000 + i * stride, bits);

        for (; taken[slot]; slot = (slot + 1) % slots) {
            distance++;
            if (distance > 1000 * slots) {
                free(taken);
                return 1000; /* it would go on for minutes */
            }
        }
        taken[slot] = true;
    }
    free(taken);
    return distance / (slots / 2);
}

static void keys_do_not_crowd(void **state)
{
    (void)state;
    for (unsigned bits = 10; bits <= 21; bits++) {
        assert_int_equal(mean_distance(1, bits), 0);
        assert_in_range(mean_distance(7, bits), 0, 2);
        assert_in_range(mean_distance(1000, bits), 0, 2);
        assert_in_range(mean_distance(1 << 20, bits), 0, 10);
    }
}

#define BATCH(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BATCH(a_task_that_ended_is_one_insert), BATCH(a_task_that_is_forgotten_is_nothing),
        BATCH(what_came_before_is_updated_once), BATCH(what_came_before_is_deleted_once),
        BATCH(each_key_has_one_change), cmocka_unit_test(keys_do_not_crowd),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
