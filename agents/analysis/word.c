#include "agents/analysis/word.h"

#include "agents/analysis/stem.h"

#include <stdlib.h>

/* Words that carry no subject: function words of English, and the verbs with
 * which people wrap a question. Sorted: found by bsearch. */
static const char *const stop_words[] = {
    "a",       "able",     "about",  "actually",   "after",       "again",    "all",     "also",
    "am",      "an",       "and",    "any",        "are",         "as",       "ask",     "at",
    "be",      "because",  "been",   "before",     "being",       "best",     "between", "both",
    "but",     "by",       "call",   "called",     "can",         "cannot",   "compare", "compared",
    "could",   "describe", "did",    "difference", "differences", "do",       "does",    "doing",
    "done",    "during",   "each",   "either",     "ever",        "exactly",  "explain", "find",
    "for",     "from",     "get",    "gets",       "give",        "given",    "gives",   "go",
    "goes",    "had",      "happen", "happens",    "has",         "have",     "having",  "he",
    "her",     "here",     "him",    "his",        "how",         "i",        "if",      "in",
    "instead", "into",     "is",     "it",         "its",         "itself",   "just",    "know",
    "let",     "like",     "long",   "look",       "looks",       "made",     "make",    "makes",
    "making",  "many",     "may",    "me",         "mean",        "means",    "meant",   "might",
    "more",    "most",     "much",   "must",       "my",          "need",     "needs",   "no",
    "not",     "of",       "on",     "one",        "ones",        "only",     "or",      "other",
    "our",     "out",      "over",   "own",        "please",      "possible", "really",  "same",
    "say",     "says",     "shall",  "she",        "should",      "so",       "some",    "such",
    "tell",    "tells",    "than",   "that",       "the",         "their",    "them",    "then",
    "there",   "these",    "they",   "this",       "those",       "to",       "too",     "under",
    "until",   "up",       "us",     "use",        "used",        "uses",     "using",   "very",
    "want",    "wants",    "was",    "way",        "we",          "were",     "what",    "when",
    "where",   "whether",  "which",  "while",      "who",         "whom",     "whose",   "why",
    "will",    "with",     "within", "without",    "would",       "written",  "you",     "your",
};

static int stop_compare(const void *key, const void *item)
{
    return strcmp(key, *(const char *const *)item);
}

static bool word_is_stop(const char *lower, size_t size)
{
    char text[WORD_BYTES_MAX + 1];

    memcpy(text, lower, size);
    text[size] = '\0';
    return size == 1 ? text[0] >= 'a' && text[0] <= 'z'
                     : bsearch(text, stop_words, sizeof stop_words / sizeof stop_words[0],
                               sizeof stop_words[0], stop_compare) != NULL;
}

/* Length of the word character at `at`; 0: it is none. UTF-8 punctuation
 * (U+0080-U+00BF, U+2000-U+206F, U+3000-U+303F) separates words. */
static size_t letter_size(struct span text, size_t at)
{
    uint8_t c = text.data[at];
    size_t left = text.size - at;

    if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_') {
        return 1;
    }
    if (c < 0x80) {
        return 0;
    }
    if (c == 0xE2 && left >= 2) {
        return text.data[at + 1] != 0x80 && text.data[at + 1] != 0x81;
    }
    if (c == 0xE3 && left >= 2) {
        return text.data[at + 1] != 0x80;
    }
    return c != 0xC2;
}

static void word_fill(struct word *word, struct span raw)
{
    size_t i;

    *word = (struct word){.raw = raw};
    word->size = raw.size < WORD_BYTES_MAX ? raw.size : WORD_BYTES_MAX;
    for (i = 0; i < word->size; i++) {
        uint8_t c = raw.data[i];

        word->term[i] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    }
    word->stop = word_is_stop(word->term, word->size);
    word->size = stem_word(word->term, word->size);
}

void word_reader_init(struct word_reader *reader, struct span text)
{
    *reader = (struct word_reader){.text = text};
}

/* The next piece between underscores of the identifier just returned. */
static bool word_next_part(struct word_reader *reader, struct word *word)
{
    const uint8_t *data = reader->text.data;
    size_t start;

    while (reader->part_at < reader->part_end && data[reader->part_at] == '_') {
        reader->part_at++;
    }
    start = reader->part_at;
    while (reader->part_at < reader->part_end && data[reader->part_at] != '_') {
        reader->part_at++;
    }
    if (start == reader->part_at) {
        return false;
    }
    word_fill(word, span_of(data + start, reader->part_at - start));
    word->part = true;
    return true;
}

bool word_next(struct word_reader *reader, struct word *word)
{
    struct span text = reader->text;
    size_t start, end;

    if (word_next_part(reader, word)) {
        return true;
    }
    while (reader->at < text.size &&
           (letter_size(text, reader->at) == 0 || text.data[reader->at] == '_')) {
        reader->at++;
    }
    start = reader->at;
    while (reader->at < text.size && letter_size(text, reader->at) > 0) {
        reader->at++;
    }
    end = reader->at;
    if (start == end) {
        return false;
    }
    while (text.data[end - 1] == '_') {
        end--;
    }
    /* "socket's" is "socket"; "don't" is "don", which no question hangs on. */
    if (reader->at + 1 < text.size && text.data[reader->at] == '\'' &&
        (text.data[reader->at + 1] == 's' || text.data[reader->at + 1] == 't')) {
        reader->at += 2;
    }
    word_fill(word, span_of(text.data + start, end - start));
    if (memchr(text.data + start, '_', end - start) != NULL) {
        reader->part_at = start;
        reader->part_end = end;
    }
    return true;
}
