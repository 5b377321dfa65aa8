/* The promise: a stream's reader sees every chunk in order or an exact gap, and only the
 * submitter that asked for the stream slows its worker. */
#include "tests/spec/fixture.h"

static void chunk_of(struct fixture *f, const char *peer, const char *task, uint64_t attempt,
                     uint64_t sequence, struct span bytes)
{
    struct message message = {.command = COMMAND_CHUNK};

    message.chunk.id = id_of(task);
    message.chunk.attempt = attempt;
    message.chunk.sequence = sequence;
    message.chunk.payload.bytes = bytes;
    say(f, peer, &message);
}

/* w1's chunks `from` to below `to` of attempt `attempt` of t1, each saying its number. */
static void chunks(struct fixture *f, uint64_t attempt, uint64_t from, uint64_t to)
{
    for (; from < to; from++) {
        chunk_of(f, "w1", "t1", attempt, from, span_from_text(numbered("c", (unsigned)from)));
    }
}

static void read_from(struct fixture *f, const char *peer, uint64_t attempt, uint64_t sequence,
                      uint64_t credit)
{
    struct message message = {.command = COMMAND_READ};

    message.read.id = id_of("t1");
    message.read.attempt = attempt;
    message.read.sequence = sequence;
    message.read.credit = credit;
    say(f, peer, &message);
}

static void given_stream(struct fixture *f, uint64_t credit)
{
    struct submit options = {.stream = credit, .attempts = 2};

    given_echo(f, 1);
    submit_with(f, "s1", "t1", "echo", "", &options);
}

/* A ring of four, and chunks small enough that bytes do not matter. */
static void small_ring(struct fixture *f)
{
    f->options.stream_chunks = 4;
    fixture_restart(f);
}

static void chunks_go_to_the_reader_before_the_result(void **state)
{
    struct fixture *f = *state;

    given_stream(f, 2);
    expect_trace(f, "[   0] w1 <- TASK t1 attempt=1 stream=16\n");
    chunks(f, 1, 0, 3); /* one more than the reader takes */
    expect_trace(f, "[   0] s1 <- CHUNK t1 attempt=1 sequence=0 payload=c0\n"
                    "[   0] s1 <- CHUNK t1 attempt=1 sequence=1 payload=c1\n");
    read_from(f, "s1", 1, 1, 2);
    expect_trace(f, "[   0] s1 <- CHUNK t1 attempt=1 sequence=2 payload=c2\n");
    chunks(f, 1, 3, 5);
    expect_trace(f, "");
    done(f, "w1", "t1", 1, "all");
    expect_trace(f, "[   0] s1 <- CHUNK t1 attempt=1 sequence=3 payload=c3\n"
                    "[   0] s1 <- CHUNK t1 attempt=1 sequence=4 payload=c4\n"
                    "[   0] s1 <- RESULT t1 done attempt=1 payload=all\n");
}

static void the_worker_waits_for_the_submitter(void **state)
{
    struct fixture *f = *state;

    small_ring(f);
    given_stream(f, 4);
    assert_true(trace_has(f, "stream=4"));
    chunks(f, 1, 0, 4);
    drop_trace(f);
    query_task(f, "s1", QUERY_WHY, "t1");
    assert_true(trace_has(f, "reason=reader"));
    drop_trace(f);
    read_from(f, "s1", 1, 3, 4);
    expect_trace(f, "[   0] w1 <- FLOW t1 attempt=1 until=7\n");
    chunks(f, 1, 4, 7);
    drop_trace(f);
    chunks(f, 1, 7, 8); /* beyond what it may */
    expect_trace(f, "[   0] w1 <- ERROR code=limit_exceeded field=sequence\n"
                    "[   0] w1 <- CANCEL t1 attempt=1 reason=limit_exceeded\n");
}

