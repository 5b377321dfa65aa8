/* retriever_fixture: what the tests of the retriever share: documents as text,
 * and a folder of their own. */
#ifndef SLUICE_TESTS_UNIT_RETRIEVER_FIXTURE_H
#define SLUICE_TESTS_UNIT_RETRIEVER_FIXTURE_H

#include "agents/retriever/document.h"
#include "common/check.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define FIXTURES "tests/unit/fixtures/retriever/"

/* A document as text, a line a block: "# 3 Heading" (as many # as its level),
 * "7-9 words of a paragraph", "p2 1-1 words on page 2", "hole". */
static inline struct buffer document_print(const struct document *document)
{
    struct buffer out = {0};

    for (size_t i = 0; i < document->block_count; i++) {
        const struct block *block = &document->blocks[i];
        struct span text = document_words(document, block->word_first, block->word_count);
        const struct word *words = document->words + block->word_first;
        char place[64] = "";

        if (block->kind == BLOCK_HOLE) {
            buffer_add_text(&out, "hole\n");
            continue;
        }
        if (block->word_count == 0) {
            continue;
        }
        for (uint32_t level = 0; level < block->level; level++) {
            buffer_add_text(&out, level + 1 < block->level ? "#" : "# ");
        }
        if (block->page > 0) {
            snprintf(place, sizeof place, "p%u ", block->page);
            buffer_add_text(&out, place);
        }
        if (words[0].line == words[block->word_count - 1].line_last) {
            snprintf(place, sizeof place, "%u ", words[0].line);
        } else {
            snprintf(place, sizeof place, "%u-%u ", words[0].line,
                     words[block->word_count - 1].line_last);
        }
        buffer_add_text(&out, place);
        buffer_add(&out, text.data, text.size);
        buffer_add_text(&out, "\n");
    }
    buffer_add(&out, "", 0);
    return out;
}

static inline void assert_document(const struct document *document, const char *expected)
{
    struct buffer printed = document_print(document);

    assert_string_equal(buffer_text(&printed), expected);
    buffer_deinit(&printed);
}

/* ---- a folder for one test ------------------------------------------------------ */

struct scratch {
    char path[256];
};

static inline void scratch_open(struct scratch *scratch)
{
    const char *base = getenv("TMPDIR");

    snprintf(scratch->path, sizeof scratch->path, "%s/sluice-unit-XXXXXX",
             base == NULL ? "/tmp" : base);
    CHECK(mkdtemp(scratch->path) != NULL);
}

static inline void tree_remove(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        struct buffer child = {0};
        struct stat status;

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        buffer_add_text(&child, path);
        buffer_add_text(&child, "/");
        buffer_add_text(&child, entry->d_name);
        if (lstat(child.data, &status) == 0 && S_ISDIR(status.st_mode)) {
            tree_remove(child.data);
        } else {
            unlink(child.data);
        }
        buffer_deinit(&child);
    }
    if (dir != NULL) {
        closedir(dir);
    }
    rmdir(path);
}

static inline void scratch_close(struct scratch *scratch)
{
    tree_remove(scratch->path);
}

/* The path of `name` in the folder; valid until the fourth call from now. */
static inline const char *scratch_path(const struct scratch *scratch, const char *name)
{
    static char paths[4][600];
    static unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof paths[0], "%s/%s", scratch->path, name);
    return path;
}

static inline const char *scratch_write(const struct scratch *scratch, const char *name,
                                        const char *text)
{
    const char *path = scratch_path(scratch, name);
    FILE *file = fopen(path, "w");

    CHECK(file != NULL);
    CHECK(fputs(text, file) >= 0);
    CHECK(fclose(file) == 0);
    return path;
}

static inline void scratch_folder(const struct scratch *scratch, const char *name)
{
    CHECK(mkdir(scratch_path(scratch, name), 0700) == 0);
}

#endif
