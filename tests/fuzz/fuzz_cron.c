/* links: cron */
/* expression_parse and next_time: eight bytes of a time, one of a zone, and an expression.
 *
 * Refusals say why in printable ASCII. What is accepted has a next time, unless the calendar
 * ends; it is after the time it was asked for, and nothing lies between: asked from one second
 * before it, the answer is the same. */
#include "tests/fuzz/input.h"

#include "agents/cron/next.h"
#include "common/check.h"

#include <stdlib.h>

#define TIME_MAX_S INT64_C(4102444800) /* 2100: the years of a file's rule are all alike */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_error(const char *error, size_t size)
{
    CHECK(memchr(error, '\0', size) != NULL);
    CHECK(error[0] != '\0');
    for (; *error != '\0'; error++) {
        CHECK(*error >= ' ' && *error <= '~');
    }
}

static void check_times(const struct expression *expression, const char *zone_name, int64_t after_s)
{
    struct zone zone;
    int64_t next_s, again_s;

    CHECK(zone_load(ZONE_DIRECTORY, zone_name, &zone) == ZONE_OK);
    for (int i = 0; i < 3; i++) {
        CHECK(next_time(expression, &zone, after_s, &next_s));
        CHECK(next_s > after_s);
        CHECK(next_time(expression, &zone, next_s - 1, &again_s));
        CHECK(again_s == next_s);
        after_s = next_s;
    }
    zone_unload(&zone);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const zones[] = {"UTC", "Europe/Berlin", "Australia/Lord_Howe",
                                        "America/St_Johns"};
    struct expression expression;
    char error[EXPRESSION_ERROR_SIZE], brief[9], *text;
    uint64_t after_s = 0;

    if (size < 9) {
        return 0;
    }
    memcpy(&after_s, data, 8);
    text = malloc(size - 9 + 1);
    CHECK(text != NULL);
    memcpy(text, data + 9, size - 9);
    text[size - 9] = '\0';
    if (expression_parse(text, &expression, error, sizeof error)) {
        check_times(&expression, zones[data[8] % 4], (int64_t)(after_s % TIME_MAX_S));
    } else {
        check_error(error, sizeof error);
        CHECK(!expression_parse(text, &expression, brief, sizeof brief));
        check_error(brief, sizeof brief);
    }
    free(text);
    return 0;
}
