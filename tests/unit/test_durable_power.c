/* links: durable_world disk nap shell */
/* Core and store together on a disk that loses power at any moment: what was told holds.
 *
 * The worlds are those of tests/spec/test_durable_random.c, their records go to a real store on
 * the disk of disk.h, and the broker is told of what that store says is safe. Power goes at a write,
 * sync or change of a name that was drawn, also while the store is opened again, or between two
 * steps of the broker.
 *
 * SLUICE_POWER_LOSSES=n loses power n times, SLUICE_SEED=n begins with that world. */
#include "broker/shell/store.h"
#include "common/check.h"
#include "tests/spec/durable_world.h"
#include "tests/unit/disk.h"
#include "tests/unit/nap.h"
#include "tests/unit/number_from.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define PATH DISK_FOLDER "/tasks.db"

struct disk_keeper {
    struct store *store; /* NULL: closed */
    uint64_t added;      /* the last record's sequence */
    uint64_t losses, in_openings;
};

static void add(void *context, const struct store_record *record)
{
    struct disk_keeper *disk = context;

    disk->added = record->sequence;
    store_add(disk->store, record);
}

/* What was added is written, unless power goes; what nobody waits for may stay in the queue. */
static bool keep(void *context, uint64_t *safe)
{
    struct disk_keeper *disk = context;
    struct store_news news;
    bool asleep, timed = false;

    store_flush(disk->store);
    do {
        asleep = nap_await(store_fd(disk->store), &timed);
        store_take_news(disk->store, &news);
    } while (!asleep && news.state != STORE_LOST);
    if (news.sequence > disk->added) {
        durable_blame("%lu is acknowledged, and was not written", news.sequence);
    } else if (news.sequence < disk->added && news.state == STORE_OPEN && !timed) {
        durable_blame("the store rests with records that are not safe");
    } else if (news.state != STORE_OPEN && !disk_is_dark()) {
        durable_blame("the store is lost, and the disk is not");
    }
    *safe = news.sequence > *safe ? news.sequence : *safe;
    return news.state == STORE_OPEN;
}

static void close_store(struct disk_keeper *disk)
{
    if (disk->store != NULL) {
        store_close(disk->store);
        nap_end();
        disk->store = NULL;
    }
    disk->losses += disk_is_dark();
    disk_restart();
}

struct taking {
    void (*take)(void *taker, const struct store_row *row);
    void *taker;
};

static void take(void *context, const struct store_row *row)
{
    const struct taking *taking = context;

    if (taking->take != NULL) {
        taking->take(taking->taker, row);
    }
}

static void miss(void *context, uint64_t key, const char *why)
{
    durable_blame("row %lu is damaged: %s", key, why);
}

/* 0: power went, or something was blamed. */
static uint64_t open_store(struct disk_keeper *disk, struct taking taking)
{
    struct store_taker taker = {.context = &taking, .take = take, .damaged = miss};
    struct store_report report;
    struct problem problem;
    uint64_t next_key = 0;
    bool opened;

    disk->store = store_open(PATH, &problem);
    opened = disk->store != NULL &&
             store_load(disk->store, &taker, &next_key, &report, &problem);
    if (opened) {
        nap_begin();
        opened = store_start(disk->store, &problem);
    }
    if (!opened && !disk_is_dark()) {
        durable_blame("it does not open: %s", problem.text);
    } else if (opened && (report.damaged > 0 || report.mended_unix_ms > 0 ||
                          store_log_is_damaged(&report.log))) {
        durable_blame("it takes for damage what was never acknowledged");
    }
    return opened ? next_key : 0;
}

static uint64_t restart(void *context, uint64_t safe, bool calm,
                        void (*to)(void *taker, const struct store_row *row), void *taker)
{
    static const uint64_t moments[] = {10, 50, 300, 2000};
    struct disk_keeper *disk = context;
    uint64_t next_key;

    if (disk->store != NULL && !disk_is_dark()) {
        disk_lose_power(DISK_CHANGE, 1);
    }
    close_store(disk);
    while (!calm && durable_draw(4) == 0) {
        disk_lose_power(DISK_CHANGE, 1 + durable_draw(60));
        open_store(disk, (struct taking){NULL, NULL});
        disk->in_openings += disk_is_dark();
        close_store(disk);
    }
    disk->added = 0; /* what is restored may be recorded, too */
    next_key = open_store(disk, (struct taking){to, taker});
    if (!calm) {
        disk_lose_power(DISK_CHANGE, 1 + durable_draw(moments[durable_draw(4)]));
    }
    return next_key;
}

/* Worlds until power went so often. NULL, or what was wrong. */
static const char *lose_power(uint64_t times, struct disk_keeper *disk, struct durable_sums *sums)
{
    uint64_t seed = number_from("SLUICE_SEED", 1);
    const char *wrong = NULL;

    while (disk->losses < times && wrong == NULL) {
        struct keeper keeper = {disk, add, keep, restart};

        disk_format();
        wrong = durable_world_run(seed++, &keeper, sums);
        close_store(disk);
    }
    return wrong;
}

static void what_was_told_survives_power_loss(void **state)
{
    struct durable_sums sums = {0};
    struct disk_keeper disk = {0};
    const char *wrong;

    disk_open(1);
    wrong = lose_power(number_from("SLUICE_POWER_LOSSES", 300), &disk, &sums);
    if (wrong != NULL) {
        fail_msg("%s", wrong);
    }
    printf("# %lu losses of power, %lu of them while opening, in %lu worlds: %lu accepted, %lu "
           "outcomes told\n", disk.losses, disk.in_openings, sums.worlds, sums.accepted, sums.told);
    assert_true(disk.in_openings > 0 && sums.told > 0);
    disk_close();
}

/* This test can fail. */
static void a_disk_that_does_not_sync_is_found_out(void **state)
{
    struct durable_sums sums = {0};
    struct disk_keeper disk = {0};

    disk_open(1);
    disk_lie(true);
    assert_non_null(lose_power(300, &disk, &sums));
    disk_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_told_survives_power_loss),
        cmocka_unit_test(a_disk_that_does_not_sync_is_found_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
