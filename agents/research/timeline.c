#include "agents/research/timeline.h"

#include "agents/research/markdown.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BAR_COLUMNS 48
#define NAME_COLUMNS 34

void timeline_deinit(struct timeline *timeline)
{
    size_t i;

    for (i = 0; i < timeline->count; i++) {
        free(timeline->rows[i].task);
        free(timeline->rows[i].worker);
        free(timeline->rows[i].outcome);
    }
    timeline->count = 0;
}

void timeline_add(struct timeline *timeline, const struct timeline_row *row)
{
    struct timeline_row *copy;

    if (timeline->count == TIMELINE_ROWS_MAX) {
        return;
    }
    copy = &timeline->rows[timeline->count++];
    *copy = *row;
    copy->task = text_copy(row->task, strlen(row->task));
    copy->worker = text_copy(row->worker, strlen(row->worker));
    copy->outcome = text_copy(row->outcome, strlen(row->outcome));
}

json_t *timeline_json(const struct timeline *timeline)
{
    json_t *list = json_array();
    size_t i;

    for (i = 0; i < timeline->count; i++) {
        const struct timeline_row *row = &timeline->rows[i];

        json_array_append_new(
            list, json_pack("{s:I, s:s, s:s, s:s, s:i, s:I, s:I, s:I, s:s}", "n", (json_int_t)i + 1,
                            "task", row->task, "service", row->service, "worker", row->worker,
                            "attempt", (int)row->attempt, "submitted_ms",
                            (json_int_t)row->submitted_ms, "waited_ms", (json_int_t)row->waited_ms,
                            "ran_ms", (json_int_t)row->ran_ms, "outcome", row->outcome));
    }
    return list;
}

static uint64_t row_start_ms(const struct timeline_row *row)
{
    return row->submitted_ms + row->waited_ms;
}

static uint64_t row_end_ms(const struct timeline_row *row)
{
    return row_start_ms(row) + row->ran_ms;
}

static uint64_t timeline_end_ms(const struct timeline *timeline)
{
    uint64_t end = 1;
    size_t i;

    for (i = 0; i < timeline->count; i++) {
        uint64_t row = row_end_ms(&timeline->rows[i]);

        end = row > end ? row : end;
    }
    return end;
}

static void write_table(const struct timeline *timeline, struct text *out)
{
    size_t i;

    text_addf(out, "| # | task | service | worker | attempt | queued | started | ended "
                   "| outcome |\n|--:|---|---|---|--:|--:|--:|--:|---|\n");
    for (i = 0; i < timeline->count; i++) {
        const struct timeline_row *row = &timeline->rows[i];

        text_addf(out, "| %zu | ", i + 1);
        markdown_cell(out, row->task, 60);
        text_addf(out, " | %s | ", row->service);
        markdown_cell(out, row->worker[0] != '\0' ? row->worker : "-", 40);
        text_addf(out, " | %u | %" PRIu64 " ms | ", row->attempt, row->submitted_ms);
        if (row->attempt > 0) {
            text_addf(out, "%" PRIu64 " ms | ", row_start_ms(row));
        } else {
            text_addf(out, "- | ");
        }
        text_addf(out, "%" PRIu64 " ms | ", row_end_ms(row));
        markdown_cell(out, row->outcome, 40);
        text_addf(out, " |\n");
    }
}

static void write_bar(const struct timeline_row *row, uint64_t end_ms, struct text *out)
{
    size_t from = (size_t)(row->submitted_ms * BAR_COLUMNS / end_ms);
    size_t start = (size_t)(row_start_ms(row) * BAR_COLUMNS / end_ms);
    size_t stop = (size_t)(row_end_ms(row) * BAR_COLUMNS / end_ms);
    size_t i;

    if (row->attempt > 0 && stop == start) {
        start -= start == BAR_COLUMNS; /* however short, it ran */
        stop = start + 1;
    }
    for (i = 0; i < BAR_COLUMNS; i++) {
        bool runs = row->attempt > 0 && i >= start && i < stop;
        bool waits = i >= from && i < (row->attempt > 0 ? start : stop);

        text_add(out, runs ? "#" : waits ? "." : " ", 1);
    }
}

static void write_bars(const struct timeline *timeline, struct text *out)
{
    uint64_t end_ms = timeline_end_ms(timeline);
    size_t i;

    text_addf(out, "\n```\n%*s |0%*s|\n", NAME_COLUMNS + 3, "", BAR_COLUMNS - 1, "");
    for (i = 0; i < timeline->count; i++) {
        const struct timeline_row *row = &timeline->rows[i];
        size_t before;

        text_addf(out, "%2zu ", i + 1);
        before = out->size;
        markdown_cut(out, row->task, NAME_COLUMNS);
        text_addf(out, "%*s |", (int)(NAME_COLUMNS - markdown_columns(out->data + before)), "");
        write_bar(row, end_ms, out);
        text_addf(out, "| %" PRIu64 " ms%s%s\n", row->ran_ms,
                  strcmp(row->outcome, "done") == 0 ? "" : " ",
                  strcmp(row->outcome, "done") == 0 ? "" : row->outcome);
    }
    text_addf(out, "%*s  . waiting  # running, %" PRIu64 " ms in all\n```\n", NAME_COLUMNS + 3, "",
              end_ms);
}

void timeline_write(const struct timeline *timeline, struct text *out)
{
    if (timeline->count > 0) {
        write_table(timeline, out);
        write_bars(timeline, out);
    }
}
