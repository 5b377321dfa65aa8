/* sluice store stats: what is in it. */
#include "broker/shell/store_check.h"
#include "broker/shell/store_load.h"
#include "cli/grid.h"
#include "cli/record.h"
#include "cli/store/look.h"
#include "cli/store/tally.h"
#include "cli/terminal.h"
#include "common/clock.h"

#include <jansson.h>

struct stats {
    struct tally tally;
    uint64_t rows, ended, bytes;
    uint64_t directives;     /* rows: what an operator has said */
    uint64_t oldest_unix_ms; /* of those that have not ended; 0: none */
    json_t *services;        /* by name: waiting, ended, payload_bytes */
    json_t *outcomes;        /* by name: how many */
};

static void add(json_t *counts, const char *name, uint64_t number)
{
    uint64_t before = record_uint(counts, name);

    json_object_set_new(counts, name, json_integer((json_int_t)(before + number)));
}

static json_t *service_of(struct stats *stats, struct span name)
{
    const char *text = name.size > 0 ? (const char *)name.data : "";
    json_t *service = json_object_getn(stats->services, text, name.size);

    if (service == NULL) {
        service = json_pack("{s:i,s:i,s:i}", "waiting", 0, "ended", 0, "payload_bytes", 0);
        json_object_setn_new(stats->services, text, name.size, service);
    }
    return service;
}

static void take_task(struct stats *stats, const struct store_row *row)
{
    json_t *service = service_of(stats, row->submit.service);
    uint64_t bytes = row->submit.payload.bytes.size + row->checkpoint.bytes.size +
                     (row->ended ? row->outcome.payload.bytes.size : 0);

    stats->ended += row->ended;
    stats->bytes += bytes;
    add(service, row->ended ? "ended" : "waiting", 1);
    add(service, "payload_bytes", bytes);
    if (row->ended) {
        add(stats->outcomes, outcome_name(row->outcome.outcome), 1);
    } else if (stats->oldest_unix_ms == 0 || row->accepted_unix_ms < stats->oldest_unix_ms) {
        stats->oldest_unix_ms = row->accepted_unix_ms;
    }
}

static void take(void *context, const struct store_row *row)
{
    struct stats *stats = context;

    tally_add(&stats->tally);
    stats->rows++;
    if (row->is_directive) {
        stats->directives++;
    } else {
        take_task(stats, row);
    }
}

static void pass_damage(void *context, uint64_t key, const char *why)
{
}

static json_t *stats_json(const struct stats *stats, const struct store_figures *figures,
                          uint64_t damaged)
{
    json_t *json = json_pack(
        "{s:i,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "version",
        STORE_SCHEMA_VERSION, "bytes", (json_int_t)figures->bytes, "free_bytes",
        (json_int_t)figures->free_bytes,
        "log_bytes", (json_int_t)figures->log_bytes, "rows", (json_int_t)stats->rows, "waiting",
        (json_int_t)(stats->rows - stats->ended - stats->directives), "controls",
        (json_int_t)stats->directives, "ended", (json_int_t)stats->ended, "damaged",
        (json_int_t)damaged, "set_aside", (json_int_t)figures->set_aside, "payload_bytes",
        (json_int_t)stats->bytes, "large_payloads", (json_int_t)figures->large,
        "large_payload_bytes", (json_int_t)figures->large_bytes, "orphans",
        (json_int_t)figures->orphans);

    if (stats->oldest_unix_ms > 0) {
        uint64_t now = clock_unix_ms();

        add(json, "oldest_age_ms", now > stats->oldest_unix_ms ? now - stats->oldest_unix_ms : 0);
    }
    return json;
}

static void services_print(const json_t *services)
{
    static const struct grid_column columns[] = {
        {"SERVICE", false, true}, {"WAITING", true, false}, {"ENDED", true, false},
        {"PAYLOADS", true, false}};
    struct grid grid;
    const char *name;
    json_t *service;

    grid_init(&grid, columns, sizeof(columns) / sizeof(columns[0]));
    json_object_foreach((json_t *)(uintptr_t)services, name, service) {
        grid_text(&grid, name[0] != '\0' ? name : "(join)");
        grid_count(&grid, record_uint(service, "waiting"));
        grid_count(&grid, record_uint(service, "ended"));
        grid_bytes(&grid, record_uint(service, "payload_bytes"));
    }
    printf("\n");
    grid_print(&grid, stdout, SIZE_MAX);
    grid_deinit(&grid);
}

static void stats_print(const struct stats *stats, json_t *figures, bool json)
{
    if (json) {
        json_object_set(figures, "outcomes", stats->outcomes);
        json_object_set(figures, "services", stats->services);
        record_dump(figures, stdout, terminal_is(stdout));
        return;
    }
    record_print(figures, stdout);
    if (json_object_size(stats->services) > 0) {
        services_print(stats->services);
    }
}

enum store_exit stats_run(const char *path, bool json)
{
    struct stats stats = {.services = json_object(), .outcomes = json_object()};
    const struct store_taker taker = {.context = &stats, .take = take, .damaged = pass_damage};
    struct store_figures figures = {0};
    struct store_report report = {0};
    struct store_file file;
    struct problem problem;
    uint64_t next_key;
    enum store_exit code = STORE_EXIT_USAGE;

    if (look_open(&file, path)) {
        bool read, log_damaged;

        tally_begin(&stats.tally, "reading");
        read = store_file_load(&file, &taker, &next_key, &report, &problem) &&
               store_check_figures(&file, &figures, &problem);
        tally_end(&stats.tally);
        log_damaged = look_log_damaged(&file.log);
        if (read) {
            json_t *shown = stats_json(&stats, &figures, report.damaged);

            stats_print(&stats, shown, json);
            json_decref(shown);
            code = report.damaged == 0 && !log_damaged ? STORE_EXIT_DONE : STORE_EXIT_DAMAGED;
        } else {
            code = look_fail(STORE_EXIT_DAMAGED, &problem);
        }
        store_file_close(&file, false);
    }
    json_decref(stats.services);
    json_decref(stats.outcomes);
    return code;
}
