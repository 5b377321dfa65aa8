/* links: store_world disk nap shell */
/* A store that was killed, its database and its log, with bits that flipped in either.
 *
 * What comes back is as it was written, or it is missed and that is told. SLUICE_FLIPS=n flips n
 * bits, one at a time, SLUICE_SEED=n others. */
#include "tests/unit/disk_file.h"
#include "tests/unit/number_from.h"
#include "tests/unit/store_world.h"

#define LOG_PATH WORLD_PATH "-wal"
#define FRAME_BYTES (24 + 4096)
#define TURNS 8
#define TURNS_COPIED 12 /* it has been copied, and nothing has been written since */

struct file {
    uint8_t *bytes;
    size_t size;
};

struct fixture {
    struct file database, log; /* as they were when it was killed */
    struct world sound;        /* what it held */
    struct world_rows prior;   /* and before its last transaction */
    struct world *world;
    size_t transactions;       /* in the log */
    bool copied;               /* the database has what the log says */
};

static struct file file_copy(const char *path)
{
    struct file file;
    const uint8_t *bytes = disk_bytes(path, &file.size);

    assert_non_null(bytes);
    file.bytes = malloc(file.size);
    memcpy(file.bytes, bytes, file.size);
    return file;
}

/* Rows in the database, and newer ones and changes of them in the log. */
static void killed_after(void **state, unsigned turns)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct world *world = f->world = world_new();

    disk_open(9);
    assert_true(world_open(world));
    for (unsigned i = 0; i < 25; i++) {
        assert_true(world_turn(world, 10));
    }
    world_close(world);
    assert_true(world_open(world));
    for (unsigned i = 0; i < turns; i++) {
        assert_true(world_turn(world, 1 + i));
    }
    f->prior = world->sure;
    assert_true(world_turn(world, 10));
    assert_int_equal(world->news.sequence, world->sequence);
    f->transactions = world->news.commits;
    f->database = file_copy(WORLD_PATH);
    f->log = file_copy(LOG_PATH);
    f->sound = *world;
    f->sound.store = NULL;
    world_close(world);
    assert_null(world->wrong);
    *state = f;
}

static int setup(void **state)
{
    struct fixture *f;

    killed_after(state, TURNS);
    f = *state;
    assert_true(f->log.size < STORE_LOG_LIGHT_BYTES); /* or it would have been begun anew */
    return 0;
}

static int setup_copied(void **state)
{
    struct fixture *f;

    killed_after(state, TURNS_COPIED);
    f = *state;
    assert_true(f->log.size >= STORE_LOG_LIGHT_BYTES);
    f->copied = true;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    world_close(f->world);
    disk_close();
    world_free(f->world);
    free(f->database.bytes);
    free(f->log.bytes);
    free(f);
    return 0;
}

/* As it was. */
static void restore(struct fixture *f)
{
    world_close(f->world);
    *f->world = f->sound;
    f->world->may_be_old = true;
    disk_format();
    disk_put(WORLD_PATH, f->database.bytes, f->database.size);
    disk_put(LOG_PATH, f->log.bytes, f->log.size);
}

static bool told(const struct world *world)
{
    return world->was_damaged || world->report.mended_unix_ms > 0 ||
           world->report.log.state != STORE_LOG_WHOLE;
}

static bool nothing_missing(const struct fixture *f)
{
    const struct world_rows *found = &f->world->found, *all = &f->sound.sure;

    return found->count == all->count && world_rows_within(found, all);
}

/* Each row as it was in the end, or, without the last transaction, before that. */
static bool nothing_old(const struct fixture *f)
{
    return world_rows_within(&f->world->found, &f->sound.sure) ||
           (f->world->report.log.state == STORE_LOG_CUT &&
            world_rows_within(&f->world->found, &f->prior));
}

/* ---- bits ------------------------------------------------------------------------------ */

/* The number of a frame's page: with another one its page is as it was before, and another page is
 * overwritten. That is told, and each row has been so; but not at the same time. */
static bool is_page_number(size_t at)
{
    return at >= 32 && (at - 32) % FRAME_BYTES < 4;
}

