#include "agents/retriever/folder.h"

#include "agents/retriever/utf8.h"
#include "common/check.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

struct walk {
    struct folder *folder;
    const char *const *roots;
    size_t root_count;
    char **real_roots; /* resolved; an entry is NULL when its root does not exist */
    const atomic_bool *stop;
};

static void *array_grow(void *array, size_t count, size_t *capacity, size_t element_bytes)
{
    if (count < *capacity) {
        return array;
    }
    *capacity = *capacity == 0 ? 64 : *capacity * 2;
    array = realloc(array, *capacity * element_bytes);
    CHECK(array != NULL);
    return array;
}

/* `path` is `top`, or lies below it. */
static bool path_is_below(const char *path, const char *top)
{
    size_t size = strlen(top);

    return size > 0 && strncmp(path, top, size) == 0 &&
           (path[size] == '/' || path[size] == '\0' || top[size - 1] == '/');
}

/* After a call failed: is the thing gone, or merely out of reach? */
static void failure_note(struct folder *folder, const char *path, int error)
{
    if (error == ENOENT || error == ENOTDIR || error == ELOOP || error == ENAMETOOLONG) {
        return;
    }
    if (folder->unreadable_count == FOLDER_UNREADABLE_MAX) {
        folder->incomplete = true;
        return;
    }
    folder->unreadable[folder->unreadable_count] = strdup(path);
    CHECK(folder->unreadable[folder->unreadable_count++] != NULL);
}

static bool below_root(const struct walk *walk, const char *path)
{
    char *real = realpath(path, NULL);
    bool below = false;

    for (size_t i = 0; real != NULL && i < walk->root_count && !below; i++) {
        below = walk->real_roots[i] != NULL && path_is_below(real, walk->real_roots[i]);
    }
    free(real);
    return below;
}

/* A source is named in answers, and those are text. */
static bool name_is_text(const char *path)
{
    for (const char *p = path; *p != '\0'; p++) {
        if ((unsigned char)*p < ' ' || *p == 0x7F) {
            return false;
        }
    }
    return utf8_valid(span_from_text(path));
}

static void file_take(struct walk *walk, const char *path, const struct stat *status, bool link)
{
    struct folder *folder = walk->folder;
    struct folder_file file = {.link = link, .stamp = file_stamp_of(status)};

    file.kind = kind_of_path(path, &file.compressed);
    if (file.kind == KIND_NONE || !name_is_text(path)) {
        return;
    }
    if (folder->file_count == FOLDER_FILES_MAX) {
        folder->truncated = true;
        return;
    }
    file.id = file_id_of(status);
    file.path = strdup(path);
    CHECK(file.path != NULL);
    folder->files = array_grow(folder->files, folder->file_count, &folder->file_capacity,
                               sizeof *folder->files);
    folder->files[folder->file_count++] = file;
}

static void folder_take(struct walk *walk, const char *path, unsigned depth);

/* `given`: named by the user, so a link is followed and a hidden name is fine. */
static void entry_take(struct walk *walk, const char *path, unsigned depth, bool given)
{
    struct stat status;
    bool link;

    if (lstat(path, &status) != 0) {
        failure_note(walk->folder, path, errno);
        return;
    }
    link = S_ISLNK(status.st_mode);
    if (link && (stat(path, &status) != 0 ||
                 (!given && (!S_ISREG(status.st_mode) || !below_root(walk, path))))) {
        return;
    }
    if (S_ISDIR(status.st_mode)) {
        folder_take(walk, path, depth);
    } else if (S_ISREG(status.st_mode)) {
        file_take(walk, path, &status, link);
    }
}