static void large_chunks_pause_sooner(void **state)
{
    static uint8_t bytes[CHUNK_BYTES_MAX + 1];
    struct fixture *f = *state;

    f->options.stream_bytes = 2 * CHUNK_BYTES_MAX;
    fixture_restart(f);
    given_stream(f, 8);
    assert_true(trace_has(f, "stream=2"));
    chunk_of(f, "w1", "t1", 1, 0, span_of(bytes, CHUNK_BYTES_MAX));
    chunk_of(f, "w1", "t1", 1, 1, span_of(bytes, CHUNK_BYTES_MAX));
    assert_false(trace_has(f, "FLOW"));
    read_from(f, "s1", 1, 2, 8);
    assert_true(trace_has(f, "until=4"));
    drop_trace(f);
    chunk_of(f, "w1", "t1", 1, 2, span_of(bytes, CHUNK_BYTES_MAX + 1));
    expect_trace(f, "[   0] w1 <- ERROR code=too_large field=payload\n"
                    "[   0] w1 <- CANCEL t1 attempt=1 reason=too_large\n"
                    "[   0] s1 <- RESULT t1 failed attempt=1 code=too_large\n");
}

static void a_hole_fails_the_attempt(void **state)
{
    struct fixture *f = *state;

    given_stream(f, 4);
    drop_trace(f);
    chunk_of(f, "w1", "t1", 1, 1, span_from_text("x"));
    expect_trace(f, "[   0] w1 <- ERROR code=bad_message field=sequence\n"
                    "[   0] w1 <- CANCEL t1 attempt=1 reason=bad_message\n"
                    "[   0] s1 <- RESULT t1 failed attempt=1 code=bad_message\n");
}

static void other_readers_get_gaps(void **state)
{
    struct fixture *f = *state;

    small_ring(f);
    given_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    hello(f, "r1");
    hello(f, "r2");
    read_from(f, "r1", 0, 0, 2);
    drop_trace(f);
    chunks(f, 1, 0, 10); /* nobody paces: the ring has 6 to 9 */
    expect_trace(f, "[   0] r1 <- CHUNK t1 attempt=1 sequence=0 payload=c0\n"
                    "[   0] r1 <- CHUNK t1 attempt=1 sequence=1 payload=c1\n");
    read_from(f, "r1", 1, 2, 2);
    expect_trace(f, "[   0] r1 <- CHUNK t1 attempt=1 sequence=6 payload=c6\n"
                    "[   0] r1 <- CHUNK t1 attempt=1 sequence=7 payload=c7\n");
    read_from(f, "r2", 0, 9, 4);
    expect_trace(f, "[   0] r2 <- CHUNK t1 attempt=1 sequence=9 payload=c9\n");
    done(f, "w1", "t1", 1, "");
    expect_trace(f, "[   0] r1 <- CHUNK t1 attempt=1 sequence=8 payload=c8\n"
                    "[   0] r1 <- CHUNK t1 attempt=1 sequence=9 payload=c9\n"
                    "[   0] r1 <- RESULT t1 done attempt=1\n"
                    "[   0] r2 <- RESULT t1 done attempt=1\n"
                    "[   0] s1 <- RESULT t1 done attempt=1\n");
    read_from(f, "r2", 1, 8, 1); /* ended: what is left, then how it ended */
    expect_trace(f, "[   0] r2 <- CHUNK t1 attempt=1 sequence=8 payload=c8\n"
                    "[   0] r2 <- CHUNK t1 attempt=1 sequence=9 payload=c9\n"
                    "[   0] r2 <- RESULT t1 done attempt=1\n");
}

static void a_new_attempt_starts_at_0(void **state)
{
    struct fixture *f = *state;

    given_stream(f, 2);
    chunks(f, 1, 0, 3);
    drop_trace(f);
    fail_task(f, "w1", "t1", 1, "flaky", true);
    advance_ms(f, 1000);
    drop_trace(f);
    chunks(f, 2, 0, 1);
    read_from(f, "s1", 1, 2, 2); /* under way when the attempt ended */
    assert_true(trace_has(f, "s1 <- CHUNK t1 attempt=2 sequence=0 payload=c0\n"));
    drop_trace(f);
    chunks(f, 1, 3, 4); /* stale */
    assert_int_equal(stats_of(f).stale, 1);
    chunks(f, 2, 1, 2);
    assert_true(trace_has(f, "s1 <- CHUNK t1 attempt=2 sequence=1 payload=c1\n"));
}

