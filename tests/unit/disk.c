#include "tests/unit/disk_file.h"

#include "common/check.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_MAX 64
#define NAME_BYTES 128
#define SECTOR 512

struct name {
    char path[NAME_BYTES];
    struct disk_file *file;
};

struct folder {
    struct name names[NAMES_MAX];
    size_t count;
};

/* One change of the folder: `path` is gone, then `other` is `file`. Either may be empty. */
struct move {
    char path[NAME_BYTES], other[NAME_BYTES];
    struct disk_file *file;
};

static struct {
    pthread_mutex_t lock;
    uint64_t random;
    struct folder seen, kept;
    struct move moves[NAMES_MAX]; /* not synced */
    size_t move_count;
    struct disk_file *files[NAMES_MAX * 4];
    size_t file_count;
    bool dark, lies;
    unsigned power_calls, fault_calls;
    uint64_t power_nth, fault_nth, fault_times; /* 0: none */
    int fault_error;
    uint64_t bound;
    uint64_t counts[5]; /* by enum disk_call */
    uint64_t failed;
} disk = {.lock = PTHREAD_MUTEX_INITIALIZER, .bound = UINT64_MAX};

uint64_t disk_draw(uint64_t below)
{
    uint64_t mixed = disk.random += 0x9e3779b97f4a7c15;

    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    return (mixed ^ (mixed >> 31)) % below;
}

static void *checked(void *memory)
{
    CHECK(memory != NULL);
    return memory;
}

/* ---- bytes --------------------------------------------------------------------------- */

static void bytes_resize(struct disk_bytes *bytes, size_t size)
{
    if (size > bytes->capacity) {
        bytes->capacity = size * 2;
        bytes->data = checked(realloc(bytes->data, bytes->capacity));
    }
    if (size > bytes->size) {
        memset(bytes->data + bytes->size, 0, size - bytes->size);
    }
    bytes->size = size;
}

static void bytes_put(struct disk_bytes *bytes, size_t at, const uint8_t *from, size_t size)
{
    if (at + size > bytes->size) {
        bytes_resize(bytes, at + size);
    }
    if (size > 0) {
        memcpy(bytes->data + at, from, size);
    }
}

static void bytes_copy(struct disk_bytes *to, const struct disk_bytes *from)
{
    bytes_resize(to, 0);
    bytes_put(to, 0, from->data, from->size);
}

/* ---- one call ------------------------------------------------------------------------ */

/* Under the lock. 0, or the errno that the call fails with. */
static int admit(enum disk_call call)
{
    disk.counts[__builtin_ctz(call)]++;
    if (!disk.dark && call & disk.power_calls && disk.power_nth > 0 && --disk.power_nth == 0) {
        disk.dark = true;
        disk.failed++;
        return EIO;
    }
    if (disk.dark) {
        disk.failed++;
        return EIO;
    }
    if (!(call & disk.fault_calls) || disk.fault_times == 0 ||
        (disk.fault_nth > 1 && --disk.fault_nth > 0)) {
        return 0;
    }
    disk.fault_times--;
    disk.failed++;
    return disk.fault_error;
}

static void changes_clear(struct disk_file *file)
{
    for (size_t i = 0; i < file->change_count; i++) {
        free(file->changes[i].data);
    }
    file->change_count = 0;
}

static void change_add(struct disk_file *file, struct disk_change change)
{
    if (file->change_count == file->change_capacity) {
        file->change_capacity = file->change_capacity * 2 + 16;
        file->changes =
            checked(realloc(file->changes, file->change_capacity * sizeof *file->changes));
    }
    file->changes[file->change_count++] = change;
}

static void write_some(struct disk_file *file, size_t at, const uint8_t *from, size_t size)
{
    uint8_t *copy = checked(malloc(size + 1));

    if (size > 0) {
        memcpy(copy, from, size);
    }
    bytes_put(&file->seen, at, from, size);
    change_add(file, (struct disk_change){at, size, copy});
}

/* Some of a write, up to the end of a sector. */
static size_t beginning(size_t at, size_t size)
{
    size_t end = (at + disk_draw(size + 1)) / SECTOR * SECTOR;

    return end > at ? end - at : 0;
}

static uint64_t used_bytes(void)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < disk.seen.count; i++) {
        sum += disk.seen.names[i].file->seen.size;
    }
    return sum;
}

