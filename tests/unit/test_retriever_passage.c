/* links: retriever */
/* Passages: their size, where they are cut, what they are called. */
#include "tests/unit/retriever_fixture.h"

#include "agents/retriever/extract.h"
#include "agents/retriever/passage.h"

struct collected {
    struct buffer lines; /* "[title] first-last words" */
    size_t words_most, words_total;
    size_t stop_after; /* 0: never */
    size_t count;
};

static size_t word_count(struct span text)
{
    size_t count = 0;

    for (size_t i = 0; i < text.size; i++) {
        count += text.data[i] > ' ' && (i == 0 || text.data[i - 1] <= ' ');
    }
    return count;
}

static bool collect(const struct passage *passage, void *arg)
{
    struct collected *all = arg;
    size_t words = word_count(passage->text);
    char line[600];

    snprintf(line, sizeof line, "[%.*s] %u-%u %zu\n", (int)passage->title.size,
             (const char *)passage->title.data, passage->line_start, passage->line_end, words);
    buffer_add_text(&all->lines, line);
    all->words_most = words > all->words_most ? words : all->words_most;
    all->words_total += words;
    return ++all->count != all->stop_after;
}

static struct buffer words(size_t count)
{
    struct buffer text = {0};

    for (size_t i = 0; i < count; i++) {
        buffer_add_text(&text, "word ");
    }
    return text;
}

/* Appends a paragraph of `count` words on one line, and a blank line. */
static void add_paragraph(struct buffer *text, size_t count)
{
    struct buffer paragraph = words(count);

    buffer_add(text, paragraph.data, paragraph.size);
    buffer_add_text(text, "\n\n");
    buffer_deinit(&paragraph);
}

static void assert_passages(struct buffer *markdown, const char *expected)
{
    struct collected all = {0};
    struct document document;
    size_t count;

    document_init(&document);
    markdown_read(&document, buffer_span(markdown));
    count = passage_split(&document, collect, &all);
    assert_int_equal(count, all.count);
    assert_string_equal(buffer_text(&all.lines), expected);
    document_deinit(&document);
    buffer_deinit(&all.lines);
    buffer_deinit(markdown);
}

static void small_paragraphs_of_a_section_share_a_passage(void **state)
{
    struct buffer text = {0};

    buffer_add_text(&text, "# T\n");
    for (size_t i = 0; i < 4; i++) {
        add_paragraph(&text, 30);
    }
    add_paragraph(&text, 30);
    assert_passages(&text, "[T] 2-8 120\n[T] 10-10 30\n");
}

static void a_passage_never_leaves_its_section(void **state)
{
    struct buffer text = {0};

    buffer_add_text(&text,
                    "# Title\n\none two\n\n## First\nthree\n### Deep\nfour\n## Second\nfive\n");
    assert_passages(&text, "[Title] 3-3 2\n"
                           "[Title > First] 6-6 1\n"
                           "[Title > First > Deep] 8-8 1\n"
                           "[Title > Second] 10-10 1\n");
}

static void a_long_paragraph_is_cut_behind_a_sentence(void **state)
{
    struct buffer text = words(149);
    struct buffer rest = words(200);

    buffer_add_text(&text, "end. ");
    buffer_add(&text, rest.data, rest.size);
    buffer_deinit(&rest);
    assert_passages(&text, "[] 1-1 150\n[] 1-1 200\n");
}

static void a_paragraph_without_sentences_is_cut_anyway(void **state)
{
    struct buffer text = words(450);

    assert_passages(&text, "[] 1-1 200\n[] 1-1 200\n[] 1-1 50\n");
}

static void a_large_paragraph_does_not_join_a_fair_one(void **state)
{
    struct buffer text = {0};

    add_paragraph(&text, 80);
    add_paragraph(&text, 90);
    add_paragraph(&text, 20);
    assert_passages(&text, "[] 1-1 80\n[] 3-5 110\n");
}

static void no_word_is_lost_or_told_twice(void **state)
{
    uint64_t seed = 7;

    for (size_t round = 0; round < 50; round++) {
        struct collected all = {0};
        struct buffer text = {0};
        struct document document;
        size_t expected = 0;

        for (size_t i = 0; i < 40; i++) {
            size_t count;

            seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
            count = 1 + (seed >> 40) % 500;
            if ((seed >> 33) % 5 == 0) {
                buffer_add_text(&text, "## h\n");
            }
            add_paragraph(&text, count);
            expected += count;
        }
        document_init(&document);
        markdown_read(&document, buffer_span(&text));
        passage_split(&document, collect, &all);
        assert_int_equal(all.words_total, expected);
        assert_true(all.words_most <= PASSAGE_WORDS_MAX);
        document_deinit(&document);
        buffer_deinit(&text);
        buffer_deinit(&all.lines);
    }
}

static void pages_are_not_mixed(void **state)
{
    struct collected all = {0};
    struct document document;

    document_init(&document);
    document_set_page(&document, 1);
    document_add(&document, 1, span_from_text("one"));
    document_set_page(&document, 2);
    document_add(&document, 1, span_from_text("two"));
    document_break(&document);
    assert_int_equal(passage_split(&document, collect, &all), 2);
    document_deinit(&document);
    buffer_deinit(&all.lines);
}

static void the_reader_may_stop(void **state)
{
    struct collected all = {.stop_after = 2};
    struct buffer text = words(1000);
    struct document document;

    document_init(&document);
    plain_read(&document, buffer_span(&text));
    assert_int_equal(passage_split(&document, collect, &all), 2);
    document_deinit(&document);
    buffer_deinit(&text);
    buffer_deinit(&all.lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_paragraphs_of_a_section_share_a_passage),
        cmocka_unit_test(a_passage_never_leaves_its_section),
        cmocka_unit_test(a_long_paragraph_is_cut_behind_a_sentence),
        cmocka_unit_test(a_paragraph_without_sentences_is_cut_anyway),
        cmocka_unit_test(a_large_paragraph_does_not_join_a_fair_one),
        cmocka_unit_test(no_word_is_lost_or_told_twice),
        cmocka_unit_test(pages_are_not_mixed),
        cmocka_unit_test(the_reader_may_stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
