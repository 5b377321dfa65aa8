/* The promise: joins always end. */
#include "tests/spec/fixture.h"

#include <stdio.h>
#include <string.h>

static void a_join_of_all_brings_every_result_in_order(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 3);
    submit_held_for(f, "j1", JOIN_ALL, 2);
    drop_trace(f);
    done(f, "w1", "a2", 1, "two");
    expect_trace(f, "");
    done(f, "w1", "a1", 1, "one");
    expect_trace(f, "[   0] s1 <- RESULT j1 done | a1 done attempt=1 payload=one"
                    " | a2 done attempt=1 payload=two\n");
}

static void a_join_of_all_fails_fast_and_keeps_what_is_finished(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 2);
    submit_held_for(f, "j1", JOIN_ALL, 3);
    done(f, "w1", "a1", 1, "one");
    drop_trace(f);
    fail_task(f, "w1", "a2", 1, "broken", false);
    expect_trace(f, "[   0] s1 <- RESULT j1 failed code=dependency_failed id=a2 outcome=1"
                    " | a1 done attempt=1 payload=one | a2 failed attempt=1 code=broken"
                    " | a3 cancelled attempt=1 code=cancelled\n"
                    "[   0] w1 <- CANCEL a3 attempt=1 reason=cancelled\n");
}

static void a_join_told_again_says_the_same(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 2);
    submit_held(f, "a1");
    submit(f, "s1", "a2", "echo");
    submit_join(f, "s1", "j1", JOIN_ALL, 0, (const char *const[]){"a1", "a2", NULL});
    fail_task(f, "w1", "a1", 1, "broken", false);
    done(f, "w1", "a2", 1, "two");
    drop_trace(f);
    submit_join(f, "s1", "j1", JOIN_ALL, 0, (const char *const[]){"a1", "a2", NULL});
    expect_trace(f, "[   0] s1 <- RESULT j1 failed code=dependency_failed id=a1 outcome=1"
                    " | a1 failed attempt=1 code=broken"
                    " | a2 cancelled attempt=1 code=cancelled\n");
}

static void a_settled_join_waits_for_every_end(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 2);
    submit_held_for(f, "j1", JOIN_SETTLED, 2);
    drop_trace(f);
    fail_task(f, "w1", "a1", 1, "broken", false);
    expect_trace(f, "");
    done(f, "w1", "a2", 1, "two");
    expect_trace(f, "[   0] s1 <- RESULT j1 done | a1 failed attempt=1 code=broken"
                    " | a2 done attempt=1 payload=two\n");
}

static void a_settled_join_ends_at_its_deadline_with_what_it_has(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 2);
    submit_held(f, "a1");
    submit_held(f, "a2");
    submit_join(f, "s1", "j1", JOIN_SETTLED, 300, (const char *const[]){"a1", "a2", NULL});
    done(f, "w1", "a1", 1, "one");
    drop_trace(f);
    advance_ms(f, 299);
    expect_trace(f, "");
    advance_ms(f, 1);
    expect_trace(f, "[ 300] s1 <- RESULT j1 done | a1 done attempt=1 payload=one"
                    " | a2 expired attempt=1 code=expired\n"
                    "[ 300] w1 <- CANCEL a2 attempt=1 reason=cancelled\n");
}

static void a_join_of_nothing_or_of_ended_tasks_ends_at_once(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 1);
    submit_join(f, "s1", "j1", JOIN_ALL, 0, (const char *const[]){NULL});
    expect_trace(f, "[   0] s1 <- RESULT j1 done\n");
    submit_held(f, "a1");
    done(f, "w1", "a1", 1, "one");
    drop_trace(f);
    submit_join(f, "s1", "j2", JOIN_ALL, 0, (const char *const[]){"a1", "a1", NULL});
    expect_trace(f, "[   0] s1 <- RESULT j2 done | a1 done attempt=1 payload=one"
                    " | a1 done attempt=1 payload=one\n");
}

