#include "agents/research/question.h"

#include "agents/research/text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define WORDS_MAX 400
#define QUERY_BYTES_MAX 1999 /* retriever.search takes 2,000 characters */

/* A word of the text: no punctuation around it. */
struct token {
    const char *start;
    size_t size;
};

static const char *const question_words[] = {
    "how", "what",  "why",    "when", "where", "which", "who", "does", "do",      "is",      "are",
    "can", "could", "should", "must", "will",  "did",   "was", "were", "explain", "compare",
};

static const char *const pronouns[] = {"it",    "its",  "they",  "them",
                                       "their", "this", "these", "those"};

/* Words of asking, not of any subject. */
static const char *const glue_words[] = {
    "a",     "about",   "after",   "an",        "and",       "are",       "as",       "at",
    "be",    "before",  "between", "by",        "calculate", "can",       "compare",  "compute",
    "could", "current", "date",    "dates",     "day",       "days",      "did",      "do",
    "does",  "equal",   "equals",  "evaluate",  "fetch",     "find",      "for",      "from",
    "get",   "give",    "how",     "i",         "in",        "is",        "it",       "its",
    "link",  "many",    "me",      "much",      "now",       "of",        "on",       "open",
    "or",    "page",    "please",  "read",      "result",    "say",       "says",     "show",
    "since", "site",    "sum",     "summarise", "summarize", "summary",   "tell",     "that",
    "the",   "there",   "this",    "time",      "to",        "today",     "tomorrow", "until",
    "url",   "value",   "was",     "website",   "week",      "weekday",   "what",     "what's",
    "when",  "which",   "who",     "will",      "with",      "yesterday", "you",
};

#define LIST_HAS(list, token) list_has(list, sizeof(list) / sizeof((list)[0]), token)

static bool token_is(struct token token, const char *word)
{
    return token.size == strlen(word) && strncasecmp(token.start, word, token.size) == 0;
}

static bool list_has(const char *const *list, size_t count, struct token token)
{
    size_t i;

    for (i = 0; i < count; i++) {
        if (token_is(token, list[i])) {
            return true;
        }
    }
    return false;
}

static bool token_char(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '\'' || (c & 0x80) != 0;
}

static size_t tokens_read(const char *text, size_t size, struct token *tokens, size_t max)
{
    size_t count = 0;
    size_t at = 0;

    while (at < size && count < max) {
        size_t start;

        while (at < size && !token_char(text[at])) {
            at++;
        }
        start = at;
        while (at < size && token_char(text[at])) {
            at++;
        }
        if (at > start) {
            tokens[count++] = (struct token){text + start, at - start};
        }
    }
    return count;
}

bool question_has_subject(const char *text)
{
    struct token tokens[WORDS_MAX];
    size_t count = tokens_read(text, strlen(text), tokens, WORDS_MAX);
    size_t i;

    for (i = 0; i < count; i++) {
        if (!LIST_HAS(glue_words, tokens[i]) && !isdigit((unsigned char)tokens[i].start[0])) {
            return true;
        }
    }
    return false;
}

/* ---- parts ------------------------------------------------------------------- */

/* Without white space and punctuation at the ends (a closing `?` may stay). */
static char *part_trim(const char *start, size_t size)
{
    char *text = text_squeeze(start, size);
    size_t length = strlen(text);
    size_t skip = strspn(text, " ,;:.-");

    while (length > skip && strchr(" ,;:.-", text[length - 1]) != NULL) {
        length--;
    }
    memmove(text, text + skip, length - skip);
    text[length - skip] = '\0';
    return text;
}

static void part_add(struct question *question, const char *start, size_t size)
{
    char *text = part_trim(start, size);
    size_t i;

    for (i = 0; i < question->count; i++) {
        if (strcasecmp(question->parts[i].text, text) == 0) {
            break;
        }
    }
    if (i < question->count || question->count == QUESTION_PARTS_MAX ||
        !question_has_subject(text)) {
        free(text);
        return;
    }
    question->parts[question->count++] =
        (struct question_part){.text = text, .query = text_copy(text, strlen(text))};
}

