/* pattern: a bounded subset of ECMA-262 regular expressions, in linear time.
 *
 * Supports literals, `.`, classes `[a-z]` and `[^...]`, \d \D \w \W \s \S,
 * escapes of punctuation and \t \n \r \f \v, groups `(...)` and `(?:...)`, `|`,
 * `^`, `$`, and `* + ? {m} {m,} {m,n}`. Back-references, look-around, lazy
 * quantifiers and \b, \p, \u do not compile. Works on code points.
 *
 * Matching simulates all alternatives at once (Thompson, "Regular expression
 * search algorithm", CACM 1968): its time is text times program, whatever the
 * pattern. A compiled pattern never changes; any thread. */
#ifndef SLUICE_RUNTIME_PATTERN_H
#define SLUICE_RUNTIME_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

#define PATTERN_BYTES_MAX 1024
#define PATTERN_CODES_MAX 2048 /* instructions, after {m,n} is written out */
#define PATTERN_REPEAT_MAX 1000
#define PATTERN_DEPTH_MAX 32

struct pattern;

/* NULL: `error` says why, with the offset in bytes. */
struct pattern *pattern_compile(const char *text, char *error, size_t error_size);

enum pattern_result {
    PATTERN_MATCH, /* somewhere in the text, as JSON Schema has it */
    PATTERN_NO_MATCH,
    PATTERN_TOO_COMPLEX, /* `steps` would have been exceeded, or no memory */
};

/* Looks for `pattern` in valid UTF-8; takes what it uses off *steps. */
enum pattern_result pattern_find(const struct pattern *pattern, const char *text, size_t size,
                                 size_t *steps);

void pattern_free(struct pattern *pattern); /* accepts NULL */

#endif
