/* links: shell */
/* A backup of a store that is written to: whole, of one moment, and out of nobody's way. */
#include "broker/shell/store.h"
#include "broker/shell/store_backup.h"
#include "tests/unit/store_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROWS 2000

struct fixture {
    char folder[64], path[96], backups[96];
    struct store *store;
    struct problem problem;
    uint64_t sequence, last_key;
    struct sample sample;
    size_t count;
    bool ended;
};

static void clear_folder(const char *name)
{
    DIR *folder = opendir(name);
    const struct dirent *entry;
    char path[512];

    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL) {
        snprintf(path, sizeof path, "%s/%s", name, entry->d_name);
        unlink(path);
    }
    closedir(folder);
}

static void take(void *context, const struct store_row *row)
{
    struct fixture *f = context;

    assert_true(row->key > f->last_key);
    assert_true(row_is_of(row, row->key));
    f->last_key = row->key;
    f->count++;
}

static void no_damage(void *context, uint64_t key, const char *why)
{
    fail_msg("row %lu is damaged: %s", (unsigned long)key, why);
}

static void open_store(struct fixture *f, const char *path)
{
    struct store_taker taker = {.context = f, .take = take, .damaged = no_damage};
    struct store_report report;
    uint64_t next_key;

    f->store = store_open(path, &f->problem);
    if (f->store == NULL) {
        fail_msg("%s", f->problem.text);
    }
    f->last_key = f->count = 0;
    assert_true(store_load(f->store, &taker, &next_key, &report, &f->problem));
    assert_true(store_start(f->store, &f->problem));
}

static void add(struct fixture *f, enum store_what what, uint64_t key)
{
    struct store_record record = record_of(&f->sample, what, key);

    record.sequence = ++f->sequence;
    store_add(f->store, &record);
    store_flush(f->store);
}

/* News, until the store has all that was added; and until a backup has ended, if that is wanted. */
static void await(struct fixture *f, bool backup)
{
    struct pollfd fd = {.fd = store_fd(f->store), .events = POLLIN};
    struct store_news news = {.sequence = 0};

    while (news.sequence < f->sequence || (backup && !f->ended)) {
        assert_true(poll(&fd, 1, 20000) == 1);
        store_take_news(f->store, &news);
        f->ended |= news.backup_ended;
        assert_int_equal(news.state, STORE_OPEN);
    }
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    strcpy(f->folder, "/tmp/sluice-store-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof f->path, "%s/tasks.db", f->folder);
    snprintf(f->backups, sizeof f->backups, "%s/backups", f->folder);
    assert_int_equal(mkdir(f->backups, 0700), 0);
    open_store(f, f->path);
    for (uint64_t key = 1; key <= ROWS; key++) {
        add(f, STORE_TASK, key);
    }
    await(f, false);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    store_close(f->store);
    clear_folder(f->backups);
    rmdir(f->backups);
    clear_folder(f->folder);
    assert_int_equal(rmdir(f->folder), 0);
    free(f);
    return 0;
}

/* Its path, and what it was like at the end; the store goes on. */
static char *backed_up(struct fixture *f, const char *folder)
{
    const struct store_backup *backup;

    f->ended = false;
    store_back_up(f->store, folder);
    await(f, true);
    backup = store_last_backup(f->store);
    assert_string_equal(backup->problem.text, "");
    assert_true(backup->bytes > 0);
    return strdup(backup->path);
}

static void a_backup_has_what_the_store_had(void **state)
{
    struct fixture *f = *state;
    struct stat there;
    char *path = backed_up(f, "");

    assert_true(strncmp(path, f->path, strlen(f->path)) == 0);
    assert_int_equal(stat(path, &there), 0);
    assert_int_equal(there.st_mode & 0777, 0600);
    store_close(f->store);
    open_store(f, path);
    assert_int_equal(f->count, ROWS);
    free(path);
}

static void what_is_written_meanwhile_harms_nothing(void **state)
{
    struct fixture *f = *state;
    uint64_t key = ROWS, gone = 0;
    char *path = NULL;

    /* Few turns show nothing: on a busy machine a backup may take no more than one. */
    while (gone <= 10) {
        if (path != NULL) {
            unlink(path);
            free(path);
        }
        f->ended = false;
        store_back_up(f->store, f->backups);
        while (!f->ended) { /* at both ends of what is being copied, and in between */
            add(f, STORE_TASK, ++key);
            add(f, STORE_END, key - ROWS / 2);
            add(f, STORE_FORGET, ++gone);
            await(f, false);
        }
        assert_string_equal(store_last_backup(f->store)->problem.text, "");
        path = strdup(store_last_backup(f->store)->path);
        assert_true(strncmp(path, f->backups, strlen(f->backups)) == 0);
    }
    store_close(f->store);
    open_store(f, path); /* each row is one that was written */
    assert_true(f->count >= ROWS - gone && f->count <= ROWS + 1);
    store_close(f->store);
    open_store(f, f->path);
    assert_int_equal(f->count, ROWS);
    free(path);
}

static const char *refused(struct fixture *f, const char *folder)
{
    f->ended = false;
    store_back_up(f->store, folder);
    await(f, true);
    return store_last_backup(f->store)->problem.text;
}

static void what_cannot_be_is_said_and_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    char name[160];

    assert_non_null(strstr(refused(f, "/nowhere/at/all"), "No such file"));
    assert_non_null(strstr(refused(f, f->path), "Not a directory"));
    for (unsigned i = 0; i < STORE_BACKUPS_MAX; i++) {
        snprintf(name, sizeof name, "%s/tasks.db.backup-%u", f->backups, i);
        fclose(fopen(name, "we"));
    }
    assert_non_null(strstr(refused(f, f->backups), "16 backups"));
    unlink(name);
    free(backed_up(f, f->backups));
    clear_folder(f->backups);
}

