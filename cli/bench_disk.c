#include "cli/bench_disk.h"

#include "cli/bench_result.h"
#include "cli/pace.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Written over again and again, as the store's log is: a file that grows takes longer to sync. */
#define FILE_PAGES 128

static bool failed(const char *directory, const char *hint)
{
    fprintf(stderr, "sluice bench durable: cannot write to %s: %s%s\n", directory, strerror(errno),
            hint);
    return false;
}

static bool write_page(struct bench_disk *disk, unsigned number)
{
    static const char page[BENCH_DISK_BYTES];
    off_t at = (off_t)(number % FILE_PAGES) * BENCH_DISK_BYTES;

    return pwrite(disk->fd, page, sizeof(page), at) == (ssize_t)sizeof(page) ||
           failed(disk->directory, "");
}

static bool sync_pages(struct bench_disk *disk)
{
    return fdatasync(disk->fd) == 0 || failed(disk->directory, "");
}

static bool fill(struct bench_disk *disk)
{
    for (unsigned i = 0; i < FILE_PAGES; i++) {
        if (!write_page(disk, i)) {
            return false;
        }
    }
    return sync_pages(disk);
}

/* O_TMPFILE would do, but not on every file system. -1: errno says why. */
static int open_nameless(const char *directory)
{
    char path[512];
    int fd;

    snprintf(path, sizeof(path), "%.480s/sluice-bench.XXXXXX", directory);
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0) {
        unlink(path);
    }
    return fd;
}

bool bench_disk_open(struct bench_disk *disk, const char *directory)
{
    disk->directory = directory;
    histogram_init(&disk->sync_ns);
    histogram_init(&disk->arrival_ns);
    disk->fd = open_nameless(directory);
    if (disk->fd < 0) {
        return failed(directory, "; name another folder with --directory");
    }
    if (!fill(disk)) {
        bench_disk_close(disk);
        return false;
    }
    return true;
}

void bench_disk_close(struct bench_disk *disk)
{
    close(disk->fd);
    disk->fd = -1;
}

bool bench_disk_syncs(struct bench_disk *disk, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t begun_ns = bench_now_ns();

        if (!write_page(disk, i) || !sync_pages(disk)) {
            return false;
        }
        histogram_add(&disk->sync_ns, bench_now_ns() - begun_ns);
    }
    return true;
}

static bool write_arrivals(struct bench_disk *disk, struct pace *pace)
{
    struct pollfd due = {.fd = pace->fd, .events = POLLIN};

    for (unsigned i = 0; pace->taken < pace->count; i++) {
        uint64_t count, now_ns;

        while ((count = pace_due(pace)) == 0) {
            poll(&due, 1, -1);
        }
        if (!write_page(disk, i) || !sync_pages(disk)) {
            return false;
        }
        now_ns = bench_now_ns();
        while (count-- > 0) {
            histogram_add(&disk->arrival_ns, now_ns - pace_take(pace));
        }
    }
    return true;
}

bool bench_disk_arrivals(struct bench_disk *disk, uint64_t per_s, uint64_t duration_ms)
{
    struct pace pace;
    bool good;

    if (!pace_open(&pace)) {
        fprintf(stderr, "sluice bench durable: no timer: %s\n", strerror(errno));
        return false;
    }
    pace_start(&pace, per_s, per_s * duration_ms / 1000);
    good = write_arrivals(disk, &pace);
    pace_close(&pace);
    return good;
}
