/* links: durable_world core */
/* The promise of test_durable, over many worlds, with any part kept of the records that nobody was
 * told of. On a disk that loses power: tests/unit/test_durable_power.c. */
#include "tests/lib/shelf.h"
#include "tests/spec/durable_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define WORLDS 400

static void add(void *context, const struct store_record *record)
{
    shelf_add(context, record);
}

static bool keep(void *context, uint64_t *safe)
{
    *safe = shelf_last(context);
    return true;
}

static uint64_t restart(void *context, uint64_t safe, bool calm,
                        void (*take)(void *taker, const struct store_row *row), void *taker)
{
    shelf_crash(context, safe + durable_draw(shelf_last(context) - safe + 1));
    for (size_t i = 0; i < shelf_count(context); i++) {
        take(taker, shelf_row(context, i));
    }
    return shelf_next_key(context);
}

static void what_was_told_holds_after_any_crash(void **state)
{
    struct durable_sums sums = {0};

    for (uint64_t seed = 1; seed <= WORLDS; seed++) {
        struct shelf *shelf = shelf_new();
        struct keeper keeper = {shelf, add, keep, restart};
        const char *wrong = durable_world_run(seed, &keeper, &sums);

        if (wrong != NULL) {
            fail_msg("%s", wrong);
        }
        shelf_free(shelf);
    }
    print_message("%llu crashes, %llu accepted, %llu outcomes told\n",
                  (unsigned long long)sums.crashes, (unsigned long long)sums.accepted,
                  (unsigned long long)sums.told);
    assert_true(sums.crashes > WORLDS && sums.told > 10 * WORLDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_told_holds_after_any_crash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
