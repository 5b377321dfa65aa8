#include "broker/shell/store_load.h"

#include "broker/shell/store_aside.h"
#include "broker/shell/store_mend.h"
#include "broker/shell/store_rows.h"
#include "common/check.h"
#include "common/clock.h"

#include <pthread.h>
#include <stdlib.h>

#define KEYS_SKIPPED (1ULL << 32) /* more than a broker has used since it last said */

#define HOLES_MAX 1000 /* so many are passed by, if nothing may be mended */
#define EXPECTED 16 /* rows at a time that whoever takes them gets ready for */
/* So many that they last for some of the check at the end: 32 MiB at most. The reader waits for
 * half of them, if it finds none. */
#define FERRIES 64
#define FERRIES_LARGE 4 /* under way behind one with large payloads: 16 MiB each */

/* A thread reads and checks the rows, while the one that asked for them takes them. */
struct load {
    struct store_file *file;
    struct store_report *report;
    struct store_row taken[EXPECTED]; /* the taking thread's */
    /* The reading thread's, until it has ended. */
    uint64_t key_max;  /* of the rows that were given */
    int64_t from;      /* keys below it have been seen */
    uint64_t lost_key; /* the lowest that could not even be read; 0: none */
    struct problem *problem;
    bool good;
    /* Under the lock; whose ferry is whose, too. */
    struct store_rows ferries[FERRIES];
    uint64_t filled, emptied; /* so many so far */
    bool ended;
    struct store_aside *asides; /* what either thread has found */
    size_t aside_count, aside_capacity;
    bool no_memory; /* for one of them */
    pthread_mutex_t lock;
    pthread_cond_t changed;
};

/* ---- from thread to thread ----------------------------------------------------------- */

/* The one that is being filled. */
static struct store_rows *ferry(struct load *load)
{
    return &load->ferries[load->filled % FERRIES];
}

/* With the lock. */
static void wait_until_under_way(struct load *load, uint64_t most)
{
    while (load->filled - load->emptied > most) {
        pthread_cond_wait(&load->changed, &load->lock);
    }
}

/* It is full, or the last one. Waits for empty ones, when there are none. */
static void send_ferry(struct load *load, bool last)
{
    uint64_t most = ferry(load)->large_bytes > 0 ? FERRIES_LARGE : FERRIES;

    pthread_mutex_lock(&load->lock);
    load->filled++;
    load->ended = last;
    pthread_cond_signal(&load->changed);
    if (!last && load->filled - load->emptied >= most) {
        wait_until_under_way(load, most / 2);
    }
    pthread_mutex_unlock(&load->lock);
}

/* Waits until all that was sent is taken: then it is known what is damaged. Returns `code`, if that
 * could be noted. */
static int all_taken(struct load *load, int code)
{
    bool noted;

    pthread_mutex_lock(&load->lock);
    wait_until_under_way(load, 0);
    noted = !load->no_memory;
    pthread_mutex_unlock(&load->lock);
    return noted || code != SQLITE_OK ? code : SQLITE_NOMEM;
}

static void note_damage(struct load *load, uint64_t key, const char *why)
{
    pthread_mutex_lock(&load->lock);
    if (load->aside_count == load->aside_capacity) {
        size_t capacity = load->aside_capacity > 0 ? load->aside_capacity * 2 : 64;
        struct store_aside *asides = realloc(load->asides, capacity * sizeof *asides);

        if (asides != NULL) {
            load->asides = asides;
            load->aside_capacity = capacity;
        }
    }
    if (load->aside_count < load->aside_capacity) {
        load->asides[load->aside_count++] = (struct store_aside){key, why};
    } else {
        load->no_memory = true;
    }
    pthread_mutex_unlock(&load->lock);
}

/* A few of the rows. */
static void take_some(struct load *load, const struct store_parts *parts, size_t count,
                      const struct store_taker *taker)
{
    size_t good = 0;

    for (size_t i = 0; i < count; i++) {
        const char *why = store_row_read(&parts[i], &load->taken[good]);

        if (why != NULL) {
            note_damage(load, parts[i].key, why);
        } else {
            good++;
        }
    }
    if (taker->expect != NULL) {
        taker->expect(taker->context, load->taken, good);
    }
    for (size_t i = 0; i < good; i++) {
        taker->take(taker->context, &load->taken[i]);
    }
    load->report->rows += good;
}

static void empty_ferry(struct load *load, struct store_rows *rows, const struct store_taker *taker)
{
    for (size_t i = 0; i < rows->count; i += EXPECTED) {
        size_t left = rows->count - i;

        take_some(load, &rows->rows[i], left < EXPECTED ? left : EXPECTED, taker);
    }
    store_rows_clear(rows);
}

