/* file: a whole file in memory, bounded, decompressed, as UTF-8.
 *
 * Nothing about a file is believed: size and the size after decompression are
 * bounded, devices and pipes are refused, and text that is not UTF-8 is read as
 * Latin-1 so that what follows sees valid UTF-8 only. Any thread. */
#ifndef SLUICE_RETRIEVER_FILE_H
#define SLUICE_RETRIEVER_FILE_H

#include "agents/retriever/buffer.h"

#define FILE_BYTES_MAX (16U << 20) /* on disk, and decompressed */

/* Tells one version of a file from the next. Size alone misses an edit in place;
 * mtime alone can be set back; ctime cannot, short of changing the clock. */
struct file_stamp {
    int64_t bytes;
    int64_t modified_ns;
    int64_t changed_ns;
};

static inline bool file_stamp_equal(const struct file_stamp *a, const struct file_stamp *b)
{
    return a->bytes == b->bytes && a->modified_ns == b->modified_ns &&
           a->changed_ns == b->changed_ns;
}

/* Which file it is, whatever its path leads to by now. */
struct file_id {
    uint64_t device, inode;
};

static inline bool file_id_equal(const struct file_id *a, const struct file_id *b)
{
    return a->device == b->device && a->inode == b->inode;
}

struct stat;
struct file_stamp file_stamp_of(const struct stat *status);
struct file_id file_id_of(const struct stat *status);

enum file_result {
    FILE_OK,
    FILE_GONE,      /* does not exist (any more), is another one, or may not be read */
    FILE_TOO_LARGE, /* over FILE_BYTES_MAX, before or after decompression */
    FILE_BINARY,    /* a NUL in its first 8 KiB */
    FILE_BROKEN,    /* not gzip, or damaged; a directory, a device */
};

/* Opens the regular file `id` by its `path`; NULL: whichever file that is. Close it if FILE_OK. The
 * stamp is set if it could be looked at. */
enum file_result file_open(const char *path, const struct file_id *id, int *fd,
                           struct file_stamp *stamp);

/* Reads that file into `text` (emptied first). The stamp is taken before the first
 * byte is read, so that a change meanwhile shows at the next look. NULs become
 * blanks; a byte order mark is dropped. Not FILE_OK: `text` is empty. */
enum file_result file_read(const char *path, const struct file_id *id, bool compressed,
                           struct buffer *text, struct file_stamp *stamp);

/* Makes the bytes valid UTF-8 without NUL, as file_read does. */
void file_text_repair(struct buffer *text);

const char *file_result_name(enum file_result result);

#endif
