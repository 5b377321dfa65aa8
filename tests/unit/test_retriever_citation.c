/* links: retriever */
/* A citation holds: every word of every passage stands in the lines that the passage
 * names, in the file as anybody can open it. Checked on the fixtures and, where they are
 * installed, on the manual pages of libzmq. */
#include "tests/unit/retriever_fixture.h"

#include "agents/retriever/file.h"
#include "agents/retriever/lines.h"
#include "agents/retriever/passage.h"
#include "agents/retriever/source.h"

#include <ctype.h>
#include <glob.h>

struct citation {
    const char *path;
    struct span file; /* as `cat` or `zcat` shows it */
    size_t passages, words;
};

/* Lines first to last of the file. */
static struct span cited_lines(struct span file, uint32_t first, uint32_t last)
{
    struct lines lines = lines_of(file);
    const uint8_t *start = NULL, *end = file.data;
    struct span line;

    while (lines.number < last && lines_next(&lines, &line)) {
        if (lines.number == first) {
            start = line.data;
        }
        end = line.data + line.size;
    }
    return start == NULL ? span_of(NULL, 0) : span_of(start, (size_t)(end - start));
}

/* Letters and digits in a row, from *at; empty at the end. */
static struct span next_word(struct span text, size_t *at)
{
    size_t start;

    while (*at < text.size && !isalnum(text.data[*at])) {
        ++*at;
    }
    start = *at;
    while (*at < text.size && isalnum(text.data[*at])) {
        ++*at;
    }
    return span_of(text.data + start, *at - start);
}

static bool check_passage(const struct passage *passage, void *arg)
{
    struct citation *citation = arg;
    struct span lines = cited_lines(citation->file, passage->line_start, passage->line_end);
    size_t at = 0, from = 0;
    struct span word;

    for (word = next_word(passage->text, &at); word.size > 0;
         word = next_word(passage->text, &at)) {
        /* In order: each behind the one before. */
        const uint8_t *found = memmem(lines.data + from, lines.size - from, word.data, word.size);

        if (found == NULL) {
            fail_msg("%s:%u-%u does not have '%.*s' where the passage has it:\n%.*s",
                     citation->path, passage->line_start, passage->line_end, (int)word.size,
                     word.data, (int)passage->text.size, passage->text.data);
        }
        from = (size_t)(found - lines.data) + word.size;
        citation->words++;
    }
    citation->passages++;
    return true;
}

static void check_file(const char *path, struct citation *sum)
{
    struct citation citation = {.path = path};
    struct document document;
    struct file_stamp stamp;
    struct buffer text = {0};
    const char *why;
    bool compressed;
    enum kind kind = kind_of_path(path, &compressed);

    document_init(&document);
    assert_int_equal(file_read(path, NULL, compressed, &text, &stamp), FILE_OK);
    citation.file = buffer_span(&text);
    if (source_read(path, NULL, kind, compressed, NULL, &document, &stamp, &why) == SOURCE_OK) {
        passage_split(&document, check_passage, &citation);
    }
    sum->passages += citation.passages;
    sum->words += citation.words;
    document_deinit(&document);
    buffer_deinit(&text);
}

static void citations_of_the_fixtures_hold(void **state)
{
    static const char *const names[] = {"guide.md", "notes.txt"};
    struct citation sum = {0};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[256];

        snprintf(path, sizeof path, FIXTURES "%s", names[i]);
        check_file(path, &sum);
    }
    assert_true(sum.words > 40);
}

static void citations_of_real_manual_pages_hold(void **state)
{
    struct citation sum = {0};
    glob_t pages;

    if (glob("/usr/share/man/man3/zmq_*.3.gz", 0, NULL, &pages) != 0) {
        skip();
    }
    for (size_t i = 0; i < pages.gl_pathc; i++) {
        check_file(pages.gl_pathv[i], &sum);
    }
    globfree(&pages);
    assert_true(sum.passages > 300);
    assert_true(sum.words > 20000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(citations_of_the_fixtures_hold),
        cmocka_unit_test(citations_of_real_manual_pages_hold),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
