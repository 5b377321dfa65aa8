#include "broker/shell/store_log.h"

#include "broker/shell/store_path.h"
#include "common/clock.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEADER_BYTES 32
#define FRAME_HEAD_BYTES 24
#define PAGE_BYTES 4096 /* SQLite's default, which we keep */
#define FRAME_BYTES (FRAME_HEAD_BYTES + PAGE_BYTES)
#define MAGIC 0x377f0682 /* + 1: the words that are summed up have their highest byte first */
#define VERSION 3007000
#define SECTOR_BYTES 512 /* at least */
#define READ_VERSION_AT 19 /* of the database */
#define READ_VERSION_WAL 2

/*     header: MAGIC, VERSION, bytes of a page, number of checkpoints, salts (2), sums (2)
 *     frame:  page, pages of the database (0: no commit), salts (2), sums (2), PAGE_BYTES
 *
 * in words of 4 bytes, the highest first. The sums of a frame are over all before it but salts and
 * sums, and go on from those of the frame before. */

struct sums {
    uint32_t a, b;
};

struct scan {
    sqlite3_file *file, *database;
    uint64_t slots; /* frames that the file has room for */
    bool highest_first;
    uint8_t header[HEADER_BYTES];
    uint8_t frame[FRAME_BYTES];
    struct sums before; /* those that are written in front of the frame */
    bool salted;        /* the frame has the salts of this log */
    bool sound;         /* and the sums that go on from those before it */
    bool ours;          /* it is of this log: its salts say so, or its sums after one that is */
    uint64_t confirmed; /* slots; a sound frame is behind the commit that is the last of them */
    uint32_t *pages;    /* of each slot: the page that it has; 0: it is of another log */
    bool *unreadable;   /* of each slot: what is on that page cannot be said */
    uint64_t size;      /* of the database, in pages */
};

static uint32_t word(const uint8_t *at, bool highest_first)
{
    uint32_t lowest_first =
        (uint32_t)at[3] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[1] << 8 | at[0];

    return highest_first ? __builtin_bswap32(lowest_first) : lowest_first;
}

static void word_put(uint8_t *at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++) {
        at[i] = (uint8_t)(value >> (24 - 8 * i));
    }
}

static struct sums sum_up(struct sums sums, const uint8_t *bytes, size_t size, bool highest_first)
{
    for (size_t i = 0; i < size; i += 8) {
        sums.a += word(bytes + i, highest_first) + sums.b;
        sums.b += word(bytes + i + 4, highest_first) + sums.a;
    }
    return sums;
}

static struct sums sums_at(const uint8_t *bytes)
{
    return (struct sums){word(bytes, true), word(bytes + 4, true)};
}

static bool same(struct sums x, struct sums y)
{
    return x.a == y.a && x.b == y.b;
}

static int read_at(sqlite3_file *file, uint64_t at, void *bytes, int size)
{
    return file->pMethods->xRead(file, bytes, size, (sqlite3_int64)at);
}

static int write_at(const struct scan *scan, uint64_t at, const void *bytes, int size)
{
    return scan->file->pMethods->xWrite(scan->file, bytes, size, (sqlite3_int64)at);
}

/* ---- the header ---------------------------------------------------------------------- */

static bool header_is_right(const uint8_t *header)
{
    uint32_t magic = word(header, true);

    return (magic & ~1u) == MAGIC && word(header + 4, true) == VERSION &&
           same(sum_up((struct sums){0, 0}, header, 24, magic & 1), sums_at(header + 24));
}

/* One bit of it may have flipped: what it must be is known, but for the number of checkpoints,
 * which does not matter here, and salts, which the first frame has, too. */
