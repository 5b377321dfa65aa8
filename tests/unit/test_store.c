/* links: shell */
/* The store: what it has acknowledged is there again, whatever happened meanwhile. */
#include "broker/shell/store.h"
#include "tests/unit/store_fixture.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KEYS_MAX 100000

struct fixture {
    char folder[64];
    char path[96];
    struct store *store;
    struct problem problem;
    struct store_report report;
    uint64_t next_key;
    uint64_t sequence; /* of the last record */
    struct sample sample;
    /* What was loaded. */
    uint64_t last_key;
    size_t count;
    uint8_t found[KEYS_MAX]; /* by key: FOUND_... */
};

enum { FOUND = 1, FOUND_ATTEMPTS = 2, FOUND_CHECKPOINT = 4, FOUND_OUTCOME = 8 };

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    strcpy(f->folder, "/tmp/sluice-store-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof f->path, "%s/tasks.db", f->folder);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char wal[112];

    store_close(f->store);
    snprintf(wal, sizeof wal, "%s-wal", f->path);
    assert_int_not_equal(access(wal, F_OK), 0); /* it was copied into the database */
    unlink(f->path);
    assert_int_equal(rmdir(f->folder), 0); /* nothing else was left behind */
    free(f);
    return 0;
}

static void take(void *context, const struct store_row *row)
{
    struct fixture *f = context;

    assert_true(row->key > f->last_key && row->key < KEYS_MAX);
    f->last_key = row->key;
    assert_true(row_is_of(row, row->key));
    f->found[row->key] = (uint8_t)(FOUND | (row->attempts > 0 ? FOUND_ATTEMPTS : 0) |
                                   (row->checkpoint.bytes.size > 0 ? FOUND_CHECKPOINT : 0) |
                                   (row->ended ? FOUND_OUTCOME : 0));
    f->count++;
}

static void no_damage(void *context, uint64_t key, const char *why)
{
    fail_msg("row %lu is damaged: %s", (unsigned long)key, why);
}

static void open_store(struct fixture *f)
{
    struct store_taker taker = {.context = f, .take = take, .damaged = no_damage};

    f->store = store_open(f->path, &f->problem);
    if (f->store == NULL) {
        fail_msg("%s", f->problem.text);
    }
    f->last_key = 0;
    f->count = 0;
    memset(f->found, 0, sizeof f->found);
    assert_true(store_load(f->store, &taker, &f->next_key, &f->report, &f->problem));
    assert_int_equal(f->report.rows, f->count);
    assert_int_equal(f->report.damaged, 0);
    assert_int_equal(f->report.mended_unix_ms, 0);
    assert_true(f->report.bytes > 0);
    assert_true(store_start(f->store, &f->problem));
}

static void reopen(struct fixture *f)
{
    store_close(f->store);
    open_store(f);
}

static void queue(struct fixture *f, enum store_what what, uint64_t key)
{
    struct store_record record = record_of(&f->sample, what, key);

    record.sequence = ++f->sequence;
    store_add(f->store, &record);
}

static void add(struct fixture *f, enum store_what what, uint64_t key)
{
    queue(f, what, key);
    store_flush(f->store);
}

/* Until all that was added is safe, or the state is another one. */
static struct store_news await(struct fixture *f)
{
    struct pollfd fd = {.fd = store_fd(f->store), .events = POLLIN};
    struct store_news news;

    do {
        assert_true(poll(&fd, 1, 20000) == 1);
        store_take_news(f->store, &news);
    } while (news.sequence < f->sequence && news.state == STORE_OPEN);
    return news;
}

static void await_all(struct fixture *f)
{
    struct store_news news = await(f);

    assert_int_equal(news.state, STORE_OPEN);
    assert_int_equal(news.sequence, f->sequence);
}

/* ---- what is kept -------------------------------------------------------------------- */

