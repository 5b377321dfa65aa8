/* The promise: whoever asks is told what is there, a page at a time. */
#include "tests/spec/fixture.h"

#include "proto/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void ask(struct fixture *f, enum query_what what, struct span argument)
{
    struct message message = {.command = COMMAND_QUERY};

    message.query.request = 7;
    message.query.what = what;
    message.query.argument = argument;
    drop_trace(f);
    say(f, "s1", &message);
}

static unsigned times(const struct fixture *f, const char *text)
{
    unsigned count = 0;

    for (const char *at = f->trace; (at = strstr(at, text)) != NULL; at++) {
        count++;
    }
    return count;
}

/* Follows the cursors to the end. Returns how often `row` was in the pages together. */
static unsigned read_pages(struct fixture *f, enum query_what what, const char *row,
                           unsigned *pages)
{
    char cursor[32] = "";
    unsigned rows = 0;

    for (*pages = 1; *pages < 100; ++*pages) {
        const char *next;

        ask(f, what, span_from_text(cursor));
        rows += times(f, row);
        next = strstr(f->trace, " next=");
        if (next == NULL) {
            return rows;
        }
        snprintf(cursor, sizeof cursor, "%.*s", (int)strcspn(next + 6, " \n"), next + 6);
    }
    fail_msg("the pages do not end");
    return 0;
}

static void offer_described(struct fixture *f, const char *peer, const char *service,
                            const char *schema)
{
    struct message message = {.command = COMMAND_OFFER};

    message.offer.service = span_from_text(service);
    message.offer.credit = 1;
    message.offer.schema = span_from_text(schema);
    message.offer.version = span_from_text("1.2");
    message.offer.about = span_from_text("what it does");
    say(f, peer, &message);
}

static void the_catalog_describes_each_service(void **state)
{
    struct fixture *f = *state;

    hello(f, "w1");
    hello(f, "s1");
    offer_described(f, "w1", "echo", "{}");
    offer(f, "w1", "plain", 1000000);
    ask(f, QUERY_CATALOG, span_of(NULL, 0));
    expect_trace(f, "[   0] s1 <- REPLY 7 ok services service=echo workers=1 credit=1 held=0 "
                    "queued=0 queued_bytes=0 max_tasks=16384 max_bytes=67108864 "
                    "unfinished=0 draining=0 schema={} "
                    "version=1.2 about=what it does versions =1.2 "
                    "service=plain workers=1 credit=65535 held=0 "
                    "queued=0 queued_bytes=0 max_tasks=16384 max_bytes=67108864 "
                    "unfinished=0 draining=0\n");
}

static void a_long_catalog_comes_in_pages(void **state)
{
    struct fixture *f = *state;
    unsigned pages;

    hello(f, "w1");
    hello(f, "s1");
    for (int i = 0; i < 2 * PAGE_ITEMS_MAX + 1; i++) {
        offer(f, "w1", numbered("a", i), 1);
    }
    assert_int_equal(read_pages(f, QUERY_CATALOG, " service=a", &pages), 2 * PAGE_ITEMS_MAX + 1);
    assert_int_equal(pages, 3);
}

/* Fewer rows, when they are as large as they may be. */
static void a_page_has_a_bound_in_bytes(void **state)
{
    static char schema[9001];
    struct fixture *f = *state;
    unsigned pages;

    memset(schema, 'x', sizeof schema - 1);
    hello(f, "w1");
    hello(f, "s1");
    for (int i = 0; i < 40; i++) {
        offer_described(f, "w1", numbered("a", i), schema);
    }
    assert_int_equal(read_pages(f, QUERY_CATALOG, " service=a", &pages), 40);
    assert_int_equal(pages, 2);
}

static void many_peers_come_in_pages(void **state)
{
    struct fixture *f = *state;
    unsigned pages;

    hello(f, "s1");
    for (int i = 0; i < PAGE_ITEMS_MAX; i++) {
        hello(f, numbered("w", i));
    }
    assert_int_equal(read_pages(f, QUERY_PEERS, " name=", &pages), PAGE_ITEMS_MAX + 1);
    assert_int_equal(pages, 2);
}

static void a_cursor_that_is_none_starts_at_the_beginning(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 1);
    ask(f, QUERY_CATALOG, span_from_text("1x"));
    assert_true(trace_has(f, "service=echo"));
    ask(f, QUERY_CATALOG, span_from_text("-1"));
    assert_true(trace_has(f, "service=echo"));
    ask(f, QUERY_CATALOG, span_from_text("11111111111111111111111111111111"));
    expect_trace(f, "[   0] s1 <- REPLY 7 ok services\n");
}

static void a_tree_has_a_bound(void **state)
{
    struct fixture *f = *state;

    given_parent(f);
    for (int i = 0; i < PAGE_ITEMS_MAX; i++) {
        submit_child(f, "w1", numbered("c", i), "leaf", "p1", 1);
    }
    drop_trace(f);
    query_task(f, "s1", QUERY_TREE, "p1");
    assert_int_equal(times(f, " state="), PAGE_ITEMS_MAX);
    assert_true(trace_has(f, " more=1"));
    drop_trace(f);
    query_task(f, "s1", QUERY_TREE, "c0");
    assert_int_equal(times(f, " state="), 1);
    assert_true(trace_has(f, " more=0"));
}

static void a_status_counts_a_deadline_down_to_nothing(void **state)
{
    struct fixture *f = *state;
    struct submit brief = {.deadline_ms = 100};

    given_echo(f, 1);
    submit_with(f, "s1", "t1", "echo", "", &brief);
    advance_ms(f, 40);
    drop_trace(f);
    query_task(f, "s1", QUERY_STATUS, "t1");
    assert_true(trace_has(f, " state=leased"));
    assert_true(trace_has(f, " deadline_ms=60"));
    /* It is cancelled, and has all of its grace although its time is up meanwhile. */
    cancel(f, "s1", "t1", 0);
    advance_ms(f, 80);
    drop_trace(f);
    query_task(f, "s1", QUERY_STATUS, "t1");
    assert_true(trace_has(f, " state=cancelling"));
    assert_true(trace_has(f, " deadline_ms=0"));
}

static void a_question_that_is_none_is_refused(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 1);
    ask(f, QUERY_STATUS, span_from_text("no id"));
    expect_trace(f, "[   0] s1 <- REPLY 7 failed code=bad_message\n");
    ask(f, (enum query_what)QUERY_WHAT_COUNT, span_of(NULL, 0));
    expect_trace(f, "[   0] s1 <- REPLY 7 failed code=bad_message\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPEC(the_catalog_describes_each_service),
        SPEC(a_long_catalog_comes_in_pages),
        SPEC(a_page_has_a_bound_in_bytes),
        SPEC(many_peers_come_in_pages),
        SPEC(a_cursor_that_is_none_starts_at_the_beginning),
        SPEC(a_tree_has_a_bound),
        SPEC(a_status_counts_a_deadline_down_to_nothing),
        SPEC(a_question_that_is_none_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