int disk_file_read(struct disk_file *file, size_t at, uint8_t *to, size_t size, size_t *got)
{
    int error;

    pthread_mutex_lock(&disk.lock);
    error = admit(DISK_READ);
    *got = 0;
    if (error == 0 && at < file->seen.size) {
        *got = size < file->seen.size - at ? size : file->seen.size - at;
        memcpy(to, file->seen.data + at, *got);
    }
    pthread_mutex_unlock(&disk.lock);
    return error;
}

int disk_file_write(struct disk_file *file, size_t at, const uint8_t *from, size_t size)
{
    bool was_dark, grows;
    int error;

    pthread_mutex_lock(&disk.lock);
    was_dark = disk.dark;
    error = admit(DISK_WRITE);
    grows = at + size > file->seen.size;
    if (error == 0 && grows && disk.bound != UINT64_MAX &&
        used_bytes() + (at + size - file->seen.size) > disk.bound) {
        disk.failed++;
        error = ENOSPC;
    }
    if (error == 0) {
        write_some(file, at, from, size);
    } else if (!was_dark) {
        write_some(file, at, from, beginning(at, size));
    }
    pthread_mutex_unlock(&disk.lock);
    return error;
}

int disk_file_truncate(struct disk_file *file, size_t size)
{
    int error;

    pthread_mutex_lock(&disk.lock);
    error = admit(DISK_TRUNCATE);
    if (error == 0) {
        bytes_resize(&file->seen, size);
        change_add(file, (struct disk_change){.at = size});
    }
    pthread_mutex_unlock(&disk.lock);
    return error;
}

/* ---- what is kept -------------------------------------------------------------------- */

/* How much of what is not synced is kept. */
struct luck {
    size_t unit;    /* of so many bytes each has a moment of its own */
    unsigned stays; /* of 16 */
    bool garbage;   /* where nothing was kept of what is new */
    bool grown;     /* the size is the new one in any case */
    bool in_order;  /* names */
};

static struct luck luck_draw(void)
{
    static const size_t units[] = {SECTOR, 4096, SIZE_MAX};
    static const unsigned stays[] = {0, 1, 8, 15, 15, 16};

    return (struct luck){.unit = units[disk_draw(3)],
                         .stays = stays[disk_draw(6)],
                         .garbage = disk_draw(2),
                         .grown = disk_draw(2),
                         .in_order = disk_draw(2)};
}

static void grow(struct disk_bytes *bytes, size_t size, const struct luck *luck)
{
    size_t from = bytes->size;

    if (size <= from) {
        return;
    }
    bytes_resize(bytes, size);
    for (size_t i = from; luck->garbage && i < size; i++) {
        bytes->data[i] = (uint8_t)disk_draw(256);
    }
}

/* The parts of one write, sector by sector. `stopped`: by units, which keep nothing more. */
static void keep_write(struct disk_file *file, const struct disk_change *change, uint8_t *stopped,
                       const struct luck *luck)
{
    size_t end = change->at + change->size;

    for (size_t at = change->at, next; at < end; at = next) {
        size_t unit = luck->unit == SIZE_MAX ? 0 : at / luck->unit;

        next = (at / SECTOR + 1) * SECTOR < end ? (at / SECTOR + 1) * SECTOR : end;
        if (!stopped[unit] && disk_draw(16) >= luck->stays) {
            stopped[unit] = 1;
        }
        if (!stopped[unit]) {
            grow(&file->kept, at, luck);
            bytes_put(&file->kept, at, change->data + (at - change->at), next - at);
        }
    }
}

static void keep_some(struct disk_file *file, const struct luck *luck)
{
    size_t size = file->seen.size > file->kept.size ? file->seen.size : file->kept.size;
    uint8_t *stopped;

    for (size_t i = 0; i < file->change_count; i++) {
        size_t end = file->changes[i].at + file->changes[i].size;

        size = end > size ? end : size;
    }
    stopped = checked(calloc(size / SECTOR + 1, 1));
    for (size_t i = 0; i < file->change_count; i++) {
        const struct disk_change *change = &file->changes[i];

        if (change->data != NULL) {
            keep_write(file, change, stopped, luck);
        } else if (!stopped[0] && disk_draw(16) < luck->stays) {
            bytes_resize(&file->kept, change->at);
        }
    }
    if (luck->grown) {
        grow(&file->kept, file->seen.size, luck);
    }
    free(stopped);
    changes_clear(file);
}

