#include "agents/runtime/json_pointer.h"

#include "common/check.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct sink {
    char *text;
    size_t used;
    size_t size;
    bool full; /* something was left out: nothing further, or the path would lie */
};

static void sink_put(struct sink *sink, const char *bytes, size_t count)
{
    if (sink->full || count >= sink->size - sink->used) {
        sink->full = true;
        return;
    }
    memcpy(sink->text + sink->used, bytes, count);
    sink->used += count;
}

/* Bytes of the UTF-8 character at `text`; jansson has validated it. */
static size_t character_bytes(const char *text)
{
    size_t count = 1;

    while (((unsigned char)text[count] & 0xc0) == 0x80) {
        count++;
    }
    return count;
}

static void put_name(struct sink *sink, const char *name)
{
    while (*name) {
        size_t count = character_bytes(name);
        unsigned char first = (unsigned char)*name;

        if (first == '~') {
            sink_put(sink, "~0", 2);
        } else if (first == '/') {
            sink_put(sink, "~1", 2);
        } else if (first < 0x20 || first == 0x7f) {
            sink_put(sink, "?", 1);
        } else {
            sink_put(sink, name, count);
        }
        name += count;
    }
}

static void put_steps(struct sink *sink, const struct json_pointer *at)
{
    char digits[24];

    if (!at || !at->parent) {
        return;
    }
    put_steps(sink, at->parent);
    sink_put(sink, "/", 1);
    if (at->name) {
        put_name(sink, at->name);
    } else {
        sink_put(sink, digits, (size_t)snprintf(digits, sizeof digits, "%zu", at->index));
    }
}

size_t json_pointer_format(const struct json_pointer *at, char *text, size_t size)
{
    struct sink sink = {.text = text, .size = size};

    CHECK(size > 0);
    put_steps(&sink, at);
    text[sink.used] = '\0';
    return sink.used;
}
