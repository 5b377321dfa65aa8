/* question: splits a question into the questions it is made of.
 *
 * Rules, in this order:
 *  1. Each sentence with a question mark is a part; without any, the whole is one.
 *  2. "compare A and B", "difference between A and B", "A versus B" (vs, vs.):
 *     A and B are parts; what only B says after them ("PUB sockets at the high
 *     water mark") is said of A too.
 *  3. "..., and how ...": a conjunction followed by a question word begins a part.
 *  4. A part that speaks of "it" or "them" is searched for together with the
 *     words of the part before it.
 * The whole question always comes first; sentences without a word to search for
 * are left out of it. Pure. */
#ifndef SLUICE_AGENTS_RESEARCH_QUESTION_H
#define SLUICE_AGENTS_RESEARCH_QUESTION_H

#include <stdbool.h>
#include <stddef.h>

#define QUESTION_PARTS_MAX 6 /* the whole and five more: what a scatter should cost */

struct question_part {
    char *text;  /* for people */
    char *query; /* for searching: with the words that "it" stands for */
};

struct question {
    struct question_part parts[QUESTION_PARTS_MAX]; /* [0]: the whole */
    size_t count;
};

void question_init(struct question *question, const char *text);
void question_deinit(struct question *question);

/* Is there any word in `text` that a document could be searched for? */
bool question_has_subject(const char *text);

#endif