static struct token without_article(struct token side)
{
    static const char *const articles[] = {"a ", "an ", "the "};
    size_t i;

    while (side.size > 0 && *side.start == ' ') {
        side.start++;
        side.size--;
    }
    for (i = 0; i < sizeof articles / sizeof articles[0]; i++) {
        size_t size = strlen(articles[i]);

        if (side.size > size && strncasecmp(side.start, articles[i], size) == 0) {
            side.start += size;
            side.size -= size;
        }
    }
    return side;
}

/* Rule 2, once the two sides are known. */
static void add_sides(struct question *question, struct token a, struct token b)
{
    struct token a_words[WORDS_MAX], b_words[WORDS_MAX];
    size_t a_count, b_count;

    a = without_article(a);
    b = without_article(b);
    while (b.size > 0 && strchr(" ?.!", b.start[b.size - 1]) != NULL) {
        b.size--;
    }
    a_count = tokens_read(a.start, a.size, a_words, WORDS_MAX);
    b_count = tokens_read(b.start, b.size, b_words, WORDS_MAX);
    if (a_count == 0 || b_count == 0) {
        return;
    }
    if (a_count < b_count) {
        struct text shared = {0};
        const char *tail = b_words[a_count].start;

        text_add(&shared, a.start, a.size);
        text_add(&shared, " ", 1);
        text_add(&shared, tail, (size_t)(b.start + b.size - tail));
        part_add(question, shared.data, shared.size);
        text_deinit(&shared);
    } else {
        part_add(question, a.start, a.size);
    }
    part_add(question, b.start, b.size);
}

static struct token between(const char *start, const char *end)
{
    return (struct token){start, start < end ? (size_t)(end - start) : 0};
}

/* Index of the first of `count` tokens from `from` that is one of `words`; `count`: none. */
static size_t token_find(const struct token *tokens, size_t count, size_t from,
                         const char *const *words, size_t word_count)
{
    while (from < count && !list_has(words, word_count, tokens[from])) {
        from++;
    }
    return from;
}

/* Rule 2. False: this compares nothing. */
static bool split_comparison(struct question *question, const char *start, size_t size)
{
    static const char *const verbs[] = {"compare", "difference", "differences", "distinguish"};
    static const char *const versus[] = {"vs", "versus"};
    static const char *const joints[] = {"and", "with", "to", "from"};
    struct token tokens[WORDS_MAX];
    const char *end = start + size;
    size_t count = tokens_read(start, size, tokens, WORDS_MAX);
    size_t verb = token_find(tokens, count, 0, verbs, 4);
    size_t at = token_find(tokens, count, 0, versus, 2);

    if (at > 0 && at + 1 < count) {
        size_t first = 0;

        while (first < at - 1 &&
               (LIST_HAS(question_words, tokens[first]) || LIST_HAS(glue_words, tokens[first]))) {
            first++;
        }
        add_sides(question,
                  between(tokens[first].start, tokens[at - 1].start + tokens[at - 1].size),
                  between(tokens[at + 1].start, end));
        return true;
    }
    if (verb + 1 < count && !token_is(tokens[verb], "compare")) {
        while (verb + 1 < count && !token_is(tokens[verb], "between")) {
            verb++;
        }
    }
    at = token_find(tokens, count, verb + 2, joints, 4);
    if (verb + 1 >= count || at + 1 >= count) {
        return false;
    }
    add_sides(question, between(tokens[verb + 1].start, tokens[at - 1].start + tokens[at - 1].size),
              between(tokens[at + 1].start, end));
    return true;
}

