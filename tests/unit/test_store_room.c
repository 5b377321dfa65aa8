/* links: disk shell */
/* What a store tries when there is no room for it harms nothing: not by what it leaves in the log,
 * not by what it leaves on the disk. */
#include "broker/shell/store_aside.h"
#include "broker/shell/store_load.h"
#include "broker/shell/store_shrink.h"
#include "tests/unit/disk.h"
#include "tests/unit/store_fixture.h"

#include <errno.h>

#define PATH DISK_FOLDER "/tasks.db"
#define ROWS 4000
#define SEEDS 6

static struct fixture {
    struct sample sample;
    struct store_encoder encoder;
    struct store_queue queue;
    struct store_batch batch;
    struct store_file file;
    uint64_t sequence;
    /* What was loaded. */
    size_t count, wrong, damaged, ended;
    bool is_there[ROWS + 1];
    struct store_report report;
    struct problem problem;
} f;

/* ---- a store ----------------------------------------------------------------------------- */

static void put(enum store_what what, uint64_t key)
{
    struct store_record record = record_of(&f.sample, what, key);

    record.sequence = ++f.sequence;
    assert_true(store_encode(&f.encoder, &record));
    assert_true(store_queue_add(&f.queue, &record, &f.encoder));
}

static enum store_file_result commit(void)
{
    enum store_file_result result;

    assert_true(store_batch_make(&f.batch, &f.queue));
    result = store_file_write(&f.file, &f.batch);
    store_queue_clear(&f.queue);
    if (result == STORE_FILE_OK && store_file_wal_bytes(&f.file) > STORE_LOG_LIGHT_BYTES) {
        result = store_file_checkpoint(&f.file);
    }
    return result;
}

static void take(void *context, const struct store_row *row)
{
    f.count++;
    f.ended += row->ended;
    f.wrong += !row_is_of(row, row->key);
    f.is_there[row->key] = true;
}

static void miss(void *context, uint64_t key, const char *why)
{
    f.damaged++;
}

static bool load(void)
{
    static const struct store_taker taker = {.context = NULL, .take = take, .damaged = miss};
    uint64_t next_key;

    f.count = f.wrong = f.damaged = f.ended = 0;
    memset(f.is_there, 0, sizeof f.is_there);
    return store_file_load(&f.file, &taker, &next_key, &f.report, &f.problem);
}

/* Of every eighth row nothing is left but free pages: they were the large ones. Copied. */
static void make_store(void)
{
    assert_true(store_file_open(&f.file, PATH, &f.problem));
    assert_true(load());
    for (uint64_t key = 1; key <= ROWS; key++) {
        put(STORE_TASK, key);
        if (key % 20 == 0) {
            assert_int_equal(commit(), STORE_FILE_OK);
        }
    }
    for (uint64_t key = 8; key <= ROWS; key += 8) {
        put(STORE_FORGET, key);
    }
    assert_int_equal(commit(), STORE_FILE_OK);
    assert_int_equal(store_file_checkpoint(&f.file), STORE_FILE_OK);
}

/* Returns why not; NULL: each row is there, and as it was. */
static const char *look(void)
{
    if (!store_file_open(&f.file, PATH, &f.problem) || !load()) {
        return f.problem.text;
    }
    for (uint64_t key = 1; key <= ROWS; key++) {
        if (key % 8 != 0 && !f.is_there[key]) {
            return "a row is missing";
        }
    }
    if (f.wrong > 0 || f.damaged > 0 || f.report.mended_unix_ms > 0 ||
        store_log_is_damaged(&f.file.log)) {
        return "it is taken for damaged";
    }
    return f.ended == 0 ? "an outcome that was told is missing" : NULL;
}

/* ---- what is left in the log --------------------------------------------------------------- */

/* Each fails in the middle. */
static enum store_file_result shrink(void)
{
    return store_shrink(&f.file);
}

static enum store_file_result set_aside(void)
{
    static struct store_aside rows[1500];

    for (size_t i = 0; i < 1500; i++) {
        rows[i] = (struct store_aside){2000 + i, "a checksum is wrong"};
    }
    return store_file_judge(&f.file, store_aside_put(&f.file, rows, 1500, 5), "setting aside");
}

