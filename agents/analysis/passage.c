#include "agents/analysis/passage.h"

#include <stdarg.h>
#include <stdio.h>

void fault_set(struct fault *fault, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(fault->message, sizeof fault->message, format, args);
    va_end(args);
}

struct span json_span(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    return json_is_string(value) ? span_of(json_string_value(value), json_string_length(value))
                                 : (struct span){0};
}

json_t *json_from_span(struct span text)
{
    return json_stringn(text.size > 0 ? (const char *)text.data : "", text.size);
}

static json_int_t line_at(const json_t *object, const char *key)
{
    json_int_t line = json_integer_value(json_object_get(object, key));

    return line > 0 && line < INT32_MAX ? line : 0;
}

static json_int_t newline_count(struct span text)
{
    json_int_t count = 0;
    size_t i;

    for (i = 0; i < text.size; i++) {
        count += text.data[i] == '\n';
    }
    return count;
}

static void passage_read(struct passage *passage, const json_t *item)
{
    json_t *page = json_object_get(item, "page");

    *passage = (struct passage){
        .text = json_span(item, "text"),
        .title = json_span(item, "title"),
        .ref = json_span(item, "ref"),
        .source = json_span(item, "source"),
        .line_start = line_at(item, "line_start"),
        .line_end = line_at(item, "line_end"),
        .page = json_is_null(page) ? NULL : page,
    };
    if (passage->line_end < passage->line_start) {
        passage->line_end = passage->line_start;
    }
    /* Text that was rendered (manual pages, PDF) has other lines than its file;
     * only when the counts agree is a line of one a line of the other. */
    passage->lines_match =
        passage->line_start > 0 &&
        newline_count(passage->text) + 1 == passage->line_end - passage->line_start + 1;
}

struct passage *passage_read_all(struct arena *arena, const json_t *list, size_t *count,
                                 struct fault *fault)
{
    struct passage *passages;
    size_t bytes = 0;
    size_t i;

    if (!json_is_array(list) || json_array_size(list) > PASSAGES_MAX) {
        fault_set(fault, "passages: an array of at most %d is needed", PASSAGES_MAX);
        return NULL;
    }
    *count = json_array_size(list);
    passages = arena_new(arena, *count + 1, sizeof *passages);
    for (i = 0; i < *count; i++) {
        const json_t *item = json_array_get(list, i);

        if (!json_is_string(json_object_get(item, "text"))) {
            fault_set(fault, "passages[%zu].text: a text is needed", i);
            return NULL;
        }
        passage_read(&passages[i], item);
        bytes += passages[i].text.size;
        if (passages[i].text.size > PASSAGE_BYTES_MAX || bytes > PASSAGES_BYTES_MAX) {
            fault_set(fault, "passages[%zu].text: too long; at most %d bytes each, %d in all", i,
                      PASSAGE_BYTES_MAX, PASSAGES_BYTES_MAX);
            return NULL;
        }
    }
    return passages;
}

bool passage_lines(const struct passage *passage, struct span quote, json_int_t *start,
                   json_int_t *end)
{
    *start = passage->line_start;
    *end = passage->line_end;
    if (passage->lines_match) {
        size_t before = (size_t)(quote.data - passage->text.data);

        *start += newline_count(span_of(passage->text.data, before));
        *end = *start + newline_count(quote);
    }
    return *start > 0;
}

void passage_cite(const struct passage *passage, struct span quote, json_t *object)
{
    json_int_t start, end;
    bool known = passage_lines(passage, quote, &start, &end);

    json_object_set_new(object, "ref", json_from_span(passage->ref));
    json_object_set_new(object, "source", json_from_span(passage->source));
    json_object_set_new(object, "line_start", known ? json_integer(start) : json_null());
    json_object_set_new(object, "line_end", known ? json_integer(end) : json_null());
    json_object_set_new(object, "page",
                        passage->page != NULL ? json_incref(passage->page) : json_null());
    json_object_set_new(object, "title", json_from_span(passage->title));
}