static int entry_filter(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void folder_take(struct walk *walk, const char *path, unsigned depth)
{
    struct folder *folder = walk->folder;
    struct dirent **entries = NULL;
    struct buffer child = {0};
    size_t base;
    int count;

    if (depth == FOLDER_DEPTH_MAX || folder->folder_count == FOLDER_FOLDERS_MAX) {
        folder->truncated = true;
        return;
    }
    if (walk->stop != NULL && atomic_load(walk->stop)) {
        folder->incomplete = true;
        return;
    }
    folder->folders = array_grow(folder->folders, folder->folder_count, &folder->folder_capacity,
                                 sizeof *folder->folders);
    folder->folders[folder->folder_count] = strdup(path);
    CHECK(folder->folders[folder->folder_count++] != NULL);

    count = scandir(path, &entries, entry_filter, alphasort);
    if (count < 0) {
        failure_note(folder, path, errno);
        return;
    }
    buffer_add_text(&child, path);
    if (child.size > 0 && child.data[child.size - 1] != '/') {
        buffer_add_byte(&child, '/');
    }
    base = child.size;
    for (int i = 0; i < count; i++) {
        buffer_truncate(&child, base);
        buffer_add_text(&child, entries[i]->d_name);
        entry_take(walk, child.data, depth + 1, false);
        free(entries[i]);
    }
    free(entries);
    buffer_deinit(&child);
}

/* Same file together, of those the real name before links, then by path. */
static int identity_compare(const void *left, const void *right)
{
    const struct folder_file *a = left, *b = right;

    if (a->id.device != b->id.device) {
        return a->id.device < b->id.device ? -1 : 1;
    }
    if (a->id.inode != b->id.inode) {
        return a->id.inode < b->id.inode ? -1 : 1;
    }
    return a->link != b->link ? a->link - b->link : strcmp(a->path, b->path);
}

static int path_compare(const void *left, const void *right)
{
    return strcmp(((const struct folder_file *)left)->path,
                  ((const struct folder_file *)right)->path);
}

static void duplicates_remove(struct folder *folder)
{
    size_t kept = 0;

    if (folder->file_count == 0) {
        return;
    }
    qsort(folder->files, folder->file_count, sizeof *folder->files, identity_compare);
    for (size_t i = 0; i < folder->file_count; i++) {
        struct folder_file *file = &folder->files[i];

        if (kept > 0 && file_id_equal(&folder->files[kept - 1].id, &file->id)) {
            free(file->path);
        } else {
            folder->files[kept++] = *file;
        }
    }
    folder->file_count = kept;
    qsort(folder->files, folder->file_count, sizeof *folder->files, path_compare);
}

/* A root without the slashes at its end: "docs/" gives docs/x.md, not docs//x.md. */
static void root_take(struct walk *walk, const char *root)
{
    struct buffer path = {0};

    buffer_add_text(&path, root);
    while (path.size > 1 && path.data[path.size - 1] == '/') {
        buffer_truncate(&path, path.size - 1);
    }
    entry_take(walk, path.data, 0, true);
    buffer_deinit(&path);
}

void folder_walk(struct folder *folder, const char *const *roots, size_t root_count,
                 const atomic_bool *stop)
{
    struct walk walk = {folder, roots, root_count, NULL, stop};

    *folder = (struct folder){0};
    walk.real_roots = calloc(root_count + 1, sizeof *walk.real_roots);
    CHECK(walk.real_roots != NULL);
    for (size_t i = 0; i < root_count; i++) {
        walk.real_roots[i] = realpath(roots[i], NULL);
    }
    for (size_t i = 0; i < root_count; i++) {
        root_take(&walk, roots[i]);
    }
    for (size_t i = 0; i < root_count; i++) {
        free(walk.real_roots[i]);
    }
    free(walk.real_roots);
    duplicates_remove(folder);
}

void folder_deinit(struct folder *folder)
{
    for (size_t i = 0; i < folder->file_count; i++) {
        free(folder->files[i].path);
    }
    for (size_t i = 0; i < folder->folder_count; i++) {
        free(folder->folders[i]);
    }
    for (size_t i = 0; i < folder->unreadable_count; i++) {
        free(folder->unreadable[i]);
    }
    free(folder->files);
    free(folder->folders);
    *folder = (struct folder){0};
}

bool folder_may_have(const struct folder *folder, const char *path)
{
    for (size_t i = 0; i < folder->unreadable_count; i++) {
        if (path_is_below(path, folder->unreadable[i])) {
            return true;
        }
    }
    return folder->incomplete || folder_find(folder, path) != NULL;
}

const struct folder_file *folder_find(const struct folder *folder, const char *path)
{
    struct folder_file key = {.path = (char *)path};

    return folder->file_count == 0 ? NULL
                                   : bsearch(&key, folder->files, folder->file_count,
                                             sizeof *folder->files, path_compare);
}
