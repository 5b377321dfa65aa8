/* The promise: no input from the wire can stop the broker, and no peer the others. */
#include "tests/spec/fixture.h"

#include <stdio.h>
#include <string.h>

static void withdraw(struct fixture *f, const char *peer, const char *service)
{
    struct message message = {.command = COMMAND_WITHDRAW};

    message.withdraw.service = span_from_text(service);
    say(f, peer, &message);
}

static void a_refused_offer_leaves_no_service_behind(void **state)
{
    struct fixture *f = *state;

    f->options.offers_per_peer_max = 1;
    fixture_restart(f);
    hello(f, "w1");
    offer(f, "w1", "a", 1);
    drop_trace(f);
    offer(f, "w1", "b", 1);
    expect_trace(f, "[   0] w1 <- ERROR code=limit_exceeded field=service\n");
    assert_int_equal(stats_of(f).services, 1);
}

/* Services that linger make room: else one peer could fill the table for a minute. */
static void idle_services_do_not_keep_others_out(void **state)
{
    struct fixture *f = *state;
    struct submit waiting = {.if_absent = IF_ABSENT_WAIT};

    f->options.services_max = 4;
    f->options.retain_tasks = 0;
    fixture_restart(f);
    hello(f, "w1");
    hello(f, "s1");
    offer(f, "w1", "mine", 1);
    drop_trace(f);
    for (int i = 0; i < 20; i++) {
        const char *service = numbered("o", i), *task = numbered("t", i);

        offer(f, "w1", service, 1);
        withdraw(f, "w1", service);
        submit_with(f, "s1", task, task, "", &waiting);
        cancel(f, "s1", task, 0);
    }
    assert_int_equal(f->refused, 0);
    assert_false(trace_has(f, "limit_exceeded"));
    assert_int_equal(stats_of(f).services, 4);
    drop_trace(f);
    submit(f, "s1", "t1", "mine");
    expect_trace(f, "[   0] w1 <- TASK t1 attempt=1\n");
}

/* Names that a submitter makes up and waits for leave room for those who offer. */
static void services_waited_for_do_not_keep_workers_out(void **state)
{
    struct fixture *f = *state;
    struct submit waiting = {.if_absent = IF_ABSENT_WAIT};

    f->options.services_max = 4;
    fixture_restart(f);
    hello(f, "w1");
    hello(f, "s1");
    for (int i = 0; i < 10; i++) {
        const char *name = numbered("t", i);

        submit_with(f, "s1", name, name, "", &waiting);
    }
    assert_int_equal(f->refused, 7);
    drop_trace(f);
    offer(f, "w1", "real", 1);
    submit(f, "s1", "r1", "real");
    expect_trace(f, "[   0] w1 <- TASK r1 attempt=1\n");
}

/* A service with tasks and no offer is looked at again and again, but not in one step. */
static void a_linger_of_nothing_ends_a_step(void **state)
{
    struct fixture *f = *state;

    f->options.service_linger_ms = 0;
    f->options.retain_tasks = 0;
    fixture_restart(f);
    given_echo(f, 0);
    submit(f, "s1", "t1", "echo");
    withdraw(f, "w1", "echo");
    advance_ms(f, 1000);
    assert_int_equal(stats_of(f).services, 1);
    cancel(f, "s1", "t1", 0);
    advance_ms(f, 1000);
    assert_int_equal(stats_of(f).services, 0);
}

/* The work of a cancel is linear in the edges because a task has few of them. */
static void a_need_named_too_often_is_refused(void **state)
{
    struct fixture *f = *state;
    const char *needs[18] = {NULL};

    given_echo(f, 1);
    submit_held(f, "a1");
    drop_trace(f);
    for (int i = 0; i < 17; i++) {
        needs[i] = "a1";
    }
    submit_join(f, "s1", "j1", JOIN_ALL, 0, needs);
    expect_trace(f, "[   0] s1 <- RESULT j1 refused code=limit_exceeded retry_after_ms=100\n");
    needs[16] = NULL;
    submit_join(f, "s1", "j1", JOIN_ALL, 0, needs);
    expect_trace(f, "");
    submit_join(f, "s1", "j2", JOIN_ALL, 0, (const char *const[]){"a1", NULL});
    expect_trace(f, "[   0] s1 <- RESULT j2 refused code=limit_exceeded retry_after_ms=100\n");
    cancel(f, "s1", "j1", 5);
    expect_trace(f, "[   0] w1 <- CANCEL a1 attempt=1 reason=cancelled\n");
    done(f, "w1", "a1", 1, "");
    assert_true(trace_has(f, "s1 <- RESULT j1 cancelled"));
    assert_true(trace_has(f, "s1 <- REPLY 5 ok state=cancelled"));
}