static void take_all(struct load *load, const struct store_taker *taker)
{
    pthread_mutex_lock(&load->lock);
    for (;;) {
        while (load->emptied == load->filled && !load->ended) {
            pthread_cond_wait(&load->changed, &load->lock);
        }
        if (load->emptied == load->filled) {
            break;
        }
        pthread_mutex_unlock(&load->lock);
        empty_ferry(load, &load->ferries[load->emptied % FERRIES], taker);
        pthread_mutex_lock(&load->lock);
        load->emptied++;
        if (load->filled - load->emptied <= FERRIES / 2) {
            pthread_cond_signal(&load->changed); /* the reader may wait for fewer */
        }
    }
    pthread_mutex_unlock(&load->lock);
}

/* ---- one row ------------------------------------------------------------------------- */

/* *body: a new reference; NULL: it is not there, or cannot be read. */
static int get_large(struct store_file *file, uint64_t key, int part, struct blob **body)
{
    sqlite3_stmt *statement = file->statements[STORE_GET_LARGE];
    int code;

    *body = NULL;
    sqlite3_bind_int64(statement, 1, (int64_t)key);
    sqlite3_bind_int(statement, 2, part);
    code = sqlite3_step(statement);
    if (code == SQLITE_ROW && sqlite3_column_type(statement, 0) == SQLITE_BLOB) {
        *body = blob_new(span_of(sqlite3_column_blob(statement, 0),
                                 (size_t)sqlite3_column_bytes(statement, 0)));
        code = *body != NULL ? SQLITE_DONE : SQLITE_NOMEM;
    } else if (code == SQLITE_ROW) {
        code = SQLITE_DONE; /* something else: as good as nothing */
    }
    sqlite3_reset(statement);
    return code == SQLITE_DONE || store_file_is_damage(code) ? SQLITE_OK : code;
}

/* *why: NULL if the parts are as they were written. */
static int get_parts(struct load *load, sqlite3_stmt *statement, struct store_parts *parts,
                     const char **why)
{
    size_t large_bytes;
    int code = SQLITE_OK;

    *why = NULL;
    for (int i = 0; code == SQLITE_OK && *why == NULL && i < STORE_PART_COUNT; i++) {
        if (sqlite3_column_type(statement, 1 + i) != SQLITE_BLOB) {
            *why = "a part is missing";
            return SQLITE_OK;
        }
        parts->parts[i] = span_of(sqlite3_column_blob(statement, 1 + i),
                                  (size_t)sqlite3_column_bytes(statement, 1 + i));
        if (parts->parts[i].data == NULL && parts->parts[i].size > 0) {
            return SQLITE_NOMEM;
        }
        *why = store_part_check(parts->key, (enum store_part)i, parts->parts[i], &large_bytes);
        if (*why == NULL && large_bytes > 0) {
            code = get_large(load->file, parts->key, i, &parts->large[i]);
            *why = parts->large[i] == NULL ? "a payload is missing" : NULL;
        }
    }
    return code;
}

/* It is on its way. */
static int give_row(struct load *load, const struct store_parts *parts)
{
    enum store_rows_result result = store_rows_add(ferry(load), parts);

    if (result == STORE_ROWS_FULL) {
        send_ferry(load, false);
        result = store_rows_add(ferry(load), parts);
    }
    load->key_max = parts->key;
    return result == STORE_ROWS_NO_MEMORY ? SQLITE_NOMEM : SQLITE_OK;
}

static int read_row(struct load *load, sqlite3_stmt *statement)
{
    struct store_parts parts = {.key = (uint64_t)sqlite3_column_int64(statement, 0)};
    const char *why;
    int code = get_parts(load, statement, &parts, &why);

    if (code == SQLITE_OK && why == NULL && (parts.key == 0 || parts.key > STORE_KEY_FOUND_MAX)) {
        why = "its key is impossible";
    }
    if (code == SQLITE_OK && why == NULL) {
        /* Out of order, and good: its page is in another one's place, and it may come twice. */
        code = (int64_t)parts.key < load->from ? SQLITE_CORRUPT : give_row(load, &parts);
    } else if (code == SQLITE_OK) {
        note_damage(load, parts.key, why);
    }
    for (unsigned i = 0; i < STORE_PART_COUNT; i++) {
        blob_unref(parts.large[i]);
    }
    return code;
}

/* ---- all rows ------------------------------------------------------------------------ */

static int read_rows(struct load *load)
{
    sqlite3_stmt *statement = store_file_prepare(
        load->file, "SELECT key, task, attempts, checkpoint, outcome FROM task WHERE key >= ?1"
                    " ORDER BY key");
    int code, given = SQLITE_OK;

    if (statement == NULL) {
        return sqlite3_errcode(load->file->db);
    }
    sqlite3_bind_int64(statement, 1, load->from);
    while (given == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        int64_t key = sqlite3_column_int64(statement, 0);

        given = read_row(load, statement);
        if (key >= load->from) {
            load->from = key < INT64_MAX ? key + 1 : key;
        }
    }
    sqlite3_finalize(statement);
    return given != SQLITE_OK ? given : code == SQLITE_DONE ? SQLITE_OK : code;
}

static bool mend(struct load *load)
{
    struct store_mended mended;

    if (!store_mend(load->file, &mended, load->problem)) {
        return false;
    }
    load->report->mended_unix_ms = mended.unix_ms;
    load->lost_key = mended.lost_key;
    return true;
}

