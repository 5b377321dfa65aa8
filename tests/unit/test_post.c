/* links: shell */
/* Output on its way: one message a flush, nothing lost while a peer is slow,
 * nothing kept for one that is too slow, and every byte given back. */
#include "tests/unit/post_fixture.h"

#define KIB 1024

/* Sockets that hold one message each, so that a reader who does not read is noticed at once. */
static int setup(void **state)
{
    return post_setup(state, 1);
}

static void write_welcome(struct fixture *f, connection_id to)
{
    post_write(f->post, to,
               &(struct message){.command = COMMAND_WELCOME, .welcome = {.version = 1}});
}

static void write_pong(struct fixture *f, connection_id to, uint64_t nonce)
{
    post_write(f->post, to, &(struct message){.command = COMMAND_PONG, .pong = {.nonce = nonce}});
}

static void write_task(struct fixture *f, connection_id to, uint64_t attempt, struct blob *blob)
{
    post_write(f->post, to,
               &(struct message){.command = COMMAND_TASK,
                                 .task = {.id = {{1}},
                                          .attempt = attempt,
                                          .service = span_from_text("s"),
                                          .payload = {blob_span(blob), blob}}});
}

static void write_progress(struct fixture *f, connection_id to)
{
    static const uint8_t bytes[PAYLOAD_INLINE_MAX];

    post_write(f->post, to,
               &(struct message){.command = COMMAND_PROGRESS_OUT,
                                 .progress = {.id = {{1}},
                                              .attempt = 1,
                                              .payload = {span_of(bytes, sizeof bytes), NULL}}});
}

/* Flushes as the loop would, a little later each time. */
static void flush(struct fixture *f)
{
    f->now_ms += 100;
    post_flush(f->post, f->now_ms);
}

/* As the loop does while output pends: waits a little, tries again. */
static void flush_until_readable(struct fixture *f, void *dealer)
{
    zmq_pollitem_t item = {.socket = dealer, .events = ZMQ_POLLIN};
    int tries = 0;

    do {
        assert_true(tries++ < PATIENCE_MS);
        flush(f);
    } while (zmq_poll(&item, 1, 1) == 0);
}

/* Reads one message, adds its commands' numbers (nonces, attempts) to `numbers`. */
static size_t read_message(void *dealer, uint64_t *numbers, size_t count, size_t max)
{
    zmq_msg_t frames[MESSAGE_FRAMES_MAX];
    struct blob *blobs[MESSAGE_FRAMES_MAX - 1];
    struct codec_reader reader;
    struct codec_error error;
    struct message message;
    size_t frame_count = 0;

    do {
        assert_true(frame_count < MESSAGE_FRAMES_MAX);
        zmq_msg_init(&frames[frame_count]);
        assert_true(zmq_msg_recv(&frames[frame_count], dealer, 0) >= 0);
    } while (zmq_msg_more(&frames[frame_count++]));
    for (size_t i = 1; i < frame_count; i++) {
        blobs[i - 1] = blob_new(span_of(zmq_msg_data(&frames[i]), zmq_msg_size(&frames[i])));
    }
    codec_reader_init(&reader, span_of(zmq_msg_data(&frames[0]), zmq_msg_size(&frames[0])), blobs,
                      frame_count - 1);
    while (codec_read(&reader, CODEC_AT_PEER, &message, &error) == CODEC_OK) {
        assert_true(count < max);
        numbers[count++] = message.command == COMMAND_PONG   ? message.pong.nonce
                           : message.command == COMMAND_TASK ? message.task.attempt
                                                             : 0;
    }
    for (size_t i = 0; i < frame_count; i++) {
        if (i > 0) {
            blob_unref(blobs[i - 1]);
        }
        zmq_msg_close(&frames[i]);
    }
    return count;
}

static void everything_since_a_flush_is_one_message(void **state)
{
    struct fixture *f = *state;
    uint64_t numbers[8];

    write_pong(f, f->connections[0], 1);
    write_pong(f, f->connections[1], 10);
    write_pong(f, f->connections[0], 2);
    flush(f);
    wait_readable(f->dealers[0]);
    assert_int_equal(read_message(f->dealers[0], numbers, 0, 8), 2);
    assert_int_equal(numbers[0], 1);
    assert_int_equal(numbers[1], 2);
    wait_readable(f->dealers[1]);
    assert_int_equal(read_message(f->dealers[1], numbers, 0, 8), 1);
    assert_int_equal(numbers[0], 10);
    assert_int_equal(post_deadline(f->post), BROKER_NEVER);
}

