/* PROTOCOL.md, section 4.2: who is handed out next, and to how many at once. */
#include "tests/spec/fixture.h"

#include <string.h>

#include <stdio.h>

static void submit_as(struct fixture *f, const char *peer, const char *task, uint64_t priority,
                      const char *key, const char *order)
{
    struct submit options = {.priority = priority,
                             .key = span_from_text(key),
                             .order = span_from_text(order)};

    submit_with(f, peer, task, "echo", "", &options);
}

/* Ends what w1 holds, one after the other, and expects these in this order. */
static void expect_order(struct fixture *f, const char *held, const char *const *tasks)
{
    char line[64];

    for (; *tasks != NULL; tasks++) {
        drop_trace(f);
        done(f, "w1", held, 1, "");
        snprintf(line, sizeof line, "w1 <- TASK %s attempt=1", *tasks);
        if (!trace_has(f, line)) {
            fail_msg("wanted %s after %s in %s", *tasks, held, f->trace);
        }
        held = *tasks;
    }
}

static void submitters_take_turns(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 1);
    hello(f, "s2");
    for (int i = 0; i < 10; i++) {
        submit(f, "s1", numbered("a", i), "echo");
    }
    submit(f, "s2", "b0", "echo");
    submit(f, "s2", "b1", "echo");
    expect_order(f, "a0", (const char *const[]){"a1", "b0", "a2", "b1", "a3", "a4", NULL});
}

static void one_flood_does_not_keep_nine_others(void **state)
{
    struct fixture *f = *state;
    unsigned flood = 0, others = 0;
    char name[16];

    f->options.service.max_tasks = 200000;
    f->options.window_tasks = 200000;
    fixture_restart(f);
    given_echo(f, 1);
    f->quiet = true;
    for (unsigned i = 0; i < 20000; i++) {
        snprintf(name, sizeof name, "f%u", i);
        submit(f, "s1", name, "echo");
    }
    for (unsigned peer = 1; peer <= 9; peer++) {
        char who[16];

        snprintf(who, sizeof who, "o%u", peer);
        hello(f, who);
        for (unsigned i = 0; i < 10; i++) {
            snprintf(name, sizeof name, "o%u.%u", peer, i);
            submit(f, who, name, "echo");
        }
    }
    f->quiet = false;
    drop_trace(f);
    done(f, "w1", "f0", 1, "");
    while (others < 90) {
        const char *at = strstr(f->trace, "w1 <- TASK ");

        assert_non_null(at);
        assert_int_equal(sscanf(at, "w1 <- TASK %15s", name), 1);
        flood += name[0] == 'f';
        others += name[0] == 'o';
        drop_trace(f);
        done(f, "w1", name, 1, "");
    }
    /* Ten rounds of ten keys: the flood had its turn in each, and no more. */
    assert_in_range(flood, 9, 11);
}

static void a_fairness_key_stands_for_whom_it_names(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 1);
    submit_as(f, "s1", "x0", 4, "", "");
    submit_as(f, "s1", "a1", 4, "ann", "");
    submit_as(f, "s1", "a2", 4, "ann", "");
    submit_as(f, "s1", "a3", 4, "ann", "");
    submit_as(f, "s1", "b1", 4, "bob", "");
    expect_order(f, "x0", (const char *const[]){"a1", "b1", "a2", "a3", NULL});
}

static void higher_priorities_come_first(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 1);
    submit_as(f, "s1", "x0", 4, "", "");
    submit_as(f, "s1", "low", 0, "", "");
    submit_as(f, "s1", "mid", 4, "", "");
    submit_as(f, "s1", "top", 9, "", "");
    submit_as(f, "s1", "top2", 9, "", "");
    expect_order(f, "x0", (const char *const[]){"top", "top2", "mid", "low", NULL});
}

static void what_a_worker_lost_is_first_of_its_key(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 1);
    submit(f, "s1", "a0", "echo");
    submit(f, "s1", "a1", "echo");
    drop_trace(f);
    lose(f, "w1");
    hello(f, "w2");
    drop_trace(f);
    offer(f, "w2", "echo", 1);
    expect_trace(f, "[   0] w2 <- TASK a0 attempt=2\n");
}