/* Out of the way, for people to look at. */
static int set_aside(struct load *load)
{
    return store_aside_put(load->file, load->asides, load->aside_count, clock_unix_ms());
}

/* False: `code` says that it cannot be read. No room to set rows aside does not: they stay where
 * they are, and are found again the next time. */
static bool judge(struct load *load, int code)
{
    struct store_file *file = load->file;

    if (store_file_judge(file, code, "loading") == STORE_FILE_FAILED) {
        problem_set(load->problem, "cannot read the store %s: %s", file->path, file->why);
        return false;
    }
    return true;
}

/* What has been read is there when power goes, too; and what is damaged is out of the way. */
static bool settle(struct load *load)
{
    struct store_file *file = load->file;
    enum store_file_result result = store_file_settle(file);

    if (result == STORE_FILE_OK && load->aside_count > 0) {
        return judge(load, set_aside(load));
    }
    if (result == STORE_FILE_FAILED) {
        problem_set(load->problem, "cannot copy the log of the store %s: %s", file->path,
                    file->why);
    }
    return result != STORE_FILE_FAILED;
}

/* The check comes last: by then others are still busy with the rows, and what it finds is a danger
 * to what will be written, not to what has been read. */
static bool read_and_mend(struct load *load)
{
    int code = read_rows(load);

    send_ferry(load, false);
    code = code != SQLITE_OK ? code : store_file_quick_check(load->file);
    if (store_file_is_damage(code)) {
        if (!mend(load)) {
            return false;
        }
        code = read_rows(load);
        send_ferry(load, false);
    }
    return judge(load, all_taken(load, code)) && settle(load);
}

/* What cannot be read is passed by. */
static int read_around(struct load *load, sqlite3_stmt *keys)
{
    int code = read_rows(load);

    for (unsigned holes = 0; store_file_is_damage(code) && holes < HOLES_MAX; holes++) {
        if (load->lost_key == 0) {
            load->lost_key = load->from > 0 ? (uint64_t)load->from : 1;
        }
        load->from = store_hole_end(keys, load->from);
        code = load->from < INT64_MAX ? read_rows(load) : SQLITE_OK;
    }
    return store_file_is_damage(code) ? SQLITE_OK : code;
}

/* Nothing becomes of what is damaged. */
static bool read_only(struct load *load)
{
    sqlite3_stmt *keys = store_file_prepare(
        load->file, "SELECT key FROM task WHERE key BETWEEN ?1 AND ?2 ORDER BY key");
    int code = keys != NULL ? read_around(load, keys) : sqlite3_errcode(load->file->db);

    sqlite3_finalize(keys);
    send_ferry(load, false);
    return judge(load, all_taken(load, code));
}

static void *run(void *context)
{
    struct load *load = context;

    load->good = load->file->reading ? read_only(load) : read_and_mend(load);
    send_ferry(load, true);
    return NULL;
}

/* Both threads' work. */
static void load_all(struct load *load, const struct store_taker *taker)
{
    pthread_t thread;
    int error;

    pthread_mutex_init(&load->lock, NULL);
    pthread_cond_init(&load->changed, NULL);
    error = pthread_create(&thread, NULL, run, load);
    if (error != 0) {
        problem_set(load->problem, "cannot start the thread that reads the store: %s",
                    strerror(error));
    } else {
        take_all(load, taker);
        pthread_join(thread, NULL);
    }
    pthread_cond_destroy(&load->changed);
    pthread_mutex_destroy(&load->lock);
    for (unsigned i = 0; i < FERRIES; i++) {
        store_rows_deinit(&load->ferries[i]);
    }
}

static void tell_damage(struct load *load, const struct store_taker *taker)
{
    for (size_t i = 0; i < load->aside_count; i++) {
        taker->damaged(taker->context, load->asides[i].key, load->asides[i].why);
    }
    if (load->lost_key > 0) {
        taker->damaged(taker->context, load->lost_key,
                       "it could not be read, and maybe others after it");
    }
    load->report->damaged = load->aside_count + (load->lost_key > 0);
}

bool store_file_load(struct store_file *file, const struct store_taker *taker, uint64_t *next_key,
                     struct store_report *report, struct problem *problem)
{
    struct load *load = calloc(1, sizeof *load);
    bool good;

    *report = (struct store_report){.log = file->log};
    if (load == NULL) {
        problem_set(problem, "out of memory");
        return false;
    }
    load->file = file;
    load->report = report;
    load->problem = problem;
    load->from = INT64_MIN;
    load_all(load, taker);
    tell_damage(load, taker);
    good = load->good;
    *next_key = load->key_max + 1 + (file->reserved_lost ? KEYS_SKIPPED : 0);
    free(load->asides);
    free(load);
    if (!good) {
        return false;
    }
    if (file->reserved_lost) {
        file->reserved = 0; /* the next batch says it anew */
    } else if (file->reserved > *next_key) {
        *next_key = file->reserved;
    }
    report->bytes = store_file_bytes(file);
    return true;
}
