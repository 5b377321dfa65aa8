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
    bool restored;      /* it is sound, and on the disk it is not: what it was is certain */
    bool copied;        /* the same, by what the database has */
    uint64_t confirmed; /* slots; a sound frame is behind the commit that is the last of them */
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

/* `page`: its own, or another one in the place of that. */
static struct sums frame_sums(const struct scan *scan, struct sums before, const uint8_t *page)
{
    struct sums sums = sum_up(before, scan->frame, 8, scan->highest_first);

    return sum_up(sums, page, PAGE_BYTES, scan->highest_first);
}

static bool sums_fit(const struct scan *scan, const uint8_t *page)
{
    return same(frame_sums(scan, scan->before, page), sums_at(scan->frame + 16));
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

/* *fits: the frame's sums are right with the database's page in the place of its own; it is in
 * `page` then. */
static int try_database(const struct scan *scan, uint8_t page[PAGE_BYTES], bool *fits)
{
    uint32_t number = word(scan->frame, true); /* from 1 on */
    int code = SQLITE_IOERR_SHORT_READ;

    if (number > 0) {
        code = read_at(scan->database, (uint64_t)(number - 1) * PAGE_BYTES, page, PAGE_BYTES);
    }
    *fits = code == SQLITE_OK && sums_fit(scan, page);
    return code == SQLITE_IOERR_SHORT_READ ? SQLITE_OK : code;
}

/* Bit `number` of what the sums are over, or of them; not of the salts. */
static void flip_in_head(struct scan *scan, unsigned number)
{
    unsigned byte = number / 8;

    scan->frame[byte < 8 ? byte : byte + 8] ^= (uint8_t)(1 << number % 8);
}

/* If the log has been copied, and was damaged after that, the database has the page, and it proves
 * what the frame was, also if a bit of its head has flipped, which has left the frame's own page
 * as it was. The sums alone do not: the highest bits of many words make the same difference to
 * them, and a page that was torn may differ from the database's in one of these. */
static int take_from_database(struct scan *scan)
{
    uint8_t page[PAGE_BYTES];
    unsigned found = 0, bit = 0;
    bool fits;
    int code = try_database(scan, page, &scan->copied);

    if (code == SQLITE_OK && scan->copied) {
        memcpy(scan->frame + FRAME_HEAD_BYTES, page, sizeof page);
        return SQLITE_OK;
    }
    for (unsigned i = 0; code == SQLITE_OK && i < 8 * 16; i++) {
        flip_in_head(scan, i);
        code = try_database(scan, page, &fits);
        flip_in_head(scan, i);
        if (fits && memcmp(scan->frame + FRAME_HEAD_BYTES, page, sizeof page) == 0) {
            found++;
            bit = i;
        }
    }
    if (code == SQLITE_OK && found == 1) {
        flip_in_head(scan, bit);
        code = try_database(scan, page, &scan->copied);
        memcpy(scan->frame + FRAME_HEAD_BYTES, page, sizeof page);
    }
    return code;
}

/* Of a frame of this log. Its salts are the header's, and its sums say whether the rest is what it
 * was. */
static int restore(struct scan *scan)
{
    int code = SQLITE_OK;

    if (scan->sound && scan->salted) {
        return SQLITE_OK;
    }
    if (!scan->sound) {
        code = take_from_database(scan);
    }
    scan->restored = scan->sound || scan->copied;
    if (scan->restored) {
        memcpy(scan->frame + 8, scan->header + 16, 8);
        scan->salted = scan->sound = true;
    }
    return code;
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
    scan->sound = sums_fit(scan, scan->frame + FRAME_HEAD_BYTES);
    scan->ours = scan->salted || (scan->sound && goes_on);
    scan->restored = scan->copied = false;
    return code == SQLITE_OK && scan->ours ? restore(scan) : code;
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
        commit = was_commit(scan, slot) ? slot + 1 : commit;
    }
    return code;
}

static void note_wrong(struct store_log *log, uint64_t frames, bool copied)
{
    log->wrong_frames += frames;
    log->copied = log->copied || (frames > 0 && copied);
}

/* With what was confirmed taken as it is; what is behind it that is not sound is not read. Of the
 * last transaction restored frames count if they make it whole: of one that a loss of power has
 * torn, too, the database may have a page that was written as it had been. */
