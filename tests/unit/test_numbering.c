/* links: runtime */
/* A peer's half of a numbered session: what HELLO says, what WELCOME means. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agents/runtime/numbering.h"

static struct hello greet(struct numbering *numbering, uint64_t greeting)
{
    struct hello hello = {.resume = true, .greeting = greeting};

    numbering_greet(numbering, &hello);
    return hello;
}

static enum numbering_change welcome(struct numbering *numbering, uint64_t greeting,
                                     uint64_t start)
{
    struct welcome welcome = {.resume = true, .received = start, .greeting = greeting};

    return numbering_welcome(numbering, &welcome);
}

static enum numbering_change resumed(struct numbering *numbering, uint64_t greeting,
                                     uint64_t received)
{
    struct welcome welcome = {
        .resume = true, .resumed = true, .received = received, .greeting = greeting};

    return numbering_welcome(numbering, &welcome);
}

static bool take(struct numbering *numbering, uint64_t number)
{
    struct sequence sequence = {number, numbering->start};

    return numbering_take(numbering, &sequence, 1);
}

/* With a session whose numbers began at 1000, and one message received. */
static void given_session(struct numbering *numbering)
{
    numbering_init(numbering);
    assert_int_equal(greet(numbering, 1).received, 0);
    assert_int_equal(welcome(numbering, 1, 1000), NUMBERING_ANEW);
    assert_true(take(numbering, 1001));
}

static void a_session_goes_on_where_it_stopped(void **state)
{
    struct numbering numbering;

    given_session(&numbering);
    assert_true(numbering_lets(&numbering, 1));
    assert_int_equal(greet(&numbering, 2).received, 1001);
    assert_false(numbering_lets(&numbering, 1));
    assert_false(take(&numbering, 1002)); /* it comes again */
    assert_int_equal(resumed(&numbering, 2, 1000), NUMBERING_SAME);
    assert_true(numbering_lets(&numbering, 1));
    assert_true(take(&numbering, 1002));
    numbering_stop(&numbering);
}

static void a_welcome_to_an_earlier_hello_means_nothing(void **state)
{
    struct numbering numbering;

    given_session(&numbering);
    assert_int_equal(greet(&numbering, 2).received, 1001);
    assert_int_equal(welcome(&numbering, 1, 1000), NUMBERING_SAME);
    assert_int_equal(numbering.session.received, 1001);
    assert_false(numbering_lets(&numbering, 1));
    assert_int_equal(welcome(&numbering, 2, 2000), NUMBERING_ANEW);
    assert_true(take(&numbering, 2001));
    numbering_stop(&numbering);
}

static void what_is_missing_asks_for_a_hello_and_is_forgotten_over_it(void **state)
{
    struct numbering numbering;

    given_session(&numbering);
    assert_false(take(&numbering, 1003));
    assert_true(numbering.missing);
    assert_int_equal(greet(&numbering, 2).received, 1001);
    assert_false(numbering.missing);
    numbering_stop(&numbering);
}

/* Its numbers have to be above those that late messages of the old one may carry. */
static void a_session_that_begins_anew_says_which_numbers_were_used(void **state)
{
    struct welcome unnumbered = {.greeting = 2};
    struct numbering numbering;
    struct hello hello = {.resume = true, .greeting = 2};

    given_session(&numbering);
    numbering_break(&numbering);
    assert_false(numbering_greet(&numbering, &hello));
    assert_false(hello.resume);
    assert_int_equal(numbering_welcome(&numbering, &unnumbered), NUMBERING_SAME);
    assert_false(numbering.on);
    hello = greet(&numbering, 3);
    assert_true(hello.resume);
    assert_int_equal(hello.received, 1001);
    numbering_stop(&numbering);
}

/* Else who has something to say asks again and again whether it may. */
static void nothing_goes_that_would_be_too_much_to_keep(void **state)
{
    struct numbering numbering;
    struct session_letter letter;

    given_session(&numbering);
    session_keep(&numbering.session, &letter, SESSION_BYTES_MAX - 10);
    assert_true(numbering_lets(&numbering, 10));
    assert_false(numbering_lets(&numbering, 11));
    assert_ptr_equal(session_drop(&numbering.session), &letter);
    assert_true(numbering_lets(&numbering, 2 * SESSION_BYTES_MAX));
    numbering_stop(&numbering);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_goes_on_where_it_stopped),
        cmocka_unit_test(a_welcome_to_an_earlier_hello_means_nothing),
        cmocka_unit_test(what_is_missing_asks_for_a_hello_and_is_forgotten_over_it),
        cmocka_unit_test(a_session_that_begins_anew_says_which_numbers_were_used),
        cmocka_unit_test(nothing_goes_that_would_be_too_much_to_keep),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
