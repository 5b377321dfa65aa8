#include "agents/research/evidence.h"

#include "agents/research/text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HITS_MAX 100
#define SOURCE_BYTES_MAX 4096
#define FETCH_PASSAGE_BYTES 1200 /* as much as a retriever's passage */

void evidence_init(struct evidence *evidence)
{
    *evidence = (struct evidence){.passages = json_array()};
}

void evidence_deinit(struct evidence *evidence)
{
    json_decref(evidence->passages);
    evidence->passages = NULL;
}

static const char *text_at(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : "";
}

static json_t *number_or_null(const json_t *object, const char *key)
{
    json_int_t number = json_integer_value(json_object_get(object, key));

    return number > 0 && number < INT32_MAX ? json_integer(number) : json_null();
}

static bool passage_same(const json_t *a, const json_t *b)
{
    return strcmp(text_at(a, "text"), text_at(b, "text")) == 0 &&
           strcmp(text_at(a, "source"), text_at(b, "source")) == 0;
}

/* Index of `passage`, new if need be; takes it over. EVIDENCE_PASSAGES_MAX: full. */
static size_t passage_add(struct evidence *evidence, json_t *passage)
{
    size_t count = json_array_size(evidence->passages);
    bool new_source = true;
    char ref[24];
    size_t i;

    for (i = 0; i < count; i++) {
        const json_t *known = json_array_get(evidence->passages, i);

        if (passage_same(known, passage)) {
            json_decref(passage);
            return i;
        }
        new_source &= strcmp(text_at(known, "source"), text_at(passage, "source")) != 0;
    }
    if (count == EVIDENCE_PASSAGES_MAX) {
        json_decref(passage);
        return EVIDENCE_PASSAGES_MAX;
    }
    snprintf(ref, sizeof ref, "p%zu", count + 1);
    json_object_set_new(passage, "ref", json_string(ref));
    json_array_append_new(evidence->passages, passage);
    evidence->source_count += new_source;
    return count;
}

static void part_link(struct evidence *evidence, size_t part, size_t index)
{
    size_t i;

    if (index == EVIDENCE_PASSAGES_MAX) {
        return;
    }
    for (i = 0; i < evidence->found_count[part]; i++) {
        if (evidence->found[part][i] == index) {
            return;
        }
    }
    evidence->found[part][evidence->found_count[part]++] = index;
}

size_t evidence_add_search(struct evidence *evidence, const json_t *answer, size_t part)
{
    const json_t *hits = json_object_get(answer, "hits");
    size_t taken = 0;
    size_t i;

    for (i = 0; i < json_array_size(hits) && i < HITS_MAX; i++) {
        const json_t *hit = json_array_get(hits, i);
        size_t size = json_string_length(json_object_get(hit, "text"));

        if (size == 0 || size > EVIDENCE_TEXT_BYTES_MAX ||
            strlen(text_at(hit, "source")) > SOURCE_BYTES_MAX) {
            continue;
        }
        part_link(
            evidence, part,
            passage_add(evidence, json_pack("{s:O, s:s, s:s, s:o, s:o, s:o}", "text",
                                            json_object_get(hit, "text"), "source",
                                            text_at(hit, "source"), "title", text_at(hit, "title"),
                                            "line_start", number_or_null(hit, "line_start"),
                                            "line_end", number_or_null(hit, "line_end"), "page",
                                            number_or_null(hit, "page"))));
        taken++;
    }
    return taken;
}

/* Length of the next passage of a page: whole lines, about FETCH_PASSAGE_BYTES; of
 * a line much longer than that, as many words. */
static size_t fetch_cut(const char *text)
{
    size_t size = 0;

    while (text[size] != '\0' && size < FETCH_PASSAGE_BYTES) {
        size_t line = strcspn(text + size, "\n");

        if (size > 0 && size + line > 2 * FETCH_PASSAGE_BYTES) {
            break;
        }
        size += line + (text[size + line] == '\n');
    }
    if (size > 3 * FETCH_PASSAGE_BYTES) {
        size = 2 * FETCH_PASSAGE_BYTES;
        while (size > FETCH_PASSAGE_BYTES && text[size] != ' ') {
            size--;
        }
    }
    return size;
}

size_t evidence_add_fetch(struct evidence *evidence, const json_t *answer, size_t part_count)
{
    const char *text = text_at(answer, "text");
    const char *url = text_at(answer, "url");
    size_t taken = 0;
    size_t part;

    while (*text != '\0' && taken < EVIDENCE_FETCH_PASSAGES_MAX &&
           strlen(url) <= SOURCE_BYTES_MAX) {
        size_t size = fetch_cut(text);
        json_t *passage;
        size_t index;

        if (strspn(text, " \n\t\r") >= size || size > EVIDENCE_TEXT_BYTES_MAX) {
            text += size;
            continue;
        }
        passage = json_pack("{s:s%, s:s, s:s, s:s, s:n, s:n, s:n}", "text", text, size, "source",
                            url, "url", url, "title", text_at(answer, "title"), "line_start",
                            "line_end", "page");
        text += size;
        if (passage == NULL) { /* cut inside a character: left out */
            continue;
        }
        index = passage_add(evidence, passage);
        for (part = 0; part < part_count; part++) {
            part_link(evidence, part, index);
        }
        taken++;
    }
    return taken;
}

json_t *evidence_of_part(const struct evidence *evidence, size_t part)
{
    json_t *list = json_array();
    size_t i;

    for (i = 0; i < evidence->found_count[part]; i++) {
        json_array_append(list, json_array_get(evidence->passages, evidence->found[part][i]));
    }
    return list;
}

json_t *evidence_of_all(const struct evidence *evidence)
{
    return json_copy(evidence->passages);
}

json_t *evidence_find(const struct evidence *evidence, const char *ref)
{
    size_t i;

    for (i = 0; i < json_array_size(evidence->passages); i++) {
        json_t *passage = json_array_get(evidence->passages, i);

        if (strcmp(text_at(passage, "ref"), ref) == 0) {
            return passage;
        }
    }
    return NULL;
}

bool evidence_holds(const struct evidence *evidence, const char *ref, const char *quote)
{
    const json_t *passage = evidence_find(evidence, ref);

    return passage != NULL && text_holds(text_at(passage, "text"), quote);
}
