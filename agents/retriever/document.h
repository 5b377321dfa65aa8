/* document: what an extractor found in a file: words that know their line.
 *
 * Every extractor writes one of these and the splitter reads it. Words lie one
 * after another in `text`, a blank between them and a newline where a
 * paragraph ended, so any run of words is one piece of text: the
 * whitespace-normalised content of the lines it came from. That is what makes
 * a citation hold.
 *
 *   file bytes -> extractor -> document -> passage_split -> index
 *
 * Bounded: text, words and blocks each have a limit; past one the document is
 * `truncated` and takes nothing more. A word over DOCUMENT_WORD_BYTES_MAX (a
 * base64 blob, say) is left out, and no passage reaches across the hole.
 * libc only; one thread. */
#ifndef SLUICE_RETRIEVER_DOCUMENT_H
#define SLUICE_RETRIEVER_DOCUMENT_H

#include "agents/retriever/buffer.h"

#define DOCUMENT_TEXT_BYTES_MAX (8U << 20)
#define DOCUMENT_WORDS_MAX (2U << 20)
#define DOCUMENT_BLOCKS_MAX (1U << 18)
#define DOCUMENT_WORD_BYTES_MAX 256U
#define DOCUMENT_TITLE_BYTES_MAX 200U
#define DOCUMENT_LEVELS_MAX 6U /* of headings, as in HTML */

struct word {
    uint32_t offset; /* in text */
    uint32_t size;
    uint32_t line, line_last; /* from 1; differ only when lines are glued */
};

enum block_kind {
    BLOCK_PARAGRAPH,
    BLOCK_HEADING,
    BLOCK_HOLE, /* something was left out here; no words */
};

struct block {
    enum block_kind kind;
    uint32_t level; /* HEADING: 1 to DOCUMENT_LEVELS_MAX */
    uint32_t page;  /* from 1; 0: the format has no pages */
    uint32_t word_first, word_count;
};

struct document {
    struct buffer title; /* "" when the file names none */
    struct buffer text;
    struct word *words;
    size_t word_count, word_capacity;
    struct block *blocks;
    size_t block_count, block_capacity;
    uint32_t page;          /* of what is added next */
    uint32_t heading_level; /* 0: not inside a heading */
    bool word_open;         /* the last word may still grow */
    bool block_open;
    bool truncated;
};

void document_init(struct document *document);
void document_deinit(struct document *document);

/* Adds valid UTF-8 that begins on `line`. Blanks and control characters part
 * words, a newline goes to the next line; the last word stays open, so that the
 * next call continues it, until document_space(). */
void document_add(struct document *document, uint32_t line, struct span text);
void document_space(struct document *document); /* ends the word */
void document_break(struct document *document); /* ends the paragraph or heading */

/* What is added from here to the next document_break() is a heading. */
void document_heading(struct document *document, uint32_t level);

/* What is added from here is on `page`. Ends the paragraph. */
void document_set_page(struct document *document, uint32_t page);

/* Replaces the title: whitespace-normalised, cut to DOCUMENT_TITLE_BYTES_MAX. */
void document_set_title(struct document *document, struct span text);

/* The text of `count` words from `first`. Valid until the document changes. */
struct span document_words(const struct document *document, size_t first, size_t count);

#endif
