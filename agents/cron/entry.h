/* entry: what is submitted, and when.
 *
 *     {"name": "nightly", "cron": "0 3 * * *", "zone": "Europe/Berlin",
 *      "service": "research.ask", "payload": {"question": "..."}, "missed": "once"}
 *
 * All that an entry may say is in the table of entry.c and in docs/cron.md. */
#ifndef SLUICE_CRON_ENTRY_H
#define SLUICE_CRON_ENTRY_H

#include "agents/cron/firing.h"
#include "agents/cron/plan.h"
#include "common/list.h"

#define ENTRY_NAME_MAX 48
#define ENTRY_PAYLOAD_MAX 65536 /* bytes, packed */
#define ENTRY_ERROR_SIZE 320
#define ENTRY_NEVER INT64_MAX

enum overlap {
    OVERLAP_ALLOW, /* runs go on side by side */
    OVERLAP_SKIP,  /* not while an earlier one has not ended */
    OVERLAP_QUEUE, /* one after the other */
};

struct entry {
    struct list link;
    bool configured;       /* in the file that the agent was started with */
    json_t *source;        /* as it was given, owned */
    char name[ENTRY_NAME_MAX + 1];
    char key[ENTRY_NAME_MAX + 8]; /* to know its runs by: for OVERLAP_SKIP and OVERLAP_QUEUE */
    struct plan plan;
    struct work work;      /* texts in `source` */
    size_t payload_bytes;  /* packed */
    enum overlap overlap;
    int64_t late_s;        /* longest time after the planned one at which a run is submitted */

    int64_t last_s;        /* the planned time that was dealt with last */
    int64_t next_s;        /* the one after; ENTRY_NEVER: none */
    struct firing firing;  /* the latest */
    bool refusal_told;     /* that it was refused is logged */
    uint64_t runs, skipped, missed;
};

/* Takes a reference of `source`. NULL: `error` says what is wrong and what to write instead, in
 * one line. */
struct entry *entry_new(json_t *source, char *error, size_t error_size);
void entry_free(struct entry *entry); /* linked nowhere; its last run goes on */

/* Its next time is the first after `last_s`. */
void entry_plan(struct entry *entry, int64_t last_s);

#endif
