/* sluice store import: a new store of the rows of an export. */
#include "broker/shell/store_batch.h"
#include "broker/shell/store_path.h"
#include "cli/quantity.h"
#include "cli/record.h"
#include "cli/store/line.h"
#include "cli/store/line_file.h"
#include "cli/store/look.h"
#include "cli/store/tally.h"
#include "cli/store/value.h"
#include "cli/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of one transaction. */
#define ENTRIES_MAX 20000
#define BYTES_MAX (32u * 1024 * 1024)

struct import {
    const char *path;                /* of the store that it becomes */
    char part[STORE_PATH_LONG_MAX];  /* that of the store until it is whole */
    struct store_file store;
    struct store_encoder encoder;
    struct store_queue queue;
    struct store_batch batch;
    struct tally tally;
    uint64_t key;                    /* of the row before */
    struct problem problem;
};

/* ---- one row ------------------------------------------------------------------------ */

static bool put(struct import *import, const struct store_record *record)
{
    if (!store_encode(&import->encoder, record) ||
        !store_queue_add(&import->queue, record, &import->encoder)) {
        problem_set(&import->problem, "out of memory");
        return false;
    }
    return true;
}

static bool write_rows(struct import *import)
{
    enum store_file_result result;

    if (!store_batch_make(&import->batch, &import->queue)) {
        problem_set(&import->problem, "out of memory");
        return false;
    }
    result = store_file_write(&import->store, &import->batch);
    if (result == STORE_FILE_OK && store_file_wal_bytes(&import->store) >= BYTES_MAX) {
        result = store_file_checkpoint(&import->store);
    }
    store_queue_clear(&import->queue);
    if (result != STORE_FILE_OK) {
        problem_set(&import->problem, "cannot write %s: %s", import->part, import->store.why);
    }
    return result == STORE_FILE_OK;
}

static bool put_row(struct import *import, const struct store_row *row)
{
    struct store_record record = {.what = row->is_directive ? STORE_DIRECTIVE : STORE_TASK,
                                  .key = row->key,
                                  .submit = &row->submit,
                                  .directive = &row->directive,
                                  .session = row->session,
                                  .peer = row->peer,
                                  .accepted_unix_ms = row->accepted_unix_ms,
                                  .attempts = row->attempts,
                                  .causes = row->causes,
                                  .checkpoint = row->checkpoint};

    if (row->key <= import->key || row->key > STORE_KEY_FOUND_MAX) {
        problem_set(&import->problem, "`key` must be greater than that of the line before, and "
                                      "%" PRIu64 " at most", (uint64_t)STORE_KEY_FOUND_MAX);
        return false;
    }
    import->key = row->key;
    if (!put(import, &record)) {
        return false;
    }
    if (row->ended) {
        record.what = STORE_END;
        record.outcome = &row->outcome;
        record.ended_unix_ms = row->ended_unix_ms;
        if (!put(import, &record)) {
            return false;
        }
    }
    return (import->queue.entries < ENTRIES_MAX &&
            import->queue.size + import->queue.large_bytes < BYTES_MAX) ||
           write_rows(import);
}

static bool put_line(struct import *import, const struct line_file *text)
{
    json_error_t error;
    json_t *json = json_loadb(text->data, text->size, VALUE_READ, &error);
    struct line line;
    bool good;

    if (json == NULL) {
        problem_set(&import->problem, "no JSON: %s (column %d)", error.text, error.column);
        return false;
    }
    good = line_read(&line, json, &import->problem) && put_row(import, &line.row);
    line_deinit(&line);
    json_decref(json);
    return good;
}

/* ---- all rows ------------------------------------------------------------------------ */

