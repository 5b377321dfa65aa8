#include "broker/shell/store_path.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const endings[] = {"", "-wal", "-journal", "-shm"};

bool store_path_is_of(const char *path, const char *store)
{
    size_t size = strlen(store);
    bool is = false;

    for (size_t i = 0; !is && size > 0 && i < sizeof endings / sizeof *endings; i++) {
        is = strncmp(path, store, size) == 0 && strcmp(path + size, endings[i]) == 0;
    }
    return is;
}

void store_path_remove(const char *path)
{
    char name[STORE_PATH_LONG_MAX + sizeof ".part-journal"];

    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        snprintf(name, sizeof name, "%s%s", path, endings[i]);
        unlink(name);
    }
}

void store_path_remove_log(const char *path)
{
    char name[STORE_PATH_LONG_MAX];

    snprintf(name, sizeof name, "%s-wal", path);
    unlink(name);
}

bool store_path_has_log(const char *path)
{
    char name[STORE_PATH_LONG_MAX + sizeof ".part-journal"];

    snprintf(name, sizeof name, "%s-wal", path);
    return access(name, F_OK) == 0;
}

bool store_path_sync(const char *path)
{
    char copy[STORE_PATH_LONG_MAX];
    bool synced;
    int fd;

    snprintf(copy, sizeof copy, "%s", path);
    fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    synced = fsync(fd) == 0;
    close(fd);
    return synced;
}

bool store_path_publish(const char *from, const char *path)
{
    struct stat there;

    if (link(from, path) == 0) {
        if (!store_path_sync(path)) {
            int error = errno;

            unlink(path);
            errno = error;
            return false;
        }
        unlink(from);
        return true;
    }
    if (errno != EEXIST || stat(path, &there) != 0) {
        return false;
    }
    if (!S_ISREG(there.st_mode) || there.st_size > 0) {
        errno = EEXIST;
        return false;
    }
    if (rename(from, path) != 0) {
        return false;
    }
    if (!store_path_sync(path)) {
        int error = errno;

        rename(path, from);
        errno = error;
        return false;
    }
    return true;
}