static void a_row_is_as_its_records_left_it(void **state)
{
    struct fixture *f = *state;

    open_store(f);
    assert_true(f->next_key > 0);
    for (uint64_t key = 1; key <= 64; key++) {
        add(f, STORE_TASK, key);
    }
    await_all(f);
    for (uint64_t key = 1; key <= 64; key++) {
        for (enum store_what what = STORE_ATTEMPT; what <= STORE_END; what++) {
            if (key >> what & 1) {
                add(f, what, key);
                if (key % 5 == 0) {
                    await_all(f); /* each in a transaction of its own */
                }
            }
        }
    }
    await_all(f);
    reopen(f);
    assert_int_equal(f->count, 64);
    for (uint64_t key = 1; key <= 64; key++) {
        assert_int_equal(f->found[key], FOUND | (key & 0xe));
    }
    for (uint64_t key = 1; key <= 64; key++) {
        if (key % 4 != 0) {
            add(f, STORE_FORGET, key);
        }
    }
    await_all(f);
    reopen(f);
    assert_int_equal(f->count, 16);
    assert_int_equal(f->found[16], FOUND);
    assert_int_equal(f->found[17], 0);
}

static void what_is_queued_at_the_end_is_written(void **state)
{
    struct fixture *f = *state;

    open_store(f);
    for (uint64_t key = 1; key <= 1000; key++) {
        add(f, STORE_TASK, key);
    }
    reopen(f);
    assert_int_equal(f->count, 1000);
}

static void keys_are_never_used_again(void **state)
{
    struct fixture *f = *state;
    uint64_t key;

    open_store(f);
    key = f->next_key;
    for (unsigned i = 0; i < 3; i++) {
        add(f, STORE_TASK, key);
        add(f, STORE_FORGET, key);
        await_all(f);
        reopen(f);
        assert_int_equal(f->count, 0);
        assert_true(f->next_key > key);
        key = f->next_key;
    }
}

static void a_task_that_comes_and_goes_needs_no_transaction(void **state)
{
    struct fixture *f = *state;
    struct store_news before, after;

    open_store(f);
    add(f, STORE_TASK, 1);
    await_all(f);
    store_take_news(f->store, &before);
    /* What is queued while a large transaction is written comes to nothing, as a rule. */
    for (uint64_t key = 2; key <= 20000; key++) {
        add(f, STORE_TASK, key);
        add(f, STORE_END, key);
        add(f, STORE_FORGET, key);
    }
    after = await(f);
    assert_int_equal(after.sequence, f->sequence);
    assert_int_equal(after.records, f->sequence);
    assert_true(after.writes - before.writes < 3 * 19999);
    assert_true(after.commits - before.commits <= after.records);
    reopen(f);
    assert_int_equal(f->count, 1);
}

static uint64_t bytes_of_file(const char *path)
{
    struct stat there;

    assert_int_equal(stat(path, &there), 0);
    return (uint64_t)there.st_size;
}

static uint64_t file_bytes(const struct fixture *f)
{
    return bytes_of_file(f->path);
}

static uint64_t log_bytes(const struct fixture *f)
{
    char wal[112];

    snprintf(wal, sizeof wal, "%s-wal", f->path);
    return bytes_of_file(wal);
}

/* No batch with it is a small one, whenever the store's thread takes what there is. */
static void queue_heavy(struct fixture *f, uint64_t key)
{
    static uint8_t payload[STORE_LIGHT_BYTES + 1];
    struct store_record record = record_of(&f->sample, STORE_TASK, key);

    record.sequence = ++f->sequence;
    f->sample.submit.payload = (struct payload){span_of(payload, sizeof payload), NULL};
    store_add(f->store, &record);
}

/* Copying it stops the store, so it is done in portions: small ones where little comes at a time.
 * The file keeps its size when it has been copied. */