static bool header_mend(struct scan *scan)
{
    for (unsigned i = 0; i < HEADER_BYTES * 8; i++) {
        scan->header[i / 8] ^= (uint8_t)(1 << i % 8);
        if (header_is_right(scan->header) &&
            memcmp(scan->header + 16, scan->frame + 8, 8) == 0) {
            return true;
        }
        scan->header[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    return false;
}

/* ---- the frames ---------------------------------------------------------------------- */

static uint64_t place(uint64_t slot)
{
    return HEADER_BYTES + slot * FRAME_BYTES;
}

static struct sums frame_sums(const struct scan *scan, struct sums before)
{
    struct sums sums = sum_up(before, scan->frame, 8, scan->highest_first);

    return sum_up(sums, scan->frame + FRAME_HEAD_BYTES, PAGE_BYTES, scan->highest_first);
}

static bool is_commit(const struct scan *scan)
{
    return word(scan->frame + 4, true) != 0;
}

/* A wrong frame, too, says truly that it is a commit if that is in one sector with the salts: disks
 * write a sector as a whole. */
static bool was_commit(const struct scan *scan, uint64_t slot)
{
    return is_commit(scan) && scan->ours &&
           (scan->sound || place(slot) / SECTOR_BYTES == (place(slot) + 15) / SECTOR_BYTES);
}

static void begin(struct scan *scan)
{
    scan->highest_first = scan->header[3] & 1;
    scan->before = sums_at(scan->header + 24);
}

/* One after the other. */
static int read_frame(struct scan *scan, uint64_t slot)
{
    bool goes_on = slot == 0 || scan->ours;
    int code;

    if (slot > 0) {
        scan->before = sums_at(scan->frame + 16);
    }
    code = read_at(scan->file, place(slot), scan->frame, FRAME_BYTES);
    scan->salted = memcmp(scan->frame + 8, scan->header + 16, 8) == 0;
    scan->sound = same(frame_sums(scan, scan->before), sums_at(scan->frame + 16));
    scan->ours = scan->salted || (scan->sound && goes_on);
    return code;
}

/* *same_page: the database has on page `page` what the frame has that is in `slot`. */
static int has_page(const struct scan *scan, uint32_t page, uint64_t slot, bool *same_page)
{
    uint8_t ours[PAGE_BYTES], theirs[PAGE_BYTES];
    int code;

    *same_page = false;
    if (page == 0 || page > scan->size) {
        return SQLITE_OK;
    }
    code = read_at(scan->file, place(slot) + FRAME_HEAD_BYTES, ours, sizeof ours);
    if (code == SQLITE_OK) {
        code = read_at(scan->database, (uint64_t)(page - 1) * PAGE_BYTES, theirs, sizeof theirs);
    }
    *same_page = code == SQLITE_OK && memcmp(ours, theirs, sizeof ours) == 0;
    return code;
}

/* If the frame is wrong, its page is the one that the database has like that, should its number say
 * that but for a bit; otherwise what it holds is wrong, and the number is taken as it is. */
static int note_page(struct scan *scan, uint64_t slot)
{
    uint32_t number = word(scan->frame, true);
    bool found = scan->sound;
    int code = SQLITE_OK;

    scan->pages[slot] = number;
    for (unsigned bit = 0; code == SQLITE_OK && !found && bit <= 32; bit++) {
        uint32_t page = bit == 32 ? number : number ^ 1u << bit;

        code = has_page(scan, page, slot, &found);
        if (found) {
            scan->pages[slot] = page;
        }
    }
    scan->unreadable[slot] = !found;
    return code;
}

static int find_confirmed(struct scan *scan)
{
    uint64_t commit = 0; /* behind the last one */
    int code = SQLITE_OK;

    begin(scan);
    for (uint64_t slot = 0; code == SQLITE_OK && slot < scan->slots; slot++) {
        code = read_frame(scan, slot);
        if (scan->ours && scan->sound) {
            scan->confirmed = commit;
        }
        if (code == SQLITE_OK && scan->ours) {
            code = note_page(scan, slot);
        }
        commit = was_commit(scan, slot) ? slot + 1 : commit;
    }
    return code;
}

/* With what was confirmed taken as it is; what is behind it that is not sound is not read. */
static int count(struct scan *scan, struct store_log *log)
{
    bool ended = false;
    int code = SQLITE_OK;

    begin(scan);
    for (uint64_t slot = 0; code == SQLITE_OK && slot < scan->slots; slot++) {
        bool good;

        code = read_frame(scan, slot);
        good = scan->salted && scan->sound;
        log->wrong_frames += !good && slot < scan->confirmed;
        if (slot < scan->confirmed || (good && !ended)) {
            continue;
        }
        /* Older logs have left frames behind, with other salts. */
        if (scan->salted || (scan->sound && !ended)) {
            log->state = log->lost_commits > 0 ? STORE_LOG_DAMAGED : STORE_LOG_CUT;
            log->lost_frames++;
            log->lost_commits += was_commit(scan, slot);
        }
        ended = true;
    }
    if (log->wrong_frames > 0 && log->state == STORE_LOG_WHOLE) {
        log->state = STORE_LOG_MENDED;
    }
    return code;
}

/* *copied: the database has each page as the last frame of it says that can be read, and there is
 * one. */
static int look_for_copy(const struct scan *scan, bool *copied)
{
    bool *seen = calloc(scan->size + 1, sizeof *seen);
    bool same_page = true;
    int code = seen == NULL ? SQLITE_NOMEM : SQLITE_OK;

    *copied = false;
    for (uint64_t slot = scan->slots; code == SQLITE_OK && same_page && slot-- > 0;) {
        uint32_t page = scan->pages[slot];

        if (page > scan->size) {
            same_page = scan->unreadable[slot];
        } else if (page > 0 && !seen[page]) {
            seen[page] = true;
            if (!scan->unreadable[slot]) {
                *copied = true;
                code = has_page(scan, page, slot, &same_page);
            }
        }
    }
    *copied = *copied && same_page;
    free(seen);
    return code;
}

/* What of it cannot be read the database has. */
static void is_in_database(struct store_log *log)
{
    log->state = STORE_LOG_MENDED;
    log->copied = true;
    log->wrong_frames += log->lost_frames;
    log->lost_frames = log->lost_commits = 0;
}

static int begin_anew(struct scan *scan)
{
    int code = scan->file->pMethods->xTruncate(scan->file, 0);

    return code != SQLITE_OK ? code : scan->file->pMethods->xSync(scan->file, SQLITE_SYNC_NORMAL);
}

static int sum_up_anew(struct scan *scan)
{
    struct sums sums;
    int code;

    begin(scan);
    sums = scan->before;
    code = write_at(scan, 0, scan->header, sizeof scan->header);
    for (uint64_t slot = 0; code == SQLITE_OK && slot < scan->slots; slot++) {
        uint8_t head[16];

        code = read_frame(scan, slot);
        if (slot >= scan->confirmed && !(scan->salted && scan->sound)) {
            break;
        }
        sums = frame_sums(scan, sums);
        memcpy(head, scan->header + 16, 8);
        word_put(head + 8, sums.a);
        word_put(head + 12, sums.b);
        if (code == SQLITE_OK && memcmp(head, scan->frame + 8, sizeof head) != 0) {
            code = write_at(scan, place(slot) + 8, head, sizeof head);
        }
    }
    return code != SQLITE_OK ? code : scan->file->pMethods->xSync(scan->file, SQLITE_SYNC_NORMAL);
}

/* ---- the whole ----------------------------------------------------------------------- */

static void scan_free(struct scan *scan)
{
    if (scan != NULL) {
        free(scan->pages);
        free(scan->unreadable);
        free(scan);
    }
}

/* *version: 0 if the database is empty. */
static int read_version(sqlite3_file *database, uint8_t *version)
{
    int code = read_at(database, READ_VERSION_AT, version, sizeof *version);

    return code == SQLITE_IOERR_SHORT_READ ? SQLITE_OK : code;
}

/* *scan: NULL if there is nothing to look at. */
static int scan_new(sqlite3 *db, struct scan **scan)
{
    sqlite3_file *file = NULL, *database = NULL;
    sqlite3_int64 size = 0, database_size = 0;
    uint8_t version = 0;
    int code = sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file);

    *scan = NULL;
    if (code != SQLITE_OK || file == NULL || file->pMethods == NULL) {
        return code;
    }
    code = sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &database);
    code = code != SQLITE_OK ? code : read_version(database, &version);
    code = code != SQLITE_OK ? code : database->pMethods->xFileSize(database, &database_size);
    code = code != SQLITE_OK ? code : file->pMethods->xFileSize(file, &size);
    if (code != SQLITE_OK || version != READ_VERSION_WAL || size < HEADER_BYTES + FRAME_BYTES) {
        return code;
    }
    *scan = calloc(1, sizeof **scan);
    if (*scan == NULL) {
        return SQLITE_NOMEM;
    }
    (*scan)->file = file;
    (*scan)->database = database;
    (*scan)->slots = ((uint64_t)size - HEADER_BYTES) / FRAME_BYTES;
    (*scan)->size = (uint64_t)database_size / PAGE_BYTES;
    (*scan)->pages = calloc((*scan)->slots, sizeof *(*scan)->pages);
    (*scan)->unreadable = calloc((*scan)->slots, sizeof *(*scan)->unreadable);
    if ((*scan)->pages == NULL || (*scan)->unreadable == NULL) {
        return SQLITE_NOMEM;
    }
    code = read_at(file, 0, (*scan)->header, HEADER_BYTES);
    return code != SQLITE_OK ? code : read_at(file, place(0), (*scan)->frame, FRAME_BYTES);
}

