#include "agents/retriever/file.h"

#include "agents/retriever/utf8.h"
#include "common/check.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define FILE_CHUNK_BYTES (64U << 10)
#define FILE_PROBE_BYTES 8192U

struct file_stamp file_stamp_of(const struct stat *status)
{
    return (struct file_stamp){
        .bytes = status->st_size,
        .modified_ns = status->st_mtim.tv_sec * 1000000000LL + status->st_mtim.tv_nsec,
        .changed_ns = status->st_ctim.tv_sec * 1000000000LL + status->st_ctim.tv_nsec,
    };
}

struct file_id file_id_of(const struct stat *status)
{
    return (struct file_id){.device = status->st_dev, .inode = status->st_ino};
}

static enum file_result read_plain(int fd, struct buffer *text)
{
    for (;;) {
        char *room = buffer_reserve(text, FILE_CHUNK_BYTES);
        ssize_t got = read(fd, room, FILE_CHUNK_BYTES);

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return FILE_BROKEN;
        }
        if (got == 0) {
            return FILE_OK;
        }
        text->size += (size_t)got;
        if (text->size > FILE_BYTES_MAX) {
            return FILE_TOO_LARGE;
        }
    }
}

/* gzread also passes plain bytes through; gzdirect tells. A few bytes of gzip
 * can stand for gigabytes, so it is the output that is counted. */
static enum file_result read_gzip(int fd, struct buffer *text)
{
    enum file_result result = FILE_OK;
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    gzFile gz = copy < 0 ? NULL : gzdopen(copy, "rb");
    int status;

    if (gz == NULL) {
        if (copy >= 0) {
            close(copy);
        }
        return FILE_BROKEN;
    }
    for (;;) {
        char *room = buffer_reserve(text, FILE_CHUNK_BYTES);
        int got = gzread(gz, room, FILE_CHUNK_BYTES);

        if (got <= 0) {
            break;
        }
        text->size += (size_t)got;
        if (text->size > FILE_BYTES_MAX) {
            result = FILE_TOO_LARGE;
            break;
        }
    }
    gzerror(gz, &status);
    if (result == FILE_OK && (status != Z_OK || (text->size > 0 && gzdirect(gz)))) {
        result = FILE_BROKEN;
    }
    /* Z_BUF_ERROR here means that the file ends in the middle. */
    if (gzclose_r(gz) != Z_OK && result == FILE_OK) {
        result = FILE_BROKEN;
    }
    return result;
}

void file_text_repair(struct buffer *text)
{
    struct buffer repaired = {0};

    for (size_t i = 0; i < text->size; i++) {
        if (text->data[i] == '\0') {
            text->data[i] = ' ';
        }
    }
    if (utf8_valid(buffer_span(text))) {
        if (text->size >= 3 && memcmp(text->data, "\xEF\xBB\xBF", 3) == 0) {
            memset(text->data, ' ', 3);
        }
        return;
    }
    for (size_t i = 0; i < text->size; i++) {
        buffer_add_code_point(&repaired, (uint8_t)text->data[i]);
    }
    buffer_deinit(text);
    *text = repaired;
}

/* What to make of an open file. */
static enum file_result look(int fd, const struct file_id *id, struct file_stamp *stamp)
{
    struct file_id found;
    struct stat status;

    if (fstat(fd, &status) != 0) {
        return FILE_BROKEN;
    }
    /* Since the walk its name, or a folder's, may have become a link that leads out. */
    found = file_id_of(&status);
    if (id != NULL && !file_id_equal(&found, id)) {
        return FILE_GONE;
    }
    if (!S_ISREG(status.st_mode)) {
        return FILE_BROKEN;
    }
    *stamp = file_stamp_of(&status);
    return status.st_size > FILE_BYTES_MAX ? FILE_TOO_LARGE : FILE_OK;
}

enum file_result file_open(const char *path, const struct file_id *id, int *fd,
                           struct file_stamp *stamp)
{
    enum file_result result;

    /* O_NONBLOCK: opening a pipe that nobody writes to must not hang. */
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (*fd < 0) {
        return FILE_GONE;
    }
    result = look(*fd, id, stamp);
    if (result != FILE_OK) {
        close(*fd);
    }
    return result;
}

enum file_result file_read(const char *path, const struct file_id *id, bool compressed,
                           struct buffer *text, struct file_stamp *stamp)
{
    enum file_result result;
    int fd;

    buffer_truncate(text, 0);
    result = file_open(path, id, &fd, stamp);
    if (result != FILE_OK) {
        return result;
    }
    result = compressed ? read_gzip(fd, text) : read_plain(fd, text);
    close(fd);
    if (result == FILE_OK && text->size > 0 &&
        memchr(text->data, '\0', text->size < FILE_PROBE_BYTES ? text->size : FILE_PROBE_BYTES)) {
        result = FILE_BINARY;
    }
    if (result == FILE_OK) {
        buffer_add(text, "", 0); /* the closing NUL */
        file_text_repair(text);
    } else {
        buffer_truncate(text, 0);
    }
    return result;
}

const char *file_result_name(enum file_result result)
{
    switch (result) {
    case FILE_OK:
        return "ok";
    case FILE_GONE:
        return "gone";
    case FILE_TOO_LARGE:
        return "too_large";
    case FILE_BINARY:
        return "binary";
    case FILE_BROKEN:
        return "broken";
    }
    CHECK(!"a result");
    return "";
}
