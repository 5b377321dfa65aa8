#include "broker/shell/loading.h"

#include "common/clock.h"

#define SAID_MS 2000

struct loading {
    struct broker *broker;
    struct journal *journal;
    const char *path;
    uint64_t rows, refused;
    uint64_t said_ms;
};

static uint64_t now_ms(void)
{
    return clock_now_us() / 1000;
}

static void take_row(void *context, const struct store_row *row)
{
    struct loading *loading = context;
    uint64_t at_ms = now_ms();

    loading->refused += !broker_restore(loading->broker, row);
    loading->rows++;
    if (at_ms - loading->said_ms >= SAID_MS) {
        loading->said_ms = at_ms;
        journal_say(loading->journal, LOG_INFO, "store_loading", LOG_UINT("rows", loading->rows));
    }
}

static void expect_rows(void *context, const struct store_row *rows, size_t count)
{
    const struct loading *loading = context;

    broker_expect_rows(loading->broker, rows, count);
}

static void note_damage(void *context, uint64_t key, const char *why)
{
    const struct loading *loading = context;

    journal_say(loading->journal, LOG_ERROR, "store_row_damaged", LOG_UINT("key", key),
                LOG_WORD("why", why));
}

static void say_log(const struct loading *loading, const struct store_log *log)
{
    const char *path = loading->path;

    if (log->wrong_frames > 0) {
        journal_say(loading->journal, LOG_ERROR, "store_log_mended", LOG_WORD("path", path),
                    LOG_WORD("why", "some of it was damaged; the rows of that are checked like all "
                                    "others; if unix_ms is not 0, a copy of it is beside it, "
                                    "-wal.damaged-UNIX_MS"),
                    LOG_UINT("frames", log->wrong_frames),
                    LOG_UINT("unix_ms", log->kept_unix_ms));
    }
    if (log->state == STORE_LOG_CUT) {
        journal_say(loading->journal, LOG_INFO, "store_log_cut", LOG_WORD("path", path),
                    LOG_WORD("why", "its last transaction cannot be read: it was never confirmed, "
                                    "or the disk has lost it"),
                    LOG_UINT("frames", log->lost_frames));
    }
    if (log->state == STORE_LOG_DAMAGED) {
        journal_say(loading->journal, LOG_ERROR, "store_log_damaged", LOG_WORD("path", path),
                    LOG_WORD("why", "the disk has lost what it had confirmed: tasks may be "
                                    "missing, or as they were earlier; if unix_ms is not 0, a copy "
                                    "of the log is beside it, -wal.damaged-UNIX_MS"),
                    LOG_UINT("transactions", log->lost_commits),
                    LOG_UINT("frames", log->lost_frames), LOG_UINT("unix_ms", log->kept_unix_ms));
    }
}

static void say(const struct loading *loading, const struct store_report *report, uint64_t ms)
{
    say_log(loading, &report->log);
    if (report->mended_unix_ms > 0) {
        journal_say(loading->journal, LOG_ERROR, "store_mended", LOG_WORD("path", loading->path),
                    LOG_WORD("why", "the database was damaged; what could be read of it is in a "
                                    "new one, and the old one beside it, .damaged-UNIX_MS"),
                    LOG_UINT("unix_ms", report->mended_unix_ms));
    }
    journal_say(loading->journal, report->damaged > 0 ? LOG_ERROR : LOG_INFO, "store_opened",
                LOG_WORD("path", loading->path), LOG_UINT("rows", report->rows),
                LOG_UINT("damaged", report->damaged), LOG_UINT("bytes", report->bytes),
                LOG_UINT("ms", ms));
}

bool loading_run(struct store *store, const char *path, struct broker *broker,
                 struct journal *journal, struct problem *problem)
{
    uint64_t began_ms = now_ms(), next_key;
    struct loading loading = {
        .broker = broker, .journal = journal, .path = path, .said_ms = began_ms};
    struct store_taker taker = {.context = &loading, .take = take_row, .damaged = note_damage,
                                 .expect = expect_rows};
    struct store_report report = {0};

    if (!store_load(store, &taker, &next_key, &report, problem)) {
        return false;
    }
    if (loading.refused > 0) {
        problem_set(problem, "%llu tasks of %s find no room; start it with more --max-tasks, "
                             "--max-services or --max-peers",
                    (unsigned long long)loading.refused, path);
        return false;
    }
    if (!store_start(store, problem)) {
        return false;
    }
    broker_restored(broker, next_key);
    say(&loading, &report, now_ms() - began_ms);
    return true;
}
