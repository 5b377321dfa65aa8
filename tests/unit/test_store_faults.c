/* links: store_world disk nap shell */
/* The store on a disk of which one call fails, or all from one on: each call of a life once.
 *
 * A life is: open a store that has rows, load, turns of records, checkpoints, close. Whatever fails,
 * nothing is acknowledged that is not there afterwards, and nothing that is there is taken for
 * damaged. With SLUICE_EVERY_FAULT set each call fails once, else the first and some of the others. */
#include "broker/shell/store_backup.h"
#include "tests/unit/store_world.h"

#include "tests/unit/disk_file.h"

#include <errno.h>

enum end {
    GO_ON,      /* the process is started again */
    LOSE_POWER, /* the machine is */
    GO_ON_THEN_LOSE_POWER,
    END_COUNT,
};

struct fault {
    unsigned calls;
    int error;
    uint64_t times;
};

/* No room is tried again; an error ends it. */
static bool turn(struct world *world, size_t count)
{
    bool good = world_turn(world, count);

    for (unsigned i = 0; i < 20 && !good && world->news.state == STORE_FULL; i++) {
        good = world_pass(world);
    }
    return good;
}

static bool live(struct world *world)
{
    bool good = true;

    for (unsigned i = 0; good && i < 4; i++) {
        good = turn(world, 1 + i * 10) && (i % 2 == 0 || world_pass(world) ||
                                           world->news.state == STORE_FULL);
    }
    return good;
}

static void expect(struct world *world, bool what, const char *why)
{
    if (!what) {
        world_blame(world, "%s (state %s, %s; %s)", why, store_state_name(world->news.state),
                    world->news.why, world->problem.text);
    }
}

/* A store with rows, and a log that has been written since the last checkpoint. */
static struct world *world_begin(void)
{
    struct world *world = world_new();

    disk_open(5);
    expect(world, world_open(world) && live(world), "it does not begin");
    disk_lose_power(DISK_CHANGE, 1);
    world_turn(world, 5);
    world_close(world);
    disk_restart();
    return world;
}

static void open_again(struct world *world)
{
    expect(world, world_open(world), "it does not open again");
    expect(world, !world->was_damaged && world->report.mended_unix_ms == 0, "it is damaged");
}

/* The life with its fault. False: the fault was not reached. */
static bool suffer(struct world *world, const struct fault *fault, uint64_t nth)
{
    uint64_t failed = disk_failed();
    bool good, told, reached, full = fault->error != EIO;
    size_t rows = world->sure.count, more = world->maybe.count;

    world->may_miss = (fault->calls & DISK_READ) != 0;
    disk_fail(fault->calls, nth, fault->error, fault->times);
    good = world_open(world);
    if (good) {
        good = live(world);
        expect(world, good || world->news.state != STORE_OPEN, "it stops for no reason");
        expect(world, good || !full || fault->calls != DISK_WRITE, "no room is not waited for");
        expect(world, strlen(world->news.why) > 0 || good, "it does not say why");
    } else {
        expect(world, strlen(world->problem.text) > 0, "it does not say why");
    }
    told = world->was_damaged || world->report.mended_unix_ms > 0;
    expect(world, !told || world->may_miss, "it is damaged");
    expect(world, !good || told || world->found.count == rows || world->found.count == more,
           "rows are missing");
    world->may_miss = false;
    reached = disk_failed() > failed;
    world_close(world);
    reached |= disk_failed() > failed;
    disk_heal();
    return reached;
}

/* With the log as it was found, if power is to go. */
static bool go_on(struct world *world, enum end end)
{
    if (end == GO_ON) {
        return live(world);
    }
    if (!world_turn(world, 5)) {
        return false;
    }
    disk_lose_power(DISK_CHANGE, 1);
    world_turn(world, 5);
    return true;
}

