#include "agents/analysis/kind.h"

static bool char_is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool char_is_lower(uint8_t c)
{
    return c >= 'a' && c <= 'z';
}

static bool char_is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool text_starts(struct span text, const char *with)
{
    return text.size >= strlen(with) && memcmp(text.data, with, strlen(with)) == 0;
}

/* "rc = f (x); assert (rc == 0);": examples that lost their lines on the way here. */
static bool text_is_code(struct span text)
{
    size_t ends = 0, signs = 0, options = 0;
    size_t i;

    if (text_starts(text, "//") || text_starts(text, "/*") || text_starts(text, "#include")) {
        return true;
    }
    for (i = 0; i < text.size; i++) {
        ends += text.data[i] == ';' && (i + 1 == text.size || char_is_space(text.data[i + 1]));
        options += i > 0 && i + 2 < text.size &&
                   (text.data[i - 1] == ' ' || text.data[i - 1] == '[') && text.data[i] == '-' &&
                   text.data[i + 1] == '-' && char_is_lower(text.data[i + 2]);
        signs += text.data[i] != '\0' && strchr("=(){}[]&*", text.data[i]) != NULL;
    }
    return (ends > 0 && signs >= 2 * ends + 1) ||
           (options >= 2 && strchr(".!?", text.data[text.size - 1]) == NULL);
}

/* At least two words, and every one is a page of a manual: "name(3)", with or without comma. */
static bool text_is_names(struct span text)
{
    size_t words = 0;
    size_t at = 0;

    while (at < text.size) {
        size_t end = at;

        while (end < text.size && !char_is_space(text.data[end])) {
            end++;
        }
        at = end;
        end -= end > 0 && strchr(",.;", text.data[end - 1]) != NULL;
        if (end < 4 || text.data[end - 1] != ')' || !char_is_digit(text.data[end - 2]) ||
            text.data[end - 3] != '(') {
            return false;
        }
        words++;
        while (at < text.size && char_is_space(text.data[at])) {
            at++;
        }
    }
    return words >= 2;
}

enum sentence_kind kind_of_text(struct span text)
{
    return text_is_code(text)    ? SENTENCE_CODE
           : text_is_names(text) ? SENTENCE_NAMES
                                 : SENTENCE_PROSE;
}
