#include "broker/shell/audit_file.h"

#include "common/check.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define NUMBER_KEY "{\"n\":"
#define MODE 0640

/* ---- one line -------------------------------------------------------------------- */

struct line {
    char text[AUDIT_LINE_MAX];
    size_t size;
};

static void add_bytes(struct line *line, const void *bytes, size_t size)
{
    CHECK(size <= sizeof line->text - line->size);
    memcpy(line->text + line->size, bytes, size);
    line->size += size;
}

static void add_word(struct line *line, const char *word)
{
    add_bytes(line, word, strlen(word));
}

static void add_uint(struct line *line, uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    add_bytes(line, digits + at, sizeof digits - at);
}

static void add_escaped(struct line *line, uint8_t byte)
{
    char text[8];

    snprintf(text, sizeof text, byte == '"' || byte == '\\' ? "\\%c" : "\\u%04x", byte);
    add_word(line, text);
}

/* What comes from peers is UTF-8 (text_valid); the rest of what JSON wants is done here. */
static void add_text(struct line *line, const char *key, struct span text)
{
    size_t begin = 0;

    if (text.size == 0) {
        return;
    }
    add_word(line, ",\"");
    add_word(line, key);
    add_word(line, "\":\"");
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];

        if (byte == '"' || byte == '\\' || byte < 0x20 || byte == 0x7f) {
            add_bytes(line, text.data + begin, i - begin);
            add_escaped(line, byte);
            begin = i + 1;
        }
    }
    add_bytes(line, text.data + begin, text.size - begin);
    add_word(line, "\"");
}

static void line_make(const struct audit_file *file, const struct audit_entry *entry,
                      struct line *line)
{
    char text[CHAIN_TEXT_SIZE > ID_TEXT_SIZE ? CHAIN_TEXT_SIZE : ID_TEXT_SIZE];

    line->size = 0;
    add_word(line, NUMBER_KEY);
    add_uint(line, file->number + 1);
    add_word(line, ",\"at_ms\":");
    add_uint(line, entry->at_ms);
    add_text(line, "event", span_from_text(entry->event));
    if (!id_is_nil(&entry->task)) {
        id_format(&entry->task, text);
        add_text(line, "task", span_from_text(text));
    }
    if (entry->attempt > 0) {
        add_word(line, ",\"attempt\":");
        add_uint(line, entry->attempt);
    }
    add_text(line, "service", entry->service);
    add_text(line, "peer", entry->peer);
    add_text(line, "detail", entry->detail);
    chain_text(&file->chain, text);
    add_text(line, "previous", span_from_text(text));
    add_word(line, "}");
}

/* ---- files ------------------------------------------------------------------------- */

/* Of the `number`th file before the newest one. */
static void name_of(const struct audit_file *file, uint64_t number, char name[CONFIG_PATH_MAX + 24])
{
    if (number == 0) {
        snprintf(name, CONFIG_PATH_MAX + 24, "%s", file->path);
    } else {
        snprintf(name, CONFIG_PATH_MAX + 24, "%s.%" PRIu64, file->path, number);
    }
}

/* The last one falls off, each of the others is one older, and a new one begins. If that fails, the
 * old one goes on: it may become too large, but nothing is lost. */
static void rotate(struct audit_file *file)
{
    char from[CONFIG_PATH_MAX + 24], to[CONFIG_PATH_MAX + 24], new[CONFIG_PATH_MAX + 24];
    bool moved = file->files == 1;
    int fd;

    file->rotate_tried = true;
    snprintf(new, sizeof new, "%s.new", file->path);
    fd = open(new, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, MODE);
    if (fd < 0) {
        file->rotate_error = errno;
        return;
    }
    flock(fd, LOCK_EX | LOCK_NB); /* nobody else knows it yet */
    fdatasync(file->fd);
    for (uint64_t i = file->files - 1; i > 0; i--) {
        name_of(file, i - 1, from);
        name_of(file, i, to);
        if (rename(from, to) != 0 && errno != ENOENT) {
            break;
        }
        moved = i == 1;
    }
    if (!moved || rename(new, file->path) != 0) {
        file->rotate_error = errno;
        close(fd);
        return;
    }
    close(file->fd);
    file->fd = fd;
    file->size = 0;
    file->rotate_error = 0;
    file->rotate_tried = false;
}

static bool write_out(struct audit_file *file)
{
    size_t written = 0;

    file->error = 0;
    while (written < file->used) {
        ssize_t size = write(file->fd, file->buffer + written, file->used - written);

        if (size < 0 && errno == EINTR) {
            continue;
        }
        if (size <= 0) {
            file->error = size < 0 ? errno : ENOSPC;
            break;
        }
        written += (size_t)size;
    }
    file->used -= written;
    memmove(file->buffer, file->buffer + written, file->used);
    return file->used == 0;
}

bool audit_file_flush(struct audit_file *file)
{
    file->rotate_tried = false;
    return write_out(file);
}

static bool make_room(struct audit_file *file, size_t size)
{
    if (file->size > 0 && file->size + size > file->max_bytes && !file->rotate_tried) {
        if (!write_out(file)) {
            return false;
        }
        rotate(file);
    }
    return file->used + size <= sizeof file->buffer ||
           (write_out(file), file->used + size <= sizeof file->buffer);
}

