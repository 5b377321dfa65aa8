#include "agents/research/text.h"

#include "common/check.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_FIRST 256

void text_deinit(struct text *text)
{
    free(text->data);
    *text = (struct text){0};
}

static void text_reserve(struct text *text, size_t more)
{
    size_t capacity = text->capacity == 0 ? TEXT_FIRST : text->capacity;

    while (capacity < text->size + more + 1) {
        capacity *= 2;
    }
    if (capacity != text->capacity) {
        text->data = realloc(text->data, capacity);
        CHECK(text->data != NULL);
        text->capacity = capacity;
    }
}

void text_add(struct text *text, const char *more, size_t size)
{
    text_reserve(text, size);
    memcpy(text->data + text->size, more, size);
    text->size += size;
    text->data[text->size] = '\0';
}

void text_addf(struct text *text, const char *format, ...)
{
    va_list args;
    int size;

    va_start(args, format);
    size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    CHECK(size >= 0);
    text_reserve(text, (size_t)size);
    va_start(args, format);
    vsnprintf(text->data + text->size, (size_t)size + 1, format, args);
    va_end(args);
    text->size += (size_t)size;
}

const char *text_get(const struct text *text)
{
    return text->data != NULL ? text->data : "";
}

const char *text_plural(size_t count)
{
    return count == 1 ? "" : "s";
}

char *text_copy(const char *bytes, size_t size)
{
    char *copy = malloc(size + 1);

    CHECK(copy != NULL);
    memcpy(copy, bytes, size);
    copy[size] = '\0';
    return copy;
}

char *text_squeeze(const char *bytes, size_t size)
{
    char *out = text_copy(bytes, size);
    size_t used = 0;
    size_t i;

    for (i = 0; i < size; i++) {
        if (!isspace((unsigned char)bytes[i])) {
            out[used++] = bytes[i];
        } else if (used > 0 && out[used - 1] != ' ') {
            out[used++] = ' ';
        }
    }
    if (used > 0 && out[used - 1] == ' ') {
        used--;
    }
    out[used] = '\0';
    return out;
}

bool text_holds(const char *whole, const char *part)
{
    char *a = text_squeeze(whole, strlen(whole));
    char *b = text_squeeze(part, strlen(part));
    bool holds = *b != '\0' && strstr(a, b) != NULL;

    free(a);
    free(b);
    return holds;
}
