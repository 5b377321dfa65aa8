/* failing_disk: a disk that fails while a file is there, for a process that is started with this
 * library in LD_PRELOAD.
 *
 * FAILING_DISK names the file; it holds the name of the call that fails with EIO: `sync` or `write`.
 * Syncs are fsync and fdatasync, writes are pwrite: what SQLite calls. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHOWN __attribute__((visibility("default")))

static int fails(const char *call)
{
    const char *path = getenv("FAILING_DISK");
    int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    char text[16] = "";

    if (fd < 0) {
        return 0;
    }
    if (read(fd, text, sizeof text - 1) < 0) {
        text[0] = '\0';
    }
    close(fd);
    return strcmp(text, call) == 0;
}

static void *next(const char *name)
{
    void *call = dlsym(RTLD_NEXT, name);

    if (call == NULL) {
        abort();
    }
    return call;
}

SHOWN int fsync(int fd)
{
    int (*call)(int) = (int (*)(int))next("fsync");

    if (fails("sync")) {
        errno = EIO;
        return -1;
    }
    return call(fd);
}

SHOWN int fdatasync(int fd)
{
    int (*call)(int) = (int (*)(int))next("fdatasync");

    if (fails("sync")) {
        errno = EIO;
        return -1;
    }
    return call(fd);
}

SHOWN ssize_t pwrite64(int fd, const void *from, size_t size, off64_t at)
{
    ssize_t (*call)(int, const void *, size_t, off64_t) =
        (ssize_t (*)(int, const void *, size_t, off64_t))next("pwrite64");

    if (fails("write")) {
        errno = EIO;
        return -1;
    }
    return call(fd, from, size, at);
}

SHOWN ssize_t pwrite(int fd, const void *from, size_t size, off_t at)
{
    return pwrite64(fd, from, size, at);
}