static void a_reader_that_comes_back_misses_nothing(void **state)
{
    struct fixture *f = *state;

    small_ring(f);
    given_stream(f, 4);
    chunks(f, 1, 0, 2);
    lose(f, "s1");
    chunks(f, 1, 2, 4);
    drop_trace(f);
    hello_from(f, "s1", connection_of("s2"));
    drop_trace(f);
    read_from(f, "s2", 1, 1, 4); /* chunk 1 was on its way when the connection broke */
    expect_trace(f, "[   0] s2 <- CHUNK t1 attempt=1 sequence=1 payload=c1\n"
                    "[   0] s2 <- CHUNK t1 attempt=1 sequence=2 payload=c2\n"
                    "[   0] s2 <- CHUNK t1 attempt=1 sequence=3 payload=c3\n"
                    "[   0] w1 <- FLOW t1 attempt=1 until=5\n");
}

/* What it has acknowledged it has; and the ring may have it no more. */
static void a_reader_that_comes_back_does_not_go_back(void **state)
{
    struct fixture *f = *state;

    small_ring(f);
    given_stream(f, 4);
    chunks(f, 1, 0, 2);
    read_from(f, "s1", 1, 2, 4);
    lose(f, "s1");
    hello_from(f, "s1", connection_of("s2"));
    chunks(f, 1, 2, 3);
    drop_trace(f);
    read_from(f, "s2", 1, 0, 4);
    expect_trace(f, "[   0] s2 <- CHUNK t1 attempt=1 sequence=2 payload=c2\n");
}

/* It takes the session for new, and says no READ: else its worker waited for ever. */
static void one_that_submits_again_reads_again(void **state)
{
    struct submit options = {.stream = 2, .attempts = 2};
    struct fixture *f = *state;

    small_ring(f);
    given_stream(f, 4);
    chunks(f, 1, 0, 3);
    read_from(f, "s1", 1, 1, 4);
    lose(f, "s1");
    hello_from(f, "s1", connection_of("s2"));
    chunks(f, 1, 3, 4);
    drop_trace(f);
    submit_with(f, "s2", "t1", "echo", "", &options);
    expect_trace(f, "[   0] s2 <- CHUNK t1 attempt=1 sequence=1 payload=c1\n"
                    "[   0] s2 <- CHUNK t1 attempt=1 sequence=2 payload=c2\n");
    submit_with(f, "s2", "t1", "echo", "", &options); /* it reads already */
    expect_trace(f, "");
}

/* It submits the task anew, and must not take the end of the old one for that of the new one. */
static void one_that_was_away_too_long_reads_nothing_of_what_was_cancelled_for_it(void **state)
{
    struct fixture *f = *state;
    struct submit options = {.stream = 8};

    given_stream(f, 8);
    chunks(f, 1, 0, 1);
    lose(f, "s1");
    advance_ms(f, 10000);
    drop_trace(f);
    hello_from(f, "s1", connection_of("s2"));
    read_from(f, "s2", 1, 1, 8); /* its worker has yet to stop */
    fail_task(f, "w1", "t1", 1, "cancelled", false);
    read_from(f, "s2", 1, 1, 8);
    expect_trace(f, "[10000] s2 <- WELCOME\n"
                    "[10000] s2 <- ERROR code=not_found field=id\n"
                    "[10000] s2 <- ERROR code=not_found field=id\n");
    hello(f, "o1"); /* for anybody else it has ended */
    read_from(f, "o1", 1, 1, 8);
    expect_trace(f, "[10000] o1 <- WELCOME\n"
                    "[10000] o1 <- RESULT t1 cancelled attempt=1 code=cancelled\n");
    submit_with(f, "s2", "t1", "echo", "", &options);
    expect_trace(f, "[10000] w1 <- TASK t1 attempt=1 stream=16\n");
}

