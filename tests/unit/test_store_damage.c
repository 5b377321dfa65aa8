/* links: shell */
/* A store's file with bits that flipped: what comes back is what was written, or it is missed. */
#include "broker/shell/store_load.h"
#include "tests/unit/store_fixture.h"

#include <dirent.h>
#include <poll.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROWS 300
#define SAMPLES 300

struct fixture {
    char folder[64];
    char path[96];
    struct problem problem;
    struct sample sample;
    uint8_t *sound; /* the file as it was */
    size_t size;
    /* What was loaded. */
    size_t count, wrong, damaged;
    uint64_t last_key;
    uint64_t damaged_key;
};

/* ---- a file with ROWS rows ------------------------------------------------------------- */

static void clear_folder(const struct fixture *f)
{
    DIR *folder = opendir(f->folder);
    const struct dirent *entry;
    char path[512];

    assert_non_null(folder); /* somebody tidies up in /tmp */
    while ((entry = readdir(folder)) != NULL) {
        snprintf(path, sizeof path, "%s/%s", f->folder, entry->d_name);
        unlink(path);
    }
    closedir(folder);
}

static void fill(struct fixture *f)
{
    static const struct store_taker nobody;
    struct store *store = store_open(f->path, &f->problem);
    struct store_report report;
    uint64_t next_key, sequence = 0;

    assert_non_null(store);
    assert_true(store_load(store, &nobody, &next_key, &report, &f->problem));
    assert_true(store_start(store, &f->problem));
    /* Every third row is gone, so that there are free pages. */
    for (uint64_t key = 1; key <= ROWS * 3 / 2; key++) {
        for (enum store_what what = STORE_TASK; what <= STORE_END; what++) {
            struct store_record record = record_of(&f->sample, what, key);

            record.sequence = ++sequence;
            store_add(store, &record);
        }
    }
    store_close(store);
    store = store_open(f->path, &f->problem);
    assert_true(store_start(store, &f->problem));
    for (uint64_t key = 3; key <= ROWS * 3 / 2; key += 3) {
        struct store_record record = record_of(&f->sample, STORE_FORGET, key);

        record.sequence = ++sequence;
        store_add(store, &record);
    }
    store_close(store);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    FILE *file;

    assert_non_null(f);
    strcpy(f->folder, "/tmp/sluice-store-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof f->path, "%s/tasks.db", f->folder);
    fill(f);
    f->sound = malloc(16 * 1024 * 1024);
    file = fopen(f->path, "re");
    f->size = fread(f->sound, 1, 16 * 1024 * 1024, file);
    fclose(file);
    assert_true(f->size > 100 * 4096 && f->size < 16 * 1024 * 1024);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    clear_folder(f);
    assert_int_equal(rmdir(f->folder), 0);
    free(f->sound);
    free(f);
    return 0;
}

/* ---- reading it ------------------------------------------------------------------------ */

static void take(void *context, const struct store_row *row)
{
    struct fixture *f = context;

    assert_true(row->key > f->last_key);
    f->last_key = row->key;
    f->count++;
    /* All four parts were written. */
    f->wrong += !row_is_of(row, row->key) || row->attempts != 2 || !row->ended ||
                row->checkpoint.bytes.size == 0;
}

static void miss(void *context, uint64_t key, const char *why)
{
    struct fixture *f = context;

    assert_non_null(why);
    f->damaged++;
    f->damaged_key = key;
}

/* With `size` bytes of the file from `at` on being `bytes`, or a hole if that is NULL. */
static void damage(const struct fixture *f, size_t at, const uint8_t *bytes, size_t size)
{
    FILE *file = fopen(f->path, "we");

    assert_int_equal(fwrite(f->sound, 1, at, file), at);
    for (size_t i = 0; i < size; i++) {
        putc(bytes != NULL ? bytes[i] : 0, file);
    }
    at += size;
    assert_int_equal(fwrite(f->sound + at, 1, f->size - at, file), f->size - at);
    fclose(file);
}

/* Loads what is there. False: it is refused as a whole. Nothing wrong is ever given. */
static bool load(struct fixture *f, struct store_report *report, uint64_t *next_key)
{
    struct store_taker taker = {.context = f, .take = take, .damaged = miss};
    struct store *store = store_open(f->path, &f->problem);
    bool loaded;

    f->count = f->wrong = f->damaged = 0;
    f->last_key = 0;
    if (store == NULL) {
        return false;
    }
    loaded = store_load(store, &taker, next_key, report, &f->problem);
    assert_int_equal(f->wrong, 0);
    if (loaded) {
        assert_int_equal(report->rows, f->count);
        assert_int_equal(report->damaged, f->damaged);
        assert_true(*next_key > ROWS * 3 / 2);
    }
    store_close(store);
    return loaded;
}

/* It goes on with what it has: rows can be added, and come back. */
static void goes_on(struct fixture *f, uint64_t key)
{
    struct store *store = store_open(f->path, &f->problem);
    struct store_record record = record_of(&f->sample, STORE_TASK, key);
    struct pollfd fd;
    struct store_news news;

    assert_non_null(store);
    assert_true(store_start(store, &f->problem));
    record.sequence = 1;
    store_add(store, &record);
    store_flush(store);
    fd = (struct pollfd){.fd = store_fd(store), .events = POLLIN};
    assert_int_equal(poll(&fd, 1, 20000), 1);
    store_take_news(store, &news);
    assert_int_equal(news.state, STORE_OPEN);
    assert_int_equal(news.sequence, 1);
    record.what = STORE_FORGET;
    record.sequence = 2;
    store_add(store, &record);
    store_close(store);
}

/* ---- bits ------------------------------------------------------------------------------ */

static uint64_t chance_state = 1;

static size_t chance(size_t below)
{
    chance_state = chance_state * 6364136223846793005u + 1442695040888963407u;
    return (size_t)((chance_state >> 33) % below);
}

static void a_flipped_bit_is_never_served(void **state)
{
    struct fixture *f = *state;
    size_t refused = 0, missed = 0, mended = 0;

    for (unsigned i = 0; i < SAMPLES; i++) {
        /* One in four is where a page begins: what SQLite itself goes by. */
        size_t at = i % 4 == 0 ? chance(f->size / 4096) * 4096 + chance(12) : chance(f->size);
        uint8_t byte = f->sound[at] ^ (uint8_t)(1 << chance(8));
        struct store_report report, again;
        uint64_t next_key;

        clear_folder(f);
        damage(f, at, &byte, 1);
        if (!load(f, &report, &next_key)) {
            assert_true(strlen(f->problem.text) > 0);
            refused++;
            continue;
        }
        missed += report.damaged > 0;
        mended += report.mended_unix_ms > 0;
        assert_true(f->count <= ROWS);
        /* A page can lose a row so that nobody knows: then it was at least seen to be wrong. */
        assert_true(f->count == ROWS || report.damaged > 0 || report.mended_unix_ms > 0);
        if (i % 4 == 0) {
            goes_on(f, next_key);
            /* What was set aside is out of the way. */
            assert_true(load(f, &again, &next_key));
            assert_int_equal(again.rows, report.rows);
            assert_int_equal(again.damaged, 0);
            assert_int_equal(again.mended_unix_ms, 0);
        }
    }
    assert_true(missed > SAMPLES / 4);
    assert_true(mended > 10);
    assert_true(refused < SAMPLES / 10);
}

static void a_page_that_is_lost_costs_its_rows_alone(void **state)
{
    struct fixture *f = *state;
    size_t mended = 0;

    for (size_t page = 2; page < f->size / 4096; page++) {
        struct store_report report;
        uint64_t next_key;
        bool loaded;

        if (f->sound[page * 4096] != 0x0d) { /* a leaf of a table */
            continue;
        }
        clear_folder(f);
        damage(f, page * 4096, NULL, 4096);
        loaded = load(f, &report, &next_key);
        assert_true(loaded);
        mended += report.mended_unix_ms > 0;
        assert_true(f->count >= ROWS - 30);
        if (f->count < ROWS) {
            assert_true(report.damaged > 0);
            goes_on(f, next_key);
        }
    }
    assert_true(mended > 20);
}

/* Who may not mend it sees all rows but those of the page, too. */
static void what_is_only_read_is_read_behind_a_lost_page(void **state)
{
    struct fixture *f = *state;
    size_t pages = 0;

    for (size_t at = 6 * 4096; at < f->size; at += 4096) {
        struct store_file file;
        struct store_report report;
        struct store_taker taker = {.context = f, .take = take, .damaged = miss};
        uint64_t next_key;

        if (f->sound[at] != 0x0d) { /* no leaf of a table */
            continue;
        }
        clear_folder(f);
        damage(f, at, NULL, 1);
        f->count = f->damaged = f->last_key = 0;
        assert_true(store_file_open_to_read(&file, f->path, &f->problem));
        assert_true(store_file_load(&file, &taker, &next_key, &report, &f->problem));
        store_file_close(&file, false);
        assert_in_range(f->count, ROWS - 40, ROWS);
        assert_int_equal(f->damaged, f->count < ROWS); /* it may be a free page */
        pages += f->count < ROWS;
    }
    assert_true(pages > 5);
}

/* To go through all bodies in their order ends at a key that has become something else. */
static void a_body_that_cannot_be_read_is_lost_alone(void **state)
{
    /* Of payload's key 32, part 0, with 20,000 bytes: see SQLite's record format. */
    static const uint8_t head[] = {6, 1, 8, 0x82, 0xb8, 0x4c, 32};
    const uint8_t text = 13, free_pages[] = {0xff, 0xff, 0xff, 0xff}; /* such a list is mended */
    struct fixture *f = *state;
    struct store_report report, again;
    uint64_t next_key;
    size_t at = 0;
    FILE *file;

    while (memcmp(f->sound + at, head, sizeof head) != 0) {
        at++;
        assert_true(at < f->size - sizeof head);
    }
    clear_folder(f);
    damage(f, at + 1, &text, 1);
    file = fopen(f->path, "r+e");
    fseek(file, 36, SEEK_SET);
    fwrite(free_pages, 1, sizeof free_pages, file);
    fclose(file);
    assert_true(load(f, &report, &next_key));
    assert_true(report.mended_unix_ms > 0);
    assert_true(report.rows > ROWS - 10);
    assert_true(load(f, &again, &next_key));
    assert_int_equal(again.rows, report.rows); /* what was given once is there again */
    assert_int_equal(again.damaged, 0);
}

static void what_is_set_aside_can_be_looked_at(void **state)
{
    struct fixture *f = *state;
    struct store_report report;
    uint64_t next_key;
    sqlite3_stmt *statement;
    sqlite3 *db;
    size_t at = 0;
    uint8_t byte;

    /* The order key of some row. */
    while (memcmp(f->sound + at, "order-1", 7) != 0) {
        at++;
    }
    byte = f->sound[at] ^ 1;
    damage(f, at, &byte, 1);
    assert_true(load(f, &report, &next_key));
    if (f->count == ROWS) {
        return; /* it was in a page that is free */
    }
    assert_int_equal(f->count, ROWS - 1);
    assert_int_equal(report.damaged, 1);
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT key, why FROM damaged", -1, &statement, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int64(statement, 0), f->damaged_key);
    assert_string_equal((const char *)sqlite3_column_text(statement, 1), "a checksum is wrong");
    sqlite3_finalize(statement);
    sqlite3_close(db);
}

static void execute(const struct fixture *f, const char *sql)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    }
    sqlite3_close(db);
}