static void a_connection_without_a_session_is_forgotten_when_said(void **state)
{
    struct fixture *f = *state;

    write_pong(f, f->connections[0], 1);
    assert_int_equal(post_count(f->post), 1);
    flush(f);
    assert_int_equal(post_count(f->post), 0);
    write_welcome(f, f->connections[1]);
    flush(f);
    assert_int_equal(post_count(f->post), 1);
    post_forget(f->post, f->connections[1]);
    assert_int_equal(post_count(f->post), 0);
}

static void a_connection_that_is_gone_is_lost_once(void **state)
{
    struct fixture *f = *state;
    connection_id lost;

    write_pong(f, 12345, 1);
    flush(f);
    assert_true(post_next_lost(f->post, &lost, &(bool){false}));
    assert_int_equal(lost, 12345);
    assert_false(post_next_lost(f->post, &lost, &(bool){false}));
    assert_int_equal(post_count(f->post), 0);
}

/* As large as a payload may be that travels inside the batch. */
static struct blob *small_blob(void)
{
    static const uint8_t bytes[8 * KIB];

    return blob_new(span_of(bytes, sizeof bytes));
}

static void a_slow_reader_gets_everything_in_order(void **state)
{
    enum { COUNT = 3000 };
    struct fixture *f = *state;
    struct blob *blob = small_blob();
    uint64_t *numbers = calloc(COUNT, sizeof *numbers);
    size_t count = 0;
    connection_id lost;

    /* 24 MiB in batches: more than the pipe takes, less than the bound. */
    for (uint64_t i = 0; i < COUNT; i++) {
        write_task(f, f->connections[0], i + 1, blob);
    }
    flush(f);
    assert_int_not_equal(post_deadline(f->post), BROKER_NEVER);
    while (count < COUNT) {
        flush_until_readable(f, f->dealers[0]);
        count = read_message(f->dealers[0], numbers, count, COUNT);
    }
    flush(f);
    for (uint64_t i = 0; i < COUNT; i++) {
        assert_int_equal(numbers[i], i + 1);
    }
    assert_false(post_next_lost(f->post, &lost, &(bool){false}));
    assert_int_equal(post_deadline(f->post), BROKER_NEVER);
    free(numbers);
    blob_unref(blob);
}

static void a_reader_too_slow_is_lost_and_nobody_else(void **state)
{
    struct fixture *f = *state;
    struct blob *blob = small_blob();
    connection_id lost;
    uint64_t number;

    write_welcome(f, f->connections[0]);
    for (size_t i = 0; i < 5000; i++) {
        write_task(f, f->connections[0], i, blob);
    }
    write_pong(f, f->connections[1], 7);
    flush(f);
    assert_true(post_next_lost(f->post, &lost, &(bool){false}));
    assert_int_equal(lost, f->connections[0]);
    assert_false(post_next_lost(f->post, &lost, &(bool){false}));
    wait_readable(f->dealers[1]);
    assert_int_equal(read_message(f->dealers[1], &number, 0, 1), 1);
    assert_int_equal(number, 7);
    blob_unref(blob);
}

static void what_is_written_to_the_lost_is_dropped_until_the_core_knows(void **state)
{
    struct fixture *f = *state;
    connection_id lost;

    write_pong(f, 12345, 1);
    flush(f);
    write_pong(f, 12345, 2); /* the core has not heard yet */
    assert_true(post_next_lost(f->post, &lost, &(bool){false}));
    flush(f);
    assert_false(post_next_lost(f->post, &lost, &(bool){false}));
}

static unsigned released;

static void count_release(void *owner)
{
    released++;
    free(owner);
}

static struct blob *large_blob(size_t size)
{
    void *bytes = calloc(1, size);

    assert_non_null(bytes);
    return blob_new_foreign(span_of(bytes, size), count_release, bytes);
}

