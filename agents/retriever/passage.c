#include "agents/retriever/passage.h"

#include "common/check.h"

struct splitter {
    const struct document *document;
    passage_fn *found;
    void *arg;
    struct buffer headings[DOCUMENT_LEVELS_MAX]; /* the section we are in, outermost first */
    struct buffer title;
    size_t first, count; /* words of the passage under way */
    uint32_t page;
    size_t passages;
    bool stopped;
};

static void title_part(struct buffer *title, struct span part)
{
    if (part.size == 0) {
        return;
    }
    if (title->size > 0) {
        buffer_add_text(title, " > ");
    }
    buffer_add(title, part.data, part.size);
}

static void title_build(struct splitter *s)
{
    struct span document_title = buffer_span(&s->document->title);

    buffer_truncate(&s->title, 0);
    title_part(&s->title, document_title);
    for (size_t i = 0; i < DOCUMENT_LEVELS_MAX; i++) {
        struct span heading = buffer_span(&s->headings[i]);

        if (!span_equal(heading, document_title)) {
            title_part(&s->title, heading);
        }
    }
}

static void heading_enter(struct splitter *s, const struct block *block)
{
    struct span text = document_words(s->document, block->word_first, block->word_count);
    /* As titles are cut, so that the document's own heading is not repeated. */
    struct document cut = {0};

    document_set_title(&cut, text);
    for (size_t i = block->level - 1; i < DOCUMENT_LEVELS_MAX; i++) {
        buffer_truncate(&s->headings[i], 0);
    }
    buffer_add(&s->headings[block->level - 1], cut.title.data, cut.title.size);
    document_deinit(&cut);
    title_build(s);
}

static void passage_emit(struct splitter *s)
{
    const struct word *words = s->document->words;
    struct passage passage;

    if (s->count == 0 || s->stopped) {
        return;
    }
    passage = (struct passage){
        .title = buffer_span(&s->title),
        .text = document_words(s->document, s->first, s->count),
        .line_start = words[s->first].line,
        .line_end = words[s->first + s->count - 1].line_last,
        .page = s->page,
    };
    s->count = 0;
    s->passages++;
    s->stopped = !s->found(&passage, s->arg) || s->passages == PASSAGE_COUNT_MAX;
}

static bool word_ends_sentence(const struct document *document, size_t index)
{
    struct span word = document_words(document, index, 1);

    while (word.size > 1 && strchr("\"')]*_`", word.data[word.size - 1]) != NULL) {
        word.size--;
    }
    return word.size > 1 && strchr(".!?", word.data[word.size - 1]) != NULL;
}

/* Where to cut `count` words from `first`, more than PASSAGE_WORDS_MAX: behind the last
 * sentence that leaves a passage of fair size. */
static size_t cut_find(const struct document *document, size_t first)
{
    for (size_t count = PASSAGE_WORDS_MAX; count >= PASSAGE_WORDS_MIN; count--) {
        if (word_ends_sentence(document, first + count - 1)) {
            return count;
        }
    }
    return PASSAGE_WORDS_MAX;
}

static void paragraph_take(struct splitter *s, const struct block *block)
{
    size_t first = block->word_first, left = block->word_count;
    bool joins = s->count > 0 && s->page == block->page && s->first + s->count == first &&
                 s->count + left <= PASSAGE_WORDS_MAX &&
                 (s->count < PASSAGE_WORDS_MIN || s->count + left <= PASSAGE_WORDS_GOOD);

    if (joins) {
        s->count += left;
        return;
    }
    passage_emit(s);
    s->page = block->page;
    while (left > PASSAGE_WORDS_MAX && !s->stopped) {
        s->first = first;
        s->count = cut_find(s->document, first);
        first += s->count;
        left -= s->count;
        passage_emit(s);
    }
    s->first = first;
    s->count = left;
}

size_t passage_split(const struct document *document, passage_fn *found, void *arg)
{
    struct splitter s = {.document = document, .found = found, .arg = arg};

    title_build(&s);
    for (size_t i = 0; i < document->block_count && !s.stopped; i++) {
        const struct block *block = &document->blocks[i];

        switch (block->kind) {
        case BLOCK_PARAGRAPH:
            if (block->word_count > 0) {
                paragraph_take(&s, block);
            }
            break;
        case BLOCK_HEADING:
            passage_emit(&s);
            heading_enter(&s, block);
            break;
        case BLOCK_HOLE:
            passage_emit(&s);
            break;
        }
    }
    passage_emit(&s);
    for (size_t i = 0; i < DOCUMENT_LEVELS_MAX; i++) {
        buffer_deinit(&s.headings[i]);
    }
    buffer_deinit(&s.title);
    return s.passages;
}