int disk_file_sync(struct disk_file *file)
{
    bool was_dark;
    int error;

    pthread_mutex_lock(&disk.lock);
    was_dark = disk.dark;
    error = admit(DISK_SYNC);
    if (error == 0 && !disk.lies) {
        for (size_t i = 0; i < file->change_count; i++) {
            const struct disk_change *change = &file->changes[i];

            if (change->data != NULL) {
                bytes_put(&file->kept, change->at, change->data, change->size);
            } else {
                bytes_resize(&file->kept, change->at);
            }
        }
        changes_clear(file);
    } else if (error != 0 && !was_dark && !disk.dark) {
        struct luck luck = luck_draw();

        keep_some(file, &luck);
    }
    pthread_mutex_unlock(&disk.lock);
    return error;
}

/* ---- names --------------------------------------------------------------------------- */

static struct name *folder_find(struct folder *folder, const char *path)
{
    for (size_t i = 0; i < folder->count; i++) {
        if (strcmp(folder->names[i].path, path) == 0) {
            return &folder->names[i];
        }
    }
    return NULL;
}

static void folder_remove(struct folder *folder, const char *path)
{
    struct name *name = folder_find(folder, path);

    if (name != NULL) {
        *name = folder->names[--folder->count];
    }
}

static void folder_apply(struct folder *folder, const struct move *move)
{
    struct name *name;

    folder_remove(folder, move->path);
    if (move->other[0] == '\0') {
        return;
    }
    folder_remove(folder, move->other);
    CHECK(folder->count < NAMES_MAX);
    name = &folder->names[folder->count++];
    strcpy(name->path, move->other);
    name->file = move->file;
}

static int change_names(const char *path, const char *other, struct disk_file *file)
{
    struct move *move = &disk.moves[disk.move_count];
    bool was_dark = disk.dark;
    int error = admit(DISK_NAME);

    if (error != 0 && (was_dark || !disk.dark)) {
        return error; /* the call at which power goes may have been carried out */
    }
    CHECK(disk.move_count < NAMES_MAX && strlen(path) < NAME_BYTES && strlen(other) < NAME_BYTES);
    strcpy(move->path, path);
    strcpy(move->other, other);
    move->file = file;
    disk.move_count++;
    folder_apply(&disk.seen, move);
    return error;
}

struct disk_file *disk_name_find(const char *path)
{
    struct name *name;

    pthread_mutex_lock(&disk.lock);
    name = folder_find(&disk.seen, path);
    pthread_mutex_unlock(&disk.lock);
    return name != NULL ? name->file : NULL;
}

int disk_name_make(const char *path, struct disk_file **file)
{
    int error;

    pthread_mutex_lock(&disk.lock);
    CHECK(disk.file_count < sizeof disk.files / sizeof *disk.files);
    *file = checked(calloc(1, sizeof **file));
    disk.files[disk.file_count++] = *file;
    error = change_names("", path, *file);
    pthread_mutex_unlock(&disk.lock);
    return error;
}

static int move_name(const char *path, const char *other, bool keep)
{
    struct name *name;
    int error = ENOENT;

    pthread_mutex_lock(&disk.lock);
    name = folder_find(&disk.seen, path);
    if (name != NULL) {
        error = change_names(keep ? "" : path, other, name->file);
    }
    pthread_mutex_unlock(&disk.lock);
    return error;
}

int disk_name_link(const char *path, const char *other)
{
    return disk_name_find(other) != NULL ? EEXIST : move_name(path, other, true);
}

int disk_name_rename(const char *path, const char *other)
{
    return move_name(path, other, false);
}

int disk_name_remove(const char *path)
{
    return move_name(path, "", false);
}

static void moves_keep(const struct luck *luck)
{
    for (size_t i = 0; i < disk.move_count; i++) {
        if (disk_draw(16) < luck->stays) {
            folder_apply(&disk.kept, &disk.moves[i]);
        } else if (luck->in_order) {
            break;
        }
    }
    disk.move_count = 0;
}

int disk_folder_sync(void)
{
    int error;

    pthread_mutex_lock(&disk.lock);
    error = admit(DISK_SYNC);
    if (error == 0 && !disk.lies) {
        disk.kept = disk.seen;
        disk.move_count = 0;
    }
    pthread_mutex_unlock(&disk.lock);
    return error;
}

/* ---- power --------------------------------------------------------------------------- */

