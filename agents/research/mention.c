#include "agents/research/mention.h"

#include "agents/research/date.h"
#include "agents/research/sum.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define DATES_MAX 4

/* Dates of the question, in order. */
struct dates {
    char text[DATES_MAX][DATE_TEXT_SIZE];
    size_t start[DATES_MAX];
    size_t size[DATES_MAX];
    size_t count;
};

/* Takes `args` over; makes a copy of the text. */
static void mention_add(struct mentions *mentions, enum mention_kind kind, const char *text,
                        size_t size, json_t *args)
{
    if (mentions->count == MENTIONS_MAX || args == NULL) {
        json_decref(args);
        return;
    }
    mentions->items[mentions->count++] =
        (struct mention){.kind = kind, .text = text_copy(text, size), .args = args};
}

static bool has(const char *text, const char *words)
{
    return strcasestr(text, words) != NULL;
}

/* ---- URLs ------------------------------------------------------------------ */

static size_t url_size(const char *text)
{
    size_t size;

    if (strncmp(text, "http://", 7) != 0 && strncmp(text, "https://", 8) != 0) {
        return 0;
    }
    size = strcspn(text, " \t\r\n<>\"'`{}|\\^");
    while (size > 0 && strchr(".,;:?!)]*", text[size - 1]) != NULL &&
           !(text[size - 1] == ')' && memchr(text, '(', size) != NULL)) {
        size--;
    }
    return size > 10 && size <= MENTION_BYTES_MAX ? size : 0;
}

static void find_urls(struct mentions *mentions, char *text)
{
    char *at = text;

    while ((at = strstr(at, "http")) != NULL) {
        size_t size = url_size(at);

        if (size == 0) {
            at += 4;
            continue;
        }
        mention_add(mentions, MENTION_URL, at, size, json_pack("{s:s%}", "url", at, size));
        memset(at, '\n', size); /* neither a sum nor a date may be found in it */
        at += size;
    }
}

/* ---- dates ------------------------------------------------------------------ */

static void find_dates(struct dates *dates, char *text)
{
    char *at = text;

    while (*at != '\0' && dates->count < DATES_MAX) {
        bool starts = at == text || !isalnum((unsigned char)at[-1]);
        size_t size = starts ? date_read(at, dates->text[dates->count]) : 0;

        if (size == 0) {
            at++;
            continue;
        }
        dates->start[dates->count] = (size_t)(at - text);
        dates->size[dates->count++] = size;
        memset(at, '\n', size);
        at += size;
    }
}

/* "90 days after", "in 3 weeks": days, negative when "before" or "ago"; 0: none. */
static int find_shift(const char *text)
{
    static const struct {
        const char *unit;
        int days;
    } units[] = {{"day", 1}, {"week", 7}};
    const char *at;
    size_t i;

    for (at = text; *at != '\0'; at++) {
        const char *next;
        long number;
        char *end;

        if (!isdigit((unsigned char)*at) || (at > text && isalnum((unsigned char)at[-1]))) {
            continue;
        }
        number = strtol(at, &end, 10);
        next = end + strspn(end, " ");
        for (i = 0; i < sizeof units / sizeof units[0]; i++) {
            size_t size = strlen(units[i].unit);

            if (strncasecmp(next, units[i].unit, size) == 0 && number > 0 && number < 100000) {
                int days = (int)number * units[i].days;

                return has(next, "before") || has(next, "ago") ? -days : days;
            }
        }
    }
    return 0;
}

/* "in Europe/Berlin", "in UTC": malloc'd; NULL: none. */
static char *find_zone(char *text)
{
    char *at;

    for (at = text; (at = strcasestr(at, "in ")) != NULL; at += 3) {
        size_t size = strspn(at + 3, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_/+-"
                                     "0123456789");

        if (size > 0 && size < 64 &&
            (memchr(at + 3, '/', size) != NULL || (size == 3 && strncmp(at + 3, "UTC", 3) == 0))) {
            char *zone = text_copy(at + 3, size);

            memset(at + 3, '\n', size);
            return zone;
        }
    }
    return NULL;
}

static bool asks_for_now(const char *text)
{
    return has(text, "what time is it") || has(text, "current time") || has(text, "time is it") ||
           has(text, "time now") || has(text, "today's date") || has(text, "what date is") ||
           has(text, "what day is it") || has(text, "what day is today") ||
           has(text, "which day is today") || has(text, "current date");
}

