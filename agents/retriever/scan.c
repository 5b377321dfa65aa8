#include "agents/retriever/scan.h"

#include "agents/retriever/source.h"

#include <time.h>

#define SCAN_BATCH_FILES 64U      /* committed together: half a second of reading */
#define SCAN_PROGRESS_MS 2000U
#define SCAN_OPTIMIZE_FILES 1000U /* so many new ones leave an index worth merging */

static uint64_t clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void scan_log(struct scan *scan, enum log_level level, const char *event,
                     const struct log_field *fields, size_t field_count)
{
    struct log_record record = {level, event, fields, field_count};

    if (scan->log != NULL) {
        scan->log(scan->log_arg, &record);
    }
}

static bool stopped(const struct scan *scan)
{
    return scan->stop != NULL && atomic_load(scan->stop);
}

static bool scan_fault(struct scan *scan)
{
    struct log_field fields[] = {LOG_WORD("error", index_error(scan->index))};

    scan_log(scan, LOG_ERROR, "index_fault", fields, 1);
    return false;
}

/* False: a fault. */
static bool put(struct scan *scan, const struct folder_file *file, struct file_stamp stamp,
                const struct document *document)
{
    struct index_source source = {file->path, file->kind, stamp};
    struct log_field fields[] = {LOG_UINT("passages_max", INDEX_PASSAGES_MAX),
                                 LOG_WORD("source", file->path)};
    size_t passages = 0;

    switch (index_put(scan->index, &source, document, &passages)) {
    case INDEX_OK:
        break;
    case INDEX_FULL:
        if (!scan->full_warned) {
            scan->full_warned = true;
            scan_log(scan, LOG_WARN, "index_full", fields, 2);
        }
        break;
    case INDEX_FAULT:
        return scan_fault(scan);
    }
    scan->passages += passages;
    return true;
}

static void skipped_log(struct scan *scan, const char *path, const char *why)
{
    struct log_field fields[] = {LOG_WORD("source", path), LOG_WORD("why", why)};

    scan_log(scan, LOG_DEBUG, "source_skipped", fields, 2);
}

/* Once: a folder of PDFs must not fill the log. */
static void no_program_log(struct scan *scan)
{
    struct log_field fields[] = {LOG_WORD("why", "pdftotext is not installed (poppler-utils)")};

    if (!scan->pdf_warned) {
        scan->pdf_warned = true;
        scan_log(scan, LOG_WARN, "pdf_skipped", fields, 1);
    }
}

static bool file_index(struct scan *scan, const struct folder_file *file)
{
    struct file_stamp stamp = file->stamp;
    struct document document;
    const char *why;
    bool ok = true;

    document_init(&document);
    switch (source_read(file->path, &file->id, file->kind, file->compressed, scan->stop, &document,
                        &stamp, &why)) {
    case SOURCE_OK:
        scan->read++;
        ok = put(scan, file, stamp, &document);
        break;
    case SOURCE_NOTHING:
        scan->read++;
        scan->skipped++;
        skipped_log(scan, file->path, why);
        ok = put(scan, file, stamp, NULL);
        break;
    case SOURCE_NO_PROGRAM:
        scan->skipped++;
        no_program_log(scan);
        break;
    case SOURCE_GONE:    /* the next scan will see it gone, too */
    case SOURCE_STOPPED:
        break;
    }
    document_deinit(&document);
    return ok;
}

static void progress_log(struct scan *scan, size_t done)
{
    struct log_field fields[] = {LOG_UINT("files", done), LOG_UINT("of", scan->files),
                                 LOG_UINT("passages", scan->passages)};

    scan_log(scan, LOG_INFO, "scan_progress", fields, 3);
}

/* Reads what the index has not, in batches, so that a search sees the first files
 * long before the last are read, and a fault costs one batch. */
static bool files_index(struct scan *scan, const struct folder *folder)
{
    uint64_t told_ms = clock_ms();
    size_t batch = 0;
    bool open = false;

    for (size_t i = 0; i < folder->file_count && !stopped(scan); i++) {
        const struct folder_file *file = &folder->files[i];
        struct index_source source = {file->path, file->kind, file->stamp};

        if (index_has(scan->index, &source)) {
            continue;
        }
        if (!open && index_begin(scan->index) != INDEX_OK) {
            return scan_fault(scan);
        }
        open = true;
        if (!file_index(scan, file)) {
            return false;
        }
        if (++batch == SCAN_BATCH_FILES) {
            open = false;
            batch = 0;
            if (index_commit(scan->index) != INDEX_OK) {
                return scan_fault(scan);
            }
        }
        if (clock_ms() - told_ms >= SCAN_PROGRESS_MS) {
            told_ms = clock_ms();
            progress_log(scan, i + 1);
        }
    }
    if (open && index_commit(scan->index) != INDEX_OK) {
        return scan_fault(scan);
    }
    return !stopped(scan);
}

static bool is_on_disk(const char *path, void *arg)
{
    return folder_may_have(arg, path);
}

static bool gone_remove(struct scan *scan, struct folder *folder)
{
    if (index_begin(scan->index) != INDEX_OK ||
        index_prune(scan->index, is_on_disk, folder, &scan->removed) != INDEX_OK ||
        index_commit(scan->index) != INDEX_OK) {
        return scan_fault(scan);
    }
    return true;
}

static void folder_log(struct scan *scan, const struct folder *folder)
{
    struct log_field limits[] = {LOG_UINT("files_max", FOLDER_FILES_MAX),
                                 LOG_UINT("folders_max", FOLDER_FOLDERS_MAX),
                                 LOG_UINT("depth_max", FOLDER_DEPTH_MAX)};
    struct log_field unreadable[] = {LOG_UINT("count", folder->unreadable_count),
                                     LOG_WORD("first", "")};

    if (folder->truncated) {
        scan_log(scan, LOG_WARN, "folder_truncated", limits, 3);
    }
    if (folder->unreadable_count > 0 && folder->unreadable_count != scan->unreadable) {
        unreadable[1] = LOG_WORD("first", folder->unreadable[0]);
        scan_log(scan, LOG_WARN, "folder_unreadable", unreadable, 2);
    }
    scan->unreadable = folder->unreadable_count;
}

static void scan_done_log(struct scan *scan)
{
    struct log_field fields[] = {
        LOG_UINT("files", scan->files),       LOG_UINT("read", scan->read),
        LOG_UINT("skipped", scan->skipped),   LOG_UINT("removed", scan->removed),
        LOG_UINT("passages", scan->passages), LOG_UINT("took_ms", scan->took_ms),
    };

    scan_log(scan, scan->read + scan->removed > 0 ? LOG_INFO : LOG_DEBUG, "scan_done", fields, 6);
}

bool scan_run(struct scan *scan, struct folder *folder)
{
    uint64_t start_ms = clock_ms();
    bool ok;

    scan->read = scan->skipped = scan->removed = scan->passages = 0;
    folder_walk(folder, scan->roots, scan->root_count, scan->stop);
    scan->files = folder->file_count;
    folder_log(scan, folder);
    ok = !stopped(scan) && gone_remove(scan, folder);
    ok = ok && files_index(scan, folder);
    if (ok && scan->read >= SCAN_OPTIMIZE_FILES) {
        ok = index_optimize(scan->index) == INDEX_OK || scan_fault(scan);
    }
    scan->took_ms = clock_ms() - start_ms;
    scan_done_log(scan);
    return ok;
}