/* Making room for the join forgets ended tasks: then the need is unknown, and nothing worse. */
static void a_need_forgotten_for_the_joins_own_memory_is_unknown(void **state)
{
    struct fixture *f = *state;
    char payload[4000];

    memset(payload, 'x', sizeof payload - 1);
    payload[sizeof payload - 1] = '\0';
    f->options.memory_max = 4700; /* a1 and t1, but not j1 too */
    fixture_restart(f);
    given_echo(f, 1);
    submit_held(f, "a1");
    done(f, "w1", "a1", 1, payload);
    submit_with(f, "s1", "t1", "echo", "0123456789", NULL);
    drop_trace(f);
    submit_join(f, "s1", "j1", JOIN_SETTLED, 0, (const char *const[]){"a1", "t1", NULL});
    expect_trace(f, "[   0] s1 <- RESULT j1 refused code=not_found\n");
}

static void a_need_of_cancelled_joins_is_cancelled_with_the_last(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 2);
    submit_held_for(f, "j1", JOIN_ALL, 2);
    submit_join(f, "s1", "j2", JOIN_ALL, 0, (const char *const[]){"a2", NULL});
    cancel(f, "s1", "j1", 0); /* waits for a1 to stop; a2 is j2's too */
    drop_trace(f);
    cancel(f, "s1", "j2", 0);
    assert_true(trace_has(f, "w1 <- CANCEL a2 attempt=1 reason=cancelled"));
}

static void a_join_of_an_unknown_task_is_refused(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 1);
    submit_join(f, "s1", "j1", JOIN_ALL, 0, (const char *const[]){"a1", NULL});
    expect_trace(f, "[   0] s1 <- RESULT j1 refused code=not_found\n");
}

static void joins_of_joins_end_without_recursion(void **state)
{
    struct fixture *f = *state;
    char name[16] = "j0", next[16];

    given_echo(f, 1);
    f->quiet = true;
    submit_held_for(f, "j0", JOIN_ALL, 1);
    for (int i = 1; i < 20000; i++) {
        snprintf(next, sizeof next, "j%d", i);
        submit_join(f, "s1", next, JOIN_ALL, 0, (const char *const[]){name, NULL});
        strcpy(name, next);
    }
    done(f, "w1", "a1", 1, "");
    assert_int_equal(stats_of(f).done, 20001);
    assert_int_equal(stats_of(f).tasks, 0);
}

static void a_finished_need_is_kept_until_its_join_has_ended(void **state)
{
    struct fixture *f = *state;

    f->options.retain_tasks = 0;
    fixture_restart(f);
    given_echo(f, 2);
    submit_held_for(f, "j1", JOIN_ALL, 2);
    done(f, "w1", "a1", 1, "one");
    advance_ms(f, 1000);
    ping(f, "w1");
    drop_trace(f);
    done(f, "w1", "a2", 1, "two");
    expect_trace(f, "[1000] s1 <- RESULT j1 done | a1 done attempt=1 payload=one"
                    " | a2 done attempt=1 payload=two\n");
    assert_int_equal(stats_of(f).memory_bytes, 0);
}

static void a_cancelled_join_tells_open_needs_as_cancelled(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 2);
    submit(f, "s1", "t1", "echo");
    submit_join(f, "s1", "j1", JOIN_ALL, 0, (const char *const[]){"t1", NULL});
    drop_trace(f);
    cancel(f, "s1", "j1", 0);
    expect_trace(f, "[   0] s1 <- RESULT j1 cancelled code=cancelled"
                    " | t1 cancelled attempt=1 code=cancelled\n");
}

static void a_cancelled_join_ends_with_the_last_that_it_stops(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 3);
    submit(f, "s1", "t1", "echo"); /* not held: it goes on */
    submit_held(f, "a1");
    submit_held(f, "a2");
    submit_join(f, "s1", "j1", JOIN_ALL, 0, (const char *const[]){"t1", "a1", "a2", NULL});
    drop_trace(f);
    cancel(f, "s1", "j1", 5);
    expect_trace(f, "[   0] w1 <- CANCEL a1 attempt=1 reason=cancelled\n"
                    "[   0] w1 <- CANCEL a2 attempt=1 reason=cancelled\n");
    done(f, "w1", "t1", 1, "one");
    fail_task(f, "w1", "a1", 1, "cancelled", false);
    expect_trace(f, "[   0] s1 <- RESULT t1 done attempt=1 payload=one\n");
    fail_task(f, "w1", "a2", 1, "cancelled", false);
    expect_trace(f, "[   0] s1 <- RESULT j1 cancelled code=cancelled"
                    " | t1 done attempt=1 payload=one"
                    " | a1 cancelled attempt=1 code=cancelled"
                    " | a2 cancelled attempt=1 code=cancelled\n"
                    "[   0] s1 <- REPLY 5 ok state=cancelled stopped=3\n");
}

