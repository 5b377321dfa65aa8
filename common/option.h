/* option: command line options as a table.
 *
 * `--name VALUE`, `--name=VALUE` and `--flag`; `--` ends them. Options and
 * arguments may come in any order. Every value is checked for type and range
 * here, so programs only ever see good ones. One thread. */
#ifndef SLUICE_COMMON_OPTION_H
#define SLUICE_COMMON_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum option_kind {
    OPTION_FLAG,
    OPTION_UINT,
    OPTION_TEXT,
    OPTION_DURATION, /* 250ms, 5s, 2m, 1h, 3d; a number alone: milliseconds */
    OPTION_TIME,     /* 2026-12-01T10:00[:SS][Z]: local time, or with Z UTC; to Unix ms */
    OPTION_WORDS,    /* one or more, up to the next option: `take` gets each */
    OPTION_GROUP,    /* no option: a headline of the help; its name is "" */
};

struct option_spec {
    const char *name;   /* without the dashes */
    enum option_kind kind;
    void *target;       /* bool *, uint64_t * or const char **; keeps its value if not given */
    /* OPTION_WORDS: false, and the problem is said, if the word is none. */
    bool (*take)(void *target, const char *word, char *problem, size_t problem_size);
    const char *value;  /* what the value is called in the help; NULL for a flag */
    const char *about;  /* one line of help */
    uint64_t min, max;  /* OPTION_UINT; max 0: no bound */
};

/* The longest duration that the protocol takes: 366 days (PROTOCOL.md, 1.2). */
#define OPTION_DURATION_MS_MAX (366ULL * 24 * 3600 * 1000)

#define OPTION_FLAG_SPEC(n, t, a)                                                                  \
    {.name = (n), .kind = OPTION_FLAG, .target = (t), .about = (a)}
#define OPTION_TEXT_SPEC(n, t, v, a)                                                               \
    {.name = (n), .kind = OPTION_TEXT, .target = (t), .value = (v), .about = (a)}
#define OPTION_UINT_SPEC(n, t, v, lo, hi, a)                                                       \
    {.name = (n), .kind = OPTION_UINT, .target = (t), .value = (v), .about = (a), .min = (lo),     \
     .max = (hi)}

#define OPTION_DURATION_SPEC(n, t, a)                                                              \
    {.name = (n), .kind = OPTION_DURATION, .target = (t), .value = "TIME", .about = (a),           \
     .max = OPTION_DURATION_MS_MAX}
#define OPTION_TIME_SPEC(n, t, a)                                                                  \
    {.name = (n), .kind = OPTION_TIME, .target = (t), .value = "WHEN", .about = (a)}
#define OPTION_WORDS_SPEC(n, t, f, v, a)                                                           \
    {.name = (n), .kind = OPTION_WORDS, .target = (t), .take = (f), .value = (v), .about = (a)}
#define OPTION_GROUP_SPEC(a)                                                                       \
    {.name = "", .kind = OPTION_GROUP, .about = (a)}

#define ARGUMENTS_MAX 8

struct arguments {
    const char *items[ARGUMENTS_MAX]; /* borrowed from argv */
    size_t count;
};

struct option_set {
    const struct option_spec *specs;
    size_t count;
};

/* Reads argv[0..argc) against up to two sets. With `first_only` it stops at the
 * first argument that is no option. Returns how many words were read; negative:
 * `problem` says what was wrong, for people. */
int options_parse(const struct option_set sets[2], int argc, char **argv, bool first_only,
                  struct arguments *arguments, char *problem, size_t problem_size);

/* Prints one line for each option. */
void options_print(const struct option_set *set, FILE *stream);

#endif