static void an_ordering_key_has_one_task_out(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 8);
    drop_trace(f);
    submit_as(f, "s1", "a1", 4, "", "a");
    submit_as(f, "s1", "a2", 9, "", "a");
    submit_as(f, "s1", "a3", 4, "other", "a");
    submit_as(f, "s1", "b1", 4, "", "b");
    submit_as(f, "s1", "x1", 4, "", "");
    expect_trace(f, "[   0] w1 <- TASK a1 attempt=1\n"
                    "[   0] w1 <- TASK b1 attempt=1\n"
                    "[   0] w1 <- TASK x1 attempt=1\n");
    done(f, "w1", "a1", 1, "");
    expect_trace(f, "[   0] s1 <- RESULT a1 done attempt=1\n"
                    "[   0] w1 <- TASK a2 attempt=1\n");
    done(f, "w1", "a2", 1, "");
    expect_trace(f, "[   0] s1 <- RESULT a2 done attempt=1\n"
                    "[   0] w1 <- TASK a3 attempt=1\n");
    done(f, "w1", "a3", 1, "");
    submit_as(f, "s1", "a4", 4, "", "a");
    expect_trace(f, "[   0] s1 <- RESULT a3 done attempt=1\n"
                    "[   0] w1 <- TASK a4 attempt=1\n");
}

static void a_retry_keeps_its_place_in_the_lane(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 8);
    drop_trace(f);
    submit_as(f, "s1", "a1", 4, "", "a");
    submit_as(f, "s1", "a2", 4, "", "a");
    fail_task(f, "w1", "a1", 1, "busy", true);
    expect_trace(f, "[   0] w1 <- TASK a1 attempt=1\n");
    advance_ms(f, 200);
    expect_trace(f, "[ 100] w1 <- TASK a1 attempt=2\n");
    done(f, "w1", "a1", 2, "");
    expect_trace(f, "[ 200] s1 <- RESULT a1 done attempt=2\n"
                    "[ 200] w1 <- TASK a2 attempt=1\n");
}

static void who_waits_in_a_lane_may_leave_it(void **state)
{
    struct fixture *f = *state;
    struct submit brief = {.deadline_ms = 50, .order = span_from_text("a")};

    given_echo(f, 8);
    submit_as(f, "s1", "a1", 4, "", "a");
    submit_as(f, "s1", "a2", 4, "", "a");
    submit_with(f, "s1", "a3", "echo", "", &brief);
    submit_as(f, "s1", "a4", 4, "", "a");
    drop_trace(f);
    cancel(f, "s1", "a2", 0);
    expect_trace(f, "[   0] s1 <- RESULT a2 cancelled code=cancelled\n");
    advance_ms(f, 50);
    expect_trace(f, "[  50] s1 <- RESULT a3 expired code=expired\n");
    done(f, "w1", "a1", 1, "");
    expect_trace(f, "[  50] s1 <- RESULT a1 done attempt=1\n"
                    "[  50] w1 <- TASK a4 attempt=1\n");
}

/* The queue is full of what waits for the parent to end: its child is let in all the same. */
static void a_full_lane_does_not_stop_its_head(void **state)
{
    struct fixture *f = *state;

    f->options.service.max_tasks = 2;
    fixture_restart(f);
    given_echo(f, 4);
    submit_as(f, "s1", "p1", 4, "", "a");
    submit_as(f, "s1", "a2", 4, "", "a");
    submit_as(f, "s1", "a3", 4, "", "a");
    drop_trace(f);
    submit_as(f, "s1", "a4", 4, "", "a");
    submit_child(f, "w1", "c1", "echo", "p1", 1);
    assert_true(trace_has(f, "s1 <- RESULT a4 refused code=queue_full"));
    assert_true(trace_has(f, "w1 <- TASK c1 attempt=1"));
}