/* Rule 3. */
static void split_conjunctions(struct question *question, const char *start, size_t size)
{
    static const char *const joints[] = {"and", "but", "or", "also"};
    struct token tokens[WORDS_MAX];
    size_t count = tokens_read(start, size, tokens, WORDS_MAX);
    const char *from = start;
    size_t i;

    for (i = 2; i + 1 < count; i++) {
        if (LIST_HAS(joints, tokens[i]) && LIST_HAS(question_words, tokens[i + 1])) {
            part_add(question, from, (size_t)(tokens[i].start - from));
            from = tokens[i + 1].start;
        }
    }
    part_add(question, from, (size_t)(start + size - from));
}

static void split_part(struct question *question, const char *start, size_t size)
{
    if (!split_comparison(question, start, size)) {
        split_conjunctions(question, start, size);
    }
}

/* Rule 1. A `?` in the middle of a word is none. */
static void split_sentences(struct question *question, const char *text)
{
    const char *start = text;
    const char *at;

    for (at = text; *at != '\0'; at++) {
        bool ends = at[1] == '\0' || isspace((unsigned char)at[1]);

        if (*at == '?' && ends) {
            split_part(question, start, (size_t)(at + 1 - start));
            start = at + 1;
        } else if ((*at == '.' || *at == '!') && ends && strchr(at, '?') != NULL) {
            start = at + 1; /* a statement before a question is part of the whole only */
        } else if (*at == ';' && ends) {
            split_part(question, start, (size_t)(at - start));
            start = at + 1;
        }
    }
    split_part(question, start, strlen(start));
}

/* Rule 4. */
static void resolve_pronouns(struct question_part *part, const struct question_part *before)
{
    struct token tokens[WORDS_MAX];
    struct text query = {0};
    size_t count = tokens_read(part->text, strlen(part->text), tokens, WORDS_MAX);
    size_t i;

    if (token_find(tokens, count, 0, pronouns, sizeof pronouns / sizeof pronouns[0]) == count) {
        return;
    }
    text_add(&query, part->query, strlen(part->query));
    count = tokens_read(before->query, strlen(before->query), tokens, WORDS_MAX);
    for (i = 0; i < count && query.size + tokens[i].size < QUERY_BYTES_MAX; i++) {
        if (!LIST_HAS(glue_words, tokens[i]) && !LIST_HAS(question_words, tokens[i])) {
            text_addf(&query, " %.*s", (int)tokens[i].size, tokens[i].start);
        }
    }
    free(part->query);
    part->query = query.data;
}

/* The sentences of `text` that have a subject; malloc'd. */
static char *drop_idle_sentences(const char *text)
{
    struct text kept = {0};
    const char *start = text;
    const char *at;

    for (at = text; *at != '\0'; at++) {
        bool marked = strchr(".!?", *at) != NULL && isspace((unsigned char)at[1]);

        if (marked || at[1] == '\0') {
            char *sentence = text_squeeze(start, (size_t)(at + 1 - start));

            if (question_has_subject(sentence)) {
                text_addf(&kept, "%s%s", kept.size > 0 ? " " : "", sentence);
            }
            free(sentence);
            start = at + 1;
        }
    }
    text_add(&kept, "", 0);
    return kept.data;
}

void question_init(struct question *question, const char *text)
{
    char *whole = drop_idle_sentences(text);
    size_t i;

    *question = (struct question){0};
    part_add(question, whole, strlen(whole));
    if (question->count > 0) {
        split_sentences(question, whole);
    }
    for (i = 2; i < question->count; i++) {
        resolve_pronouns(&question->parts[i], &question->parts[i - 1]);
    }
    if (question->count == 2) { /* one part that is not the whole adds nothing */
        question->count = 1;
        free(question->parts[1].text);
        free(question->parts[1].query);
    }
    free(whole);
}

void question_deinit(struct question *question)
{
    size_t i;

    for (i = 0; i < question->count; i++) {
        free(question->parts[i].text);
        free(question->parts[i].query);
    }
    *question = (struct question){0};
}
