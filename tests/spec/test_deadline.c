/* The promise: deadlines are inherited; a child never outlives its parent's time. */
#include "tests/spec/fixture.h"

static void a_task_expires_at_its_deadline_wherever_it_is(void **state)
{
    struct fixture *f = *state;
    struct submit options = {.deadline_ms = 400};

    given_echo(f, 1);
    submit_with(f, "s1", "t1", "echo", "", &options);
    submit_with(f, "s1", "t2", "echo", "", &options);
    expect_trace(f, "[   0] w1 <- TASK t1 attempt=1 deadline_ms=400\n");
    advance_ms(f, 399);
    expect_trace(f, "");
    advance_ms(f, 1);
    expect_trace(f, "[ 400] w1 <- CANCEL t1 attempt=1 reason=expired\n"
                    "[ 400] s1 <- RESULT t1 expired attempt=1 code=expired\n"
                    "[ 400] s1 <- RESULT t2 expired code=expired\n");
}

static void a_queue_ttl_ends_only_what_never_started(void **state)
{
    struct fixture *f = *state;
    struct submit options = {.queue_ttl_ms = 400};

    given_echo(f, 1);
    submit_with(f, "s1", "t1", "echo", "", &options);
    submit_with(f, "s1", "t2", "echo", "", &options);
    drop_trace(f);
    advance_ms(f, 400);
    expect_trace(f, "[ 400] s1 <- RESULT t2 expired code=expired\n");
    lose(f, "w1");
    advance_ms(f, 5000);
    assert_int_equal(stats_of(f).ready, 1);
}

static void a_child_never_outlives_what_its_parent_has_left(void **state)
{
    struct fixture *f = *state;
    struct submit parent = {.deadline_ms = 1000};
    struct submit child = {.parent = id_of("p1"), .parent_attempt = 1, .deadline_ms = 9000};

    given_echo(f, 1);
    hello(f, "w2");
    offer(f, "w2", "leaf", 1);
    submit_with(f, "s1", "p1", "echo", "", &parent);
    advance_ms(f, 400);
    drop_trace(f);
    submit_with(f, "w1", "c1", "leaf", "", &child);
    expect_trace(f, "[ 400] w2 <- TASK c1 attempt=1 deadline_ms=600\n");
    advance_ms(f, 600);
    assert_true(trace_has(f, "[1000] w1 <- RESULT c1 expired"));
    assert_true(trace_has(f, "[1000] s1 <- RESULT p1 expired"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPEC(a_task_expires_at_its_deadline_wherever_it_is),
        SPEC(a_queue_ttl_ends_only_what_never_started),
        SPEC(a_child_never_outlives_what_its_parent_has_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
