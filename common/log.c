#include "common/log.h"

#include "common/check.h"

#include <inttypes.h>
#include <time.h>
#include <unistd.h>

#define LOG_LINE_MAX 2048

static const char *const level_names[] = {
    [LOG_ERROR] = "error", [LOG_WARN] = "warn", [LOG_INFO] = "info", [LOG_DEBUG] = "debug"};

const char *log_level_name(enum log_level level)
{
    CHECK(level <= LOG_DEBUG);
    return level_names[level];
}

bool log_level_parse(const char *name, enum log_level *level)
{
    for (unsigned i = 0; i <= LOG_DEBUG; i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

void id_format(const struct id *id, char text[ID_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    char *to = text;

    for (size_t i = 0; i < sizeof id->bytes; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *to++ = '-';
        }
        *to++ = digits[id->bytes[i] >> 4];
        *to++ = digits[id->bytes[i] & 15];
    }
    *to = '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

bool id_parse(const char *text, struct id *id)
{
    size_t length = strlen(text);
    size_t digits = 0;

    if (length != 36 && length != 32) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        int digit = hex_digit(text[i]);

        if (length == 36 && (i == 8 || i == 13 || i == 18 || i == 23)) {
            if (text[i] != '-') {
                return false;
            }
            continue;
        }
        if (digit < 0) {
            return false;
        }
        if (digits % 2 == 0) {
            id->bytes[digits / 2] = (uint8_t)(digit << 4);
        } else {
            id->bytes[digits / 2] |= (uint8_t)digit;
        }
        digits++;
    }
    return true;
}

/* A bounded text under construction; `used` never exceeds size - 1. */
struct text {
    char *buffer;
    size_t size;
    size_t used;
};

static void text_char(struct text *text, char c)
{
    if (text->used + 1 < text->size) {
        text->buffer[text->used++] = c;
    }
}

static void text_word(struct text *text, const char *word)
{
    while (*word != '\0') {
        text_char(text, *word++);
    }
}

static bool plain(struct span value)
{
    if (value.size == 0) {
        return false;
    }
    for (size_t i = 0; i < value.size; i++) {
        uint8_t c = value.data[i];

        if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f) {
            return false;
        }
    }
    return true;
}

static void text_value(struct text *text, struct span value)
{
    static const char digits[] = "0123456789abcdef";
    bool quote = !plain(value);

    if (quote) {
        text_char(text, '"');
    }
    for (size_t i = 0; i < value.size; i++) {
        uint8_t c = value.data[i];

        if (c == '"' || c == '\\') {
            text_char(text, '\\');
            text_char(text, (char)c);
        } else if (c < ' ' || c == 0x7f) {
            text_word(text, "\\x");
            text_char(text, digits[c >> 4]);
            text_char(text, digits[c & 15]);
        } else {
            text_char(text, (char)c);
        }
    }
    if (quote) {
        text_char(text, '"');
    }
}

size_t log_format(const struct log_record *record, char *buffer, size_t size)
{
    struct text text = {buffer, size, 0};
    char word[ID_TEXT_SIZE];

    CHECK(size > 0);
    text_word(&text, record->event);
    for (size_t i = 0; i < record->field_count; i++) {
        const struct log_field *field = &record->fields[i];

        text_char(&text, ' ');
        text_word(&text, field->key);
        text_char(&text, '=');
        switch (field->kind) {
        case LOG_KIND_TEXT:
            text_value(&text, field->text);
            break;
        case LOG_KIND_UINT:
            snprintf(word, sizeof word, "%" PRIu64, field->number);
            text_word(&text, word);
            break;
        case LOG_KIND_ID:
            id_format(field->id, word);
            text_word(&text, word);
            break;
        }
    }
    buffer[text.used] = '\0';
    return text.used;
}

void log_print(FILE *stream, const struct log_record *record)
{
    char line[LOG_LINE_MAX];
    struct timespec now;
    struct tm tm;
    size_t used;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    used = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &tm);
    used += (size_t)snprintf(line + used, sizeof line - used, ".%03ldZ %-5s ",
                             now.tv_nsec / 1000000, log_level_name(record->level));
    used += log_format(record, line + used, sizeof line - used - 1);
    line[used++] = '\n';
    /* One write, so that lines of several processes in one file do not mix. */
    fflush(stream);
    ssize_t written = write(fileno(stream), line, used);
    (void)written; /* nowhere left to complain */
}