static void the_log_is_copied_in_portions(void **state)
{
    struct fixture *f = *state;
    uint64_t key;

    open_store(f);
    for (key = 1; key <= 400; key++) { /* two pages each, and every eighth eleven more */
        add(f, STORE_TASK, key);
        await_all(f);
    }
    assert_in_range(log_bytes(f), STORE_LOG_LIGHT_BYTES, STORE_LOG_LIGHT_BYTES + 256 * 1024);
    for (; key <= 1000; key++) {
        queue_heavy(f, key);
        if (key % 10 == 0) {
            store_flush(f->store);
            await_all(f);
        }
    }
    assert_in_range(log_bytes(f), STORE_LOG_BYTES, STORE_LOG_BYTES + 4 * 1024 * 1024);
}

/* The log is copied a while after the last record, then what is left is written anew, and copied. */
static void a_large_file_with_little_in_it_gets_small(void **state)
{
    struct fixture *f = *state;
    struct pollfd fd = {.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), .events = POLLIN};
    char events[4096];
    uint64_t key;

    open_store(f);
    for (key = 1; key <= 8000; key++) {
        queue(f, STORE_TASK, key);
    }
    store_flush(f->store);
    await_all(f);
    reopen(f); /* all of it is in the file */
    assert_true(file_bytes(f) > 20 * 1024 * 1024);
    assert_true(inotify_add_watch(fd.fd, f->path, IN_MODIFY) >= 0);
    for (key = 1; key <= 8000; key++) {
        if (key % 100 != 0) {
            queue(f, STORE_FORGET, key);
        }
    }
    store_flush(f->store);
    await_all(f);
    assert_true(log_bytes(f) > STORE_LOG_LIGHT_BYTES); /* so it is copied after what comes now, */
    add(f, STORE_TASK, 8001);
    await_all(f);
    while (file_bytes(f) > 4 * 1024 * 1024) { /* and has been when the store is idle */
        assert_int_equal(poll(&fd, 1, 30000), 1);
        assert_true(read(fd.fd, events, sizeof events) > 0);
    }
    close(fd.fd);
    reopen(f);
    assert_int_equal(f->count, 81);
    assert_true(f->found[4000] && f->found[8001]);
}

