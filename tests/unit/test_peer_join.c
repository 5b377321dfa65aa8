/* links: runtime */
/* Joins by the peer machine: when they are sent, and that no held task is left behind. */
#include "tests/unit/peer_trace.h"

static struct submission *join(struct fixture *f, char letter, const uint8_t *needs, size_t count)
{
    struct submit join = {.id = id_of(letter),
                          .join = JOIN_ALL,
                          .needs = needs,
                          .needs_count = count,
                          .needs_stride = ID_BYTES};

    return submit_with(f, &join, (struct submission_options){0});
}

static void a_join_waits_for_needs_that_were_refused(void **state)
{
    struct fixture *f = *state;
    struct id needs[] = {id_of('a'), id_of('b')};

    given_session(f, 10);
    submit_held(f, 'a');
    submit_held(f, 'b');
    join(f, 'j', needs[0].bytes, 2);
    expect_trace(f, "-> SUBMIT a s held\n-> SUBMIT b s held\n-> SUBMIT j join=all of ab\n");
    receive(f, result_of('b', OUTCOME_REFUSED, "queue_full", 100));
    receive(f, result_of('j', OUTCOME_REFUSED, "not_found", 0));
    expect_trace(f, "");
    advance_to(f, 300); /* b goes first; j finds it sent */
    advance_to(f, 310);
    expect_trace(f, "-> SUBMIT b s held\n-> SUBMIT j join=all of ab\n");
}

static void held_tasks_leave_the_window_to_others(void **state)
{
    struct fixture *f = *state;
    struct id needs[] = {id_of('a'), id_of('b'), id_of('c')};

    given_session(f, 1);
    submit_held(f, 'a');
    submit_held(f, 'b');
    submit_held(f, 'c');
    join(f, 'j', needs[0].bytes, 3);
    expect_trace(f, "-> SUBMIT a s held\n-> SUBMIT b s held\n-> SUBMIT c s held\n"
                    "-> SUBMIT j join=all of abc\n");
}

/* One record of a join's RESULT, as it comes: without a body. */
#define RECORD_BYTES 26

static struct message joined(uint8_t bytes[RECORD_BYTES], char join, char need)
{
    static const uint8_t rest[] = {OUTCOME_DONE, 0xc4, 0, 1, 0, 0, 0xa0};
    struct message message = result_of(join, OUTCOME_DONE, "", 0);
    struct id id = id_of(need);

    bytes[0] = 0x97;
    bytes[1] = 0xc4;
    bytes[2] = ID_BYTES;
    memcpy(bytes + 3, id.bytes, ID_BYTES);
    memcpy(bytes + 3 + ID_BYTES, rest, sizeof rest);
    message.result.input_count = 1;
    message.result.record.payload.bytes = span_of(bytes, RECORD_BYTES);
    return message;
}

static void needs_of_an_abandoned_join_end_as_it_tells(void **state)
{
    struct fixture *f = *state;
    struct id needs[] = {id_of('a'), id_of('b')};
    uint8_t bytes[RECORD_BYTES];
    struct submit detached = {.id = id_of('j'),
                              .join = JOIN_SETTLED,
                              .detached = true,
                              .needs = needs[0].bytes,
                              .needs_count = 2,
                              .needs_stride = ID_BYTES};

    given_session(f, 10);
    submit_held(f, 'a');
    submit_held(f, 'b');
    peer_abandon(f->peer, submit_with(f, &detached, (struct submission_options){0}));
    forget_trace(f);
    receive(f, joined(bytes, 'j', 'a'));
    expect_trace(f, "!! result a done\n-> CANCEL b confirm\n");
}

static void a_join_that_tells_nothing_leaves_no_need_behind(void **state)
{
    struct fixture *f = *state;
    struct id needs[] = {id_of('a'), id_of('b')};
    uint8_t bytes[RECORD_BYTES];
    struct span inputs = joined(bytes, 'j', 'a').result.record.payload.bytes;

    given_session(f, 10);
    submit_held(f, 'a');
    submit_held(f, 'b');
    join(f, 'j', needs[0].bytes, 2);
    forget_trace(f);
    peer_settle(f->peer, inputs);
    peer_settle(f->peer, inputs);
    receive(f, result_of('j', OUTCOME_CANCELLED, "cancelled", 0));
    expect_trace(f, "!! result a done\n!! result j cancelled cancelled\n-> CANCEL b confirm\n");
    receive(f, (struct message){.command = COMMAND_REPLY, .reply = {.request = 1, .ok = true}});
    expect_trace(f, "!! result b cancelled cancelled\n");
}

/* Done in time, perhaps: the broker keeps that for a join that comes later, but not for ever. */
static void a_held_task_that_no_join_comes_for_expires(void **state)
{
    struct fixture *f = *state;
    struct submit held = {
        .id = id_of('a'), .service = span_from_text("s"), .deadline_ms = 200, .held = true};
    struct id needs[] = {id_of('b')};

    given_session(f, 10);
    submit_with(f, &held, (struct submission_options){0});
    held.id = id_of('b');
    submit_with(f, &held, (struct submission_options){0});
    forget_trace(f);
    for (uint64_t now_ms = 200; now_ms < 60200; now_ms += 1000) {
        advance_to(f, now_ms);
        receive(f, (struct message){.command = COMMAND_PONG});
    }
    assert_null(strstr(f->trace, "!!"));
    join(f, 'j', needs[0].bytes, 1);
    forget_trace(f);
    advance_to(f, 60200);
    expect_trace(f, "-> PING\n!! result a expired expired\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_join_waits_for_needs_that_were_refused),
        TEST(held_tasks_leave_the_window_to_others),
        TEST(needs_of_an_abandoned_join_end_as_it_tells),
        TEST(a_join_that_tells_nothing_leaves_no_need_behind),
        TEST(a_held_task_that_no_join_comes_for_expires),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
