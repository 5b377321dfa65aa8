/* links: store_world disk nap shell */
/* The store on a disk that loses power at any moment: what was acknowledged is there.
 *
 * A life is: open, load, some turns of random records, checkpoints, close. Power goes at a random
 * write, sync or change of a name anywhere in it, and what was not synced is lost in part. Each
 * turn is one transaction, so what the next life finds is all of it or nothing: the records up to
 * some sequence, and that at least what was acknowledged. From any such prefix the broker's core
 * goes on without an accepted task lost, a false receipt or an outcome told twice: that is what
 * tests/spec/test_durable_random.c shows.
 *
 * SLUICE_POWER_LOSSES=n loses power n times, SLUICE_SEED=n repeats a run exactly. */
#include "broker/shell/store_shrink.h"
#include "tests/unit/disk_file.h"
#include "tests/unit/number_from.h"
#include "tests/unit/store_world.h"

#include <errno.h>

static void world_end(struct world *world)
{
    world_close(world);
    disk_close();
    world_free(world);
}

/* Until power goes, or it has been long enough. */
static void live(struct world *world)
{
    static const uint64_t counts[] = {1, 3, 10, 40, 200};
    uint64_t turns = disk_draw(20);

    if (!world_open(world)) {
        if (!disk_is_dark()) {
            world_blame(world, "it does not open: %s", world->problem.text);
        }
        return;
    }
    for (uint64_t i = 0; i < turns; i++) {
        if (!world_turn(world, 1 + disk_draw(counts[disk_draw(5)])) ||
            (disk_draw(4) == 0 && !world_pass(world))) {
            break;
        }
    }
    world_close(world);
}

/* Returns how often power went. Stops when something is wrong. */
static uint64_t lose_power(struct world *world, uint64_t times)
{
    static const uint64_t moments[] = {10, 50, 300, 2000};
    uint64_t lost = 0;

    while (lost < times && world->wrong == NULL) {
        if (disk_draw(16) == 0) {
            disk_format();
            world_forget(world);
        }
        disk_lose_power(DISK_CHANGE, 1 + disk_draw(moments[disk_draw(4)]));
        live(world);
        if (!disk_is_dark() && world->news.state != STORE_OPEN) {
            world_blame(world, "it is lost, and the disk is not");
        }
        if (world->was_damaged || world->report.mended_unix_ms > 0 ||
            store_log_is_damaged(&world->report.log)) {
            world_blame(world, "it takes for damage what was never acknowledged");
        }
        lost += disk_is_dark();
        disk_restart();
    }
    return lost;
}

static void what_was_acknowledged_survives_power_loss(void **state)
{
    uint64_t times = number_from("SLUICE_POWER_LOSSES", 300);
    uint64_t seed = number_from("SLUICE_SEED", 1);
    struct world *world = world_new();
    uint64_t lost;

    (void)state;
    disk_open(seed);
    lost = lose_power(world, times);
    if (world->wrong != NULL) {
        fail_msg("seed %lu, after %lu losses: %s", seed, lost, world->wrong);
    }
    printf("# %lu losses of power, %lu records, %lu writes, %lu syncs, %lu logs were cut\n", lost,
           world->records, disk_count(DISK_WRITE), disk_count(DISK_SYNC), world->logs_cut);
    world_end(world);
}

/* This test can fail. */
static void a_disk_that_does_not_sync_is_found_out(void **state)
{
    struct world *world = world_new();
    uint64_t lost;

    (void)state;
    disk_open(1);
    disk_lie(true);
    lost = lose_power(world, 300);
    assert_non_null(world->wrong);
    assert_true(lost < 300);
    world_end(world);
}

/* ---- while damage is mended ------------------------------------------------------------ */

/* For a seed always the same store, closed, with every row sure. */
static struct world *sound_world(uint64_t seed)
{
    struct world *world = world_new();

    disk_open(seed);
    assert_true(world_open(world));
    for (unsigned i = 0; i < 6; i++) {
        assert_true(world_turn(world, 40));
    }
    world_close(world);
    assert_int_equal(disk_folder_sync(), 0); /* the log does not come back */
    assert_null(world->wrong);
    world->may_miss = true;
    return world;
}

