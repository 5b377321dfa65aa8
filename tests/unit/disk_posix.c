/* disk_posix: the disk as the store's own calls see it. The linker's --wrap sends them here; paths
 * and descriptors that are not the disk's go on to libc. */
#include "tests/unit/disk_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int __real_open(const char *path, int flags, ...);
int __real_link(const char *path, const char *other);
int __real_rename(const char *path, const char *other);
int __real_unlink(const char *path);
int __real_access(const char *path, int mode);
int __real_stat(const char *path, struct stat *status);
int __real_fsync(int fd);

int __wrap_open(const char *path, int flags, ...);
int __wrap_link(const char *path, const char *other);
int __wrap_rename(const char *path, const char *other);
int __wrap_unlink(const char *path);
int __wrap_access(const char *path, int mode);
int __wrap_stat(const char *path, struct stat *status);
int __wrap_fsync(int fd);

/* What was opened last; good for one fsync. What is written to a file that was made is on it from
 * then on. */
static int folder_fd = -1, file_fd = -1;
static struct disk_file *file_there;
static bool file_made;

static bool is_ours(const char *path)
{
    size_t size = strlen(DISK_FOLDER);

    return strncmp(path, DISK_FOLDER, size) == 0 && (path[size] == '/' || path[size] == '\0');
}

static int outcome(int error)
{
    errno = error;
    return error == 0 ? 0 : -1;
}

/* A file of the system's with the same bytes. */
static int copy_of(const struct disk_file *file)
{
    int fd = memfd_create("file", MFD_CLOEXEC);

    if (fd >= 0 && file->seen.size > 0 &&
        (write(fd, file->seen.data, file->seen.size) != (ssize_t)file->seen.size ||
         lseek(fd, 0, SEEK_SET) != 0)) {
        close(fd);
        return -1;
    }
    return fd;
}

static int open_ours(const char *path, int flags)
{
    struct disk_file *file = disk_name_find(path);

    if (flags & O_DIRECTORY) {
        return folder_fd = memfd_create("folder", MFD_CLOEXEC);
    }
    if (file != NULL && flags & O_EXCL) {
        return outcome(EEXIST);
    }
    file_made = file == NULL;
    if (file_made && outcome(flags & O_CREAT ? disk_name_make(path, &file) : ENOENT) != 0) {
        return -1;
    }
    file_there = file;
    return file_fd = copy_of(file);
}

static int sync_file(int fd)
{
    uint8_t bytes[4096];
    ssize_t got;
    size_t at = 0;
    int error = 0;

    while (file_made && error == 0 && (got = pread(fd, bytes, sizeof bytes, (off_t)at)) > 0) {
        error = disk_file_write(file_there, at, bytes, (size_t)got);
        at += (size_t)got;
    }
    return error == 0 ? disk_file_sync(file_there) : error;
}

int __wrap_open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    va_list list;

    if (is_ours(path)) {
        return open_ours(path, flags);
    }
    if (flags & O_CREAT) {
        va_start(list, flags);
        mode = va_arg(list, mode_t);
        va_end(list);
    }
    return __real_open(path, flags, mode);
}

int __wrap_link(const char *path, const char *other)
{
    return is_ours(path) ? outcome(disk_name_link(path, other)) : __real_link(path, other);
}

int __wrap_rename(const char *path, const char *other)
{
    return is_ours(path) ? outcome(disk_name_rename(path, other)) : __real_rename(path, other);
}

int __wrap_unlink(const char *path)
{
    return is_ours(path) ? outcome(disk_name_remove(path)) : __real_unlink(path);
}

int __wrap_access(const char *path, int mode)
{
    if (is_ours(path)) {
        return outcome(disk_name_find(path) != NULL ? 0 : ENOENT);
    }
    return __real_access(path, mode);
}

int __wrap_stat(const char *path, struct stat *status)
{
    struct disk_file *file;

    if (!is_ours(path)) {
        return __real_stat(path, status);
    }
    file = disk_name_find(path);
    if (file != NULL) {
        *status = (struct stat){.st_mode = S_IFREG | 0600, .st_size = (off_t)file->seen.size};
    }
    return outcome(file != NULL ? 0 : ENOENT);
}

int __wrap_fsync(int fd)
{
    if (fd == folder_fd) {
        folder_fd = -1;
        return outcome(disk_folder_sync());
    }
    if (fd == file_fd) {
        file_fd = -1;
        return outcome(sync_file(fd));
    }
    return __real_fsync(fd);
}
