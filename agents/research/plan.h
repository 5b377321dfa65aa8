/* plan: the tasks that a question is answered with.
 *
 * One retriever.search for each part of the question that has a subject, one
 * tool.fetch for each URL, one tool.calc for each sum, one tool.time for dates. A
 * question that is nothing but a sum or a date is not searched for. Pure. */
#ifndef SLUICE_AGENTS_RESEARCH_PLAN_H
#define SLUICE_AGENTS_RESEARCH_PLAN_H

#include "agents/research/mention.h"
#include "agents/research/question.h"

#define PLAN_CALLS_MAX (QUESTION_PARTS_MAX + MENTIONS_MAX)
#define PLAN_HITS 16 /* passages asked of each search; analysis picks from them */
#define PLAN_FETCH_BYTES (2 * 1024 * 1024)

enum call_kind { CALL_SEARCH, CALL_FETCH, CALL_CALC, CALL_TIME };

struct call {
    enum call_kind kind;
    const char *service;
    char *label; /* for people: what it does */
    json_t *args;
    size_t part; /* of a search: of the question */
};

struct plan {
    struct question question; /* no parts: nothing to search for */
    struct call calls[PLAN_CALLS_MAX];
    size_t count;
    bool digest; /* URLs only: say what the pages say */
};

/* `fetch_ms`: bound of one fetch. */
void plan_init(struct plan *plan, const char *question, unsigned fetch_ms);
void plan_deinit(struct plan *plan);

#endif
