/* links: retriever */
/* The retriever's readers over any file: plain text, Markdown, HTML and manual pages.
 *
 * What comes out is within the document's bounds, in the order of the file, and
 * valid UTF-8; every word of it is in one passage; nothing takes longer than its size allows. */
#include "tests/fuzz/input.h"

#include "agents/retriever/extract.h"
#include "agents/retriever/file.h"
#include "agents/retriever/passage.h"
#include "agents/retriever/utf8.h"
#include "common/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_words(const struct document *document, uint32_t line_count)
{
    uint32_t end = 0;

    CHECK(document->word_count <= DOCUMENT_WORDS_MAX);
    CHECK(document->text.size <= DOCUMENT_TEXT_BYTES_MAX);
    CHECK(utf8_valid(buffer_span(&document->text)));
    CHECK(utf8_valid(buffer_span(&document->title)));
    CHECK(document->title.size <= DOCUMENT_TITLE_BYTES_MAX);
    for (size_t i = 0; i < document->word_count; i++) {
        const struct word *word = &document->words[i];

        CHECK(word->size >= 1 && word->size <= DOCUMENT_WORD_BYTES_MAX);
        CHECK(word->offset >= end);
        end = word->offset + word->size;
        CHECK(end <= document->text.size);
        CHECK(word->line >= 1 && word->line <= word->line_last);
        CHECK(word->line_last <= line_count);
    }
}

static void check_blocks(const struct document *document)
{
    uint32_t next = 0;

    CHECK(document->block_count <= DOCUMENT_BLOCKS_MAX);
    for (size_t i = 0; i < document->block_count; i++) {
        const struct block *block = &document->blocks[i];

        CHECK(block->word_first == next);
        next += block->word_count;
        CHECK(block->kind != BLOCK_HEADING ||
              (block->level >= 1 && block->level <= DOCUMENT_LEVELS_MAX));
    }
    CHECK(next == document->word_count);
}

struct found {
    const struct document *document;
    uint32_t line_count;
};

static bool on_passage(const struct passage *passage, void *arg)
{
    const struct found *found = arg;

    CHECK(passage->text.size > 0);
    CHECK(utf8_valid(passage->text));
    CHECK(utf8_valid(passage->title));
    CHECK(passage->line_start >= 1 && passage->line_start <= passage->line_end);
    CHECK(passage->line_end <= found->line_count);
    return true;
}

static uint32_t count_lines(struct span text)
{
    uint32_t count = 1;

    for (size_t i = 0; i < text.size; i++) {
        count += text.data[i] == '\n';
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_of(data, size);
    unsigned kind = take_below(&input, 4);
    struct span bytes = take_span(&input, input_left(&input));
    struct buffer text = {0};
    struct document document;
    struct found found = {.document = &document};

    buffer_add(&text, bytes.data, bytes.size);
    file_text_repair(&text);
    CHECK(utf8_valid(buffer_span(&text)));
    found.line_count = count_lines(buffer_span(&text));
    document_init(&document);
    switch (kind) {
    case 0:
        plain_read(&document, buffer_span(&text));
        break;
    case 1:
        markdown_read(&document, buffer_span(&text));
        break;
    case 2:
        html_read(&document, buffer_span(&text));
        break;
    default:
        man_read(&document, buffer_span(&text));
        break;
    }
    check_words(&document, found.line_count);
    check_blocks(&document);
    passage_split(&document, on_passage, &found);
    document_deinit(&document);
    buffer_deinit(&text);
    return 0;
}
