#include "broker/shell/store_backup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define STEP_PAGES 64
#define SYNC_PAGES 256 /* a MiB: no sync takes longer than a batch of the store's own */
#define INFIX ".backup-"
#define PART ".part"

static enum store_backup_result failed(struct store_backup *backup, const char *doing,
                                       const char *why)
{
    problem_set(&backup->problem, "%.700s: %s", doing, why);
    return STORE_BACKUP_FAILED;
}

/* ---- where to ------------------------------------------------------------------------- */

/* One that nobody is making any more: its broker was killed. */
static void remove_stale(int folder, const char *part)
{
    int fd = openat(folder, part, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) {
        unlinkat(folder, part, 0);
    }
    if (fd >= 0) {
        close(fd);
    }
}

static bool is_part(const char *name)
{
    size_t size = strlen(name), end = strlen(PART);

    return size > end && strcmp(name + size - end, PART) == 0;
}

/* How many backups of `name` are in the folder; those that were not finished go. */
static unsigned count_in(DIR *folder, const char *name)
{
    size_t size = strlen(name), infix = strlen(INFIX);
    const struct dirent *entry;
    unsigned count = 0;

    while ((entry = readdir(folder)) != NULL) {
        if (strncmp(entry->d_name, name, size) != 0 ||
            strncmp(entry->d_name + size, INFIX, infix) != 0) {
            continue;
        }
        if (is_part(entry->d_name)) {
            remove_stale(dirfd(folder), entry->d_name);
        } else {
            count++;
        }
    }
    return count;
}

/* A backup must not take the room that the store needs: as much again stays free. */
static bool has_room(struct store_file *file, const char *folder)
{
    struct statvfs there;

    return statvfs(folder, &there) == 0 &&
           (uint64_t)there.f_bavail * there.f_frsize >= 2 * store_file_bytes(file);
}

static enum store_backup_result find_place(struct store_backup *backup, struct store_file *file,
                                           const char *wanted, uint64_t unix_ms)
{
    char copy[STORE_PATH_MAX], copy_too[STORE_PATH_MAX];
    const char *name, *folder;
    unsigned count;
    DIR *there;

    snprintf(copy, sizeof copy, "%s", file->path);
    snprintf(copy_too, sizeof copy_too, "%s", file->path);
    name = basename(copy);
    folder = wanted[0] != '\0' ? wanted : dirname(copy_too);
    there = opendir(folder);
    if (there == NULL) {
        return failed(backup, folder, strerror(errno));
    }
    count = count_in(there, name);
    closedir(there);
    if (count >= STORE_BACKUPS_MAX) {
        return failed(backup, folder, "there are 16 backups already: remove some");
    }
    if (!has_room(file, folder)) {
        return failed(backup, folder, "no room");
    }
    do { /* two may be made within a millisecond */
        if ((size_t)snprintf(backup->path, sizeof backup->path, "%s/%s" INFIX "%" PRIu64, folder,
                             name, unix_ms++) >= sizeof backup->path) {
            return failed(backup, folder, "the path is too long");
        }
    } while (access(backup->path, F_OK) == 0);
    snprintf(backup->part, sizeof backup->part, "%s" PART, backup->path);
    return STORE_BACKUP_MORE;
}

/* ---- copying ----------------------------------------------------------------------------- */

static void close_all(struct store_backup *backup)
{
    sqlite3_backup_finish(backup->copy);
    sqlite3_close(backup->to);
    if (backup->fd >= 0) {
        close(backup->fd);
    }
    backup->copy = NULL;
    backup->to = NULL;
    backup->fd = -1;
}

void store_backup_cancel(struct store_backup *backup, const char *why)
{
    if (backup->to != NULL) {
        close_all(backup);
        store_path_remove(backup->part);
    }
    problem_set(&backup->problem, "%s", why);
}

/* `why` may be the copy's own, and goes with it. */
static enum store_backup_result give_up(struct store_backup *backup, const char *doing,
                                        const char *why)
{
    failed(backup, doing, why);
    close_all(backup);
    store_path_remove(backup->part);
    return STORE_BACKUP_FAILED;
}

enum store_backup_result store_backup_begin(struct store_backup *backup, struct store_file *file,
                                            const char *folder, uint64_t unix_ms)
{
    *backup = (struct store_backup){.fd = -1};
    if (find_place(backup, file, folder, unix_ms) != STORE_BACKUP_MORE) {
        return STORE_BACKUP_FAILED;
    }
    backup->fd = open(backup->part, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (backup->fd < 0) {
        return failed(backup, backup->part, strerror(errno));
    }
    flock(backup->fd, LOCK_EX); /* it is being made */
    /* It is synced here, and if it fails it is removed: SQLite need not care. */
    if (sqlite3_open_v2(backup->part, &backup->to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK ||
        sqlite3_exec(backup->to, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = OFF;"
                                 "PRAGMA synchronous = OFF", NULL, NULL, NULL) != SQLITE_OK) {
        return give_up(backup, backup->part, sqlite3_errmsg(backup->to));
    }
    backup->copy = sqlite3_backup_init(backup->to, "main", file->db, "main");
    if (backup->copy == NULL) {
        return give_up(backup, backup->part, sqlite3_errmsg(backup->to));
    }
    return STORE_BACKUP_MORE;
}

/* All pages are copied. */
static enum store_backup_result finish(struct store_backup *backup)
{
    int code = sqlite3_backup_finish(backup->copy);
    off_t size;

    backup->copy = NULL;
    code = code == SQLITE_OK ? sqlite3_close(backup->to) : code;
    if (code != SQLITE_OK) {
        return give_up(backup, backup->part, sqlite3_errstr(code));
    }
    backup->to = NULL;
    size = lseek(backup->fd, 0, SEEK_END);
    if (size < 0 || fsync(backup->fd) != 0 || !store_path_publish(backup->part, backup->path)) {
        return give_up(backup, backup->path, strerror(errno));
    }
    backup->bytes = (uint64_t)size;
    close_all(backup);
    return STORE_BACKUP_DONE;
}

enum store_backup_result store_backup_step(struct store_backup *backup)
{
    int code = sqlite3_backup_step(backup->copy, STEP_PAGES);

    if (code == SQLITE_DONE) {
        return finish(backup);
    }
    if (code != SQLITE_OK) {
        return give_up(backup, backup->part, sqlite3_errstr(code));
    }
    backup->unsynced += STEP_PAGES;
    if (backup->unsynced >= SYNC_PAGES) {
        backup->unsynced = 0;
        if (fdatasync(backup->fd) != 0) {
            return give_up(backup, backup->part, strerror(errno));
        }
    }
    return STORE_BACKUP_MORE;
}
