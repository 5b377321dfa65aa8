/* disk: a disk in memory, under SQLite and under the store's own few calls, that loses power,
 * fails and fills up when it is told to.
 *
 * It holds the files whose paths begin with DISK_FOLDER "/", all in one folder. disk_open makes it
 * SQLite's default VFS; open, link, rename, unlink, access, stat and fsync of our own objects go
 * through it by the linker's --wrap. What is written is seen at once, and is on the disk when it
 * has been synced. When power goes, of what was not synced
 *
 *   - each sector of 512 bytes, each page of 4 KiB, or each file as a whole (drawn anew each time)
 *     has what had been written to it up to some moment of its own: writes get torn, and pass each
 *     other within a file and across files;
 *   - a file may have its new size or not, and where it has grown and nothing was kept, it holds
 *     zeros or anything else;
 *   - names that were made, changed or removed are so or not, in order or not. A rename is whole.
 *
 * A sector is written as a whole, and what was synced stays (but see disk_fail). Locks, dates and
 * modes are not modelled. What is drawn follows from the seed alone.
 *
 * Any thread, but the store has one at a time. */
#ifndef SLUICE_TESTS_UNIT_DISK_H
#define SLUICE_TESTS_UNIT_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DISK_FOLDER "/disk"

enum disk_call {
    DISK_READ = 1,
    DISK_WRITE = 2,
    DISK_SYNC = 4, /* of a file, or of the folder */
    DISK_TRUNCATE = 8,
    DISK_NAME = 16, /* made, changed or removed */
    DISK_CHANGE = DISK_WRITE | DISK_SYNC | DISK_TRUNCATE | DISK_NAME,
    DISK_ANY = DISK_CHANGE | DISK_READ,
};

void disk_open(uint64_t seed); /* empty */
void disk_close(void);
void disk_format(void);        /* empty again; everything on it must be closed */

/* Power goes at the nth of these calls from now on: it fails with EIO after it may have done a part
 * of its work, and so do all calls after it. 0: not at all. */
void disk_lose_power(unsigned calls, uint64_t nth);
bool disk_is_dark(void);
/* Power is back; also if it had not gone. Everything on the disk must be closed. */
void disk_restart(void);

/* The nth of these calls from now on fails with `error`, and `times` - 1 after it. A write that
 * fails may have written its first sectors. After a sync that failed, what was to be synced may be
 * there, and is read as if it were: but it may be gone when power goes, whatever is synced later. */
void disk_fail(unsigned calls, uint64_t nth, int error, uint64_t times);
void disk_heal(void);
/* Files may have so many bytes in all; ENOSPC beyond. UINT64_MAX: no bound. */
void disk_bound(uint64_t bytes);
/* Syncs do nothing and say that they have. */
void disk_lie(bool lies);

uint64_t disk_count(unsigned calls);  /* such calls since disk_open */
uint64_t disk_failed(void);           /* calls that failed since disk_open, those in the dark too */
/* The file's bytes as they are read. NULL: there is none. */
const uint8_t *disk_bytes(const char *path, size_t *size);
void disk_put(const char *path, const uint8_t *bytes, size_t size); /* a file as it is on the disk */
void disk_flip(const char *path, size_t byte, unsigned bit); /* as read, and on the disk */
bool disk_has(const char *part); /* a file whose path has this part */

#endif
