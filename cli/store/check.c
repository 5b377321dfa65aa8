/* sluice store check: is all of it as it was written? */
#include "broker/shell/store_check.h"
#include "broker/shell/store_load.h"
#include "cli/quantity.h"
#include "cli/record.h"
#include "cli/store/look.h"
#include "cli/store/tally.h"
#include "cli/terminal.h"

#include <inttypes.h>
#include <jansson.h>

#define TOLD_MAX 1000 /* sentences; what is damaged beyond is counted */

struct check {
    bool json;
    struct tally tally;
    struct store_report report;
    struct store_figures figures;
    uint64_t ended;
    uint64_t sentences; /* about damage */
    json_t *damage;     /* the first of them */
};

static void tell(struct check *check, const char *sentence)
{
    if (++check->sentences > TOLD_MAX) {
        return;
    }
    if (check->json) {
        json_array_append_new(check->damage, json_string(sentence));
    } else {
        tally_end(&check->tally);
        printf("%s\n", sentence);
    }
}

static void take(void *context, const struct store_row *row)
{
    struct check *check = context;

    check->ended += row->ended;
    tally_add(&check->tally);
}

static void note_damage(void *context, uint64_t key, const char *why)
{
    char sentence[256];

    snprintf(sentence, sizeof(sentence), "row %" PRIu64 ": %s", key, why);
    tell(context, sentence);
}

static void note_page(void *context, const char *said)
{
    char sentence[512];

    snprintf(sentence, sizeof(sentence), "file: %s", said);
    terminal_clean(sentence, false);
    tell(context, sentence);
}

/* One whose end was cut is none: that is what a loss of power leaves. */
static void note_log(struct check *check, const struct store_log *log)
{
    char sentence[256];

    if (log->wrong_frames > 0) {
        snprintf(sentence, sizeof(sentence),
                 "log: %" PRIu64 " frames are damaged; it was read up to the first of them, and a "
                 "broker that starts with it reads the rest, too", log->wrong_frames);
        tell(check, sentence);
    }
    if (log->state == STORE_LOG_DAMAGED) {
        snprintf(sentence, sizeof(sentence),
                 "log: %" PRIu64 " transactions at its end cannot be read, of which all but the "
                 "last were confirmed", log->lost_commits);
        tell(check, sentence);
    }
}

/* False: `problem` says why it cannot be found out. */
static bool look(struct check *check, struct store_file *file, struct problem *problem)
{
    const struct store_taker taker = {.context = check, .take = take, .damaged = note_damage};
    uint64_t next_key;

    note_log(check, &file->log);
    tally_begin(&check->tally, "checking the pages");
    if (!store_check_pages(file, note_page, check, problem)) {
        return false;
    }
    tally_begin(&check->tally, "checking the rows");
    if (!store_file_load(file, &taker, &next_key, &check->report, problem)) {
        return false;
    }
    tally_end(&check->tally);
    if (file->reserved_lost) {
        tell(check, "the number that no key has reached is damaged: a broker goes on far beyond");
    }
    if (!store_check_figures(file, &check->figures, problem)) {
        tell(check, problem->text);
    }
    return true;
}

static void report_json(const struct check *check, const char *path)
{
    const struct store_figures *figures = &check->figures;
    json_t *report = json_pack(
        "{s:b,s:s,s:i,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:O}", "good", check->sentences == 0,
        "path", path, "version", STORE_SCHEMA_VERSION, "rows", (json_int_t)check->report.rows,
        "ended", (json_int_t)check->ended, "damaged", (json_int_t)check->report.damaged,
        "set_aside", (json_int_t)figures->set_aside, "set_aside_bytes",
        (json_int_t)figures->set_aside_bytes, "orphans", (json_int_t)figures->orphans,
        "orphan_bytes", (json_int_t)figures->orphan_bytes, "bytes", (json_int_t)figures->bytes,
        "free_bytes", (json_int_t)figures->free_bytes, "log_bytes",
        (json_int_t)figures->log_bytes, "damage", check->damage);

    record_dump(report, stdout, terminal_is(stdout));
    json_decref(report);
}

static void report(const struct check *check)
{
    const struct store_figures *figures = &check->figures;
    char rows[QUANTITY_SIZE], ended[QUANTITY_SIZE], bytes[QUANTITY_SIZE], text[QUANTITY_SIZE];

    if (check->sentences > TOLD_MAX) {
        printf("... and %" PRIu64 " more\n", check->sentences - TOLD_MAX);
    }
    printf("%s: %s rows, %s of them ended; version %d, %s\n",
           check->sentences == 0 ? "good" : "damaged", quantity_count(check->report.rows, rows),
           quantity_count(check->ended, ended), STORE_SCHEMA_VERSION,
           quantity_bytes(figures->bytes, bytes));
    if (figures->set_aside > 0) {
        printf("set aside: %s damaged rows that a broker found earlier (table `damaged`)\n",
               quantity_count(figures->set_aside, rows));
    }
    if (figures->orphans > 0) {
        printf("left over: %s payloads that no row has, %s\n",
               quantity_count(figures->orphans, rows), quantity_bytes(figures->orphan_bytes, text));
    }
    if (check->sentences > 0) {
        printf("a broker that starts with it serves the good rows, and sets the others aside\n");
    }
}

enum store_exit check_run(const char *path, bool json)
{
    struct check check = {.json = json, .damage = json_array()};
    struct store_file file;
    struct problem problem;
    enum store_exit code;

    if (!look_open(&file, path)) {
        json_decref(check.damage);
        return STORE_EXIT_USAGE;
    }
    if (!look(&check, &file, &problem)) {
        tally_end(&check.tally);
        code = look_fail(STORE_EXIT_USAGE, &problem);
    } else {
        code = check.sentences == 0 ? STORE_EXIT_DONE : STORE_EXIT_DAMAGED;
        if (json) {
            report_json(&check, path);
        } else {
            report(&check);
        }
    }
    store_file_close(&file, false);
    json_decref(check.damage);
    return code;
}