/* It may have forgotten of a task of long ago, which a broker has restored. */
static void who_does_not_read_again_slows_nobody(void **state)
{
    struct fixture *f = *state;

    small_ring(f);
    given_stream(f, 4);
    chunks(f, 1, 0, 4);
    lose(f, "s1");
    hello_from(f, "s1", connection_of("s2"));
    drop_trace(f);
    ping(f, "s2"); /* it may be on its way */
    expect_trace(f, "[   0] s2 <- PONG\n");
    advance_ms(f, 10000);
    drop_trace(f);
    ping(f, "s2");
    expect_trace(f, "[10000] s2 <- PONG\n"
                    "[10000] w1 <- FLOW t1 attempt=1 until=0\n");
    chunks(f, 1, 4, 12);
    done(f, "w1", "t1", 1, "");
    assert_true(trace_has(f, "s2 <- RESULT t1 done"));
}

/* Its PINGs after `resume_ms` are as any other's. */
static void who_reads_again_is_waited_for(void **state)
{
    struct fixture *f = *state;

    small_ring(f);
    given_stream(f, 4);
    chunks(f, 1, 0, 4);
    lose(f, "s1");
    hello_from(f, "s1", connection_of("s2"));
    read_from(f, "s2", 1, 2, 4);
    advance_ms(f, 10000);
    drop_trace(f);
    ping(f, "s2");
    expect_trace(f, "[10000] s2 <- PONG\n");
    chunks(f, 1, 4, 6);
    drop_trace(f);
    read_from(f, "s2", 1, 6, 4); /* the worker has a bound, and it is this one's */
    expect_trace(f, "[10000] w1 <- FLOW t1 attempt=1 until=10\n");
}

static void who_reads_no_more_slows_nobody(void **state)
{
    struct fixture *f = *state;

    small_ring(f);
    given_stream(f, 1);
    chunks(f, 1, 0, 4);
    drop_trace(f);
    read_from(f, "s1", 1, 1, 0);
    expect_trace(f, "[   0] w1 <- FLOW t1 attempt=1 until=0\n");
    chunks(f, 1, 4, 12);
    expect_trace(f, "");
    done(f, "w1", "t1", 1, "");
    expect_trace(f, "[   0] s1 <- RESULT t1 done attempt=1\n");
}

static void readers_are_bounded(void **state)
{
    struct fixture *f = *state;

    f->options.stream_readers = 2;
    fixture_restart(f);
    given_stream(f, 1);
    hello(f, "r1");
    hello(f, "r2");
    read_from(f, "r1", 0, 0, 1);
    drop_trace(f);
    read_from(f, "r2", 0, 0, 1);
    expect_trace(f, "[   0] r2 <- ERROR code=limit_exceeded field=id\n");
    lose(f, "r1");
    read_from(f, "r2", 0, 0, 1);
    expect_trace(f, "");
}

static void without_memory_a_paced_attempt_fails(void **state)
{
    static uint8_t bytes[CHUNK_BYTES_MAX];
    struct fixture *f = *state;

    f->options.memory_max = CHUNK_BYTES_MAX + 2048;
    fixture_restart(f);
    given_stream(f, 4);
    chunk_of(f, "w1", "t1", 1, 0, span_of(bytes, sizeof bytes));
    drop_trace(f);
    chunk_of(f, "w1", "t1", 1, 1, span_of(bytes, sizeof bytes));
    assert_true(trace_has(f, "w1 <- CANCEL t1 attempt=1 reason=memory_full"));
}

static void without_memory_an_unpaced_stream_slides(void **state)
{
    static uint8_t bytes[CHUNK_BYTES_MAX];
    struct fixture *f = *state;

    f->options.memory_max = CHUNK_BYTES_MAX + 2048;
    fixture_restart(f);
    given_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    for (uint64_t i = 0; i < 4; i++) {
        chunk_of(f, "w1", "t1", 1, i, span_of(bytes, sizeof bytes));
        assert_true(stats_of(f).memory_bytes <= f->options.memory_max);
    }
    drop_trace(f);
    read_from(f, "s1", 0, 0, 4);
    assert_true(trace_has(f, "sequence=3"));
    assert_false(trace_has(f, "sequence=2"));
}