static bool put(struct audit_file *file, const struct audit_entry *entry)
{
    struct line line;

    line_make(file, entry, &line);
    if (!make_room(file, line.size + 1)) {
        return false;
    }
    chain_add(&file->chain, span_of(line.text, line.size));
    add_word(&line, "\n");
    memcpy(file->buffer + file->used, line.text, line.size);
    file->used += line.size;
    file->size += line.size;
    file->number++;
    return true;
}

void audit_file_lose(struct audit_file *file, uint64_t entries)
{
    file->lost += entries;
    file->lost_all += entries;
}

bool audit_file_add(struct audit_file *file, const struct audit_entry *entry)
{
    if (file->lost > 0) {
        char text[24];
        struct audit_entry lost = {.at_ms = entry->at_ms, .event = "audit_lost"};

        snprintf(text, sizeof text, "%" PRIu64, file->lost);
        lost.detail = span_from_text(text);
        if (!put(file, &lost)) {
            audit_file_lose(file, 1);
            return false;
        }
        file->lost = 0;
    }
    if (!put(file, entry)) {
        audit_file_lose(file, 1);
        return false;
    }
    return true;
}

void audit_file_sync(struct audit_file *file)
{
    fdatasync(file->fd);
}

void audit_file_close(struct audit_file *file)
{
    audit_file_flush(file);
    audit_file_sync(file);
    close(file->fd);
    file->fd = -1;
}

/* ---- where the last start of the broker stopped --------------------------------------- */

/* The end of an open file: its last whole line goes into the chain. False: there is none, and what
 * is there is no audit. *end: where it ends. */
static bool take_last_line(struct audit_file *file, int fd, uint64_t size, uint64_t *end)
{
    size_t most = size < sizeof file->buffer ? size : sizeof file->buffer;
    ssize_t got = pread(fd, file->buffer, most, (off_t)(size - most));
    size_t used, begin;

    if (got != (ssize_t)most) {
        return false;
    }
    for (used = most; used > 0 && file->buffer[used - 1] != '\n'; used--) {
    }
    *end = size - most + used;
    if (used == 0) {
        return size < AUDIT_LINE_MAX; /* nothing but the beginning of a first line */
    }
    for (begin = used - 1; begin > 0 && file->buffer[begin - 1] != '\n'; begin--) {
    }
    if (used - begin < sizeof NUMBER_KEY || (begin == 0 && most < size) ||
        memcmp(file->buffer + begin, NUMBER_KEY, sizeof NUMBER_KEY - 1) != 0) {
        return false;
    }
    file->number = strtoull((const char *)file->buffer + begin + sizeof NUMBER_KEY - 1, NULL, 10);
    chain_add(&file->chain, span_of(file->buffer + begin, used - 1 - begin));
    return true;
}

/* The newest file is new, or was never written to: goes on from the one before it. */
static bool take_before(struct audit_file *file)
{
    char name[CONFIG_PATH_MAX + 24];
    struct stat stat;
    uint64_t end;
    bool good;
    int fd;

    name_of(file, 1, name);
    fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT; /* the first of all */
    }
    good = fstat(fd, &stat) == 0 && take_last_line(file, fd, (uint64_t)stat.st_size, &end);
    close(fd);
    return good;
}

/* Else whoever writes it has begun another file, and let go of this one. */
static bool is_still(const char *path, const struct stat *opened)
{
    struct stat there;

    return stat(path, &there) == 0 && there.st_dev == opened->st_dev &&
           there.st_ino == opened->st_ino;
}

bool audit_file_open(struct audit_file *file, const char *path, uint64_t max_bytes, uint64_t files,
                     uint64_t *torn, struct problem *problem)
{
    struct stat stat;
    uint64_t end = 0;

    CHECK(max_bytes >= AUDIT_LINE_MAX && files >= 1);
    memset(file, 0, sizeof *file);
    *torn = 0;
    file->max_bytes = max_bytes;
    file->files = files;
    if ((size_t)snprintf(file->path, sizeof file->path, "%s", path) >= sizeof file->path) {
        problem_set(problem, "the path of the audit is too long");
        return false;
    }
    file->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, MODE);
    if (file->fd < 0 || fstat(file->fd, &stat) != 0 || !S_ISREG(stat.st_mode)) {
        problem_set(problem, "cannot write the audit %s: %s", path,
                    file->fd < 0 ? strerror(errno) : "it is no regular file");
    } else if (flock(file->fd, LOCK_EX | LOCK_NB) != 0 || !is_still(path, &stat)) {
        problem_set(problem, "the audit %s is in use: stop the broker that writes it, or name "
                    "another file", path);
    } else if (!(stat.st_size > 0 ? take_last_line(file, file->fd, (uint64_t)stat.st_size, &end)
                                  : true) ||
               (end == 0 && !take_before(file))) {
        problem_set(problem, "%s does not end as an audit does: move it away, and its older files",
                    path);
    } else if (end < (uint64_t)stat.st_size && ftruncate(file->fd, (off_t)end) != 0) {
        problem_set(problem, "cannot mend the end of %s: %s", path, strerror(errno));
    } else {
        *torn = (uint64_t)stat.st_size - end;
        file->size = end;
        return true;
    }
    if (file->fd >= 0) {
        close(file->fd);
    }
    return false;
}
