/* timeline: what every task did and when, and which of them failed.
 *
 * Times are milliseconds from the start of the research, by the asker's clock for
 * `submitted_ms`, by the broker's for the lengths of waiting and running. */
#ifndef SLUICE_AGENTS_RESEARCH_TIMELINE_H
#define SLUICE_AGENTS_RESEARCH_TIMELINE_H

#include "agents/research/text.h"

#include <jansson.h>
#include <stdint.h>

#define TIMELINE_ROWS_MAX 64

struct timeline_row {
    char *task;
    const char *service;
    char *worker;
    char *outcome;
    unsigned attempt; /* 0: never started */
    uint64_t submitted_ms;
    uint64_t waited_ms;
    uint64_t ran_ms;
};

struct timeline {
    struct timeline_row rows[TIMELINE_ROWS_MAX];
    size_t count;
};

void timeline_deinit(struct timeline *timeline);

/* Adds a copy of `row`; `service` must outlive the timeline. Beyond the bound: ignored. */
void timeline_add(struct timeline *timeline, const struct timeline_row *row);

/* [{n, task, service, worker, attempt, submitted_ms, waited_ms, ran_ms, outcome}] */
json_t *timeline_json(const struct timeline *timeline);

/* A Markdown table, and bars in a code block: `.` waiting, `#` running. */
void timeline_write(const struct timeline *timeline, struct text *out);

#endif
