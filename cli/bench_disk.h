/* bench_disk: what a disk takes by itself, beside a store's figures.
 *
 * Two ways to ask. One sync after another, nothing waiting: what is usually called the time of an
 * fdatasync. And the arrivals that a store has: an open loop (cli/pace.h) whose arrivals are
 * written at once, a page for all that are due, and wait for the sync that takes them; each time
 * counts from when it was due. That is the least a store on this disk can take at that load: who
 * arrives during a sync waits for the rest of it and for the next, and a stall hits all who arrive
 * meanwhile, where the first way has one time of many for it.
 *
 * Blocks; one thread. */
#ifndef SLUICE_CLI_BENCH_DISK_H
#define SLUICE_CLI_BENCH_DISK_H

#include <stdbool.h>

#include "cli/histogram.h"

#define BENCH_DISK_BYTES 4096 /* of a write: a page, as the store writes them */

struct bench_disk {
    int fd;
    const char *directory;
    /* Nanoseconds; make the struct too large for a fiber's stack. */
    struct histogram sync_ns;
    struct histogram arrival_ns;
};

/* Makes a file in `directory`, which is borrowed and nobody else sees. False: said why, nothing to
 * close. */
bool bench_disk_open(struct bench_disk *disk, const char *directory);
void bench_disk_close(struct bench_disk *disk);

/* `count` times a write and its sync, into `sync_ns`. False: said why. */
bool bench_disk_syncs(struct bench_disk *disk, unsigned count);

/* `per_s` (at least 1) arrivals a second for `duration_ms`, into `arrival_ns`. False: said why. */
bool bench_disk_arrivals(struct bench_disk *disk, uint64_t per_s, uint64_t duration_ms);

#endif
