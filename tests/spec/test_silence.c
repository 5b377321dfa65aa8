/* The promise: what is logged changes nothing of what is done. */
#include "tests/spec/fixture.h"

#include <stdlib.h>
#include <string.h>

/* Whatever is worth a line of the log. */
static void live(struct fixture *f)
{
    struct malformed malformed = {.code = ERROR_BAD_MESSAGE,
                                  .command = COMMAND_SUBMIT,
                                  .field = "needs",
                                  .message = "not an array"};
    struct event bad = {
        .kind = EVENT_MALFORMED, .from = connection_of("s1"), .malformed = &malformed};
    struct event drain = {.kind = EVENT_DRAIN};
    struct message withdraw = {.command = COMMAND_WITHDRAW};
    struct submit leased = {.lease_ms = 10};

    hello(f, "w1");
    hello(f, "s1");
    offer(f, "w1", "echo", 3);
    event(f, &bad);
    submit(f, "s1", "t1", "echo");
    submit_with(f, "s1", "t2", "echo", "", &leased);
    cancel(f, "s1", "t1", 1);
    fail_task(f, "w1", "t2", 1, "busy", true);
    advance_ms(f, 11000); /* t1's worker does not confirm; t2's lease runs out */
    hello_from(f, "s1", connection_of("s9"));
    withdraw.withdraw.service = span_from_text("echo");
    say(f, "w1", &withdraw);
    lose(f, "w1");
    f->now_ms += 100000; /* the broker sleeps */
    ping(f, "s9");
    event(f, &drain);
    bye(f, "s9");
}

static void a_silent_broker_does_the_same(void **state)
{
    struct fixture *f = *state;
    char *loud;

    live(f);
    assert_in_range(f->logged, 20, 200);
    loud = strdup(f->trace);
    f->log_level = LOG_ERROR;
    f->now_ms = 0;
    fixture_restart(f);
    f->logged = 0;
    live(f);
    assert_int_equal(f->logged, 0);
    expect_trace(f, loud);
    free(loud);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPEC(a_silent_broker_does_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
