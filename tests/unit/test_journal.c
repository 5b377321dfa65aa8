/* links: shell */
/* The log: what an operator reads, and what nobody outside can drown. */
#include "broker/shell/journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    struct journal journal;
    FILE *stream;
    char text[65536];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    f->stream = tmpfile();
    assert_non_null(f->stream);
    journal_init(&f->journal, f->stream, LOG_DEBUG);
    journal_tick(&f->journal, 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    fclose(f->stream);
    free(f);
    return 0;
}

static void say(struct fixture *f, enum log_level level, const char *event, int times)
{
    while (times-- > 0) {
        journal_say(&f->journal, level, event, LOG_UINT("n", 1));
    }
}

/* How many of the lines printed so far contain `words`. */
static int count_lines(struct fixture *f, const char *words)
{
    ssize_t size = pread(fileno(f->stream), f->text, sizeof f->text - 1, 0);
    int count = 0;

    assert_true(size >= 0);
    f->text[size] = '\0';
    for (char *line = strtok(f->text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        count += strstr(line, words) != NULL;
    }
    return count;
}

static void a_flood_of_one_event_is_counted(void **state)
{
    struct fixture *f = *state;

    say(f, LOG_WARN, "flood", 1000);
    assert_int_equal(count_lines(f, " flood "), JOURNAL_WARNINGS_PER_S);
    assert_int_equal(journal_deadline(&f->journal), 1000);
    journal_tick(&f->journal, 999);
    assert_int_equal(count_lines(f, "log_suppressed"), 0);
    journal_tick(&f->journal, 1000);
    assert_int_equal(count_lines(f, "log_suppressed event=flood count=990"), 1);
    assert_int_equal(journal_deadline(&f->journal), UINT64_MAX);
}

static void another_second_another_ten(void **state)
{
    struct fixture *f = *state;

    say(f, LOG_WARN, "flood", 11);
    journal_tick(&f->journal, 1000);
    say(f, LOG_WARN, "flood", 11);
    assert_int_equal(count_lines(f, " flood "), 2 * JOURNAL_WARNINGS_PER_S);
}

static void a_flood_of_one_event_hides_no_other(void **state)
{
    struct fixture *f = *state;

    say(f, LOG_WARN, "flood", 1000);
    say(f, LOG_ERROR, "disaster", 1);
    assert_int_equal(count_lines(f, "disaster"), 1);
}

static void life_cycle_has_more_room_and_debug_all_of_it(void **state)
{
    struct fixture *f = *state;

    say(f, LOG_INFO, "peer", 500);
    say(f, LOG_DEBUG, "move", 500);
    assert_int_equal(count_lines(f, " peer "), JOURNAL_INFOS_PER_S);
    assert_int_equal(count_lines(f, " move "), 500);
}

static void the_level_is_kept(void **state)
{
    struct fixture *f = *state;

    journal_init(&f->journal, f->stream, LOG_WARN);
    say(f, LOG_INFO, "quiet", 1);
    say(f, LOG_WARN, "loud", 1);
    assert_int_equal(count_lines(f, "quiet"), 0);
    assert_int_equal(count_lines(f, "loud"), 1);
}

static void any_number_of_events_fits(void **state)
{
    struct fixture *f = *state;
    char name[128];

    for (int i = 0; i < 2 * JOURNAL_EVENTS_MAX; i++) {
        snprintf(name, sizeof name, "event_%d_%s", i, "with_a_name_that_is_longer_than_its_place");
        say(f, LOG_WARN, name, 1);
    }
    /* The last slot is shared, so late names are held back sooner; never printed too often. */
    assert_true(count_lines(f, "event_") >= JOURNAL_EVENTS_MAX);
    assert_int_equal(f->journal.event_count, JOURNAL_EVENTS_MAX);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_flood_of_one_event_is_counted),
        CASE(another_second_another_ten),
        CASE(a_flood_of_one_event_hides_no_other),
        CASE(life_cycle_has_more_room_and_debug_all_of_it),
        CASE(the_level_is_kept),
        CASE(any_number_of_events_fits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
