#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/core/roster.h"
#include "common/table.h"

#define PLACES 20000

static uint64_t serial_at(const struct roster *roster, const struct list *link)
{
    return link == &roster->lanes[0] ? 0
                                     : list_entry(link, const struct roster_place, lanes)->serial;
}

static void append_all(struct roster *roster, struct roster_place *places)
{
    roster_init(roster);
    for (uint64_t i = 0; i < PLACES; i++) {
        uint64_t serial = 3 * (i + 1);

        roster_append(roster, &places[i], serial, table_hash(1, &serial, sizeof serial));
    }
}

static void seeks_the_last_place_up_to_a_serial(void **state)
{
    static struct roster_place places[PLACES];
    struct roster roster;

    (void)state;
    append_all(&roster, places);
    for (uint64_t serial = 0; serial < 3 * PLACES + 10; serial++) {
        uint64_t last = serial / 3 * 3;

        last = last < 3 * PLACES ? last : 3 * PLACES;
        assert_int_equal(serial_at(&roster, roster_seek(&roster, serial)), last);
    }
    assert_int_equal(serial_at(&roster, roster_seek(&roster, UINT64_MAX)), 3 * PLACES);
}

static void seeks_past_what_was_removed(void **state)
{
    static struct roster_place places[PLACES];
    struct roster roster;
    uint64_t last = 0;

    (void)state;
    append_all(&roster, places);
    for (size_t i = 0; i < PLACES; i++) {
        if (i % 7 != 0) {
            roster_remove(&places[i]);
        }
    }
    for (uint64_t serial = 0; serial < 3 * PLACES + 10; serial++) {
        if (serial % 21 == 3 && serial <= 3 * PLACES) {
            last = serial;
        }
        assert_int_equal(serial_at(&roster, roster_seek(&roster, serial)), last);
    }
    for (size_t i = 0; i < PLACES; i += 7) {
        roster_remove(&places[i]);
    }
    assert_ptr_equal(roster_seek(&roster, 99), &roster.lanes[0]);
}

/* What makes it fast: each lane has about a 64th of the one below. */
static void lanes_thin_out(void **state)
{
    static struct roster_place places[PLACES];
    struct roster roster;
    size_t counts[ROSTER_LANES] = {0};

    (void)state;
    append_all(&roster, places);
    for (unsigned lane = 0; lane < ROSTER_LANES; lane++) {
        list_each(link, &roster.lanes[lane]) {
            counts[lane]++;
        }
    }
    assert_int_equal(counts[0], PLACES);
    assert_in_range(counts[1], PLACES / 128, PLACES / 32);
    assert_in_range(counts[2], 1, PLACES / 1024);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seeks_the_last_place_up_to_a_serial),
        cmocka_unit_test(seeks_past_what_was_removed),
        cmocka_unit_test(lanes_thin_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