static enum store_file_result write_much(void)
{
    for (uint64_t key = 1; key <= ROWS; key += key % 8 == 7 ? 2 : 1) {
        put(STORE_ATTEMPT, key);
    }
    return commit();
}

/* After it one transaction is told, and with the next one power goes. */
static const char *lose_power_after(enum store_file_result (*what)(void), uint64_t seed)
{
    const char *why;

    f.sequence = 0;
    disk_open(seed);
    make_store();
    disk_fail(DISK_WRITE, 240, ENOSPC, 1);
    assert_int_equal(what(), STORE_FILE_FULL);
    disk_heal();
    put(STORE_END, 1);
    assert_int_equal(commit(), STORE_FILE_OK);
    for (uint64_t key = 11; key <= ROWS; key += 304) {
        put(STORE_END, key);
    }
    disk_lose_power(DISK_SYNC, 1);
    assert_int_equal(commit(), STORE_FILE_FAILED);
    store_file_close(&f.file, true);
    disk_restart();
    why = look();
    store_file_close(&f.file, why != NULL);
    disk_close();
    return why;
}

static void what_found_no_room_leaves_nothing_in_the_log(void **state)
{
    enum store_file_result (*const ways[])(void) = {shrink, set_aside, write_much};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            const char *why = lose_power_after(ways[i], seed);

            if (why != NULL) {
                fail_msg("way %zu, seed %lu: %s", i, seed, why);
            }
        }
    }
}

/* ---- what is left on the disk ---------------------------------------------------------------- */

/* A page that SQLite cannot read, and so much room for a new store. */
static void mend_with_room(unsigned percent)
{
    const uint8_t *bytes;
    size_t size, page = 6, given;
    bool loaded;

    f.sequence = 0;
    disk_open(1);
    make_store();
    store_file_close(&f.file, false);
    bytes = disk_bytes(PATH, &size);
    while (bytes[page * 4096] != 0x0d) { /* a leaf of a table */
        page++;
    }
    disk_flip(PATH, page * 4096, 0);
    disk_bound(size + size * percent / 100);
    assert_true(store_file_open(&f.file, PATH, &f.problem));
    loaded = load();
    given = f.count;
    if (!loaded) {
        assert_non_null(strstr(f.problem.text, "room"));
    }
    store_file_close(&f.file, !loaded);
    disk_bound(UINT64_MAX);
    /* And then there is room. */
    assert_true(store_file_open(&f.file, PATH, &f.problem));
    assert_true(load());
    assert_true(f.count > ROWS * 7 / 8 - 100);
    if (loaded) {
        assert_int_equal(f.count, given);
    }
    store_file_close(&f.file, false);
    disk_close();
}

static void mending_needs_room_or_waits_for_it(void **state)
{
    (void)state;
    for (unsigned percent = 20; percent <= 240; percent += 40) {
        mend_with_room(percent);
    }
}

/* A name that may not survive a loss of power is none. */
static void what_cannot_be_published_stays_where_it_was(void **state)
{
    (void)state;
    disk_open(1);
    disk_put(DISK_FOLDER "/backup.part", (const uint8_t *)"rows", 4);
    disk_fail(DISK_SYNC, 1, EIO, 1);
    assert_false(store_path_publish(DISK_FOLDER "/backup.part", DISK_FOLDER "/backup"));
    assert_int_equal(errno, EIO);
    assert_true(disk_has("/backup.part"));
    disk_heal();
    assert_true(store_path_publish(DISK_FOLDER "/backup.part", DISK_FOLDER "/backup"));
    assert_false(disk_has("/backup.part"));
    assert_true(disk_has("/backup"));
    disk_close();
}

static int setup(void **state)
{
    store_encoder_init(&f.encoder);
    return 0;
}

static int teardown(void **state)
{
    store_encoder_deinit(&f.encoder);
    store_batch_deinit(&f.batch);
    store_queue_deinit(&f.queue);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_found_no_room_leaves_nothing_in_the_log),
        cmocka_unit_test(mending_needs_room_or_waits_for_it),
        cmocka_unit_test(what_cannot_be_published_stays_where_it_was),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