static void chunks_renew_the_lease(void **state)
{
    struct submit options = {.lease_ms = 100};
    struct fixture *f = *state;

    given_echo(f, 1);
    submit_with(f, "s1", "t1", "echo", "", &options);
    advance_ms(f, 80);
    chunks(f, 1, 0, 1);
    drop_trace(f);
    advance_ms(f, 80);
    assert_false(trace_has(f, "CANCEL"));
    advance_ms(f, 21);
    assert_true(trace_has(f, "CANCEL"));
}

static void progress_goes_to_readers(void **state)
{
    struct message message = {.command = COMMAND_PROGRESS};
    struct fixture *f = *state;

    given_stream(f, 1);
    hello(f, "r1");
    read_from(f, "r1", 0, 0, 1);
    drop_trace(f);
    message.progress.id = id_of("t1");
    message.progress.attempt = 1;
    message.progress.payload.bytes = span_from_text("half");
    say(f, "w1", &message);
    expect_trace(f, "[   0] s1 <- PROGRESS t1 attempt=1 payload=half\n"
                    "[   0] r1 <- PROGRESS t1 attempt=1 payload=half\n");
}

static void nobody_reads_what_is_not_there(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 1);
    read_from(f, "s1", 0, 0, 1);
    expect_trace(f, "[   0] s1 <- ERROR code=not_found field=id\n");
}

static void a_cursor_out_of_bounds_is_refused(void **state)
{
    struct fixture *f = *state;

    given_stream(f, 2);
    drop_trace(f);
    read_from(f, "s1", 1, UINT64_MAX, 1);
    expect_trace(f, "[   0] s1 <- ERROR code=bad_message field=sequence\n");
    read_from(f, "s1", 1, 0, STREAM_CREDIT_MAX + 1);
    expect_trace(f, "[   0] s1 <- ERROR code=bad_message field=credit\n");
}

/* Many more than one block of the ring, by a reader that is always one behind. */
static void a_long_stream_keeps_no_more_than_its_ring(void **state)
{
    struct fixture *f = *state;

    small_ring(f);
    given_stream(f, 2);
    for (uint64_t i = 0; i < 100; i++) {
        chunks(f, 1, i, i + 1);
        read_from(f, "s1", 1, i, 2);
    }
    assert_int_equal(stats_of(f).chunks, 100);
    drop_trace(f);
    hello(f, "r1");
    read_from(f, "r1", 1, 0, 9);
    assert_false(trace_has(f, "sequence=95")); /* gone: the first that it gets tells which */
    assert_true(trace_has(f, "r1 <- CHUNK t1 attempt=1 sequence=96 payload=c96"));
    assert_true(trace_has(f, "sequence=99"));
    done(f, "w1", "t1", 1, "");
    assert_true(trace_has(f, "r1 <- RESULT t1 done"));
}

static void what_has_ended_is_read_from_its_ring(void **state)
{
    struct fixture *f = *state;

    small_ring(f);
    given_stream(f, 9);
    chunks(f, 1, 0, 4);
    fail_task(f, "w1", "t1", 1, "busy", true); /* the ring is the next attempt's */
    advance_ms(f, 5000);
    chunks(f, 2, 0, 3);
    done(f, "w1", "t1", 2, "");
    hello(f, "r1");
    drop_trace(f);
    read_from(f, "r1", 2, 1, 9);
    expect_trace(f, "[5000] r1 <- CHUNK t1 attempt=2 sequence=1 payload=c1\n"
                    "[5000] r1 <- CHUNK t1 attempt=2 sequence=2 payload=c2\n"
                    "[5000] r1 <- RESULT t1 done attempt=2\n");
    read_from(f, "r1", 1, 2, 9); /* a cursor in what is gone */
    assert_true(trace_has(f, "sequence=0"));
}

