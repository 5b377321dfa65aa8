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
    char name[16];

    f->options.services_max = 4;
    f->options.retain_tasks = 0;
    fixture_restart(f);
    hello(f, "w1");
    hello(f, "s1");
    offer(f, "w1", "mine", 1);
    drop_trace(f);
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "o%d", i);
        offer(f, "w1", name, 1);
        withdraw(f, "w1", name);
        snprintf(name, sizeof name, "t%d", i);
        submit_with(f, "s1", name, name, "", &waiting);
        cancel(f, "s1", name, 0);
    }
    assert_int_equal(f->refused, 0);
    assert_false(trace_has(f, "limit_exceeded"));
    assert_int_equal(stats_of(f).services, 4);
    drop_trace(f);
    submit(f, "s1", "t1", "mine");
    expect_trace(f, "[   0] w1 <- TASK t1 attempt=1\n");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPEC(a_refused_offer_leaves_no_service_behind),
        SPEC(idle_services_do_not_keep_others_out),
        SPEC(a_linger_of_nothing_ends_a_step),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