static void a_flipped_bit_is_never_served(void **state)
{
    struct fixture *f = *state;
    uint64_t flips = number_from("SLUICE_FLIPS", 400), of_log = 0, missed[2] = {0}, refused = 0;

    for (uint64_t i = 0, seed = number_from("SLUICE_SEED", 1); i < seed; i++) {
        disk_draw(2);
    }
    for (uint64_t i = 0; i < flips; i++) {
        size_t at = disk_draw(f->database.size + f->log.size);
        bool is_log = at >= f->database.size;
        unsigned bit = (unsigned)disk_draw(8);
        bool opened, whole;

        at -= is_log ? f->database.size : 0;
        restore(f);
        disk_flip(is_log ? LOG_PATH : WORLD_PATH, at, bit);
        opened = world_open(f->world);
        whole = nothing_missing(f) ||
                (told(f->world) && !(is_log && f->copied && !is_page_number(at)));
        if (f->world->wrong != NULL || (opened && !whole) || (is_log && !opened) ||
            (opened && !nothing_old(f) && !(is_log && is_page_number(at)))) {
            fail_msg("bit %u of byte %zu of the %s: %s", bit, at, is_log ? "log" : "database",
                     f->world->wrong != NULL ? f->world->wrong
                     : !opened               ? f->world->problem.text
                     : !whole                ? "rows are missing, and nobody says so"
                                             : "rows are as they were earlier");
        }
        of_log += is_log;
        missed[is_log] += opened && !nothing_missing(f);
        refused += !opened;
    }
    printf("# %zu bytes of database, %zu of log; %lu bits, %lu of them of the log; rows missed by "
           "%lu and %lu, refused %lu\n", f->database.size, f->log.size, flips, of_log, missed[0],
           missed[1], refused);
    assert_true(of_log > 0 && refused < flips / 20);
    assert_true(f->copied ? missed[1] < of_log / 100 : missed[1] > 0);
    assert_true(missed[0] > 0 || f->copied);
}

/* ---- more than a bit ------------------------------------------------------------------- */

static void lose_sector(size_t at)
{
    for (size_t i = 0; i < 512; i++) {
        disk_flip(LOG_PATH, at + i, 3);
    }
}

/* Wherever in the log it is, the rows in it are missing, and named; in the last transaction, all of
 * that may be. */
static void a_lost_sector_costs_its_rows_alone(void **state)
{
    struct fixture *f = *state;
    size_t mended = 0, cut = 0, frames = (f->log.size - 32) / FRAME_BYTES;

    for (size_t frame = 0; frame < frames; frame++) {
        const struct store_log *log = &f->world->report.log;

        restore(f);
        lose_sector(32 + frame * FRAME_BYTES + 1024);
        assert_true(world_open(f->world));
        assert_true(nothing_old(f));
        if (log->state == STORE_LOG_MENDED) {
            mended++;
            assert_int_equal(log->wrong_frames, 1);
            assert_true(log->kept_unix_ms > 0 && disk_has("-wal.damaged-"));
            assert_true(nothing_missing(f) || f->world->was_damaged ||
                        f->world->report.mended_unix_ms > 0);
            assert_true(f->world->found.count + 40 > f->sound.sure.count);
        } else {
            cut++;
            assert_int_equal(log->state, STORE_LOG_CUT);
            assert_true(log->lost_commits <= 1);
        }
    }
    assert_true(mended > frames / 2 && cut > 0);
}

/* And the broker goes on with what it has. */
static void a_sector_of_a_copied_log_costs_nothing(void **state)
{
    struct fixture *f = *state;
    size_t frames = (f->log.size - 32) / FRAME_BYTES, copied = 0;

    for (size_t frame = 0; frame < frames; frame++) {
        const struct store_log *log = &f->world->report.log;

        restore(f);
        lose_sector(32 + frame * FRAME_BYTES + 1024);
        assert_true(world_open(f->world));
        assert_true(nothing_missing(f));
        assert_int_equal(log->state, STORE_LOG_MENDED);
        assert_true(log->wrong_frames == 1 && log->kept_unix_ms > 0);
        assert_false(f->world->was_damaged);
        copied += log->copied;
        assert_true(world_turn(f->world, 5));
        world_close(f->world);
        assert_true(world_open(f->world));
        assert_int_equal(log->state, STORE_LOG_WHOLE);
    }
    assert_true(copied > 0 && copied < frames); /* of some there is a newer version in the log */
}

/* They say which log a frame is of; and so do the sums, which go on from the frame before. */
static void salts_that_are_wrong_cost_nothing(void **state)
{
    struct fixture *f = *state;
    size_t frames = (f->log.size - 32) / FRAME_BYTES, mended = 0;

    for (size_t frame = 0; frame < frames; frame++) {
        const struct store_log *log = &f->world->report.log;

        restore(f);
        disk_flip(LOG_PATH, 32 + frame * FRAME_BYTES + 8 + frame % 8, 5);
        assert_true(world_open(f->world));
        assert_true(nothing_old(f));
        mended += log->state == STORE_LOG_MENDED;
        assert_true((log->state == STORE_LOG_CUT && !f->copied) || nothing_missing(f));
    }
    assert_true(mended > frames * 3 / 4);
}

static void the_copy_of_a_damaged_log_is_what_it_was(void **state)
{
    struct fixture *f = *state;
    char path[128];
    struct file log, kept;

    restore(f);
    lose_sector(32 + FRAME_BYTES + 1024);
    log = file_copy(LOG_PATH);
    assert_true(world_open(f->world));
    snprintf(path, sizeof path, "%s.damaged-%lu", LOG_PATH, f->world->report.log.kept_unix_ms);
    kept = file_copy(path);
    assert_int_equal(kept.size, log.size);
    assert_memory_equal(kept.bytes, log.bytes, log.size);
    assert_true(world_turn(f->world, 20)); /* and it goes on */
    world_close(f->world);
    assert_true(world_open(f->world));
    assert_int_equal(f->world->report.log.state, STORE_LOG_WHOLE);
    free(log.bytes);
    free(kept.bytes);
}

