#include "agents/retriever/document.h"

#include "common/check.h"

#include <stdlib.h>

void document_init(struct document *document)
{
    *document = (struct document){0};
}

void document_deinit(struct document *document)
{
    buffer_deinit(&document->title);
    buffer_deinit(&document->text);
    free(document->words);
    free(document->blocks);
    *document = (struct document){0};
}

/* `array` with room for one element more than `count`. */
static void *array_grow(void *array, size_t count, size_t *capacity, size_t element_bytes)
{
    if (count < *capacity) {
        return array;
    }
    *capacity = *capacity == 0 ? 64 : *capacity * 2;
    array = realloc(array, *capacity * element_bytes);
    CHECK(array != NULL);
    return array;
}

static void block_push(struct document *document, enum block_kind kind)
{
    if (document->block_count == DOCUMENT_BLOCKS_MAX) {
        document->truncated = true;
        return;
    }
    document->blocks = array_grow(document->blocks, document->block_count,
                                  &document->block_capacity, sizeof *document->blocks);
    document->blocks[document->block_count++] = (struct block){
        .kind = kind,
        .level = document->heading_level,
        .page = document->page,
        .word_first = (uint32_t)document->word_count,
    };
    document->block_open = kind != BLOCK_HOLE;
}

static void word_push(struct document *document, uint32_t line)
{
    if (!document->block_open) {
        block_push(document, document->heading_level > 0 ? BLOCK_HEADING : BLOCK_PARAGRAPH);
    }
    if (document->word_count == DOCUMENT_WORDS_MAX ||
        document->text.size >= DOCUMENT_TEXT_BYTES_MAX) {
        document->truncated = true;
    }
    if (document->truncated) {
        return;
    }
    document->words = array_grow(document->words, document->word_count, &document->word_capacity,
                                 sizeof *document->words);
    document->words[document->word_count++] = (struct word){
        .offset = (uint32_t)document->text.size,
        .line = line,
        .line_last = line,
    };
    document->blocks[document->block_count - 1].word_count++;
    document->word_open = true;
}

/* Takes the open word, which is too long, back out and leaves a hole. */
static void word_drop(struct document *document)
{
    struct block *block = &document->blocks[document->block_count - 1];

    CHECK(document->word_count > 0);
    CHECK(block->word_count > 0);
    buffer_truncate(&document->text, document->words[document->word_count - 1].offset);
    document->word_count--;
    block->word_count--;
    document->word_open = false;
    document->block_open = false;
    block_push(document, BLOCK_HOLE);
}

void document_space(struct document *document)
{
    struct word *word;

    if (!document->word_open) {
        return;
    }
    word = &document->words[document->word_count - 1];
    word->size = (uint32_t)document->text.size - word->offset;
    if (word->size > DOCUMENT_WORD_BYTES_MAX) {
        word_drop(document);
        return;
    }
    buffer_add_byte(&document->text, ' ');
    document->word_open = false;
}

static bool byte_is_blank(uint8_t byte)
{
    return byte <= ' ' || byte == 0x7F;
}

/* Blank, for people: also U+00A0, which is C2 A0. */
static size_t blank_size(struct span text, size_t at)
{
    if (byte_is_blank(text.data[at])) {
        return 1;
    }
    return text.data[at] == 0xC2 && at + 1 < text.size && text.data[at + 1] == 0xA0 ? 2 : 0;
}

static size_t word_end(struct span text, size_t at)
{
    while (at < text.size && blank_size(text, at) == 0) {
        at++;
    }
    return at;
}

/* Adds a part of a word. Of one that is too long already only the fact is kept. */
static void word_add(struct document *document, uint32_t line, struct span part)
{
    struct word *word;
    size_t size;

    if (!document->word_open) {
        word_push(document, line);
        if (!document->word_open) {
            return; /* truncated */
        }
    }
    word = &document->words[document->word_count - 1];
    word->line_last = line;
    size = document->text.size - word->offset;
    if (size <= DOCUMENT_WORD_BYTES_MAX) {
        size_t room = DOCUMENT_WORD_BYTES_MAX + 1 - size;

        buffer_add(&document->text, part.data, part.size < room ? part.size : room);
    }
}

void document_add(struct document *document, uint32_t line, struct span text)
{
    size_t at = 0;

    while (at < text.size && !document->truncated) {
        size_t blank = blank_size(text, at);
        size_t end;

        if (blank > 0) {
            document_space(document);
            line += text.data[at] == '\n';
            at += blank;
            continue;
        }
        end = word_end(text, at);
        word_add(document, line, span_of(text.data + at, end - at));
        at = end;
    }
}

void document_break(struct document *document)
{
    document_space(document);
    document->heading_level = 0;
    if (document->block_open) {
        document->block_open = false;
        if (document->text.size > 0) {
            document->text.data[document->text.size - 1] = '\n';
        }
    }
}

void document_heading(struct document *document, uint32_t level)
{
    CHECK(level >= 1);
    document_break(document);
    document->heading_level = level < DOCUMENT_LEVELS_MAX ? level : DOCUMENT_LEVELS_MAX;
}

void document_set_page(struct document *document, uint32_t page)
{
    document_break(document);
    document->page = page;
}

void document_set_title(struct document *document, struct span text)
{
    struct buffer *title = &document->title;

    buffer_truncate(title, 0);
    for (size_t at = 0; at < text.size && title->size <= DOCUMENT_TITLE_BYTES_MAX;) {
        size_t blank = blank_size(text, at);
        size_t end = word_end(text, at + blank);

        at += blank;
        if (end > at) {
            if (title->size > 0) {
                buffer_add_byte(title, ' ');
            }
            buffer_add(title, text.data + at, end - at);
        }
        at = end;
    }
    if (title->size > DOCUMENT_TITLE_BYTES_MAX) {
        size_t size = DOCUMENT_TITLE_BYTES_MAX;

        while (size > 0 && ((uint8_t)title->data[size] & 0xC0) == 0x80) {
            size--; /* not through the middle of a character */
        }
        buffer_truncate(title, size);
    }
}

struct span document_words(const struct document *document, size_t first, size_t count)
{
    const struct word *last;
    uint32_t start;

    CHECK(first + count <= document->word_count);
    if (count == 0) {
        return span_of(NULL, 0);
    }
    start = document->words[first].offset;
    last = &document->words[first + count - 1];
    return span_of(document->text.data + start, last->offset + last->size - start);
}