static bool is_named(const struct folder *folder, const struct disk_file *file)
{
    for (size_t i = 0; i < folder->count; i++) {
        if (folder->names[i].file == file) {
            return true;
        }
    }
    return false;
}

static void file_free(struct disk_file *file)
{
    CHECK(file->users == 0);
    changes_clear(file);
    free(file->changes);
    free(file->seen.data);
    free(file->kept.data);
    free(file);
}

/* Nobody knows them any more. */
static void files_sweep(void)
{
    size_t left = 0;

    for (size_t i = 0; i < disk.file_count; i++) {
        if (is_named(&disk.kept, disk.files[i])) {
            disk.files[left++] = disk.files[i];
        } else {
            file_free(disk.files[i]);
        }
    }
    disk.file_count = left;
}

void disk_lose_power(unsigned calls, uint64_t nth)
{
    disk.power_calls = calls;
    disk.power_nth = nth;
}

bool disk_is_dark(void)
{
    return disk.dark;
}

void disk_restart(void)
{
    struct luck luck = luck_draw();

    moves_keep(&luck);
    disk.seen = disk.kept;
    files_sweep();
    for (size_t i = 0; i < disk.file_count; i++) {
        keep_some(disk.files[i], &luck);
        bytes_copy(&disk.files[i]->seen, &disk.files[i]->kept);
    }
    disk.dark = false;
    disk.power_nth = 0;
}

void disk_format(void)
{
    disk.kept.count = disk.seen.count = disk.move_count = 0;
    files_sweep();
    disk.dark = false;
    disk.power_nth = 0;
}

void disk_open(uint64_t seed)
{
    disk.random = seed;
    disk_vfs_register();
}

void disk_close(void)
{
    disk_format();
    disk_heal();
    disk_bound(UINT64_MAX);
    disk_lie(false);
    memset(disk.counts, 0, sizeof disk.counts);
    disk.failed = 0;
    disk_vfs_unregister();
}

/* ---- faults -------------------------------------------------------------------------- */

void disk_fail(unsigned calls, uint64_t nth, int error, uint64_t times)
{
    pthread_mutex_lock(&disk.lock);
    disk.fault_calls = calls;
    disk.fault_nth = nth;
    disk.fault_error = error;
    disk.fault_times = times;
    pthread_mutex_unlock(&disk.lock);
}

void disk_heal(void)
{
    disk_fail(0, 0, 0, 0);
}

void disk_bound(uint64_t bytes)
{
    pthread_mutex_lock(&disk.lock);
    disk.bound = bytes;
    pthread_mutex_unlock(&disk.lock);
}

void disk_lie(bool lies)
{
    disk.lies = lies;
}

uint64_t disk_count(unsigned calls)
{
    uint64_t sum = 0;

    pthread_mutex_lock(&disk.lock);
    for (unsigned i = 0; i < 5; i++) {
        sum += calls >> i & 1 ? disk.counts[i] : 0;
    }
    pthread_mutex_unlock(&disk.lock);
    return sum;
}

uint64_t disk_failed(void)
{
    return disk.failed;
}

/* ---- looking at it ------------------------------------------------------------------- */

const uint8_t *disk_bytes(const char *path, size_t *size)
{
    struct disk_file *file = disk_name_find(path);

    *size = file != NULL ? file->seen.size : 0;
    return file != NULL ? file->seen.data : NULL;
}

void disk_put(const char *path, const uint8_t *bytes, size_t size)
{
    struct disk_file *file = disk_name_find(path);

    CHECK(file != NULL || disk_name_make(path, &file) == 0);
    disk.kept = disk.seen;
    disk.move_count = 0;
    bytes_resize(&file->seen, 0);
    bytes_put(&file->seen, 0, bytes, size);
    bytes_copy(&file->kept, &file->seen);
    changes_clear(file);
}

void disk_flip(const char *path, size_t byte, unsigned bit)
{
    struct disk_file *file = disk_name_find(path);

    CHECK(file != NULL && byte < file->seen.size);
    file->seen.data[byte] ^= (uint8_t)(1 << bit);
    if (byte < file->kept.size) {
        file->kept.data[byte] ^= (uint8_t)(1 << bit);
    }
}

bool disk_has(const char *part)
{
    for (size_t i = 0; i < disk.seen.count; i++) {
        if (strstr(disk.seen.names[i].path, part) != NULL) {
            return true;
        }
    }
    return false;
}
