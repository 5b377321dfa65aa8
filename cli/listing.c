#include "cli/listing.h"

#include "cli/grid.h"
#include "cli/quantity.h"
#include "cli/record.h"

#include <stdlib.h>
#include <string.h>

static const struct grid_column service_columns[] = {
    {"SERVICE", false, true}, {"WORKERS", true, false}, {"RUNNING", true, false},
    {"CREDIT", true, false},  {"QUEUED", true, false},  {"OF", true, false},
    {"BYTES", true, false},   {"OF", true, false},      {"STATE", false, false},
    {"VERSION", false, false}, {"ABOUT", false, true},
};
#define SERVICE_COLUMNS_LIVE 10 /* without about */

static const struct grid_column peer_columns[] = {
    {"PEER", false, true},      {"NO", true, false},     {"STATE", false, false},
    {"OFFERS", true, false},    {"HOLDS", true, false},  {"SUBMITTED", true, false},
    {"SILENT", true, false},    {"AGENT", false, true},
};

static int compare_services(const void *a, const void *b)
{
    return strcmp(record_text(*(json_t *const *)a, "service"),
                  record_text(*(json_t *const *)b, "service"));
}

static int compare_peers(const void *a, const void *b)
{
    return strcmp(record_text(*(json_t *const *)a, "name"),
                  record_text(*(json_t *const *)b, "name"));
}

/* jansson has no sort; the rows keep the references that the array had. */
static void rows_sort(json_t *rows, int (*compare)(const void *, const void *))
{
    size_t count = json_array_size(rows);
    json_t **sorted = calloc(count + 1, sizeof(sorted[0]));

    if (sorted == NULL) {
        return; /* unsorted is still readable */
    }
    for (size_t i = 0; i < count; i++) {
        sorted[i] = json_incref(json_array_get(rows, i));
    }
    qsort(sorted, count, sizeof(sorted[0]), compare);
    for (size_t i = 0; i < count; i++) {
        json_array_set_new(rows, i, sorted[i]);
    }
    free(sorted);
}

static void listing_print(struct grid *grid, FILE *stream, size_t rows_max)
{
    size_t rows = grid->cell_count / grid->column_count;

    grid_print(grid, stream, rows_max);
    if (rows > rows_max) {
        fprintf(stream, "... and %zu more\n", rows - rows_max);
    }
    grid_deinit(grid);
}

static void bound_add(struct grid *grid, uint64_t bound, bool bytes)
{
    if (bound == 0) {
        grid_text(grid, "-");
    } else if (bytes) {
        grid_bytes(grid, bound);
    } else {
        grid_count(grid, bound);
    }
}

/* Why it might not do what it does else: drained, or its gate, which is seldom not closed. */
static const char *service_state(const json_t *row)
{
    const char *gate = record_text(row, "gate");

    if (json_is_true(json_object_get(row, "draining"))) {
        return "drained";
    }
    return gate[0] == '\0' || strcmp(gate, "closed") == 0 ? "-" : gate;
}

/* "1 2"; what does not fit is left out. */
static void versions_add(struct grid *grid, const json_t *row)
{
    const json_t *versions = json_object_get(row, "versions"), *version;
    char text[RECORD_VALUE_SIZE] = "";
    size_t i, used = 0;

    json_array_foreach(versions, i, version) {
        int size = snprintf(text + used, sizeof text - used, "%s%s", used > 0 ? " " : "",
                            json_string_value(version));

        used += (size_t)size < sizeof text - used ? (size_t)size : sizeof text - 1 - used;
    }
    grid_text(grid, used > 0 ? text : "-");
}

void listing_services(json_t *rows, FILE *stream, size_t rows_max, bool about)
{
    size_t all = sizeof(service_columns) / sizeof(service_columns[0]);
    struct grid grid;
    json_t *row;
    size_t i;

    rows_sort(rows, compare_services);
    grid_init(&grid, service_columns, about ? all : SERVICE_COLUMNS_LIVE);
    json_array_foreach(rows, i, row) {
        grid_text(&grid, record_text(row, "service"));
        grid_count(&grid, record_uint(row, "workers"));
        grid_count(&grid, record_uint(row, "held"));
        grid_count(&grid, record_uint(row, "credit"));
        grid_count(&grid, record_uint(row, "queued"));
        bound_add(&grid, record_uint(row, "max_tasks"), false);
        grid_bytes(&grid, record_uint(row, "queued_bytes"));
        bound_add(&grid, record_uint(row, "max_bytes"), true);
        grid_text(&grid, service_state(row));
        versions_add(&grid, row);
        if (about) {
            grid_text(&grid, record_text(row, "about"));
        }
    }
    listing_print(&grid, stream, rows_max);
}

void listing_peers(json_t *rows, FILE *stream, size_t rows_max)
{
    char text[RECORD_VALUE_SIZE];
    struct grid grid;
    json_t *row;
    size_t i;

    rows_sort(rows, compare_peers);
    grid_init(&grid, peer_columns, sizeof(peer_columns) / sizeof(peer_columns[0]));
    json_array_foreach(rows, i, row) {
        grid_text(&grid, record_text(row, "name"));
        grid_count(&grid, record_uint(row, "peer"));
        grid_text(&grid, json_is_true(json_object_get(row, "draining"))
                             ? "drained"
                             : record_value(row, "state", text));
        grid_count(&grid, record_uint(row, "offers"));
        grid_count(&grid, record_uint(row, "held"));
        grid_count(&grid, record_uint(row, "submitted"));
        grid_ms(&grid, record_uint(row, "silent_ms"));
        grid_text(&grid, record_value(row, "agent", text));
    }
    listing_print(&grid, stream, rows_max);
}
