#include "agents/analysis/extract.h"

#include "agents/analysis/rank.h"

#include <math.h>

static json_t *squeezed(struct arena *arena, struct span text)
{
    char *out = arena_new(arena, text.size + 1, 1);

    return json_stringn(out, sentence_squeeze(text, out));
}

/* What the sentence stands under: the heading above it, else the last part of a
 * title like "document > section > subsection". */
static struct span heading_of(const struct corpus *corpus, const struct unit *unit)
{
    struct span title = corpus->passages[unit->passage].title;
    size_t at;

    if (unit->heading != UNIT_NONE) {
        return corpus->units[unit->heading].sentence.text;
    }
    for (at = title.size; at >= 3; at--) {
        if (memcmp(title.data + at - 3, " > ", 3) == 0) {
            return span_of(title.data + at, title.size - at);
        }
    }
    return (struct span){0};
}

static json_t *sentence_json(const struct rank *rank, uint32_t index)
{
    const struct corpus *corpus = rank->corpus;
    const struct unit *unit = &corpus->units[index];
    struct span text = unit->sentence.text;
    double coverage = rank_coverage(rank, index);
    json_t *item = json_object();
    uint32_t first, last;
    json_int_t start, end;
    struct span window;

    rank_window(rank, index, &first, &last);
    window.data = corpus->units[first].sentence.text.data;
    window.size = (size_t)(corpus->units[last].sentence.text.data - window.data) +
                  corpus->units[last].sentence.text.size;
    json_object_set_new(item, "text", squeezed(corpus->arena, text));
    passage_cite(&corpus->passages[unit->passage], text, item);
    json_object_set_new(item, "heading", squeezed(corpus->arena, heading_of(corpus, unit)));
    json_object_set_new(item, "score", json_real(round(rank->scores[index] * 1e4) / 1e4));
    json_object_set_new(item, "coverage", json_real(round(coverage * 1e4) / 1e4));
    json_object_set_new(item, "context", squeezed(corpus->arena, window));
    if (passage_lines(&corpus->passages[unit->passage], window, &start, &end)) {
        json_object_set_new(item, "context_lines", json_pack("[I, I]", start, end));
    }
    json_object_set_new(item, "order", json_integer(unit->position));
    return item;
}

static json_t *missing_json(const struct query *query)
{
    json_t *missing = json_array();
    size_t i;

    for (i = 0; i < query->count; i++) {
        if (!query->slots[i].found) {
            json_array_append_new(missing, json_from_span(query->slots[i].shown));
        }
    }
    return missing;
}

static json_t *extract_answer(struct arena *arena, struct span question,
                              const struct passage *passages, size_t count, size_t limit)
{
    struct corpus corpus;
    struct query *query = arena_new(arena, 1, sizeof *query);
    struct rank rank;
    uint32_t chosen[EXTRACT_LIMIT_MAX];
    size_t chosen_count, i;
    json_t *answer = json_object();
    json_t *sentences = json_array();

    corpus_init(&corpus, arena);
    query_init(query, &corpus, question);
    corpus_read(&corpus, passages, count);
    query_weigh(query, &corpus);
    rank_init(&rank, &corpus, query);
    chosen_count = rank_select(&rank, chosen, limit);
    for (i = 0; i < chosen_count; i++) {
        json_array_append_new(sentences, sentence_json(&rank, chosen[i]));
    }
    json_object_set_new(answer, "question", json_from_span(question));
    json_object_set_new(answer, "sentences", sentences);
    json_object_set_new(answer, "missing", missing_json(query));
    return answer;
}

json_t *extract_run(const json_t *args, struct fault *fault)
{
    struct span question = json_span(args, "question");
    const json_t *limit_value = json_object_get(args, "limit");
    json_int_t limit =
        limit_value == NULL ? EXTRACT_LIMIT_DEFAULT : json_integer_value(limit_value);
    const struct passage *passages;
    struct arena arena;
    json_t *answer = NULL;
    size_t count;

    if (question.size == 0 || question.size > QUESTION_BYTES_MAX) {
        fault_set(fault, "question: 1 to %d bytes of text are needed", QUESTION_BYTES_MAX);
        return NULL;
    }
    if (limit < 1 || limit > EXTRACT_LIMIT_MAX) {
        fault_set(fault, "limit: a number from 1 to %d is needed", EXTRACT_LIMIT_MAX);
        return NULL;
    }
    arena_init(&arena);
    passages = passage_read_all(&arena, json_object_get(args, "passages"), &count, fault);
    if (passages != NULL) {
        answer = extract_answer(&arena, question, passages, count, (size_t)limit);
    }
    arena_deinit(&arena);
    return answer;
}
