/* folder: the files below some roots that could be indexed.
 *
 * Leaves out hidden names, names of no kind we read or that are no text, and anything that is not a
 * regular file. Links to folders are not followed, so there are no loops; a link
 * to a file counts only when the file itself lies below one of the roots, so
 * that a link cannot publish what nobody meant to, and then only if the file
 * has not been found by another name. Bounded in files, folders and depth. */
#ifndef SLUICE_RETRIEVER_FOLDER_H
#define SLUICE_RETRIEVER_FOLDER_H

#include "agents/retriever/file.h"
#include "agents/retriever/kind.h"

#include <stdatomic.h>

#define FOLDER_FILES_MAX 200000U
#define FOLDER_FOLDERS_MAX 20000U
#define FOLDER_DEPTH_MAX 32U
#define FOLDER_UNREADABLE_MAX 100U

struct folder_file {
    char *path; /* the root as it was given, then what lies below it */
    enum kind kind;
    bool compressed;
    bool link;
    struct file_id id;
    struct file_stamp stamp;
};

struct folder {
    struct folder_file *files; /* sorted by path, each file once */
    size_t file_count, file_capacity;
    char **folders; /* every folder walked: what to watch */
    size_t folder_count, folder_capacity;
    /* What could not be looked at just now: what lies there may be there still. */
    char *unreadable[FOLDER_UNREADABLE_MAX];
    size_t unreadable_count;
    bool truncated;  /* a bound was reached: there is more */
    bool incomplete; /* stopped early, or more is unreadable than can be told */
};

/* Roots are folders or files. `stop` (may be NULL) true: ends early, incomplete. */
void folder_walk(struct folder *folder, const char *const *roots, size_t root_count,
                 const atomic_bool *stop);
void folder_deinit(struct folder *folder);

/* False: the walk has seen that there is no such file. */
bool folder_may_have(const struct folder *folder, const char *path);

/* NULL: not there. */
const struct folder_file *folder_find(const struct folder *folder, const char *path);

#endif