/* What a peer waits for is its own affair: it takes no room from others. */
static void one_peer_waiting_for_cancels_does_not_stop_others(void **state)
{
    struct fixture *f = *state;

    f->options.peers_max = 8;
    f->options.window_tasks = 50;
    fixture_restart(f);
    given_echo(f, 2);
    hello(f, "s2");
    submit(f, "s1", "t1", "echo");
    submit(f, "s2", "t2", "echo");
    for (unsigned i = 1; i < 100; i++) {
        cancel(f, "s1", "t1", i);
    }
    assert_true(trace_has(f, "s1 <- REPLY 99 failed code=limit_exceeded"));
    drop_trace(f);
    cancel(f, "s2", "t2", 7);
    expect_trace(f, "[   0] w1 <- CANCEL t2 attempt=1 reason=cancelled\n");
    done(f, "w1", "t2", 1, "");
    expect_trace(f, "[   0] s2 <- RESULT t2 cancelled attempt=1 code=cancelled\n"
                    "[   0] s2 <- REPLY 7 ok state=cancelled stopped=1\n");
}

/* Sessions that end leave records behind for a while, and none of them is a session. */
static void ended_sessions_do_not_keep_others_out(void **state)
{
    struct fixture *f = *state;

    f->options.peers_max = 3;
    fixture_restart(f);
    given_echo(f, 100);
    for (int i = 2; i < 50; i++) {
        const char *name = numbered("s", i);

        hello(f, name);
        submit(f, name, name, "echo");
        bye(f, name);
    }
    assert_false(trace_has(f, "limit_exceeded"));
    drop_trace(f);
    hello(f, "s99");
    expect_trace(f, "[   0] s99 <- WELCOME\n");
}

/* A join keeps the results of its needs until it ends: they count, as all memory does. */
static void results_that_a_join_keeps_are_bounded(void **state)
{
    static char large[8193];
    struct fixture *f = *state;

    memset(large, 'x', sizeof large - 1);
    f->options.memory_max = 64 * 1024;
    f->options.service.attempts = 1;
    fixture_restart(f);
    given_echo(f, 20);
    submit_held_for(f, "j1", JOIN_SETTLED, 20);
    for (int i = 1; i <= 20; i++) {
        drop_trace(f);
        done(f, "w1", numbered("a", i), 1, large);
        assert_true(stats_of(f).memory_bytes <= f->options.memory_max);
    }
    assert_in_range(stats_of(f).done, 4, 8);
    assert_int_equal(stats_of(f).done - 1 + stats_of(f).failed, 20);
    assert_true(trace_has(f, "s1 <- RESULT j1 done"));
    assert_true(trace_has(f, "a20 failed attempt=1 code=memory_full"));
}

/* However much one join keeps, others' results are remembered as before. */
static void what_a_join_keeps_takes_no_retention_from_others(void **state)
{
    struct fixture *f = *state;

    f->options.retain_tasks = 2;
    fixture_restart(f);
    given_echo(f, 10);
    hello(f, "s2");
    submit_held_for(f, "j1", JOIN_ALL, 4);
    done(f, "w1", "a1", 1, "");
    done(f, "w1", "a2", 1, "");
    done(f, "w1", "a3", 1, "");
    submit(f, "s2", "t1", "echo");
    done(f, "w1", "t1", 1, "one");
    drop_trace(f);
    submit(f, "s2", "t1", "echo");
    expect_trace(f, "[   0] s2 <- RESULT t1 done attempt=1 payload=one\n");
    done(f, "w1", "a4", 1, "");
    advance_ms(f, 70000);
    assert_int_equal(stats_of(f).retained, 0);
    assert_int_equal(stats_of(f).memory_bytes, 0);
}

/* A worker that never answers keeps its credit taken, which takes memory. */
static void leases_without_an_answer_are_bounded_by_memory(void **state)
{
    struct fixture *f = *state;
    struct submit brief = {.deadline_ms = 1};

    f->options.memory_max = 16 * 1024;
    fixture_restart(f);
    given_echo(f, 1000);
    for (int i = 0; i < 500; i++) {
        submit_with(f, "s1", numbered("t", i), "echo", "", &brief);
        advance_ms(f, 1);
    }
    assert_in_range(f->refused, 200, 480);
    bye(f, "w1");
    hello(f, "w2");
    offer(f, "w2", "echo", 1);
    drop_trace(f);
    submit(f, "s1", "t", "echo");
    expect_trace(f, "[ 500] w2 <- TASK t attempt=1\n");
}

