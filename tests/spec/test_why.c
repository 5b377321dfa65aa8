/* The promise: every wait explains itself. */
#include "tests/spec/fixture.h"

#include <stdio.h>

static void expect_why(struct fixture *f, const char *task, const char *reason)
{
    char wanted[64];

    drop_trace(f);
    query_task(f, "s1", QUERY_WHY, task);
    snprintf(wanted, sizeof wanted, " reason=%s ", reason);
    if (!trace_has(f, wanted)) {
        fail_msg("wanted %s in %s", wanted, f->trace);
    }
}

static void why_names_the_one_reason(void **state)
{
    struct fixture *f = *state;
    struct submit wait = {.if_absent = IF_ABSENT_WAIT};

    given_echo(f, 1);
    submit_with(f, "s1", "t1", "absent", "", &wait);
    expect_why(f, "t1", "no_worker");
    submit(f, "s1", "t2", "echo");
    expect_why(f, "t2", "running");
    submit(f, "s1", "t3", "echo");
    expect_why(f, "t3", "no_credit");
    submit_join(f, "s1", "j1", JOIN_ALL, 0, (const char *const[]){"t2", "t3", NULL});
    expect_why(f, "j1", "needs");
    fail_task(f, "w1", "t2", 1, "busy", true);
    expect_why(f, "t2", "not_before");
    cancel(f, "s1", "t3", 0);
    expect_why(f, "t3", "stopping");
    fail_task(f, "w1", "t3", 1, "cancelled", false);
    expect_why(f, "t3", "ended");
    drop_trace(f);
    query_task(f, "s1", QUERY_WHY, "t9");
    expect_trace(f, "[   0] s1 <- REPLY 7 failed code=not_found\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPEC(why_names_the_one_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