static bool asks_for_distance(const char *text)
{
    return has(text, "how many days") || has(text, "days between") || has(text, "how long") ||
           has(text, "how many weeks") || has(text, "days from") || has(text, "days until") ||
           has(text, "days since") || has(text, "days are there");
}

static bool asks_for_day(const char *text)
{
    return has(text, "what day") || has(text, "which day") || has(text, "weekday") ||
           has(text, "day of the week") || has(text, "what date") || has(text, "which date");
}

/* The one call of tool.time that the question asks for; NULL: none. */
static json_t *time_args(const char *text, const struct dates *dates)
{
    int shift = find_shift(text);

    if (dates->count >= 2 && (asks_for_distance(text) || has(text, "between"))) {
        return json_pack("{s:s, s:s}", "from", dates->text[0], "to", dates->text[1]);
    }
    if (dates->count == 1 && asks_for_distance(text) && shift == 0) {
        return json_pack("{s:s}", has(text, "since") ? "from" : "to", dates->text[0]);
    }
    if (dates->count >= 1 && shift != 0) {
        return json_pack("{s:s, s:i}", "date", dates->text[0], "add_days", shift);
    }
    if (dates->count >= 1 && asks_for_day(text)) {
        return json_pack("{s:s}", "date", dates->text[0]);
    }
    if (shift != 0 && asks_for_day(text)) {
        return json_pack("{s:i}", "add_days", shift);
    }
    if (asks_for_day(text) && (has(text, "tomorrow") || has(text, "yesterday"))) {
        return json_pack("{s:i}", "add_days", has(text, "tomorrow") ? 1 : -1);
    }
    return asks_for_now(text) ? json_object() : NULL;
}

/* False: nobody asks for a date; those in the question belong to its subject. */
static bool find_time(struct mentions *mentions, char *text, const struct dates *dates)
{
    bool found;
    json_t *args = time_args(text, dates);
    char *zone = args != NULL ? find_zone(text) : NULL;
    struct text shown = {0};
    size_t i;

    if (zone != NULL) {
        json_object_set_new(args, "zone", json_string(zone));
    }
    for (i = 0; i < dates->count; i++) {
        text_addf(&shown, "%s%s", i > 0 ? ", " : "", dates->text[i]);
    }
    if (shown.size == 0) {
        text_addf(&shown, "now");
    }
    found = args != NULL;
    mention_add(mentions, MENTION_DATE, shown.data, shown.size, args);
    text_deinit(&shown);
    free(zone);
    return found;
}

/* ---- sums ------------------------------------------------------------------- */

static bool asks_for_value(const char *text)
{
    return has(text, "what is") || has(text, "what's") || has(text, "calculate") ||
           has(text, "compute") || has(text, "how much is") || has(text, "evaluate") ||
           has(text, "result of");
}

static void find_sums(struct mentions *mentions, char *text)
{
    bool asked = asks_for_value(text);
    size_t size = strlen(text);
    size_t at = 0;

    while (at < size) {
        bool starts = at == 0 || strchr(" (\n:=", text[at - 1]) != NULL;
        struct text expression = {0};
        size_t read = starts ? sum_read(text + at, size - at, asked, &expression) : 0;

        if (read > 0 && expression.size <= MENTION_SUM_BYTES_MAX) {
            mention_add(mentions, MENTION_SUM, expression.data, expression.size,
                        json_pack("{s:s}", "expression", expression.data));
        }
        memset(text + at, '\n', read);
        at += read > 0 ? read : 1;
        text_deinit(&expression);
    }
}

void mentions_init(struct mentions *mentions, const char *question)
{
    char *text = text_copy(question, strlen(question));
    struct dates dates = {.count = 0};
    bool timed;
    size_t i;

    *mentions = (struct mentions){.count = 0};
    find_urls(mentions, text);
    find_dates(&dates, text);
    timed = find_time(mentions, text, &dates);
    find_sums(mentions, text);
    for (i = 0; i < dates.count && !timed; i++) {
        memcpy(text + dates.start[i], question + dates.start[i], dates.size[i]);
    }
    mentions->rest = text;
}

void mentions_deinit(struct mentions *mentions)
{
    size_t i;

    for (i = 0; i < mentions->count; i++) {
        free(mentions->items[i].text);
        json_decref(mentions->items[i].args);
    }
    free(mentions->rest);
    *mentions = (struct mentions){.count = 0};
}