/* More than are kept in one piece. */
static void a_join_of_many_brings_every_result_in_order(void **state)
{
    struct fixture *f = *state;
    char names[64][16], results[64][16];
    const char *needs[65] = {NULL};

    given_echo(f, 64);
    for (int i = 0; i < 64; i++) {
        snprintf(names[i], sizeof names[i], "a%d", i);
        submit_held(f, names[i]);
        needs[i] = names[i];
    }
    submit_join(f, "s1", "j1", JOIN_ALL, 0, needs);
    submit_join(f, "s1", "j2", JOIN_ALL, 0, needs);
    cancel(f, "s1", "j2", 0); /* j1 needs them all */
    for (int i = 63; i >= 0; i--) {
        drop_trace(f);
        snprintf(results[i], sizeof results[i], "r%d", i);
        done(f, "w1", names[i], 1, results[i]);
    }
    for (int i = 0; i < 64; i++) {
        char wanted[64];

        snprintf(wanted, sizeof wanted, "| a%d done attempt=1 payload=r%d%s", i, i,
                 i < 63 ? " " : "\n");
        assert_true(trace_has(f, wanted));
    }
    advance_ms(f, 70000);
    assert_int_equal(stats_of(f).memory_bytes, 0);
}

/* The first time with a child below it, the second time without: the child is a need, too. */
static void a_need_named_twice_is_cancelled_once(void **state)
{
    struct fixture *f = *state;
    struct submit held = {.held = true};
    struct submit child = {
        .held = true, .parent = id_of("a1"), .parent_attempt = 1, .if_absent = IF_ABSENT_WAIT};

    given_echo(f, 1);
    submit_with(f, "w1", "a1", "echo", "", &held);
    submit_with(f, "w1", "c1", "absent", "", &child);
    submit_join(f, "w1", "j1", JOIN_ALL, 0, (const char *const[]){"a1", "c1", "a1", NULL});
    drop_trace(f);
    cancel(f, "w1", "j1", 5);
    expect_trace(f, "[   0] w1 <- CANCEL a1 attempt=1 reason=cancelled\n");
    fail_task(f, "w1", "a1", 1, "cancelled", false);
    expect_trace(f, "[   0] w1 <- RESULT j1 cancelled code=cancelled"
                    " | a1 cancelled attempt=1 code=cancelled"
                    " | c1 cancelled code=cancelled"
                    " | a1 cancelled attempt=1 code=cancelled\n"
                    "[   0] w1 <- REPLY 5 ok state=cancelled stopped=3\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPEC(a_join_of_all_brings_every_result_in_order),
        SPEC(a_join_of_all_fails_fast_and_keeps_what_is_finished),
        SPEC(a_join_told_again_says_the_same),
        SPEC(a_settled_join_waits_for_every_end),
        SPEC(a_settled_join_ends_at_its_deadline_with_what_it_has),
        SPEC(a_join_of_nothing_or_of_ended_tasks_ends_at_once),
        SPEC(a_need_forgotten_for_the_joins_own_memory_is_unknown),
        SPEC(a_need_of_cancelled_joins_is_cancelled_with_the_last),
        SPEC(a_join_of_an_unknown_task_is_refused),
        SPEC(joins_of_joins_end_without_recursion),
        SPEC(a_finished_need_is_kept_until_its_join_has_ended),
        SPEC(a_cancelled_join_tells_open_needs_as_cancelled),
        SPEC(a_cancelled_join_ends_with_the_last_that_it_stops),
        SPEC(a_join_of_many_brings_every_result_in_order),
        SPEC(a_need_named_twice_is_cancelled_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
