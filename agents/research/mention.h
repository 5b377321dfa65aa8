/* mention: the URLs, sums and dates in a question, for the tools.
 *
 *  URL    http:// or https:// up to white space or a bracket, without the
 *         punctuation that ends the sentence
 *  sum    numbers and brackets joined by + - * / ^ % x, "plus", "minus", "times",
 *         "divided by", "to the power of"; "N% of M"; "square root of N". What may
 *         be a range, a date or a path (10-20, 24/7) counts only with white space
 *         around the sign, or when the question asks "what is" or "calculate"
 *  date   2026-11-20, 20 November 2026, November 20, 2026 (months also by three
 *         letters), with "how many days", "what day", "N days after ..."; and
 *         "what time is it", "today's date"
 *
 * Pure. */
#ifndef SLUICE_AGENTS_RESEARCH_MENTION_H
#define SLUICE_AGENTS_RESEARCH_MENTION_H

#include <jansson.h>
#include <stddef.h>

#define MENTIONS_MAX 8             /* of all kinds: what one question may cost */
#define MENTION_BYTES_MAX 2000     /* of a URL */
#define MENTION_SUM_BYTES_MAX 1000 /* what tool.calc takes */

enum mention_kind {
    MENTION_URL,
    MENTION_SUM,
    MENTION_DATE,
};

struct mention {
    enum mention_kind kind;
    char *text;   /* as people read it */
    json_t *args; /* of tool.fetch, tool.calc, tool.time */
};

struct mentions {
    struct mention items[MENTIONS_MAX];
    size_t count;
    char *rest; /* the question without them: newlines in their place */
};

void mentions_init(struct mentions *mentions, const char *question);
void mentions_deinit(struct mentions *mentions);

#endif
