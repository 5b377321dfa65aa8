/* The promise: the same key with the same content is the same task, whoever submits it; with
 * other content it is a conflict. */
#include "tests/spec/fixture.h"

static struct submit keyed(const char *key)
{
    return (struct submit){.idempotency_key = span_from_text(key)};
}

static void submit_keyed(struct fixture *f, const char *peer, const char *task,
                         const char *payload, uint64_t cache_ms)
{
    struct submit options = keyed("k");

    options.cache_ms = cache_ms;
    submit_with(f, peer, task, "echo", payload, &options);
}

static void two_submits_of_a_key_run_once(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 9);
    hello(f, "s2");
    drop_trace(f);
    submit_keyed(f, "s1", "t1", "in", 0);
    submit_keyed(f, "s2", "t2", "in", 0);
    submit_keyed(f, "s1", "t3", "in", 0);
    expect_trace(f, "[   0] w1 <- TASK t1 attempt=1 payload=in\n");
    expect_why(f, "t2", "reason=same_key");
    drop_trace(f);
    done(f, "w1", "t1", 1, "out");
    expect_trace(f, "[   0] s1 <- RESULT t1 done attempt=1 payload=out\n"
                    "[   0] s2 <- RESULT t2 done payload=out\n"
                    "[   0] s1 <- RESULT t3 done payload=out\n");
    assert_int_equal(stats_of(f).attempts, 1);
    assert_int_equal(stats_of(f).shared, 2);
    submit_keyed(f, "s1", "t4", "in", 0); /* not cached: a new run */
    expect_trace(f, "[   0] w1 <- TASK t4 attempt=1 payload=in\n");
}

static void another_content_is_a_conflict(void **state)
{
    struct fixture *f = *state;
    struct submit other = keyed("k2");

    given_echo(f, 9);
    submit_keyed(f, "s1", "t1", "in", 0);
    drop_trace(f);
    submit_keyed(f, "s1", "t2", "other", 0);
    expect_trace(f, "[   0] s1 <- RESULT t2 refused code=conflict\n");
    submit_with(f, "s1", "t3", "echo", "other", &other); /* another key */
    expect_trace(f, "[   0] w1 <- TASK t3 attempt=1 payload=other\n");
    hello(f, "w2");
    offer(f, "w2", "leaf", 1);
    drop_trace(f);
    other = keyed("k");
    submit_with(f, "s1", "t4", "leaf", "other", &other); /* another service */
    expect_trace(f, "[   0] w2 <- TASK t4 attempt=1 payload=other\n");
}

static void a_cached_result_answers_for_its_time(void **state)
{
    struct fixture *f = *state;

    f->options.retain_tasks = 0; /* only what asks for it is remembered */
    fixture_restart(f);
    given_echo(f, 9);
    submit_keyed(f, "s1", "t1", "in", 1000);
    done(f, "w1", "t1", 1, "out");
    drop_trace(f);
    advance_ms(f, 999);
    submit_keyed(f, "s1", "t2", "in", 0);
    expect_trace(f, "[ 999] s1 <- RESULT t2 done payload=out\n");
    submit_keyed(f, "s1", "t3", "other", 0);
    expect_trace(f, "[ 999] s1 <- RESULT t3 refused code=conflict\n");
    advance_ms(f, 1);
    submit_keyed(f, "s1", "t4", "other", 0);
    expect_trace(f, "[1000] w1 <- TASK t4 attempt=1 payload=other\n");
}

static void a_result_kept_longer_than_its_cache_does_not_answer(void **state)
{
    struct fixture *f = *state;
    struct submit options = keyed("k");

    given_echo(f, 9);
    options.cache_ms = 10;
    options.retain_ms = 60000;
    submit_with(f, "s1", "t1", "echo", "in", &options);
    done(f, "w1", "t1", 1, "out");
    advance_ms(f, 10);
    drop_trace(f);
    submit_keyed(f, "s1", "t2", "in", 0);
    expect_trace(f, "[  10] w1 <- TASK t2 attempt=1 payload=in\n");
}