static bool suffer_and_end(const struct fault *fault, uint64_t nth, enum end end)
{
    struct world *world = world_begin();
    bool reached = suffer(world, fault, nth);

    if (end != LOSE_POWER) {
        open_again(world);
        expect(world, world->store != NULL && go_on(world, end), "it does not go on");
        world_close(world);
    }
    if (end != GO_ON) {
        disk_restart();
    }
    open_again(world);
    if (world->wrong != NULL) {
        fail_msg("call %lu of %x fails with %d, %lu times, then %d: %s", nth, fault->calls,
                 fault->error, fault->times, end, world->wrong);
    }
    world_close(world);
    disk_close();
    world_free(world);
    return reached;
}

static void suffer_each(const struct fault *faults, size_t count)
{
    bool every = getenv("SLUICE_EVERY_FAULT") != NULL;
    unsigned long lives = 0;

    for (size_t i = 0; i < count; i++) {
        for (enum end end = GO_ON; end < END_COUNT; end++) {
            uint64_t nth = 1;

            for (; suffer_and_end(&faults[i], nth, end); lives++) {
                nth += every ? 1 : 1 + nth / 6;
            }
            assert_true(nth > 1);
        }
    }
    printf("# %lu lives\n", lives);
}

static void no_error_is_acknowledged(void **state)
{
    static const struct fault faults[] = {
        {DISK_READ, EIO, 1},     {DISK_READ, EIO, UINT64_MAX},  {DISK_WRITE, EIO, 1},
        {DISK_SYNC, EIO, 1},     {DISK_SYNC, EIO, UINT64_MAX},  {DISK_NAME, EIO, 1},
        {DISK_ANY, EIO, 1},      {DISK_ANY, EIO, UINT64_MAX},   {DISK_WRITE, EIO, UINT64_MAX}};

    (void)state;
    suffer_each(faults, sizeof faults / sizeof *faults);
}

static void no_room_is_waited_for(void **state)
{
    static const struct fault faults[] = {{DISK_WRITE, ENOSPC, 1}, {DISK_WRITE, ENOSPC, 7},
                                          {DISK_WRITE, EFBIG, 1},  {DISK_WRITE, EDQUOT, 7},
                                          {DISK_WRITE | DISK_NAME, ENOSPC, 1}};

    (void)state;
    suffer_each(faults, sizeof faults / sizeof *faults);
}

/* A store whose disk has become full. */
static struct world *full_world(void)
{
    struct world *world = world_new();

    disk_open(3);
    assert_true(world_open(world) && world_turn(world, 1));
    disk_bound(0);
    assert_false(world_turn(world, 30));
    assert_int_equal(world->news.state, STORE_FULL);
    return world;
}

static void a_full_disk_is_tried_until_there_is_room(void **state)
{
    struct world *world = full_world();
    uint64_t tries;

    (void)state;
    assert_non_null(strstr(world->news.why, "no room"));
    for (unsigned i = 0; i < 5; i++) {
        tries = disk_failed();
        assert_false(world_pass(world));
        assert_true(disk_failed() > tries); /* in vain */
        assert_int_equal(world->news.state, STORE_FULL);
        assert_true(world->news.sequence < world->sequence);
    }
    disk_bound(UINT64_MAX);
    assert_true(world_pass(world));
    assert_int_equal(world->news.state, STORE_OPEN);
    assert_string_equal(world->news.why, "");
    assert_int_equal(world->news.sequence, world->sequence);
    assert_null(world->wrong);
    world_close(world);
    disk_close();
    world_free(world);
}

/* It was asked for while the store waits for room, and has not begun. */
static void no_backup_is_made_while_there_is_no_room(void **state)
{
    struct world *world = full_world();

    (void)state;
    store_back_up(world->store, "");
    assert_false(world_pass(world));
    assert_string_equal(store_last_backup(world->store)->problem.text, "no room");
    world_close(world);
    disk_close();
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_error_is_acknowledged),
        cmocka_unit_test(no_room_is_waited_for),
        cmocka_unit_test(a_full_disk_is_tried_until_there_is_room),
        cmocka_unit_test(no_backup_is_made_while_there_is_no_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
