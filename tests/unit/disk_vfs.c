/* disk_vfs: the disk as SQLite sees it. As SQLite's own for unix does, it says that sectors have
 * 4 KiB and that a write harms nothing beside it, and syncs the folder with the first sync of a
 * journal that it has made. */
#include "tests/unit/disk_file.h"

#include "common/check.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

struct handle {
    sqlite3_file base;
    struct disk_file *file;
    bool new_journal; /* its name has not been synced */
    int error;        /* errno of the last call that failed */
};

static struct handle *handle_of(sqlite3_file *base)
{
    return (struct handle *)(void *)base;
}

/* As SQLite's own: no room is a result of its own, and leaves no errno. */
static int result(struct handle *handle, int error, int code)
{
    if (error == ENOSPC && code == SQLITE_IOERR_WRITE) {
        handle->error = 0;
        return SQLITE_FULL;
    }
    handle->error = error != 0 ? error : handle->error;
    return error != 0 ? code : SQLITE_OK;
}

static int file_close(sqlite3_file *base)
{
    handle_of(base)->file->users--;
    return SQLITE_OK;
}

static int file_read(sqlite3_file *base, void *to, int size, sqlite3_int64 at)
{
    struct handle *handle = handle_of(base);
    size_t got;
    int error = disk_file_read(handle->file, (size_t)at, to, (size_t)size, &got);

    if (error == 0 && got < (size_t)size) {
        memset((uint8_t *)to + got, 0, (size_t)size - got);
        return SQLITE_IOERR_SHORT_READ;
    }
    /* What cannot be read is damaged: SQLite's own says so, too. */
    return result(handle, error, error == EIO ? SQLITE_IOERR_CORRUPTFS : SQLITE_IOERR_READ);
}

static int file_write(sqlite3_file *base, const void *from, int size, sqlite3_int64 at)
{
    struct handle *handle = handle_of(base);

    return result(handle, disk_file_write(handle->file, (size_t)at, from, (size_t)size),
                  SQLITE_IOERR_WRITE);
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 size)
{
    struct handle *handle = handle_of(base);

    return result(handle, disk_file_truncate(handle->file, (size_t)size), SQLITE_IOERR_TRUNCATE);
}

static int file_sync(sqlite3_file *base, int flags)
{
    struct handle *handle = handle_of(base);
    int error = disk_file_sync(handle->file);

    if (error == 0 && handle->new_journal) {
        error = disk_folder_sync();
        handle->new_journal = error != 0;
    }
    return result(handle, error, SQLITE_IOERR_FSYNC);
}

static int file_size(sqlite3_file *base, sqlite3_int64 *size)
{
    *size = (sqlite3_int64)handle_of(base)->file->seen.size;
    return SQLITE_OK;
}

static int file_lock(sqlite3_file *base, int lock)
{
    return SQLITE_OK;
}

static int file_is_reserved(sqlite3_file *base, int *is)
{
    *is = 0;
    return SQLITE_OK;
}

static int file_control(sqlite3_file *base, int what, void *argument)
{
    if (what == SQLITE_FCNTL_LAST_ERRNO) {
        *(int *)argument = handle_of(base)->error;
        return SQLITE_OK;
    }
    return SQLITE_NOTFOUND;
}

static int file_sector_size(sqlite3_file *base)
{
    return 4096;
}

static int file_traits(sqlite3_file *base)
{
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static const sqlite3_io_methods methods = {
    .iVersion = 1, /* no shared memory: nobody shares the store */
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_lock,
    .xCheckReservedLock = file_is_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_traits,
};

/* ---- names --------------------------------------------------------------------------- */

static int vfs_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *base, int flags,
                    int *flags_out)
{
    struct handle *handle = handle_of(base);
    struct disk_file *file;

    *handle = (struct handle){0};
    if (path == NULL) {
        return SQLITE_CANTOPEN; /* the store needs no files that nobody can name */
    }
    file = disk_name_find(path);
    if (file == NULL && !(flags & SQLITE_OPEN_CREATE)) {
        return SQLITE_CANTOPEN;
    }
    if (file == NULL) {
        if (disk_name_make(path, &file) != 0) {
            return SQLITE_CANTOPEN;
        }
        handle->new_journal = (flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL)) != 0;
    }
    handle->base.pMethods = &methods;
    handle->file = file;
    file->users++;
    if (flags_out != NULL) {
        *flags_out = flags;
    }
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *path, int sync_folder)
{
    int error = disk_name_remove(path);

    if (error == ENOENT) {
        return SQLITE_IOERR_DELETE_NOENT;
    }
    if (error == 0 && sync_folder) {
        return disk_folder_sync() == 0 ? SQLITE_OK : SQLITE_IOERR_DIR_FSYNC;
    }
    return error == 0 ? SQLITE_OK : SQLITE_IOERR_DELETE;
}

/* A file that is empty is none, as SQLite's own has it. */
static int vfs_access(sqlite3_vfs *vfs, const char *path, int flags, int *is)
{
    struct disk_file *file = disk_name_find(path);

    *is = file != NULL && (flags != SQLITE_ACCESS_EXISTS || file->seen.size > 0);
    return SQLITE_OK;
}

static int vfs_full_path(sqlite3_vfs *vfs, const char *path, int size, char *full)
{
    snprintf(full, (size_t)size, "%s", path);
    return SQLITE_OK;
}

static int vfs_random(sqlite3_vfs *vfs, int size, char *to)
{
    for (int i = 0; i < size; i++) {
        to[i] = (char)disk_draw(256);
    }
    return size;
}

static int vfs_sleep(sqlite3_vfs *vfs, int us)
{
    return us;
}

static int vfs_last_error(sqlite3_vfs *vfs, int size, char *to)
{
    return 0;
}

static int vfs_day(sqlite3_vfs *vfs, double *day)
{
    *day = 2460000.5;
    return SQLITE_OK;
}

static sqlite3_vfs vfs = {
    .iVersion = 1,
    .szOsFile = sizeof(struct handle),
    .mxPathname = 120,
    .zName = "disk",
    .xOpen = vfs_open,
    .xDelete = vfs_delete,
    .xAccess = vfs_access,
    .xFullPathname = vfs_full_path,
    .xRandomness = vfs_random,
    .xSleep = vfs_sleep,
    .xCurrentTime = vfs_day,
    .xGetLastError = vfs_last_error,
};

void disk_vfs_register(void)
{
    CHECK(sqlite3_vfs_register(&vfs, 1) == SQLITE_OK);
    sqlite3_randomness(0, NULL); /* it asks the VFS for its seed anew */
}

void disk_vfs_unregister(void)
{
    CHECK(sqlite3_vfs_unregister(&vfs) == SQLITE_OK);
}