/* Else there would be half of another one at each start. */
static void a_copy_that_finds_no_room_is_none(void **state)
{
    struct fixture *f = *state;
    struct store_log log = {.kept_unix_ms = 1};

    restore(f);
    disk_bound(f->database.size + f->log.size + f->log.size / 2);
    store_log_keep(WORLD_PATH, &log);
    disk_bound(UINT64_MAX);
    assert_int_equal(log.kept_unix_ms, 0);
    assert_false(disk_has("-wal.damaged-"));
}

static void a_header_that_is_lost_is_told(void **state)
{
    struct fixture *f = *state;

    restore(f);
    disk_flip(LOG_PATH, 9, 1);
    disk_flip(LOG_PATH, 17, 1);
    assert_true(world_open(f->world));
    assert_int_equal(f->world->report.log.state, STORE_LOG_DAMAGED);
    assert_true(f->world->report.log.kept_unix_ms > 0);
}

/* A process that ends in the middle of a transaction leaves frames without their commit. */
static void what_was_never_finished_is_no_damage(void **state)
{
    struct fixture *f = *state;

    restore(f);
    disk_put(LOG_PATH, f->log.bytes, f->log.size - FRAME_BYTES);
    assert_true(world_open(f->world));
    assert_false(told(f->world));
}

/* ---- a page that was torn, and is almost the database's -------------------------------------- */

static uint32_t word_at(const uint8_t *at, bool highest_first)
{
    return highest_first
               ? (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3]
               : (uint32_t)at[3] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[1] << 8 | at[0];
}

static void word_set(uint8_t *at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++) {
        at[i] = (uint8_t)(value >> (24 - 8 * i));
    }
}

static void sum_up(uint32_t sums[2], const uint8_t *bytes, size_t size, bool highest_first)
{
    for (size_t i = 0; i < size; i += 8) {
        sums[0] += word_at(bytes + i, highest_first) + sums[1];
        sums[1] += word_at(bytes + i + 4, highest_first) + sums[0];
    }
}

/* The sums of the frames from `first` on; sqlite.org/fileformat2.html, section 4.2. */
static void sum_up_from(struct file *log, size_t first)
{
    bool highest_first = log->bytes[3] & 1;
    const uint8_t *before = first == 0 ? log->bytes + 24 : log->bytes + 32 + first * FRAME_BYTES -
                                                               FRAME_BYTES + 16;
    uint32_t sums[2] = {word_at(before, true), word_at(before + 4, true)};

    for (size_t at = 32 + first * FRAME_BYTES; at + FRAME_BYTES <= log->size; at += FRAME_BYTES) {
        sum_up(sums, log->bytes + at, 8, highest_first);
        sum_up(sums, log->bytes + at + 24, FRAME_BYTES - 24, highest_first);
        word_set(log->bytes + at + 16, sums[0]);
        word_set(log->bytes + at + 20, sums[1]);
    }
}

/* A transaction that a loss of power has torn, of a page that had the highest bit of one word other
 * than the database has it: to the sums that is the same as the highest bit of the number of pages
 * in the frame's head, which would make it a commit, of another number of pages. */
static void a_torn_page_is_no_flipped_head(void **state)
{
    struct fixture *f = *state;
    size_t frame = (f->log.size - 32) / FRAME_BYTES - 2;
    uint8_t *head = f->log.bytes + 32 + frame * FRAME_BYTES;

    assert_int_equal(word_at(head + 4, true), 0); /* no commit; the next one is */
    assert_int_not_equal(word_at(head + FRAME_BYTES + 4, true), 0);
    head[24 + 35] ^= 0x80;
    sum_up_from(&f->log, frame);
    restore(f);
    lose_sector(32 + frame * FRAME_BYTES + 1024);
    assert_true(world_open(f->world));
    assert_false(f->world->report.log.copied);
    assert_int_equal(f->world->report.log.wrong_frames, 0);
    assert_int_equal(f->world->report.log.state, STORE_LOG_CUT);
}

#define STORE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define COPIED(name) {#name " (copied)", name, setup_copied, teardown, NULL}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE(a_flipped_bit_is_never_served),
        COPIED(a_flipped_bit_is_never_served),
        STORE(a_lost_sector_costs_its_rows_alone),
        COPIED(a_sector_of_a_copied_log_costs_nothing),
        STORE(salts_that_are_wrong_cost_nothing),
        COPIED(salts_that_are_wrong_cost_nothing),
        COPIED(a_torn_page_is_no_flipped_head),
        STORE(the_copy_of_a_damaged_log_is_what_it_was),
        STORE(a_copy_that_finds_no_room_is_none),
        STORE(a_header_that_is_lost_is_told),
        STORE(what_was_never_finished_is_no_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