static int64_t number(const struct fixture *f, const char *sql)
{
    sqlite3_stmt *statement;
    int64_t value;
    sqlite3 *db;

    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return value;
}

/* With `rows` set aside long ago, of `bytes` each, and one that is set aside now. */
static void set_aside(struct fixture *f, unsigned rows, unsigned bytes)
{
    struct store_report report;
    uint64_t next_key;
    char sql[400];

    clear_folder(f);
    damage(f, 0, f->sound, 1); /* none */
    snprintf(sql, sizeof sql,
             "WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < %u)"
             " INSERT INTO damaged (key, why, found_unix_ms, task) SELECT 1000000 + n, 'old', n,"
             " zeroblob(%u) FROM i; INSERT INTO payload VALUES (1000001, 0, zeroblob(9000)),"
             " (7777777, 0, zeroblob(9000)); UPDATE task SET attempts = NULL WHERE key = 8",
             rows, bytes);
    execute(f, sql);
    assert_true(load(f, &report, &next_key));
    assert_int_equal(report.damaged, 1);
    assert_int_equal(number(f, "SELECT count(*) FROM damaged WHERE key = 8"), 1);
    assert_int_equal(number(f, "SELECT count(*) FROM payload WHERE key = 7777777"), 0);
    assert_int_equal(number(f, "SELECT count(*) > 0 FROM payload WHERE key = 8"), 1);
    assert_int_equal(number(f, "SELECT count(DISTINCT key) FROM payload JOIN task USING (key)"),
                     37); /* all large ones but that of key 8 */
}