static void attached_payloads_are_released_when_delivered(void **state)
{
    struct fixture *f = *state;
    struct blob *blob = large_blob(100 * KIB);
    uint64_t numbers[4];

    released = 0;
    write_task(f, f->connections[0], 1, blob);
    write_task(f, f->connections[0], 2, blob);
    blob_unref(blob);
    flush(f);
    assert_int_equal(released, 0);
    wait_readable(f->dealers[0]);
    assert_int_equal(read_message(f->dealers[0], numbers, 0, 4), 2);
    assert_int_equal(released, 1);
}

static void the_sum_of_what_waits_is_bounded_by_the_slowest(void **state)
{
    enum { PAYLOAD = 1 * MIB, MANY = 128 };
    struct fixture *f = *state;
    connection_id lost;

    released = 0;
    for (uint64_t i = 0; i < MANY; i++) {
        struct blob *blob = large_blob(PAYLOAD);

        write_task(f, f->connections[0], i, blob);
        if (i < 8) {
            write_task(f, f->connections[1], i, blob);
        }
        blob_unref(blob);
    }
    /* Waiting and in flight, they are less than were written: somebody was lost. */
    assert_true(post_next_lost(f->post, &lost, &(bool){false}));
    assert_int_equal(lost, f->connections[0]);
    assert_false(post_next_lost(f->post, &lost, &(bool){false}));
    assert_true(released > 0);
}

static void the_forgotten_get_one_try(void **state)
{
    struct fixture *f = *state;
    struct blob *blob = small_blob();
    connection_id lost;

    write_welcome(f, f->connections[0]);
    for (size_t i = 0; i < 1000; i++) {
        write_task(f, f->connections[0], i, blob);
    }
    post_forget(f->post, f->connections[0]);
    flush(f);
    flush(f);
    assert_int_equal(post_deadline(f->post), BROKER_NEVER);
    assert_false(post_next_lost(f->post, &lost, &(bool){false}));
    blob_unref(blob);
}

static void the_table_of_connections_is_bounded(void **state)
{
    struct fixture *f = *state;

    journal_init(&f->journal, fopen("/dev/null", "w"), LOG_WARN);
    for (connection_id i = 1000; i < 1100; i++) {
        write_welcome(f, i);
    }
    assert_int_equal(post_count(f->post), 8);
    fclose(f->journal.stream);
}

static void all_with_a_session_hear_it(void **state)
{
    struct fixture *f = *state;
    struct message pong = {.command = COMMAND_PONG, .pong = {.nonce = 99}};
    uint64_t numbers[4];

    write_welcome(f, f->connections[0]);
    flush(f);
    wait_readable(f->dealers[0]);
    assert_int_equal(read_message(f->dealers[0], numbers, 0, 4), 1);
    write_welcome(f, f->connections[1]); /* not flushed yet */
    post_write_all(f->post, &pong);
    flush(f);
    wait_readable(f->dealers[0]);
    assert_int_equal(read_message(f->dealers[0], numbers, 0, 4), 1);
    assert_int_equal(numbers[0], 99);
    wait_readable(f->dealers[1]);
    assert_int_equal(read_message(f->dealers[1], numbers, 0, 4), 2);
    assert_int_equal(numbers[1], 99);
}

/* A worker that talks faster than its submitter reads must not cost it its connection. */
static void progress_is_dropped_rather_than_a_slow_reader(void **state)
{
    struct fixture *f = *state;
    connection_id slow = f->connections[0], lost;

    write_welcome(f, slow);
    for (int i = 0; i < 10000; i++) { /* 80 MiB */
        write_progress(f, slow);
        if (i % 100 == 0) {
            flush(f);
        }
        assert_false(post_next_lost(f->post, &lost, &(bool){false}));
    }
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, post_teardown)
    const struct CMUnitTest tests[] = {
        CASE(progress_is_dropped_rather_than_a_slow_reader),
        CASE(everything_since_a_flush_is_one_message),
        CASE(a_connection_without_a_session_is_forgotten_when_said),
        CASE(a_connection_that_is_gone_is_lost_once),
        CASE(a_slow_reader_gets_everything_in_order),
        CASE(a_reader_too_slow_is_lost_and_nobody_else),
        CASE(what_is_written_to_the_lost_is_dropped_until_the_core_knows),
        CASE(attached_payloads_are_released_when_delivered),
        CASE(the_sum_of_what_waits_is_bounded_by_the_slowest),
        CASE(the_forgotten_get_one_try),
        CASE(the_table_of_connections_is_bounded),
        CASE(all_with_a_session_hear_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