static void empty_chunks_are_chunks(void **state)
{
    struct fixture *f = *state;

    given_stream(f, 2);
    drop_trace(f);
    chunk_of(f, "w1", "t1", 1, 0, span_of(NULL, 0));
    expect_trace(f, "[   0] s1 <- CHUNK t1 attempt=1 sequence=0\n");
}

/* One chunk fits a ring that is smaller than the largest chunk. */
static void a_tiny_ring_lets_one_chunk_through_at_a_time(void **state)
{
    struct fixture *f = *state;

    f->options.stream_bytes = 1024;
    fixture_restart(f);
    given_stream(f, 4);
    assert_true(trace_has(f, "stream=1"));
    chunks(f, 1, 0, 1);
    drop_trace(f);
    read_from(f, "s1", 1, 1, 4);
    expect_trace(f, "[   0] w1 <- FLOW t1 attempt=1 until=2\n");
}

static void readers_are_told_when_a_queued_task_ends(void **state)
{
    struct fixture *f = *state;

    given_stream(f, 1);
    submit(f, "s1", "t0", "echo");
    cancel(f, "s1", "t1", 0);
    hello(f, "r1");
    read_from(f, "r1", 0, 0, 5);
    drop_trace(f);
    fail_task(f, "w1", "t1", 1, "cancelled", false);
    assert_true(trace_has(f, "s1 <- RESULT t1 cancelled"));
    assert_true(trace_has(f, "r1 <- RESULT t1 cancelled"));
}

/* Not even for the stream itself. */
static void without_memory_a_stream_that_nobody_reads_goes_on(void **state)
{
    struct fixture *f = *state;
    struct message offered = {.command = COMMAND_OFFER};
    char text[1000] = {0};

    f->options.memory_max = 16 * 1024;
    fixture_restart(f);
    given_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    for (unsigned i = 0; f->refused == 0; i++) {
        submit(f, "s1", numbered("q", i), "echo");
    }
    hello(f, "w2"); /* texts of offers have a share to themselves, and what is left goes to it */
    offered.offer.service = span_from_text("other");
    offered.offer.schema = span_of(text, sizeof text);
    say(f, "w2", &offered);
    drop_trace(f);
    chunks(f, 1, 0, 2);
    expect_trace(f, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPEC(chunks_go_to_the_reader_before_the_result),
        SPEC(the_worker_waits_for_the_submitter),
        SPEC(large_chunks_pause_sooner),
        SPEC(a_hole_fails_the_attempt),
        SPEC(other_readers_get_gaps),
        SPEC(a_new_attempt_starts_at_0),
        SPEC(a_reader_that_comes_back_misses_nothing),
        SPEC(a_reader_that_comes_back_does_not_go_back),
        SPEC(one_that_submits_again_reads_again),
        SPEC(one_that_was_away_too_long_reads_nothing_of_what_was_cancelled_for_it),
        SPEC(who_does_not_read_again_slows_nobody),
        SPEC(who_reads_again_is_waited_for),
        SPEC(who_reads_no_more_slows_nobody),
        SPEC(readers_are_bounded),
        SPEC(without_memory_a_paced_attempt_fails),
        SPEC(without_memory_an_unpaced_stream_slides),
        SPEC(without_memory_a_stream_that_nobody_reads_goes_on),
        SPEC(chunks_renew_the_lease),
        SPEC(progress_goes_to_readers),
        SPEC(nobody_reads_what_is_not_there),
        SPEC(a_cursor_out_of_bounds_is_refused),
        SPEC(a_long_stream_keeps_no_more_than_its_ring),
        SPEC(what_has_ended_is_read_from_its_ring),
        SPEC(empty_chunks_are_chunks),
        SPEC(a_tiny_ring_lets_one_chunk_through_at_a_time),
        SPEC(readers_are_told_when_a_queued_task_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
