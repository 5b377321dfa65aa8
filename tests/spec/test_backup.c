/* A backup is made by the shell; the core says who may have one, and when it is there. */
#include "tests/spec/fixture.h"

static void ask(struct fixture *f, const char *peer)
{
    struct message message = {.command = COMMAND_CONTROL};

    message.control.request = 9;
    message.control.what = CONTROL_BACKUP;
    say(f, peer, &message);
}

static void ends(struct fixture *f, const char *why)
{
    struct backup_end end = {.path = span_from_text("/store/tasks.db.backup-17"),
                             .bytes = why != NULL ? 0 : 4096,
                             .why = span_from_text(why != NULL ? why : "")};
    struct event what = {.kind = EVENT_BACKUP, .backup = &end};

    event(f, &what);
}

static void who_asked_hears_of_it_when_it_is_there(void **state)
{
    struct fixture *f = *state;

    ask(f, "s1");
    expect_trace(f, "");
    assert_int_equal(f->backups, 1);
    ends(f, NULL);
    expect_trace(f, "[   0] s1 <- REPLY 9 ok path=/store/tasks.db.backup-17 bytes=4096\n");
    ends(f, NULL); /* nobody asked */
    expect_trace(f, "");
}

static void one_at_a_time(void **state)
{
    struct fixture *f = *state;

    hello(f, "o1");
    drop_trace(f);
    ask(f, "s1");
    ask(f, "o1");
    expect_trace(f, "[   0] o1 <- REPLY 9 failed code=limit_exceeded\n");
    ask(f, "s1");
    expect_trace(f, "[   0] s1 <- REPLY 9 failed code=limit_exceeded\n");
    assert_int_equal(f->backups, 1);
    ends(f, "no room");
    expect_trace(f, "[   0] s1 <- REPLY 9 failed code=store_unavailable\n");
    ask(f, "o1");
    assert_int_equal(f->backups, 2);
}

static void who_has_left_is_not_answered(void **state)
{
    struct fixture *f = *state;

    ask(f, "s1");
    bye(f, "s1");
    drop_trace(f);
    ends(f, NULL);
    expect_trace(f, "");
    hello(f, "s1");
    drop_trace(f);
    ask(f, "s1");
    assert_int_equal(f->backups, 2);
}

static void a_disk_that_fails_gives_none(void **state)
{
    struct fixture *f = *state;

    store_is(f, STORE_FULL);
    ask(f, "s1");
    expect_trace(f, "[   0] s1 <- REPLY 9 failed code=store_unavailable\n");
    store_is(f, STORE_LOST);
    ask(f, "s1");
    expect_trace(f, "[   0] s1 <- REPLY 9 failed code=store_unavailable\n");
    assert_int_equal(f->backups, 0);
}

static void a_broker_without_a_store_has_none(void **state)
{
    struct fixture *f = *state;

    hello(f, "s1");
    drop_trace(f);
    ask(f, "s1");
    expect_trace(f, "[   0] s1 <- REPLY 9 failed code=unsupported\n");
}

static void watchers_hear_who_wants_one(void **state)
{
    struct fixture *f = *state;
    struct message watch = {.command = COMMAND_WATCH};

    hello(f, "o1");
    watch.watch.request = 3;
    watch.watch.credit = 100;
    say(f, "o1", &watch);
    drop_trace(f);
    ask(f, "s1");
    expect_trace(f, "[   0] o1 <- EVENT 3 #1 backup_started - peer=s1\n");
}

#define STORED(test) cmocka_unit_test_setup_teardown(test, fixture_setup_stored, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORED(who_asked_hears_of_it_when_it_is_there),
        STORED(one_at_a_time),
        STORED(who_has_left_is_not_answered),
        STORED(a_disk_that_fails_gives_none),
        STORED(watchers_hear_who_wants_one),
        SPEC(a_broker_without_a_store_has_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
