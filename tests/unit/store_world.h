/* store_world: what a store should hold, beside one that lives on a disk (disk.h).
 *
 * The records of one turn go into one transaction, with those before it that nobody waits for; its
 * thread's time is ours (nap.h). So whatever happens to it, the store holds what it held before or
 * what it held after, and after if it has said so. */
#ifndef SLUICE_TESTS_UNIT_STORE_WORLD_H
#define SLUICE_TESTS_UNIT_STORE_WORLD_H

#include "broker/shell/store.h"
#include "tests/unit/disk.h"
#include "tests/unit/store_fixture.h"

#define WORLD_PATH DISK_FOLDER "/tasks.db"
#define WORLD_ROWS_MAX 400

struct world_row {
    uint64_t key;
    uint32_t attempts;
    uint32_t checkpoint; /* 0: none; its number */
    bool ended;
};

struct world_rows {
    struct world_row rows[WORLD_ROWS_MAX]; /* in the order of keys */
    size_t count;
};

struct world {
    struct world_rows sure, maybe; /* as acknowledged; with what is under way, too */
    struct world_rows found;       /* by the last world_open */
    struct store_report report;
    struct store_news news;
    struct problem problem;
    struct store *store; /* NULL: closed */
    uint64_t next_key;
    uint64_t sequence;
    uint64_t records;    /* ever */
    uint64_t logs_cut;   /* ever found: their last transaction was torn */
    const char *wrong;   /* what should not be; NULL: nothing yet */
    char wrong_text[256];
    bool was_damaged;    /* damage was told at the last world_open */
    bool may_miss;       /* the test has damaged it: rows may be missing, others may not be there */
    bool may_be_old;     /* the same, and rows may be as they were at any time */
    struct sample sample;
};

/* On the heap; the disk is opened by the caller. */
struct world *world_new(void);
void world_free(struct world *world);

/* Opens the store, loads it, compares and starts it. False: it could not (`problem`), or it holds
 * what it should not (`wrong`); it is closed. */
bool world_open(struct world *world);
/* One turn of `count` random records. False: the store is lost, or full (news). */
bool world_turn(struct world *world, size_t count);
/* The thread's time passes, if it has any: a checkpoint, or one more try. False: as world_turn. */
bool world_pass(struct world *world);
void world_close(struct world *world);
/* Each of `some` is in `all`. */
bool world_rows_within(const struct world_rows *some, const struct world_rows *all);
/* Something is wrong; the first reason is kept. */
void world_blame(struct world *world, const char *why, ...) __attribute__((format(printf, 2, 3)));
/* There is a new disk. */
void world_forget(struct world *world);

#endif
