/* scan: makes the index agree with the disk: reads what is new or changed,
 * removes what is gone. Blocks for as long as that takes; one thread at a time,
 * the one that owns the index's writing. */
#ifndef SLUICE_RETRIEVER_SCAN_H
#define SLUICE_RETRIEVER_SCAN_H

#include "agents/retriever/folder.h"
#include "agents/retriever/index.h"
#include "common/log.h"

/* From the scanning thread; the record lives for the call. */
typedef void scan_log_fn(void *arg, const struct log_record *record);

struct scan {
    /* set by the caller */
    struct index *index;
    const char *const *roots;
    size_t root_count;
    const atomic_bool *stop; /* may be NULL */
    scan_log_fn *log;        /* may be NULL */
    void *log_arg;
    bool pdf_warned, full_warned; /* stay from scan to scan: said once */
    size_t unreadable;            /* folders at the last scan: said when it changes */
    /* results of the last scan */
    size_t files;    /* found on disk, of a kind we read */
    size_t read;     /* of those, new or changed */
    size_t skipped;  /* of those read, without text */
    size_t removed;  /* sources that are gone */
    size_t passages; /* added */
    uint64_t took_ms;
};

/* False: it stopped early, by *stop or a fault (logged); what was done up to there holds.
 * `folder` (initialised to zeros) is what was found; the caller's to deinit. */
bool scan_run(struct scan *scan, struct folder *folder);

#endif
