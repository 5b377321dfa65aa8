/* sluice store export: its rows as JSON Lines. */
#include "broker/shell/store_load.h"
#include "broker/shell/store_path.h"
#include "cli/quantity.h"
#include "cli/record.h"
#include "cli/store/line.h"
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

struct export {
    FILE *out;
    struct tally tally;
    uint64_t written, damaged;
    bool log_damaged;
    int error; /* why `out` takes no more: an errno; 0: it does */
};

static void note_damage(void *context, uint64_t key, const char *why)
{
    struct export *export = context;

    tally_end(&export->tally);
    fprintf(stderr, "sluice: row %" PRIu64 " is left out: %s\n", key, why);
    export->damaged++;
}

static void take(void *context, const struct store_row *row)
{
    struct export *export = context;
    json_t *line;

    tally_add(&export->tally);
    if (export->error != 0) {
        return;
    }
    line = line_make(row);
    if (line == NULL) {
        note_damage(export, row->key, "it cannot be written as JSON");
        return;
    }
    errno = EIO;
    if (json_dumpf(line, export->out, VALUE_WRITE) != 0 || fputc('\n', export->out) == EOF) {
        export->error = errno;
    } else {
        export->written++;
    }
    json_decref(line);
}

/* All rows are in the file, and the file in its place. False: errno says why. */
static bool publish(const struct export *export, const char *part, const char *file)
{
    errno = export->error; /* what stdio could not write it has forgotten */
    return errno == 0 && fflush(export->out) == 0 && fsync(fileno(export->out)) == 0 &&
           store_path_publish(part, file);
}

/* A new file, whatever is there, and nobody else's business. `part` ends with XXXXXX. */
static FILE *part_open(char *part)
{
    int fd = mkostemp(part, O_CLOEXEC);

    return fd >= 0 ? fdopen(fd, "w") : NULL;
}

static enum store_exit export_rows(struct export *export, struct store_file *file)
{
    const struct store_taker taker = {.context = export, .take = take, .damaged = note_damage};
    struct store_report report;
    struct problem problem;
    uint64_t next_key;
    bool read;

    tally_begin(&export->tally, "exporting");
    read = store_file_load(file, &taker, &next_key, &report, &problem);
    tally_end(&export->tally);
    return read ? STORE_EXIT_DONE : look_fail(STORE_EXIT_DAMAGED, &problem);
}

/* `path`: the store's, as it was said. */
static enum store_exit export_to(struct export *export, struct store_file *file, const char *path,
                                 const char *name)
{
    char part[STORE_PATH_LONG_MAX];
    struct stat there;
    bool is_there = stat(name, &there) == 0;
    enum store_exit code;

    if (is_there && !S_ISREG(there.st_mode)) {
        fprintf(stderr, "sluice: %s is no file; without one it is standard output\n", name);
        return STORE_EXIT_USAGE;
    }
    if (is_there && there.st_size > 0) { /* it may be a store, even this one */
        fprintf(stderr, "sluice: %s is there already: move it away, or name another file\n", name);
        return STORE_EXIT_USAGE;
    }
    if (store_path_is_of(name, path) || store_path_is_of(name, file->path)) {
        fprintf(stderr, "sluice: %s is where the store keeps its log: name another file\n", name);
        return STORE_EXIT_USAGE;
    }
    if ((size_t)snprintf(part, sizeof(part), "%s.part-XXXXXX", name) >= sizeof(part)) {
        fprintf(stderr, "sluice: the file's path is too long\n");
        return STORE_EXIT_USAGE;
    }
    export->out = part_open(part);
    if (export->out == NULL) {
        fprintf(stderr, "sluice: cannot write %s: %s\n", name, strerror(errno));
        return STORE_EXIT_USAGE;
    }
    code = export_rows(export, file);
    if (code == STORE_EXIT_DONE && !publish(export, part, name)) {
        fprintf(stderr, "sluice: cannot write %s: %s\n", name, strerror(errno));
        code = STORE_EXIT_DAMAGED;
    }
    fclose(export->out);
    if (code != STORE_EXIT_DONE) {
        unlink(part);
    }
    return code;
}

static void report_rows(bool json, const struct export *export, FILE *stream)
{
    char rows[QUANTITY_SIZE], damaged[QUANTITY_SIZE];

    if (json) {
        json_t *report = json_pack("{s:I,s:I}", "rows", (json_int_t)export->written, "damaged",
                                 (json_int_t)export->damaged);

        record_dump(report, stream, terminal_is(stream));
        json_decref(report);
        return;
    }
    fprintf(stream, "%s rows%s%s\n", quantity_count(export->written, rows),
            export->damaged > 0 ? "; left out, damaged: " : "",
            export->damaged > 0 ? quantity_count(export->damaged, damaged) : "");
}

enum store_exit export_run(const char *path, const char *file, bool json)
{
    struct export export = {.out = stdout};
    bool standard = file == NULL || strcmp(file, "-") == 0;
    struct store_file store;
    enum store_exit code;

    if (!look_open(&store, path)) {
        return STORE_EXIT_USAGE;
    }
    export.log_damaged = look_log_damaged(&store.log);
    code = standard ? export_rows(&export, &store) : export_to(&export, &store, path, file);
    if (code == STORE_EXIT_DONE) {
        report_rows(json, &export, standard ? stderr : stdout);
        if (export.damaged > 0 || export.log_damaged || export.error != 0) {
            code = STORE_EXIT_DAMAGED;
        }
    }
    store_file_close(&store, false);
    return code;
}
