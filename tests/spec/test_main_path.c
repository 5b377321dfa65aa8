/* The thinnest path: a task goes to a worker and its result comes back. */
#include "tests/spec/fixture.h"

static void a_task_reaches_a_worker_and_its_result_the_submitter(void **state)
{
    struct fixture *f = *state;

    hello(f, "w1");
    hello(f, "s1");
    expect_trace(f, "[   0] w1 <- WELCOME\n"
                    "[   0] s1 <- WELCOME\n");
    offer(f, "w1", "echo", 1);
    submit_with(f, "s1", "t1", "echo", "ping", NULL);
    expect_trace(f, "[   0] w1 <- TASK t1 attempt=1 payload=ping\n");
    done(f, "w1", "t1", 1, "pong");
    expect_trace(f, "[   0] s1 <- RESULT t1 done attempt=1 payload=pong\n");
}

static void moves_are_those_of_the_diagram(void **state)
{
    struct fixture *f = *state;

    f->transitions = true;
    hello(f, "w1");
    hello(f, "s1");
    drop_trace(f);
    offer(f, "w1", "echo", 1);
    submit(f, "s1", "t1", "echo");
    done(f, "w1", "t1", 1, "");
    expect_trace(f, "[   0] t1 new -> ready\n"
                    "[   0] t1 ready -> leased\n"
                    "[   0] w1 <- TASK t1 attempt=1\n"
                    "[   0] t1 leased -> done\n"
                    "[   0] s1 <- RESULT t1 done attempt=1\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_task_reaches_a_worker_and_its_result_the_submitter,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(moves_are_those_of_the_diagram, fixture_setup,
                                        fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
