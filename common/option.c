#include "common/option.h"

#include "common/duration.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct option_spec *option_find(const struct option_set sets[2], const char *name,
                                             size_t size)
{
    for (size_t i = 0; i < 2; i++) {
        for (size_t j = 0; j < sets[i].count; j++) {
            const struct option_spec *spec = &sets[i].specs[j];

            if (spec->kind != OPTION_GROUP && strlen(spec->name) == size &&
                memcmp(spec->name, name, size) == 0) {
                return spec;
            }
        }
    }
    return NULL;
}

static bool uint_parse(const struct option_spec *spec, const char *text, char *problem,
                       size_t problem_size)
{
    uint64_t max = spec->max == 0 ? INT64_MAX : spec->max;
    unsigned long long value;
    char *end;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || value < spec->min ||
        value > max) {
        snprintf(problem, problem_size, "--%s needs a whole number from %llu to %llu, not '%.40s'",
                 spec->name, (unsigned long long)spec->min, (unsigned long long)max, text);
        return false;
    }
    *(uint64_t *)spec->target = value;
    return true;
}

static bool read_duration(const struct option_spec *spec, const char *text, char *problem,
                          size_t problem_size)
{
    if (!duration_parse(text, spec->max, spec->target)) {
        snprintf(problem, problem_size,
                 "--%s needs a time like 250ms, 5s, 2m, 1h or 3d, 366 days at most, not '%.40s'",
                 spec->name, text);
        return false;
    }
    return true;
}

/* True: all of `text` is a time of the day it names. */
static bool time_read(const char *text, time_t *seconds)
{
    static const char *const formats[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"};

    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        struct tm tm = {.tm_isdst = -1};
        const char *end = strptime(text, formats[i], &tm);

        if (end != NULL && (*end == '\0' || strcmp(end, "Z") == 0)) {
            int day = tm.tm_mday;

            *seconds = *end == 'Z' ? timegm(&tm) : mktime(&tm);
            return *seconds > 0 && tm.tm_mday == day; /* there is no 30th of February */
        }
    }
    return false;
}

static bool time_parse(const struct option_spec *spec, const char *text, char *problem,
                       size_t problem_size)
{
    time_t seconds;

    if (!time_read(text, &seconds)) {
        snprintf(problem, problem_size,
                 "--%s needs a time like 2026-12-01T10:00 (or, in UTC, 2026-12-01T10:00Z), "
                 "not '%.40s'",
                 spec->name, text);
        return false;
    }
    *(uint64_t *)spec->target = (uint64_t)seconds * 1000;
    return true;
}

static bool value_set(const struct option_spec *spec, const char *text, char *problem,
                      size_t problem_size)
{
    switch (spec->kind) {
    case OPTION_UINT:
        return uint_parse(spec, text, problem, problem_size);
    case OPTION_DURATION:
        return read_duration(spec, text, problem, problem_size);
    case OPTION_TIME:
        return time_parse(spec, text, problem, problem_size);
    case OPTION_TEXT:
        if (text[0] == '\0') { /* as of a shell's variable that is not set */
            snprintf(problem, problem_size, "--%s is empty: leave it out, or say what it is",
                     spec->name);
            return false;
        }
        *(const char **)spec->target = text;
        return true;
    case OPTION_WORDS:
        return spec->take(spec->target, text, problem, problem_size);
    case OPTION_FLAG:
    case OPTION_GROUP:
        break;
    }
    return false;
}

static bool is_option(const char *word)
{
    return strncmp(word, "--", 2) == 0 || strcmp(word, "-h") == 0;
}

/* Reads the words of `spec`, from argv[0] on. Returns how many; 0: a problem. */
static int values_read(const struct option_spec *spec, int argc, char **argv, char *problem,
                       size_t problem_size)
{
    int words = 0;

    do {
        if (!value_set(spec, argv[words], problem, problem_size)) {
            return 0;
        }
        words++;
    } while (spec->kind == OPTION_WORDS && words < argc && !is_option(argv[words]));
    return words;
}

/* Reads the option at argv[0]. Returns how many words it took; 0: a problem. */
static int option_read(const struct option_set sets[2], int argc, char **argv, char *problem,
                       size_t problem_size)
{
    const char *name = strcmp(argv[0], "-h") == 0 ? "help" : argv[0] + 2;
    const char *equals = strchr(name, '=');
    size_t size = equals != NULL ? (size_t)(equals - name) : strlen(name);
    const struct option_spec *spec = option_find(sets, name, size);
    int words;

    if (spec == NULL) {
        snprintf(problem, problem_size, "unknown option '%.60s'", argv[0]);
        return 0;
    }
    if (spec->kind == OPTION_FLAG) {
        if (equals != NULL) {
            snprintf(problem, problem_size, "--%s takes no value", spec->name);
            return 0;
        }
        *(bool *)spec->target = true;
        return 1;
    }
    if (equals != NULL) {
        return value_set(spec, equals + 1, problem, problem_size) ? 1 : 0;
    }
    if (argc < 2 || (spec->kind == OPTION_WORDS && is_option(argv[1]))) {
        snprintf(problem, problem_size, "--%s needs a value: %s", spec->name, spec->value);
        return 0;
    }
    words = values_read(spec, argc - 1, argv + 1, problem, problem_size);
    return words > 0 ? 1 + words : 0;
}

int options_parse(const struct option_set sets[2], int argc, char **argv, bool first_only,
                  struct arguments *arguments, char *problem, size_t problem_size)
{
    bool options_over = false;
    int at = 0;

    arguments->count = 0;
    while (at < argc) {
        if (!options_over && strcmp(argv[at], "--") == 0) {
            options_over = true;
            at++;
        } else if (!options_over && is_option(argv[at])) {
            int words = option_read(sets, argc - at, argv + at, problem, problem_size);

            if (words == 0) {
                return -1;
            }
            at += words;
        } else if (first_only) {
            return at;
        } else if (arguments->count == ARGUMENTS_MAX) {
            snprintf(problem, problem_size, "too many arguments at '%.40s'", argv[at]);
            return -1;
        } else {
            arguments->items[arguments->count++] = argv[at++];
        }
    }
    return at;
}

void options_print(const struct option_set *set, FILE *stream)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct option_spec *spec = &set->specs[i];
        char left[64];

        if (spec->kind == OPTION_GROUP) {
            fprintf(stream, "\n%s\n", spec->about);
            continue;
        }
        snprintf(left, sizeof(left), "--%s%s%s", spec->name, spec->value != NULL ? " " : "",
                 spec->value != NULL ? spec->value : "");
        fprintf(stream, "  %-24s %s\n", left, spec->about);
    }
}