static void failures_are_shared_and_not_cached(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 9);
    submit_keyed(f, "s1", "t1", "in", 60000);
    submit_keyed(f, "s1", "t2", "in", 0);
    drop_trace(f);
    fail_task(f, "w1", "t1", 1, "bad", false);
    expect_trace(f, "[   0] s1 <- RESULT t1 failed attempt=1 code=bad\n"
                    "[   0] s1 <- RESULT t2 failed code=bad\n");
    submit_keyed(f, "s1", "t3", "in", 0);
    expect_trace(f, "[   0] w1 <- TASK t3 attempt=1 payload=in\n");
}

static void the_oldest_follower_goes_on_when_the_first_is_cancelled(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 9);
    submit_keyed(f, "s1", "t1", "in", 0);
    hello(f, "s2");
    submit_keyed(f, "s2", "t2", "in", 0);
    submit_keyed(f, "s2", "t3", "in", 0);
    cancel(f, "s1", "t1", 0);
    submit_keyed(f, "s2", "t4", "in", 0); /* while it stops */
    drop_trace(f);
    fail_task(f, "w1", "t1", 1, "cancelled", false);
    expect_trace(f, "[   0] s1 <- RESULT t1 cancelled attempt=1 code=cancelled\n"
                    "[   0] w1 <- TASK t2 attempt=1 payload=in\n");
    done(f, "w1", "t2", 1, "out");
    expect_trace(f, "[   0] s2 <- RESULT t2 done attempt=1 payload=out\n"
                    "[   0] s2 <- RESULT t3 done payload=out\n"
                    "[   0] s2 <- RESULT t4 done payload=out\n");
}

static void who_follows_may_leave(void **state)
{
    struct fixture *f = *state;
    struct submit late = keyed("k");

    given_echo(f, 9);
    submit_keyed(f, "s1", "t1", "in", 0);
    submit_keyed(f, "s1", "t2", "in", 0);
    late.deadline_ms = 50;
    submit_with(f, "s1", "t3", "echo", "in", &late);
    drop_trace(f);
    cancel(f, "s1", "t2", 0);
    expect_trace(f, "[   0] s1 <- RESULT t2 cancelled code=cancelled\n");
    advance_ms(f, 50);
    expect_trace(f, "[  50] s1 <- RESULT t3 expired code=expired\n");
    done(f, "w1", "t1", 1, "out");
    expect_trace(f, "[  50] s1 <- RESULT t1 done attempt=1 payload=out\n");
}

static void a_follower_keeps_its_delay(void **state)
{
    struct fixture *f = *state;
    struct submit options = keyed("k");

    given_echo(f, 9);
    submit_keyed(f, "s1", "t1", "in", 0);
    options.delay_ms = 100;
    submit_with(f, "s1", "t2", "echo", "in", &options);
    cancel(f, "s1", "t1", 0);
    fail_task(f, "w1", "t1", 1, "cancelled", false);
    drop_trace(f);
    advance_ms(f, 99);
    expect_trace(f, "");
    advance_ms(f, 1);
    expect_trace(f, "[ 100] w1 <- TASK t2 attempt=1 payload=in\n");
}

static void followers_need_no_place_in_the_queue(void **state)
{
    struct fixture *f = *state;
    struct service_limits limits = {.max_tasks = 1};

    assert_true(broker_configure_service(f->broker, span_from_text("echo"), &limits));
    given_echo(f, 0);
    submit_keyed(f, "s1", "t1", "in", 0);
    drop_trace(f);
    submit(f, "s1", "x1", "echo");
    assert_true(trace_has(f, "x1 refused code=queue_full"));
    drop_trace(f);
    submit_keyed(f, "s1", "t2", "in", 0);
    expect_trace(f, "");
}

