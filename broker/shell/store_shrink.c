#include "broker/shell/store_shrink.h"

#include "broker/shell/store_aside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- while a broker runs --------------------------------------------------------------- */

bool store_shrink_pays(struct store_file *file)
{
    int64_t free_bytes = 0, bytes = (int64_t)store_file_bytes(file);

    return bytes > STORE_SHRINK_FREE_BYTES &&
           store_file_ask(file, "SELECT freelist_count * page_size FROM pragma_freelist_count,"
                                " pragma_page_size", &free_bytes) &&
           free_bytes > STORE_SHRINK_FREE_BYTES && free_bytes > bytes / 2 &&
           bytes - free_bytes <= STORE_SHRINK_KEPT_BYTES;
}

enum store_file_result store_shrink(struct store_file *file)
{
    enum store_file_result result =
        store_file_judge(file, store_file_execute(file, "VACUUM"), "shrinking");

    store_file_left(file, result == STORE_FILE_OK);
    return result;
}

/* ---- while none does ------------------------------------------------------------------- */

struct compacting {
    struct store_file old, new; /* both locked: nobody finds the one, or the other, in between */
    char part[STORE_PATH_LONG_MAX];
    struct problem *problem;
};

static bool fail(struct compacting *compacting, const char *why)
{
    problem_set(compacting->problem, "the store %s cannot be made smaller: %s",
                compacting->old.path, why);
    return false;
}

/* Nobody but its owner may read it; and SQLite does not sync what it makes so. */
static bool make_private(const char *path, const struct stat *owner)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool made = fd >= 0;

    if (made && (owner->st_uid != geteuid() || owner->st_gid != getegid())) {
        made = fchown(fd, owner->st_uid, owner->st_gid) == 0;
    }
    return fd >= 0 && close(fd) == 0 && made;
}

static bool sync_file(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    bool synced = fd >= 0 && fsync(fd) == 0;

    if (fd >= 0) {
        close(fd);
    }
    return synced;
}

static bool copy(struct compacting *compacting)
{
    struct store_file *old = &compacting->old;
    sqlite3_stmt *statement = store_file_prepare(old, "VACUUM INTO ?1");
    int code = sqlite3_errcode(old->db);

    if (statement != NULL) {
        sqlite3_bind_text(statement, 1, compacting->part, -1, SQLITE_STATIC);
        code = store_file_run(statement);
        sqlite3_finalize(statement);
    }
    return code == SQLITE_OK || fail(compacting, sqlite3_errmsg(old->db));
}

/* The old one's log must not be taken for the new one's: not after a loss of power, either, and
 * SQLite does not sync that it is empty. */
static bool empty_log(struct compacting *compacting)
{
    struct store_file *old = &compacting->old;
    char log[STORE_PATH_LONG_MAX];

    snprintf(log, sizeof log, "%s-wal", old->path);
    return (store_file_execute(old, "PRAGMA wal_checkpoint(TRUNCATE)") == SQLITE_OK &&
            store_file_log_bytes(old) == 0 && sync_file(log)) ||
           fail(compacting, "its log cannot be written back");
}

static bool compact(struct compacting *compacting, const struct stat *owner,
                    struct store_compacted *compacted)
{
    struct store_file *old = &compacting->old;

    store_path_remove(compacting->part); /* of one that was killed */
    if (store_file_settle(old) != STORE_FILE_OK) {
        return fail(compacting, old->why);
    }
    if (store_aside_put(old, NULL, 0, 0) != SQLITE_OK) {
        return fail(compacting, sqlite3_errmsg(old->db));
    }
    if (!make_private(compacting->part, owner)) {
        return fail(compacting, strerror(errno));
    }
    if (!copy(compacting)) {
        return false;
    }
    if (!sync_file(compacting->part)) {
        return fail(compacting, strerror(errno));
    }
    if (!store_file_open(&compacting->new, compacting->part, compacting->problem) ||
        !empty_log(compacting)) {
        return false;
    }
    compacted->before_bytes = store_file_bytes(old);
    compacted->after_bytes = store_file_bytes(&compacting->new);
    if (store_file_checkpoint(&compacting->new) != STORE_FILE_OK) {
        return fail(compacting, compacting->new.why);
    }
    return (rename(compacting->part, old->path) == 0 && store_path_sync(old->path)) ||
           fail(compacting, strerror(errno));
}

/* What is wrong would be lost, and nobody told: a broker mends it, and says what it has lost. */
static bool is_sound(const char *path, struct problem *problem)
{
    struct store_file file;
    bool sound;

    if (!store_file_open_to_read(&file, path, problem)) {
        return false;
    }
    sound = !store_log_is_damaged(&file.log) && store_file_quick_check(&file) == SQLITE_OK;
    store_file_close(&file, false);
    if (!sound) {
        problem_set(problem, "the store %s is damaged: start a broker with it once, which mends it "
                    "and says what is lost", path);
    }
    return sound;
}

bool store_compact(const char *path, struct store_compacted *compacted, struct problem *problem)
{
    struct compacting compacting = {.problem = problem};
    struct stat there;
    bool done;

    if (stat(path, &there) != 0 || there.st_size == 0) {
        problem_set(problem, "there is no store %s", path);
        return false;
    }
    if (!is_sound(path, problem) || !store_file_open(&compacting.old, path, problem)) {
        return false;
    }
    snprintf(compacting.part, sizeof compacting.part, "%s.compact", compacting.old.path);
    done = compact(&compacting, &there, compacted);
    store_file_close(&compacting.old, false);
    if (done) { /* SQLite leaves the empty log of a file that has been moved */
        store_path_remove_log(compacting.old.path);
    }
    store_file_close(&compacting.new, false);
    store_path_remove(compacting.part);
    return done;
}
