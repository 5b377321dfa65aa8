/* watch: a thread that keeps the index in step with the disk.
 *
 * Scans at once, then whenever a watched folder changes (inotify) and, since
 * notices get lost and network file systems send none, every rescan_ms. It alone
 * writes the index. Changes are gathered for WATCH_SETTLE_MS, or twice as long as
 * the last scan took, so that a folder that never rests cannot keep it busy. */
#ifndef SLUICE_RETRIEVER_WATCH_H
#define SLUICE_RETRIEVER_WATCH_H

#include "agents/retriever/index.h"
#include "agents/retriever/scan.h"

#define WATCH_SETTLE_MS 100U
#define WATCH_FOLDERS_MAX 4096U /* beyond, the rescan finds what changes */

struct watch_options {
    struct index *index;      /* borrowed, outlives the watch */
    const char *const *roots; /* borrowed, likewise */
    size_t root_count;
    uint64_t rescan_ms;       /* at least 1 */
    /* All from the thread of the watch. */
    scan_log_fn *log;
    void (*ready)(void *arg); /* once, after the first scan that came to its end */
    void *arg;
};

struct watch;

struct watch *watch_start(const struct watch_options *options); /* NULL: no thread to be had */
void watch_stop(struct watch *watch); /* ends a scan early; accepts NULL */

#endif