static void nobody_follows_its_own_ancestor(void **state)
{
    struct fixture *f = *state;
    struct submit options = keyed("k");

    given_echo(f, 9);
    submit_keyed(f, "s1", "t1", "in", 0);
    drop_trace(f);
    options.parent = id_of("t1");
    options.parent_attempt = 1;
    submit_with(f, "w1", "c1", "echo", "in", &options);
    expect_trace(f, "[   0] w1 <- RESULT c1 refused code=conflict\n");
}

static void joins_have_no_key(void **state)
{
    struct fixture *f = *state;
    struct submit options = keyed("k");

    given_echo(f, 9);
    options.join = JOIN_ALL;
    drop_trace(f);
    submit_with(f, "s1", "j1", "echo", "", &options);
    expect_trace(f, "[   0] s1 <- RESULT j1 refused code=unsupported\n");
}

static void a_lost_submitter_takes_no_result_from_others(void **state)
{
    struct fixture *f = *state;

    f->options.resume_ms = 100;
    fixture_restart(f);
    given_echo(f, 9);
    hello(f, "s2");
    submit_keyed(f, "s1", "t1", "in", 0);
    submit_keyed(f, "s2", "t2", "in", 0);
    bye(f, "s1");
    fail_task(f, "w1", "t1", 1, "cancelled", false);
    drop_trace(f);
    done(f, "w1", "t2", 1, "out");
    expect_trace(f, "[   0] s2 <- RESULT t2 done attempt=1 payload=out\n");
}

/* A cache is no reason to refuse anything: it goes before that. */
static void a_cache_gives_way_to_memory(void **state)
{
    static char payload[4001];
    struct fixture *f = *state;

    f->options.memory_max = 16384;
    fixture_restart(f);
    given_echo(f, 9);
    submit_keyed(f, "s1", "t1", "in", 60000);
    for (size_t i = 0; i < 4000; i++) {
        payload[i] = 'x';
    }
    done(f, "w1", "t1", 1, payload);
    for (int i = 0; i < 3; i++) {
        submit_with(f, "s1", numbered("x", i), "echo", payload, NULL);
    }
    drop_trace(f);
    submit_keyed(f, "s1", "t2", "in", 0);
    assert_true(trace_has(f, "w1 <- TASK t2") || trace_has(f, "memory_full"));
    assert_false(trace_has(f, "RESULT t2 done"));
}

static void a_follower_of_one_version_too_many_is_told_so(void **state)
{
    struct fixture *f = *state;
    struct submit options = {.if_absent = IF_ABSENT_WAIT};

    given_echo(f, 1);
    for (unsigned i = 0; i < 48; i++) {
        options.version = span_from_text(numbered("v", i));
        submit_with(f, "s1", numbered("t", i), "echo", "", &options);
    }
    options.version = span_of(NULL, 0);
    options.idempotency_key = span_from_text("k");
    submit_with(f, "s1", "a1", "echo", "", &options);
    drop_trace(f);
    options.version = span_from_text("another");
    submit_with(f, "s1", "a2", "echo", "", &options);
    expect_trace(f, "[   0] s1 <- RESULT a2 refused code=limit_exceeded retry_after_ms=100\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPEC(two_submits_of_a_key_run_once),
        SPEC(another_content_is_a_conflict),
        SPEC(a_cached_result_answers_for_its_time),
        SPEC(a_result_kept_longer_than_its_cache_does_not_answer),
        SPEC(failures_are_shared_and_not_cached),
        SPEC(the_oldest_follower_goes_on_when_the_first_is_cancelled),
        SPEC(who_follows_may_leave),
        SPEC(a_follower_keeps_its_delay),
        SPEC(followers_need_no_place_in_the_queue),
        SPEC(nobody_follows_its_own_ancestor),
        SPEC(joins_have_no_key),
        SPEC(a_lost_submitter_takes_no_result_from_others),
        SPEC(a_cache_gives_way_to_memory),
        SPEC(a_follower_of_one_version_too_many_is_told_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