static void texts_of_offers_are_bounded_by_memory(void **state)
{
    static char schema[SCHEMA_BYTES_MAX];
    struct fixture *f = *state;
    struct message message = {.command = COMMAND_OFFER};

    memset(schema, ' ', sizeof schema);
    f->options.memory_max = 16 * 3 * SCHEMA_BYTES_MAX;
    fixture_restart(f);
    hello(f, "w1");
    drop_trace(f);
    message.offer.schema = span_of(schema, sizeof schema);
    for (int i = 0; i < 4; i++) {
        message.offer.service = span_of("abcd" + i, 1);
        say(f, "w1", &message);
    }
    expect_trace(f, "[   0] w1 <- ERROR code=memory_full field=schema\n");
    assert_int_equal(stats_of(f).services, 3);
    message.offer.service = span_from_text("c"); /* the same again is no more than it was */
    say(f, "w1", &message);
    message.offer.service = span_from_text("d");
    withdraw(f, "w1", "a");
    say(f, "w1", &message);
    expect_trace(f, "");
}

static void a_memory_full_of_tasks_still_takes_results_for_joins(void **state)
{
    static char large[2001];
    struct fixture *f = *state;

    memset(large, 'x', sizeof large - 1);
    f->options.memory_max = 16 * 1024;
    f->options.service.attempts = 1;
    fixture_restart(f);
    given_echo(f, 1);
    submit_held_for(f, "j1", JOIN_ALL, 1);
    hello(f, "s2");
    for (int i = 0; i < 100; i++) {
        submit(f, "s2", numbered("t", i), "echo");
    }
    assert_true(trace_has(f, "memory_full"));
    drop_trace(f);
    done(f, "w1", "a1", 1, large);
    assert_true(trace_has(f, "s1 <- RESULT j1 done | a1 done attempt=1 payload=2000 bytes"));
}

/* Or nobody could ever empty it. */
static void a_memory_full_of_tasks_still_takes_workers(void **state)
{
    struct fixture *f = *state;
    struct message message = {.command = COMMAND_OFFER};
    char schema[1000];

    memset(schema, ' ', sizeof schema);
    f->options.memory_max = 16 * 1024;
    fixture_restart(f);
    given_echo(f, 0);
    for (int i = 0; i < 100; i++) {
        submit(f, "s1", numbered("t", i), "echo");
    }
    assert_true(trace_has(f, "memory_full"));
    bye(f, "w1");
    hello(f, "w2");
    drop_trace(f);
    message.offer.service = span_from_text("echo");
    message.offer.credit = 1;
    message.offer.schema = span_of(schema, sizeof schema);
    say(f, "w2", &message);
    expect_trace(f, "[   0] w2 <- TASK t0 attempt=1\n");
}

/* Each of a chain of parents may have a child, but the chain has an end. */
static void a_chain_of_children_does_not_get_around_the_window(void **state)
{
    struct fixture *f = *state;
    char parent[16] = "p0", child[16];

    f->options.window_tasks = 10;
    fixture_restart(f);
    given_echo(f, 5000);
    f->quiet = true;
    submit(f, "w1", "p0", "echo");
    for (int i = 1; i < 2000; i++) {
        snprintf(child, sizeof child, "p%d", i);
        submit_child(f, "w1", child, "echo", parent, 1);
        strcpy(parent, child);
    }
    assert_int_equal(stats_of(f).leased, 2 * 10 + 1024);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPEC(a_refused_offer_leaves_no_service_behind),
        SPEC(idle_services_do_not_keep_others_out),
        SPEC(services_waited_for_do_not_keep_workers_out),
        SPEC(a_linger_of_nothing_ends_a_step),
        SPEC(a_need_named_too_often_is_refused),
        SPEC(one_peer_waiting_for_cancels_does_not_stop_others),
        SPEC(ended_sessions_do_not_keep_others_out),
        SPEC(results_that_a_join_keeps_are_bounded),
        SPEC(what_a_join_keeps_takes_no_retention_from_others),
        SPEC(leases_without_an_answer_are_bounded_by_memory),
        SPEC(texts_of_offers_are_bounded_by_memory),
        SPEC(a_memory_full_of_tasks_still_takes_results_for_joins),
        SPEC(a_memory_full_of_tasks_still_takes_workers),
        SPEC(a_chain_of_children_does_not_get_around_the_window),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