/* False: the problem names the line. */
static bool put_all(struct import *import, FILE *stream)
{
    struct line_file text = {.stream = stream};
    enum line_file_result result;
    struct problem problem;
    bool good = true;

    while (good && (result = line_file_next(&text)) == LINE_FILE_LINE) {
        tally_add(&import->tally);
        good = put_line(import, &text);
    }
    if (good && result != LINE_FILE_END) {
        problem_set(&import->problem, "%s",
                    result == LINE_FILE_LONG ? "longer than any of an export" : strerror(errno));
        good = false;
    }
    line_file_deinit(&text);
    if (!good) {
        problem = import->problem;
        problem_set(&import->problem, "line %" PRIu64 ": %.900s", text.number, problem.text);
        return false;
    }
    return write_rows(import);
}

/* Makes the rows of `stream` a store at import->part, closed and synced. */
static bool make(struct import *import, FILE *stream)
{
    bool made;

    if (!store_file_open(&import->store, import->part, &import->problem)) {
        return false;
    }
    store_encoder_init(&import->encoder);
    tally_begin(&import->tally, "importing");
    made = put_all(import, stream);
    tally_end(&import->tally);
    store_encoder_deinit(&import->encoder);
    store_batch_deinit(&import->batch);
    store_queue_deinit(&import->queue);
    if (made && store_file_checkpoint(&import->store) != STORE_FILE_OK) {
        problem_set(&import->problem, "cannot write %s: %s", import->part, import->store.why);
        made = false;
    }
    store_file_close(&import->store, !made);
    if (made && store_path_has_log(import->part)) {
        problem_set(&import->problem, "cannot write %s: its log was left", import->part);
        made = false;
    }
    return made;
}

/* Nothing is at the path yet, and nobody else is about to put something there. */
static bool is_free(struct import *import)
{
    struct stat there;

    if ((size_t)snprintf(import->part, sizeof(import->part), "%s.import", import->path) >=
        STORE_PATH_MAX) {
        problem_set(&import->problem, "the path is too long");
        return false;
    }
    if (stat(import->path, &there) == 0 && (!S_ISREG(there.st_mode) || there.st_size > 0)) {
        problem_set(&import->problem, "%s is there already: move it away, or name another path",
                    import->path);
        return false;
    }
    if (store_path_has_log(import->path)) {
        problem_set(&import->problem, "%s-wal is there, the log of another store: move it away",
                    import->path);
        return false;
    }
    if (access(import->part, F_OK) == 0) {
        problem_set(&import->problem, "%s is there: another import makes it, or one that was "
                                      "stopped has left it; then remove it", import->part);
        return false;
    }
    return true;
}

static enum store_exit import_from(struct import *import, FILE *stream)
{
    bool made = make(import, stream);

    if (made && !store_path_publish(import->part, import->path)) {
        problem_set(&import->problem, "cannot make %s: %s", import->path, strerror(errno));
        made = false;
    }
    if (!made) {
        store_path_remove(import->part);
        return look_fail(STORE_EXIT_DAMAGED, &import->problem);
    }
    return STORE_EXIT_DONE;
}

static void report_rows(bool json, const struct import *import)
{
    char rows[QUANTITY_SIZE];
    json_t *report;

    if (!json) {
        printf("%s: %s rows\n", import->path, quantity_count(import->tally.rows, rows));
        return;
    }
    report = json_pack("{s:s,s:I}", "path", import->path, "rows", (json_int_t)import->tally.rows);
    record_dump(report, stdout, terminal_is(stdout));
    json_decref(report);
}

enum store_exit import_run(const char *path, const char *file, bool json)
{
    struct import import = {.path = path};
    bool standard = file == NULL || strcmp(file, "-") == 0;
    FILE *stream;
    enum store_exit code;

    if (!is_free(&import)) {
        return look_fail(STORE_EXIT_USAGE, &import.problem);
    }
    stream = standard ? stdin : fopen(file, "re");
    if (stream == NULL) {
        problem_set(&import.problem, "cannot read %s: %s", file, strerror(errno));
        return look_fail(STORE_EXIT_USAGE, &import.problem);
    }
    code = import_from(&import, stream);
    if (!standard) {
        fclose(stream);
    }
    if (code == STORE_EXIT_DONE) {
        report_rows(json, &import);
    }
    return code;
}