static int count(struct scan *scan, struct store_log *log)
{
    uint64_t restored = 0; /* frames of the last transaction */
    bool ended = false, copied = false;
    int code = SQLITE_OK;

    begin(scan);
    for (uint64_t slot = 0; code == SQLITE_OK && slot < scan->slots; slot++) {
        bool good;

        code = read_frame(scan, slot);
        good = scan->salted && scan->sound;
        if (slot < scan->confirmed) {
            note_wrong(log, !good || scan->restored, scan->copied);
            continue;
        }
        if (good && !ended) {
            restored += scan->restored;
            copied = copied || scan->copied;
            if (is_commit(scan)) {
                note_wrong(log, restored, copied);
                restored = 0;
            }
            continue;
        }
        /* Older logs have left frames behind, with other salts. */
        if (scan->salted) {
            log->state = log->lost_commits > 0 ? STORE_LOG_DAMAGED : STORE_LOG_CUT;
            log->lost_frames++;
            log->lost_commits += was_commit(scan, slot);
        }
        ended = true;
    }
    if (restored > 0 && log->state == STORE_LOG_WHOLE) {
        log->state = STORE_LOG_CUT;
        log->lost_frames = restored;
    }
    if (log->wrong_frames > 0 && log->state == STORE_LOG_WHOLE) {
        log->state = STORE_LOG_MENDED;
    }
    return code;
}

static int sum_up_anew(struct scan *scan)
{
    struct sums sums;
    int code;

    begin(scan);
    sums = scan->before;
    code = write_at(scan, 0, scan->header, sizeof scan->header);
    for (uint64_t slot = 0; code == SQLITE_OK && slot < scan->slots; slot++) {
        uint8_t head[FRAME_HEAD_BYTES];

        code = read_frame(scan, slot);
        if (slot >= scan->confirmed && !(scan->salted && scan->sound)) {
            break;
        }
        sums = frame_sums(scan, sums, scan->frame + FRAME_HEAD_BYTES);
        memcpy(head, scan->frame, 8);
        memcpy(head + 8, scan->header + 16, 8);
        word_put(head + 16, sums.a);
        word_put(head + 20, sums.b);
        if (code == SQLITE_OK && scan->copied) {
            code = write_at(scan, place(slot) + sizeof head, scan->frame + sizeof head, PAGE_BYTES);
        }
        if (code == SQLITE_OK &&
            (scan->restored || memcmp(head, scan->frame, sizeof head) != 0)) {
            code = write_at(scan, place(slot), head, sizeof head);
        }
    }
    return code != SQLITE_OK ? code : scan->file->pMethods->xSync(scan->file, SQLITE_SYNC_NORMAL);
}

/* ---- the whole ----------------------------------------------------------------------- */

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
    sqlite3_int64 size = 0;
    uint8_t version = 0;
    int code = sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file);

    *scan = NULL;
    if (code != SQLITE_OK || file == NULL || file->pMethods == NULL) {
        return code;
    }
    code = sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &database);
    code = code != SQLITE_OK ? code : read_version(database, &version);
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
    code = read_at(file, 0, (*scan)->header, HEADER_BYTES);
    return code != SQLITE_OK ? code : read_at(file, place(0), (*scan)->frame, FRAME_BYTES);
}

static int look(struct scan *scan, struct store_log *log)
{
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
    return code != SQLITE_OK ? code : count(scan, log);
}

int store_log_look(sqlite3 *db, struct store_log *log)
{
    struct scan *scan;
    int code = scan_new(db, &scan);

    *log = (struct store_log){0};
    if (code == SQLITE_OK && scan != NULL) {
        code = look(scan, log);
    }
    free(scan);
    return code;
}

int store_log_mend(sqlite3 *db)
{
    struct store_log log = {0};
    struct scan *scan;
    int code = scan_new(db, &scan);

    if (code == SQLITE_OK && scan != NULL) {
        code = look(scan, &log);
        code = code != SQLITE_OK || log.wrong_frames == 0 ? code : sum_up_anew(scan);
    }
    free(scan);
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
        if (!good) {
            unlink(to_path); /* there would be another one at each start */
        }
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