static void what_is_set_aside_has_a_bound(void **state)
{
    struct fixture *f = *state;

    set_aside(f, 10, 100);
    assert_int_equal(number(f, "SELECT count(*) FROM damaged"), 11);
    assert_int_equal(number(f, "SELECT count(*) FROM payload WHERE key = 1000001"), 1);
    set_aside(f, 1200, 100);
    assert_int_equal(number(f, "SELECT count(*) FROM damaged"), 1000);
    assert_int_equal(number(f, "SELECT min(found_unix_ms) FROM damaged"), 202); /* the oldest go */
    assert_int_equal(number(f, "SELECT count(*) FROM payload WHERE key = 1000001"), 0);
    set_aside(f, 100, 1024 * 1024);
    assert_int_equal(number(f, "SELECT count(*) FROM damaged"), 64);
}

static void a_file_that_was_cut_gives_what_it_has(void **state)
{
    struct fixture *f = *state;
    struct store_report report;
    uint64_t next_key;

    damage(f, f->size, NULL, 0);
    assert_int_equal(truncate(f->path, (off_t)(f->size / 2 / 4096 * 4096)), 0);
    if (load(f, &report, &next_key)) {
        assert_true(f->count > 0 && f->count < ROWS);
        assert_true(report.damaged > 0);
    } else {
        assert_non_null(strstr(f->problem.text, "damaged"));
    }
}

#define STORE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE(a_flipped_bit_is_never_served),
        STORE(a_page_that_is_lost_costs_its_rows_alone),
        STORE(what_is_only_read_is_read_behind_a_lost_page),
        STORE(a_body_that_cannot_be_read_is_lost_alone),
        STORE(what_is_set_aside_can_be_looked_at),
        STORE(what_is_set_aside_has_a_bound),
        STORE(a_file_that_was_cut_gives_what_it_has),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
