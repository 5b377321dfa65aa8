/* links: shell */
/* Numbered output: kept until it is acknowledged, sent again over the next connection. */
#include "tests/unit/post_fixture.h"

/* Dealer 0 is a peer's connection, dealer 1 its next one. */
static int setup(void **state)
{
    return post_setup(state, 1000);
}

static enum resume hello(struct fixture *f, size_t at, bool numbered, uint64_t received)
{
    struct resume_request request = {.numbered = numbered,
                                     .old = f->connections[0],
                                     .from = f->connections[at],
                                     .received = received};
    enum resume resume = post_resume(f->post, &request, &f->start);

    if (resume == RESUME_ANEW || resume == RESUME_GOES_ON) {
        post_write(f->post, f->connections[at],
                   &(struct message){.command = COMMAND_WELCOME,
                                     .welcome = {.version = 1, .resume = true}});
    }
    return resume;
}

static void pong(struct fixture *f, size_t at, uint64_t nonce)
{
    post_write(f->post, f->connections[at],
               &(struct message){.command = COMMAND_PONG, .pong = {.nonce = nonce}});
    post_flush(f->post, ++f->now_ms);
}

/* The next message to dealer `at`: its number (0: it has none) and its last command. */
static uint64_t next_number(struct fixture *f, size_t at, struct message *last)
{
    struct codec_reader reader;
    struct codec_error error;
    uint64_t number = 0;
    static uint8_t bytes[4096];
    int size;

    wait_readable(f->dealers[at]);
    size = zmq_recv(f->dealers[at], bytes, sizeof bytes, 0);
    assert_true(size > 0 && size <= (int)sizeof bytes);
    codec_reader_init(&reader, span_of(bytes, (size_t)size), NULL, 0);
    while (codec_read(&reader, CODEC_AT_PEER, last, &error) == CODEC_OK) {
        if (last->command == COMMAND_SEQUENCE) {
            number = last->sequence.number;
        }
    }
    return number;
}

static void heard(struct fixture *f, size_t at, uint64_t number, uint64_t acknowledged)
{
    struct sequence sequence = {number, acknowledged};
    enum session_news news;

    assert_true(post_receive(f->post, f->connections[at], &sequence, 1, &news));
    assert_int_equal(news, number == 0 ? SESSION_BARE : SESSION_NEXT);
}

static void a_message_is_numbered_after_welcome(void **state)
{
    struct fixture *f = *state;
    struct message last;

    assert_int_equal(hello(f, 0, false, 0), RESUME_ANEW);
    pong(f, 0, 7);
    assert_int_equal(next_number(f, 0, &last), 0);
    assert_int_equal(last.command, COMMAND_WELCOME);
    assert_int_equal(next_number(f, 0, &last), f->start + 1);
    assert_int_equal(last.pong.nonce, 7);
}

static void what_was_not_acknowledged_is_sent_again_over_the_next_connection(void **state)
{
    struct fixture *f = *state;
    struct message last;
    uint64_t first;

    hello(f, 0, false, 0);
    first = f->start + 1;
    pong(f, 0, 1);
    pong(f, 0, 2);
    heard(f, 0, first, first); /* it has the first */
    pong(f, 0, 3);
    assert_int_equal(hello(f, 1, true, first), RESUME_GOES_ON);
    pong(f, 1, 4);
    assert_int_equal(f->start, first); /* what we have of it */
    assert_int_equal(next_number(f, 1, &last), 0);
    assert_int_equal(last.command, COMMAND_WELCOME);
    for (uint64_t nonce = 2; nonce <= 4; nonce++) {
        assert_int_equal(next_number(f, 1, &last), first + nonce - 1);
        assert_int_equal(last.pong.nonce, nonce);
    }
}

static void an_old_hello_changes_nothing_and_an_unheard_session_begins_anew(void **state)
{
    struct fixture *f = *state;
    uint64_t start;

    hello(f, 0, false, 0);
    start = f->start;
    pong(f, 0, 1);
    pong(f, 0, 2);
    heard(f, 0, 0, start + 2);
    assert_int_equal(hello(f, 1, true, start + 1), RESUME_STALE);
    assert_int_equal(hello(f, 1, true, start + 3), RESUME_STALE);
    assert_int_equal(hello(f, 0, true, start + 2), RESUME_GOES_ON);
    post_forget(f->post, f->connections[0]);
    assert_int_equal(hello(f, 0, false, start + 2), RESUME_ANEW);
    assert_true(f->start > start + 2);
    start = f->start;
    assert_int_equal(hello(f, 1, true, 0), RESUME_ANEW); /* nothing has come from it yet */
    assert_true(f->start > start);
}

static void silence_is_acknowledged(void **state)
{
    struct fixture *f = *state;
    struct message last;

    hello(f, 0, false, 0);
    post_flush(f->post, ++f->now_ms);
    next_number(f, 0, &last);
    for (uint64_t i = 1; i <= SESSION_UNTOLD_MAX; i++) {
        heard(f, 0, f->start + i, f->start);
    }
    post_flush(f->post, ++f->now_ms);
    assert_int_equal(next_number(f, 0, &last), 0);
    assert_int_equal(last.command, COMMAND_SEQUENCE);
    assert_int_equal(last.sequence.acknowledged, f->start + SESSION_UNTOLD_MAX);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, post_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_message_is_numbered_after_welcome),
        TEST(what_was_not_acknowledged_is_sent_again_over_the_next_connection),
        TEST(an_old_hello_changes_nothing_and_an_unheard_session_begins_anew),
        TEST(silence_is_acknowledged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
