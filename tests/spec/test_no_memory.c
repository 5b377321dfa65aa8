/* The promise: no memory means a refusal. The nth allocation of the core fails, for every n of
 * a life that needs each kind once: whatever it was for, nothing breaks and nothing leaks. */
/* links: core failing */
#include "tests/spec/fixture.h"

#include "common/blob.h"
#include "common/memory.h"
#include "common/pool.h"
#include "common/table.h"

#include <stdio.h>
#include <string.h>

#define LIVES_MAX 1000 /* more allocations than the life below has: the sweep must end */

static unsigned until_failure; /* allocations; 0: none fails */

static bool fails_now(void)
{
    return until_failure > 0 && --until_failure == 0;
}

/* What the linker puts in place of the core's allocators, and those themselves. */
void *__wrap_memory_new(size_t bytes);
void *__real_memory_new(size_t bytes);
bool __wrap_table_init(struct table *table);
bool __real_table_init(struct table *table);
void *__wrap_pool_get(struct pool *pool);
void *__real_pool_get(struct pool *pool);
struct blob *__wrap_blob_new(struct span bytes);
struct blob *__real_blob_new(struct span bytes);

void *__wrap_memory_new(size_t bytes)
{
    return fails_now() ? NULL : __real_memory_new(bytes);
}

bool __wrap_table_init(struct table *table)
{
    return !fails_now() && __real_table_init(table);
}

void *__wrap_pool_get(struct pool *pool)
{
    return fails_now() ? NULL : __real_pool_get(pool);
}

struct blob *__wrap_blob_new(struct span bytes)
{
    return fails_now() ? NULL : __real_blob_new(bytes);
}

static void send_nowhere(void *context, connection_id to, const struct message *message)
{
}

static void forget_nothing(void *context, connection_id connection)
{
}

static void log_nothing(void *context, const struct log_record *record)
{
}

static void a_broker_without_memory_does_not_start(void **state)
{
    struct broker_options options = broker_options_default();
    struct effects effects = {
        .send = send_nowhere, .forget = forget_nothing, .log = log_nothing};
    struct broker *broker = NULL;
    unsigned nth = 0;

    while (broker == NULL) {
        assert_true(++nth < LIVES_MAX);
        until_failure = nth;
        broker = broker_new(&options, &effects, 0);
        assert_true((broker == NULL) == (until_failure == 0));
    }
    until_failure = 0;
    assert_in_range(nth, 6, 20);
    broker_free(broker);
}

static void hello_named(struct fixture *f, const char *peer, const char *name)
{
    struct message message = {.command = COMMAND_HELLO};

    message.hello.version = PROTOCOL_VERSION;
    message.hello.session = id_of(peer);
    message.hello.name = span_from_text(name);
    say(f, peer, &message);
}

static void offer_with_texts(struct fixture *f, const char *peer, const char *service)
{
    struct message message = {.command = COMMAND_OFFER};

    message.offer.service = span_from_text(service);
    message.offer.credit = 8;
    message.offer.schema = span_from_text("{}");
    message.offer.version = span_from_text("1");
    message.offer.about = span_from_text("says it again");
    say(f, peer, &message);
}

/* A stream with its reader and two chunks, a checkpoint, a signal. */
static void stream(struct fixture *f)
{
    struct submit paced = {
        .stream = 4, .attempts = 1, .affinity = span_from_text("here")};
    struct message message = {.command = COMMAND_CHUNK};

    submit_with(f, "s1", "t3", "echo", "", &paced);
    message.chunk.id = id_of("t3");
    message.chunk.attempt = 1;
    message.chunk.payload.bytes = span_from_text("part");
    say(f, "w1", &message);
    message.chunk.id = id_of("p1");
    say(f, "w1", &message);
    message = (struct message){.command = COMMAND_READ};
    message.read.id = id_of("p1");
    message.read.credit = 1;
    say(f, "w2", &message);
    message = (struct message){.command = COMMAND_CHECKPOINT};
    message.checkpoint.id = id_of("p1");
    message.checkpoint.attempt = 1;
    message.checkpoint.payload.bytes = span_from_text("so far");
    say(f, "w1", &message);
    message = (struct message){.command = COMMAND_SIGNAL};
    message.signal.id = id_of("t1");
    message.signal.payload.bytes = span_from_text("go");
    say(f, "w2", &message);
    done(f, "w1", "t3", 1, "");
}

static void limit(struct fixture *f, const char *service, const char *key, uint64_t concurrency)
{
    struct control control = {.what = CONTROL_LIMIT,
                              .service = span_from_text(service),
                              .key = span_from_text(key),
                              .tenant = span_from_text(service[0] == '\0' ? "default" : ""),
                              .limits = limits_unchanged()};

    control.limits.concurrency = concurrency;
    say_control(f, &control);
}

static void pause(struct fixture *f, const char *service)
{
    struct control control = {
        .what = CONTROL_PAUSE, .service = span_from_text(service), .ms = 1};

    say_control(f, &control);
}

