/* inquiry: one question on its way to a report. */
#ifndef SLUICE_AGENTS_RESEARCH_INQUIRY_H
#define SLUICE_AGENTS_RESEARCH_INQUIRY_H

#include "agents/research/evidence.h"
#include "agents/research/plan.h"
#include "agents/research/timeline.h"
#include "agents/runtime/sluice.h"

struct inquiry {
    struct sluice *sluice;
    struct sluice_task *task; /* the task of research.ask */
    const char *question;
    json_int_t limit;             /* of claims */
    uint64_t started_ms, ends_ms; /* of sluice_now_ms */
    struct plan plan;
    struct evidence evidence;
    struct timeline timeline;
    json_t *facts;  /* [{ref, source, text}] */
    json_t *failed; /* [{task, service, code, message}] */
    size_t searches, searches_done;
    bool searched[QUESTION_PARTS_MAX]; /* the part's own search was done */
};

#endif