static int look(struct scan *scan, struct store_log *log)
{
    bool copied = false;
    int code;

    if (!header_is_right(scan->header)) {
        log->wrong_frames = header_mend(scan);
        if (log->wrong_frames == 0) { /* it is synced before the first frame is written */
            log->state = STORE_LOG_DAMAGED;
            log->lost_frames = scan->slots;
            return SQLITE_OK;
        }
    }
    if (word(scan->header + 8, true) != PAGE_BYTES) {
        return SQLITE_OK; /* of a SQLite that was built otherwise */
    }
    code = find_confirmed(scan);
    code = code != SQLITE_OK ? code : count(scan, log);
    if (code == SQLITE_OK && log->state != STORE_LOG_WHOLE) {
        code = look_for_copy(scan, &copied);
    }
    if (copied) {
        is_in_database(log);
    }
    return code;
}

int store_log_look(sqlite3 *db, struct store_log *log)
{
    struct scan *scan;
    int code = scan_new(db, &scan);

    *log = (struct store_log){0};
    if (code == SQLITE_OK && scan != NULL) {
        code = look(scan, log);
    }
    scan_free(scan);
    return code;
}

int store_log_mend(sqlite3 *db)
{
    struct store_log log = {0};
    struct scan *scan;
    int code = scan_new(db, &scan);

    if (code == SQLITE_OK && scan != NULL) {
        code = look(scan, &log);
        if (code == SQLITE_OK && log.wrong_frames > 0) {
            code = log.copied ? begin_anew(scan) : sum_up_anew(scan);
        }
    }
    scan_free(scan);
    return code;
}

static bool copy(const char *from_path, const char *to_path)
{
    uint8_t bytes[65536];
    bool good = false;
    ssize_t got;
    int from, to;

    from = open(from_path, O_RDONLY | O_CLOEXEC);
    to = from < 0 ? -1 : open(to_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (to >= 0) {
        do {
            got = read(from, bytes, sizeof bytes);
        } while (got > 0 && write(to, bytes, (size_t)got) == got);
        good = got == 0 && fsync(to) == 0 && store_path_sync(to_path);
        close(to);
    }
    if (from >= 0) {
        close(from);
    }
    return good;
}

void store_log_keep(const char *path, struct store_log *log)
{
    char from[STORE_PATH_LONG_MAX], to[STORE_PATH_LONG_MAX];
    uint64_t unix_ms = clock_unix_ms();

    snprintf(from, sizeof from, "%s-wal", path);
    snprintf(to, sizeof to, "%s-wal.damaged-%" PRIu64, path, unix_ms);
    log->kept_unix_ms = copy(from, to) ? unix_ms : 0;
}