static int refuse_to_open(sqlite3 *db, char **why, const struct sqlite3_api_routines *api)
{
    *why = sqlite3_mprintf("%s", "not today");
    return SQLITE_ERROR;
}

static void what_sqlite_says_of_a_failure_is_said(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(sqlite3_auto_extension((void (*)(void))refuse_to_open), SQLITE_OK);
    assert_non_null(strstr(refused(f, f->backups), "not today"));
    sqlite3_reset_auto_extension();
    assert_int_equal(rmdir(f->backups), 0); /* nothing is left of it */
    assert_int_equal(mkdir(f->backups, 0700), 0);
}

static void what_a_killed_broker_left_goes(void **state)
{
    struct fixture *f = *state;
    char stale[160], making[160];
    int fd;

    snprintf(stale, sizeof stale, "%s/tasks.db.backup-5.part", f->backups);
    snprintf(making, sizeof making, "%s/tasks.db.backup-6.part", f->backups);
    fclose(fopen(stale, "we"));
    fd = open(making, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(flock(fd, LOCK_EX), 0); /* as another broker's would be */
    free(backed_up(f, f->backups));
    assert_int_not_equal(access(stale, F_OK), 0);
    assert_int_equal(access(making, F_OK), 0);
    close(fd);
}

static void one_that_is_not_finished_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    const struct dirent *entry;
    DIR *folder;

    store_back_up(f->store, f->backups);
    store_close(f->store);
    f->store = NULL;
    folder = opendir(f->backups);
    while ((entry = readdir(folder)) != NULL) { /* nothing; or all of it, if it was that quick */
        assert_null(strstr(entry->d_name, ".part"));
    }
    closedir(folder);
    open_store(f, f->path);
    assert_int_equal(f->count, ROWS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_backup_has_what_the_store_had, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_written_meanwhile_harms_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_is_said_and_leaves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(what_sqlite_says_of_a_failure_is_said, setup, teardown),
        cmocka_unit_test_setup_teardown(what_a_killed_broker_left_goes, setup, teardown),
        cmocka_unit_test_setup_teardown(one_that_is_not_finished_leaves_nothing, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