/* Rules that hold nobody back: for keys that have tasks and those that come, and for all. */
static void bound(struct fixture *f)
{
    struct submit keyed = {.key = span_from_text("ann"), .attempts = 1};
    struct submit waiting = {.if_absent = IF_ABSENT_WAIT, .queue_ttl_ms = 10};
    struct message message = {.command = COMMAND_FAIL};

    limit(f, "echo", "*", 1000);
    submit_with(f, "s1", "k1", "echo", "", &keyed);
    limit(f, "echo", "ann", 1000);
    pause(f, "leaf");
    limit(f, "", "", 1000);
    submit_with(f, "s1", "t4", "later", "", &waiting);
    limit(f, "echo", "ann", 0);
    limit(f, "echo", "*", 0);
    limit(f, "", "", 0);
    message.fail.id = id_of("k1");
    message.fail.attempt = 1;
    message.fail.error.raw = message.fail.error.code = span_from_text("too_many");
    message.fail.error.retry_after_ms = 1;
    message.fail.error.scope_service = true;
    say(f, "w1", &message);
    advance_ms(f, 2);
}

static void letters(struct fixture *f, const char *peer, enum control_what what)
{
    struct message message = {.command = COMMAND_CONTROL};

    message.control.request = 9;
    message.control.what = what;
    message.control.service = span_from_text("echo");
    say(f, peer, &message);
}

/* A dead letter, and its task once more. */
static void exhume(struct fixture *f)
{
    struct submit mourned = {.dead_letter = true, .attempts = 1};

    submit_with(f, "s1", "d1", "echo", "dead", &mourned);
    fail_task(f, "w1", "d1", 1, "broken", true);
    letters(f, "s1", CONTROL_RETRY);
    done(f, "w1", "d1", 2, "");
}

/* Every kind of thing that the core keeps. */
static void live(struct fixture *f)
{
    struct submit leased = {.lease_ms = 50, .receipts = true, .attempts = 2};
    struct submit waiting = {.if_absent = IF_ABSENT_WAIT};
    struct submit held = {.held = true, .attempts = 1};

    hello_named(f, "s1", "asks");
    hello_named(f, "w1", "works");
    hello(f, "w2");
    offer_with_texts(f, "w1", "echo");
    offer(f, "w2", "leaf", 1);
    submit_with(f, "s1", "p1", "echo", "12345", NULL);
    submit_child(f, "w1", "c1", "leaf", "p1", 1);
    submit_with(f, "s1", "t1", "absent", "67890", &waiting);
    submit_with(f, "s1", "t2", "echo", "abc", &leased);
    submit_with(f, "s1", "h1", "echo", "", &held);
    submit_with(f, "s1", "h2", "echo", "", &held);
    submit_join(f, "s1", "j1", JOIN_SETTLED, 0, (const char *const[]){"h1", "h2", NULL});
    stream(f);
    bound(f);
    exhume(f);
    cancel(f, "s1", "t1", 9);
    cancel(f, "s1", "p1", 10);
    done(f, "w2", "c1", 1, "leaf");
    done(f, "w1", "p1", 1, "parent");
    fail_task(f, "w1", "h1", 1, "broken", false);
    done(f, "w1", "h2", 1, "held");
    advance_ms(f, 60); /* the lease of t2 runs out: w1 has it twice, then answers both */
    done(f, "w1", "t2", 1, "late");
    done(f, "w1", "t2", 2, "in time");
    hello_from(f, "w1", connection_of("x1")); /* under another name */
}

static unsigned times(const struct fixture *f, const char *text)
{
    unsigned count = 0;

    for (const char *at = f->trace; (at = strstr(at, text)) != NULL; at++) {
        count++;
    }
    return count;
}

/* What s1 asked for and was not told to be without has ended, and that it was told once. */
static void expect_answers(struct fixture *f)
{
    static const char *const asked[] = {"p1", "t1", "t2", "j1"};
    bool here = trace_has(f, "s1 <- WELCOME");

    until_failure = 0;
    advance_ms(f, 11000); /* retries, and the grace of what nobody confirmed */
    cancel(f, "s1", "t1", 0); /* where the first cancel could not be waited for */
    cancel(f, "s1", "p1", 0);
    cancel(f, "s1", "t2", 0);
    cancel(f, "s1", "j1", 0);
    advance_ms(f, 11000);
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        char line[32];

        snprintf(line, sizeof line, "s1 <- RESULT %s ", asked[i]);
        if (times(f, line) != (here ? 1 : 0)) {
            fail_msg("%u times %s in\n%s", times(f, line), line, f->trace);
        }
    }
}

static void any_allocation_may_fail(void **state)
{
    struct fixture *f = *state;
    unsigned nth = 0, left;

    do {
        assert_true(++nth < LIVES_MAX);
        until_failure = 0;
        fixture_restart(f);
        until_failure = nth;
        live(f);
        left = until_failure;
        expect_answers(f);
        bye(f, "s1");
        bye(f, "w2");
        lose(f, "x1");
        lose(f, "w1");
        hello(f, "s2");
        letters(f, "s2", CONTROL_DROP);
        bye(f, "s2");
        advance_ms(f, f->options.detached_retain_ms + 200000);
        assert_int_equal(stats_of(f).peers, 0);
        assert_int_equal(stats_of(f).tasks, 0);
        assert_int_equal(stats_of(f).services, 0);
        assert_int_equal(stats_of(f).memory_bytes, 0);
    } while (left == 0);
    assert_in_range(nth, 25, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_broker_without_memory_does_not_start),
        SPEC(any_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
