#include "agents/analysis/stem.h"

#include <stdbool.h>
#include <string.h>

/* The paper writes a word as [C](VC){m}[V]: C a run of consonants, V of vowels.
 * A rule "(condition) S1 -> S2" looks at the stem, what is left before S1. */

struct rule {
    const char *suffix;
    const char *replacement;
};

static bool letter_is_vowel(const char *word, size_t at)
{
    switch (word[at]) {
    case 'a':
    case 'e':
    case 'i':
    case 'o':
    case 'u':
        return true;
    case 'y': /* a vowel after a consonant: "syzygy" */
        return at > 0 && !letter_is_vowel(word, at - 1);
    default:
        return false;
    }
}

/* m: how often a vowel run is followed by a consonant run. */
static unsigned stem_measure(const char *word, size_t size)
{
    unsigned measure = 0;
    size_t i;

    for (i = 1; i < size; i++) {
        measure += letter_is_vowel(word, i - 1) && !letter_is_vowel(word, i);
    }
    return measure;
}

static bool stem_has_vowel(const char *word, size_t size)
{
    size_t i;

    for (i = 0; i < size; i++) {
        if (letter_is_vowel(word, i)) {
            return true;
        }
    }
    return false;
}

/* *d: ends with a double consonant. */
static bool stem_ends_double(const char *word, size_t size)
{
    return size >= 2 && word[size - 1] == word[size - 2] && !letter_is_vowel(word, size - 1);
}

/* *o: ends consonant, vowel, consonant, the last not w, x or y. */
static bool stem_ends_short(const char *word, size_t size)
{
    return size >= 3 && !letter_is_vowel(word, size - 3) && letter_is_vowel(word, size - 2) &&
           !letter_is_vowel(word, size - 1) && strchr("wxy", word[size - 1]) == NULL;
}

static bool word_ends(const char *word, size_t size, const char *suffix)
{
    size_t length = strlen(suffix);

    return size >= length && memcmp(word + size - length, suffix, length) == 0;
}

/* Puts `rule` into effect; its suffix is there. */
static size_t word_replace(char *word, size_t size, const struct rule *rule)
{
    size_t stem = size - strlen(rule->suffix);
    size_t length = strlen(rule->replacement);

    memcpy(word + stem, rule->replacement, length);
    return stem + length;
}

/* Of the rules whose suffix matches only the longest is looked at; the tables
 * are in such an order that this is the first. It takes effect when m of the
 * stem is more than `measure`. */
static size_t step_table(char *word, size_t size, const struct rule *rules, size_t count,
                         unsigned measure)
{
    size_t i;

    for (i = 0; i < count; i++) {
        if (word_ends(word, size, rules[i].suffix)) {
            if (stem_measure(word, size - strlen(rules[i].suffix)) > measure) {
                return word_replace(word, size, &rules[i]);
            }
            return size;
        }
    }
    return size;
}

static size_t step_1a(const char *word, size_t size)
{
    if (word_ends(word, size, "sses") || word_ends(word, size, "ies")) {
        return size - 2;
    }
    if (word_ends(word, size, "ss") || !word_ends(word, size, "s")) {
        return size;
    }
    return size - 1;
}

/* After "ed" or "ing" went: repairs what is left. */
static size_t step_1b_repair(char *word, size_t size)
{
    if (word_ends(word, size, "at") || word_ends(word, size, "bl") || word_ends(word, size, "iz")) {
        word[size] = 'e';
        return size + 1;
    }
    if (stem_ends_double(word, size) && strchr("lsz", word[size - 1]) == NULL) {
        return size - 1;
    }
    if (stem_measure(word, size) == 1 && stem_ends_short(word, size)) {
        word[size] = 'e';
        return size + 1;
    }
    return size;
}

static size_t step_1b(char *word, size_t size)
{
    if (word_ends(word, size, "eed")) {
        return stem_measure(word, size - 3) > 0 ? size - 1 : size;
    }
    if (word_ends(word, size, "ed") && stem_has_vowel(word, size - 2)) {
        return step_1b_repair(word, size - 2);
    }
    if (word_ends(word, size, "ing") && stem_has_vowel(word, size - 3)) {
        return step_1b_repair(word, size - 3);
    }
    return size;
}

static size_t step_2(char *word, size_t size)
{
    static const struct rule rules[] = {
        {"ational", "ate"}, {"tional", "tion"}, {"enci", "ence"},   {"anci", "ance"},
        {"izer", "ize"},    {"abli", "able"},   {"alli", "al"},     {"entli", "ent"},
        {"eli", "e"},       {"ousli", "ous"},   {"ization", "ize"}, {"ation", "ate"},
        {"ator", "ate"},    {"alism", "al"},    {"iveness", "ive"}, {"fulness", "ful"},
        {"ousness", "ous"}, {"aliti", "al"},    {"iviti", "ive"},   {"biliti", "ble"},
    };

    return step_table(word, size, rules, sizeof rules / sizeof rules[0], 0);
}

static size_t step_3(char *word, size_t size)
{
    static const struct rule rules[] = {
        {"icate", "ic"}, {"ative", ""}, {"alize", "al"}, {"iciti", "ic"},
        {"ical", "ic"},  {"ful", ""},   {"ness", ""},
    };

    return step_table(word, size, rules, sizeof rules / sizeof rules[0], 0);
}

static size_t step_4(char *word, size_t size)
{
    static const struct rule rules[] = {
        {"al", ""},   {"ance", ""}, {"ence", ""},  {"er", ""},   {"ic", ""},  {"able", ""},
        {"ible", ""}, {"ant", ""},  {"ement", ""}, {"ment", ""}, {"ent", ""}, {"ou", ""},
        {"ism", ""},  {"ate", ""},  {"iti", ""},   {"ous", ""},  {"ive", ""}, {"ize", ""},
    };

    /* (*S or *T) ION: the condition reads the stem with its s or t. */
    if (word_ends(word, size, "sion") || word_ends(word, size, "tion")) {
        return stem_measure(word, size - 3) > 1 ? size - 3 : size;
    }
    return step_table(word, size, rules, sizeof rules / sizeof rules[0], 1);
}

static size_t step_5(const char *word, size_t size)
{
    if (word[size - 1] == 'e') {
        unsigned measure = stem_measure(word, size - 1);

        if (measure > 1 || (measure == 1 && !stem_ends_short(word, size - 1))) {
            size--;
        }
    }
    if (word_ends(word, size, "ll") && stem_measure(word, size - 1) > 1) {
        size--;
    }
    return size;
}

size_t stem_word(char *word, size_t size)
{
    size_t i;

    for (i = 0; i < size; i++) {
        if (word[i] < 'a' || word[i] > 'z') {
            return size;
        }
    }
    if (size <= 2) {
        return size;
    }
    size = step_1a(word, size);
    size = step_1b(word, size);
    if (word[size - 1] == 'y' && stem_has_vowel(word, size - 1)) { /* step 1c */
        word[size - 1] = 'i';
    }
    size = step_2(word, size);
    size = step_3(word, size);
    size = step_4(word, size);
    return step_5(word, size);
}
