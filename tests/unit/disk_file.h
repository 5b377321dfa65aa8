/* disk_file: the files of a disk (disk.h), for those through whom it is reached. */
#ifndef SLUICE_TESTS_UNIT_DISK_FILE_H
#define SLUICE_TESTS_UNIT_DISK_FILE_H

#include "tests/unit/disk.h"

struct disk_bytes {
    uint8_t *data;
    size_t size, capacity;
};

/* What has not been synced: bytes that were written, or a size. */
struct disk_change {
    size_t at;
    size_t size;
    uint8_t *data; /* NULL: truncated to `at` */
};

struct disk_file {
    struct disk_bytes seen, kept; /* as it is read; as it is on the disk */
    struct disk_change *changes;
    size_t change_count, change_capacity;
    unsigned users; /* open handles */
};

/* All give 0 or an errno. */
int disk_file_read(struct disk_file *file, size_t at, uint8_t *to, size_t size, size_t *got);
int disk_file_write(struct disk_file *file, size_t at, const uint8_t *from, size_t size);
int disk_file_truncate(struct disk_file *file, size_t size);
int disk_file_sync(struct disk_file *file);

struct disk_file *disk_name_find(const char *path); /* NULL: there is none */
int disk_name_make(const char *path, struct disk_file **file);
int disk_name_link(const char *path, const char *other);
int disk_name_rename(const char *path, const char *other);
int disk_name_remove(const char *path);
int disk_folder_sync(void);

uint64_t disk_draw(uint64_t below);

/* Of disk_vfs.c. */
void disk_vfs_register(void);
void disk_vfs_unregister(void);

#endif