/* A page that SQLite cannot read. */
static void break_a_page(void)
{
    size_t size, page = 6; /* behind the roots */
    const uint8_t *bytes = disk_bytes(WORLD_PATH, &size);

    while (bytes[page * 4096] != 0x0d) { /* a leaf of a table */
        page++;
    }
    disk_flip(WORLD_PATH, page * 4096, 0);
}

/* A row whose digest is wrong. */
static void break_a_row(void)
{
    size_t size, at = 6 * 4096;
    const uint8_t *bytes = disk_bytes(WORLD_PATH, &size);

    while (memcmp(bytes + at, "order-1", 7) != 0) {
        at++;
    }
    disk_flip(WORLD_PATH, at, 0);
}

/* Power goes at every third change that opening such a store makes; then it is opened again. */
static void lose_power_while_opening(void (*spoil)(void), bool mends)
{
    size_t rows = 0;
    uint64_t nth = 0;
    bool dark;

    do {
        struct world *world = sound_world(7);
        bool told;

        spoil();
        disk_lose_power(DISK_CHANGE, nth);
        world_open(world);
        told = world->was_damaged;
        dark = disk_is_dark();
        world_close(world);
        disk_restart();
        if (!world_open(world) || world->wrong != NULL) {
            fail_msg("power went at %lu: %s", nth, world->wrong != NULL ? world->wrong
                                                                        : world->problem.text);
        }
        rows = rows == 0 ? world->found.count : rows;
        assert_int_equal(world->found.count, rows); /* nothing more is lost */
        assert_int_equal(disk_has(".damaged-"), mends);
        /* Between the last change and the telling the old database alone says it. */
        assert_true(told || world->was_damaged || mends);
        assert_true(world_turn(world, 10)); /* and it goes on */
        world_end(world);
        nth = nth == 0 ? 1 : nth + 3;
    } while (dark || nth == 1);
    assert_true(nth > 9);
}

static void a_mend_survives_power_loss(void **state)
{
    (void)state;
    lose_power_while_opening(break_a_page, true);
}

static void setting_aside_survives_power_loss(void **state)
{
    (void)state;
    lose_power_while_opening(break_a_row, false);
}

/* ---- while it is made smaller ----------------------------------------------------------- */

/* As a broker leaves it that is gone at once: with a log. */
static struct world *abandoned_world(uint64_t seed)
{
    struct world *world = sound_world(seed);
    size_t size = 0;

    world->may_miss = false;
    assert_true(world_open(world) && world_turn(world, 40));
    disk_lose_power(DISK_CHANGE, 1);
    world_close(world);
    disk_restart();
    assert_true(disk_bytes(WORLD_PATH "-wal", &size) != NULL && size > 4096);
    return world;
}

/* Power goes at the nth change that this makes, and the store is the old one or the new one. False:
 * it makes no so many. */
static bool lose_power_while_compacting(uint64_t seed, uint64_t nth)
{
    struct world *world = abandoned_world(seed);
    struct store_compacted compacted;
    bool done, dark;

    disk_lose_power(DISK_CHANGE, nth);
    done = store_compact(WORLD_PATH, &compacted, &world->problem);
    dark = disk_is_dark();
    assert_true(done || dark);
    disk_restart();
    if (!world_open(world) || world->wrong != NULL) {
        fail_msg("seed %lu, power went at %lu: %s", seed, nth,
                 world->wrong != NULL ? world->wrong : world->problem.text);
    }
    assert_false(world->was_damaged);
    assert_true(world_turn(world, 10)); /* and it goes on */
    world_end(world);
    return dark;
}

static void compacting_survives_power_loss(void **state)
{
    uint64_t changes = 0;

    (void)state;
    while (lose_power_while_compacting(changes, changes + 1)) {
        changes++;
    }
    assert_true(changes > 20);
    /* Where the log is emptied and names change: one in 200 loses just the wrong part, as 1448 and
     * 1497 did while the empty log was not synced. */
    for (uint64_t seed = 1440; seed < 1504; seed++) {
        lose_power_while_compacting(seed, changes - (seed + 8) % 16);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_acknowledged_survives_power_loss),
        cmocka_unit_test(a_disk_that_does_not_sync_is_found_out),
        cmocka_unit_test(a_mend_survives_power_loss),
        cmocka_unit_test(setting_aside_survives_power_loss),
        cmocka_unit_test(compacting_survives_power_loss),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
