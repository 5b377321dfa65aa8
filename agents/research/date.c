#include "agents/research/date.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static size_t number_read(const char *text, size_t digits_max, int *number)
{
    size_t size = 0;

    *number = 0;
    while (size < digits_max && isdigit((unsigned char)text[size])) {
        *number = *number * 10 + (text[size] - '0');
        size++;
    }
    return isdigit((unsigned char)text[size]) ? 0 : size;
}

static size_t month_read(const char *text, int *month)
{
    static const char *const names[] = {"january",   "february", "march",    "april",
                                        "may",       "june",     "july",     "august",
                                        "september", "october",  "november", "december"};
    size_t size = 0;
    int i;

    while (isalpha((unsigned char)text[size])) {
        size++;
    }
    for (i = 0; i < 12; i++) {
        size_t whole = strlen(names[i]);

        if ((size == whole || size == 3 || (i == 8 && size == 4)) &&
            strncasecmp(text, names[i], size) == 0) {
            *month = i + 1;
            return size + (text[size] == '.');
        }
    }
    return 0;
}

static bool date_valid(int year, int month, int day)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return year >= 1 && year <= 9999 && month >= 1 && month <= 12 && day >= 1 &&
           day <= days[month - 1] + (leap && month == 2);
}

static size_t blanks(const char *text)
{
    return strspn(text, " ,");
}

static size_t ordinal(const char *text)
{
    return strncasecmp(text, "st", 2) == 0 || strncasecmp(text, "nd", 2) == 0 ||
                   strncasecmp(text, "rd", 2) == 0 || strncasecmp(text, "th", 2) == 0
               ? 2
               : 0;
}

/* YYYY-MM-DD */
static size_t iso_read(const char *text, int *year, int *month, int *day)
{
    if (number_read(text, 4, year) != 4 || text[4] != '-' || number_read(text + 5, 2, month) != 2 ||
        text[7] != '-' || number_read(text + 8, 2, day) != 2) {
        return 0;
    }
    return 10;
}

/* 20 November 2026 */
static size_t day_first_read(const char *text, int *year, int *month, int *day)
{
    size_t at = number_read(text, 2, day);
    size_t part;

    if (at == 0) {
        return 0;
    }
    at += ordinal(text + at);
    at += blanks(text + at);
    if (strncasecmp(text + at, "of ", 3) == 0) {
        at += 3;
    }
    part = month_read(text + at, month);
    at += part + (part > 0 ? blanks(text + at + part) : 0);
    return part > 0 && number_read(text + at, 4, year) == 4 ? at + 4 : 0;
}

/* November 20, 2026 */
static size_t month_first_read(const char *text, int *year, int *month, int *day)
{
    size_t at = month_read(text, month);
    size_t part;

    if (at == 0) {
        return 0;
    }
    at += blanks(text + at);
    part = number_read(text + at, 2, day);
    if (part == 0) {
        return 0;
    }
    at += part + ordinal(text + at + part);
    at += blanks(text + at);
    return number_read(text + at, 4, year) == 4 ? at + 4 : 0;
}

size_t date_read(const char *text, char date[DATE_TEXT_SIZE])
{
    int year = 0, month = 0, day = 0;
    size_t size = iso_read(text, &year, &month, &day);

    if (size == 0) {
        size = day_first_read(text, &year, &month, &day);
    }
    if (size == 0) {
        size = month_first_read(text, &year, &month, &day);
    }
    if (size == 0 || !date_valid(year, month, day)) {
        return 0;
    }
    snprintf(date, DATE_TEXT_SIZE, "%04u-%02u-%02u", (unsigned)year % 10000, (unsigned)month % 100,
             (unsigned)day % 100);
    return size;
}