static void the_file_is_private(void **state)
{
    struct fixture *f = *state;
    struct stat status;

    open_store(f);
    assert_int_equal(stat(f->path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

/* ---- a process that is killed -------------------------------------------------------- */

static void die_after(struct fixture *f, uint64_t records, int out)
{
    struct store_news news = {0};
    uint64_t key = 0;

    open_store(f);
    while (news.sequence < records) {
        for (unsigned i = 0; i < 100 && f->sequence - news.sequence < 5000; i++) {
            add(f, STORE_TASK, ++key);
            if (key > 50) {
                add(f, STORE_END, key - 50);
            }
        }
        store_take_news(f->store, &news);
        if (write(out, &news.sequence, sizeof news.sequence) != sizeof news.sequence) {
            _exit(1);
        }
    }
    kill(getpid(), SIGKILL);
}

/* The sequence of a task, and of its end: see die_after. */
static uint64_t sequence_of_task(uint64_t key)
{
    return key <= 50 ? key : 50 + (key - 50) * 2 - 1;
}

static void what_was_acknowledged_survives_kill(void **state)
{
    struct fixture *f = *state;

    for (uint64_t round = 1; round <= 8; round++) {
        uint64_t acknowledged = 0, got;
        int pipe_fds[2];
        pid_t child;
        int status;

        assert_int_equal(pipe(pipe_fds), 0);
        child = fork();
        if (child == 0) {
            die_after(f, round * 2000, pipe_fds[1]);
            _exit(2);
        }
        close(pipe_fds[1]);
        while (read(pipe_fds[0], &got, sizeof got) == sizeof got) {
            acknowledged = got;
        }
        close(pipe_fds[0]);
        waitpid(child, &status, 0);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        assert_true(acknowledged >= round * 2000);
        open_store(f);
        for (uint64_t key = 1; sequence_of_task(key) <= acknowledged; key++) {
            assert_true(f->found[key] & FOUND);
            if (key > 50) {
                assert_true(sequence_of_task(key) + 1 > acknowledged ||
                            f->found[key - 50] & FOUND_OUTCOME);
            }
        }
        store_close(f->store);
        f->store = NULL;
        unlink(f->path);
    }
}

/* ---- who may open it ----------------------------------------------------------------- */

static void expect_refused(struct fixture *f, const char *path, const char *why)
{
    assert_null(store_open(path, &f->problem));
    if (strstr(f->problem.text, why) == NULL) {
        fail_msg("`%s` does not say `%s`", f->problem.text, why);
    }
}

static void execute(const char *path, const char *sql)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void one_broker_has_it(void **state)
{
    struct fixture *f = *state;
    int status;
    pid_t child;

    open_store(f);
    expect_refused(f, f->path, "is in use");
    child = fork();
    if (child == 0) {
        struct store *store = store_open(f->path, &f->problem);

        _exit(store == NULL && strstr(f->problem.text, "is in use") != NULL ? 0 : 1);
    }
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    add(f, STORE_TASK, 1); /* and it goes on as before */
    await_all(f);
}

static void a_newer_version_is_left_alone(void **state)
{
    struct fixture *f = *state;

    open_store(f);
    store_close(f->store);
    f->store = NULL;
    execute(f->path, "PRAGMA user_version = 99");
    expect_refused(f, f->path, "has version 99");
    execute(f->path, "PRAGMA user_version = 1");
    open_store(f);
}

static void what_is_no_store_is_left_alone(void **state)
{
    struct fixture *f = *state;
    FILE *file = fopen(f->path, "we");

    for (unsigned i = 0; i < 1000; i++) {
        fputs("dear diary, ", file);
    }
    fclose(file);
    expect_refused(f, f->path, "is no store");
    unlink(f->path);
    execute(f->path, "CREATE TABLE cakes (name)");
    expect_refused(f, f->path, "of another program");
    expect_refused(f, f->folder, "cannot open the store");
    expect_refused(f, "/no/such/folder/tasks.db", "cannot make the store");
}

static void one_that_may_not_be_written_is_refused(void **state)
{
    struct fixture *f = *state;
    pid_t child;
    int status;

    open_store(f);
    store_close(f->store);
    f->store = NULL;
    chmod(f->path, 0444);
    chmod(f->folder, 0755);
    child = fork();
    if (child == 0) {
        if (geteuid() == 0 && setuid(65534) != 0) {
            _exit(0); /* nobody to be */
        }
        _exit(store_open(f->path, &f->problem) == NULL &&
                      strstr(f->problem.text, "cannot be written to") != NULL
                  ? 0
                  : 1);
    }
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
}

/* ---- a disk that is full, or fails ----------------------------------------------------- */

static void bound_files(uint64_t bytes)
{
    struct rlimit limit;

    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = bytes == 0 ? limit.rlim_max : bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_full_disk_is_waited_for(void **state)
{
    struct fixture *f = *state;
    struct store_news news;
    uint64_t key = 1;

    open_store(f);
    add(f, STORE_TASK, key);
    await_all(f);
    bound_files(256 * 1024); /* that of the log, too */
    do {
        for (unsigned i = 0; i < 50; i++) {
            add(f, STORE_TASK, ++key);
        }
        news = await(f);
    } while (news.state == STORE_OPEN);
    assert_int_equal(news.state, STORE_FULL);
    assert_non_null(strstr(news.why, "no room"));
    assert_true(news.sequence < f->sequence);
    for (unsigned i = 0; i < 50; i++) {
        add(f, STORE_TASK, ++key); /* behind it */
    }
    bound_files(0); /* how often it is tried meanwhile: test_store_faults.c */
    do {
        news = await(f);
    } while (news.sequence < f->sequence);
    assert_int_equal(news.state, STORE_OPEN);
    assert_string_equal(news.why, "");
    reopen(f);
    assert_int_equal(f->count, key);
}

static void a_full_disk_does_not_keep_it_from_closing(void **state)
{
    struct fixture *f = *state;
    struct store_news news;
    uint64_t key = 0;

    open_store(f);
    bound_files(256 * 1024);
    do {
        for (unsigned i = 0; i < 50; i++) {
            add(f, STORE_TASK, ++key);
        }
        news = await(f);
    } while (news.state == STORE_OPEN);
    store_close(f->store);
    bound_files(0);
    open_store(f);
    assert_true(f->count >= news.sequence && f->count <= key);
    for (uint64_t i = 1; i <= news.sequence; i++) {
        assert_int_equal(f->found[i], FOUND);
    }
}

/* The same key twice is a bug, and as good as a failing disk: SQLite refuses it. */
static void a_failure_is_for_good(void **state)
{
    struct fixture *f = *state;
    struct store_news news;
    uint64_t safe;

    open_store(f);
    add(f, STORE_TASK, 1);
    await_all(f);
    safe = f->sequence;
    add(f, STORE_TASK, 1);
    news = await(f);
    assert_int_equal(news.state, STORE_LOST);
    assert_true(strlen(news.why) > 0);
    assert_int_equal(news.sequence, safe);
    add(f, STORE_TASK, 2);
    store_take_news(f->store, &news);
    assert_int_equal(news.state, STORE_LOST);
    assert_int_equal(news.sequence, safe);
    store_close(f->store); /* leaves the log as it is */
    open_store(f);
    assert_int_equal(f->count, 1);
}

static void a_burst_is_one_transaction(void **state)
{
    struct fixture *f = *state;
    struct store_news before, after;

    open_store(f);
    add(f, STORE_TASK, 1);
    before = await(f);
    for (uint64_t key = 2; key <= 50; key++) {
        queue(f, STORE_TASK, key);
    }
    store_flush(f->store);
    after = await(f);
    assert_int_equal(after.commits, before.commits + 1);
    assert_int_equal(after.records, 50);
}

static void what_is_forgotten_goes_by_itself_in_the_end(void **state)
{
    struct fixture *f = *state;

    open_store(f);
    add(f, STORE_TASK, 1);
    await_all(f);
    add(f, STORE_FORGET, 1);
    await_all(f);
    add(f, STORE_TASK, 2);
    add(f, STORE_FORGET, 2); /* left to the end */
    reopen(f);
    assert_int_equal(f->count, 0);
}

static void no_news_is_quiet(void **state)
{
    struct fixture *f = *state;
    struct pollfd fd;

    open_store(f);
    fd = (struct pollfd){.fd = store_fd(f->store), .events = POLLIN};
    assert_int_equal(poll(&fd, 1, 0), 0);
    add(f, STORE_TASK, 1);
    await_all(f);
    assert_int_equal(poll(&fd, 1, 50), 0);
}

#define STORE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE(a_row_is_as_its_records_left_it),
        STORE(what_is_queued_at_the_end_is_written),
        STORE(keys_are_never_used_again),
        STORE(a_task_that_comes_and_goes_needs_no_transaction),
        STORE(the_log_is_copied_in_portions),
        STORE(a_large_file_with_little_in_it_gets_small),
        STORE(the_file_is_private),
        STORE(what_was_acknowledged_survives_kill),
        STORE(one_broker_has_it),
        STORE(a_newer_version_is_left_alone),
        STORE(what_is_no_store_is_left_alone),
        STORE(one_that_may_not_be_written_is_refused),
        STORE(a_full_disk_is_waited_for),
        STORE(a_full_disk_does_not_keep_it_from_closing),
        STORE(a_failure_is_for_good),
        STORE(a_burst_is_one_transaction),
        STORE(what_is_forgotten_goes_by_itself_in_the_end),
        STORE(no_news_is_quiet),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