/* Nor its child's child, however large the child is: there is memory. When others have taken
 * that, the tree still has the reserve, of which the child used nothing: it was there before. */
static void full_lane_and_tree(struct fixture *f, bool others)
{
    static char large[8193];
    struct submit child = {.parent = id_of("p1"), .parent_attempt = 1};
    struct submit patient = {.if_absent = IF_ABSENT_WAIT};

    memset(large, 'x', sizeof large - 1);
    f->options.service.max_tasks = 2;
    f->options.memory_max = 32 * 1024;
    fixture_restart(f);
    given_echo(f, 4);
    submit_as(f, "s1", "p1", 4, "", "a");
    submit_as(f, "s1", "a2", 4, "", "a");
    submit_as(f, "s1", "a3", 4, "", "a");
    submit_with(f, "w1", "c1", "echo", large, &child);
    for (int i = 0; others && !trace_has(f, "refused code=memory_full"); i++) {
        const char *name = numbered("o", i);

        submit_with(f, "s1", name, name, i < 2 ? large : "", &patient);
    }
    drop_trace(f);
    submit_child(f, "w1", "g1", "echo", "c1", 1);
    expect_trace(f, "[   0] w1 <- TASK g1 attempt=1\n");
}

static void a_full_lane_does_not_stop_the_tree_of_its_head(void **state)
{
    full_lane_and_tree(*state, false);
}

static void nor_does_a_memory_that_is_full_then(void **state)
{
    full_lane_and_tree(*state, true);
}

static void why_names_turns_and_lanes(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 1);
    hello(f, "s2");
    submit_as(f, "s1", "a1", 4, "", "a");
    submit_as(f, "s1", "a2", 4, "", "a");
    submit_as(f, "s1", "n1", 4, "", "");
    submit_as(f, "s2", "m1", 0, "", "");
    expect_why(f, "a2", " reason=order_key ");
    expect_why(f, "n1", " reason=no_credit ");
    expect_why(f, "m1", " reason=fairness ");
}

static void an_exclusive_offer_is_the_only_one(void **state)
{
    struct fixture *f = *state;
    struct message message = {.command = COMMAND_OFFER};

    hello(f, "w1");
    hello(f, "w2");
    drop_trace(f);
    message.offer.service = span_from_text("inbox");
    message.offer.credit = 1;
    message.offer.exclusive = true;
    say(f, "w1", &message);
    offer(f, "w2", "inbox", 1);
    say(f, "w1", &message);
    expect_trace(f, "[   0] w2 <- ERROR code=conflict field=service\n");
    bye(f, "w1");
    offer(f, "w2", "inbox", 1);
    hello(f, "w3");
    drop_trace(f);
    say(f, "w3", &message);
    expect_trace(f, "[   0] w3 <- ERROR code=conflict field=service\n");
}

static void a_join_needs_no_turn(void **state)
{
    struct fixture *f = *state;
    struct submit join = {.join = JOIN_ALL, .order = span_from_text("a"), .needs_stride = 16};

    given_echo(f, 1);
    drop_trace(f);
    submit_with(f, "s1", "j1", "", "", &join);
    expect_trace(f, "[   0] s1 <- RESULT j1 done\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPEC(submitters_take_turns),
        SPEC(one_flood_does_not_keep_nine_others),
        SPEC(a_fairness_key_stands_for_whom_it_names),
        SPEC(higher_priorities_come_first),
        SPEC(what_a_worker_lost_is_first_of_its_key),
        SPEC(an_ordering_key_has_one_task_out),
        SPEC(a_retry_keeps_its_place_in_the_lane),
        SPEC(who_waits_in_a_lane_may_leave_it),
        SPEC(a_full_lane_does_not_stop_its_head),
        SPEC(a_full_lane_does_not_stop_the_tree_of_its_head),
        SPEC(nor_does_a_memory_that_is_full_then),
        SPEC(why_names_turns_and_lanes),
        SPEC(an_exclusive_offer_is_the_only_one),
        SPEC(a_join_needs_no_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
