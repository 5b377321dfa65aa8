/* links: retriever */
/* The index and what is asked of it: found, quoted, replaced, removed, kept. */
#include "tests/unit/retriever_fixture.h"

#include "agents/retriever/extract.h"
#include "agents/retriever/index_state.h"
#include "agents/retriever/search.h"

#include <math.h>

struct fixture {
    struct scratch scratch;
    struct index *index;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    char error[INDEX_ERROR_SIZE];

    CHECK(f != NULL);
    scratch_open(&f->scratch);
    f->index = index_open(NULL, error);
    CHECK(f->index != NULL);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    index_close(f->index);
    scratch_close(&f->scratch);
    free(f);
    return 0;
}

static void put(struct index *index, const char *path, const char *markdown)
{
    struct index_source source = {path, KIND_MARKDOWN, {.bytes = (int64_t)strlen(markdown),
                                                        .modified_ns = 5000000000LL}};
    struct document document;
    size_t passages;

    document_init(&document);
    markdown_read(&document, span_from_text(markdown));
    assert_int_equal(index_begin(index), INDEX_OK);
    assert_int_equal(index_put(index, &source, &document, &passages), INDEX_OK);
    assert_int_equal(index_commit(index), INDEX_OK);
    document_deinit(&document);
}

static bool keep_others(const char *path, void *arg)
{
    return strcmp(path, arg) != 0;
}

static void take_out(struct index *index, const char *path)
{
    size_t removed;

    assert_int_equal(index_begin(index), INDEX_OK);
    assert_int_equal(index_prune(index, keep_others, (void *)path, &removed), INDEX_OK);
    assert_int_equal(index_commit(index), INDEX_OK);
    assert_int_equal(removed, 1);
}

static struct search ask(struct index *index, const char *query, size_t limit)
{
    struct search search = {.query = span_from_text(query), .limit = limit};

    assert_int_equal(search_run(index, &search), SQLITE_OK);
    return search;
}

/* The sources of the answer, in order, as text. */
static void assert_sources(struct search *search, const char *expected)
{
    struct buffer sources = {0};

    for (size_t i = 0; i < search->hit_count; i++) {
        char hit[300];

        snprintf(hit, sizeof hit, "%s%s:%u", i > 0 ? " " : "", search->hits[i].source,
                 search->hits[i].line_start);
        buffer_add_text(&sources, hit);
    }
    assert_string_equal(buffer_text(&sources), expected);
    buffer_deinit(&sources);
    search_deinit(search);
}

/* ---- finding ------------------------------------------------------------------------- */

static void a_hit_says_what_and_where(void **state)
{
    struct fixture *f = *state;
    struct search search;

    put(f->index, "gates.md", "# Gates\n\n## Opening\nA gate is opened\nby its keeper.\n");
    search = ask(f->index, "Who opens the gates?", 8);
    assert_int_equal(search.hit_count, 1);
    assert_int_equal(search.total, 1);
    assert_string_equal(search.hits[0].source, "gates.md");
    assert_string_equal(search.hits[0].title, "Gates > Opening");
    assert_string_equal(search.hits[0].text, "A gate is opened by its keeper.");
    assert_int_equal(search.hits[0].kind, KIND_MARKDOWN);
    assert_int_equal(search.hits[0].line_start, 4);
    assert_int_equal(search.hits[0].line_end, 5);
    assert_int_equal(search.hits[0].page, 0);
    assert_true(search.hits[0].score > 0);
    search_deinit(&search);
}

static void better_matches_come_first(void **state)
{
    struct fixture *f = *state;
    struct search search;

    put(f->index, "a.md", "The water level rises with rain.\n");
    put(f->index, "b.md", "High water mark: the level at which a gate opens.\n");
    put(f->index, "c.md", "A mark on a stone.\n");
    put(f->index, "d.md", "Nothing of it here.\n");
    search = ask(f->index, "What is the high water mark?", 8);
    assert_int_equal(search.total, 3);
    assert_true(search.hits[0].score > search.hits[1].score);
    assert_string_equal(search.hits[0].source, "b.md");
    search_deinit(&search);
}

static void a_word_in_the_title_counts_more(void **state)
{
    struct fixture *f = *state;
    struct search search;

    put(f->index, "text.md", "# Water\nAbout a weir and more.\n");
    put(f->index, "title.md", "# Weir\nAbout a water and more.\n");
    search = ask(f->index, "weir", 8);
    assert_sources(&search, "title.md:2 text.md:2");
}

static void the_score_is_bm25f(void **state)
{
    struct fixture *f = *state;
    struct search search;
    double idf = log(1 + (2 - 1 + 0.5) / (1 + 0.5));
    /* 3 and 1 words of text; no titles. */
    double tf = 2 / (1 - 0.75 + 0.75 * 3 / 2.0);

    put(f->index, "a.md", "sluice sluice gate\n");
    put(f->index, "b.md", "other\n");
    search = ask(f->index, "sluice", 8);
    assert_int_equal(search.hit_count, 1);
    assert_true(fabs(search.hits[0].score - idf * tf * 2.5 / (tf + 1.5)) < 1e-9);
    search_deinit(&search);
}

static void equal_scores_have_a_stable_order(void **state)
{
    struct fixture *f = *state;
    struct search search;

    put(f->index, "c.md", "the same words\n");
    put(f->index, "a.md", "the same words\n");
    put(f->index, "b.md", "the same words\n");
    search = ask(f->index, "words", 8);
    assert_sources(&search, "a.md:1 b.md:1 c.md:1");
}

static void one_source_does_not_fill_the_answer(void **state)
{
    struct fixture *f = *state;
    struct search search = {
        .query = span_from_text("gate"), .limit = 4, .per_source = SEARCH_PER_SOURCE};

    put(f->index, "many.md", "# gate\ngate gate\n# gate\ngate gate\n# gate\ngate gate\n"
                             "# gate\ngate gate\n# gate\ngate gate\n");
    put(f->index, "one.md", "a gate somewhere in a longer text about other things\n");
    assert_int_equal(search_run(f->index, &search), SQLITE_OK);
    assert_int_equal(search.total, 6);
    assert_sources(&search, "many.md:2 many.md:4 many.md:6 one.md:1");
}

static void a_prefix_restricts_the_sources(void **state)
{
    struct fixture *f = *state;
    struct search search = {.query = span_from_text("gate"), .limit = 8, .prefix = "docs/%_/"};

    put(f->index, "docs/%_/a.md", "gate\n");
    put(f->index, "docs/xy/b.md", "gate\n");
    put(f->index, "DOCS/%_/c.md", "gate\n");
    assert_int_equal(search_run(f->index, &search), SQLITE_OK);
    assert_int_equal(search.total, 1);
    assert_sources(&search, "docs/%_/a.md:1");
}

static void a_query_without_words_finds_nothing(void **state)
{
    struct fixture *f = *state;
    struct search search;

    put(f->index, "a.md", "gate\n");
    search = ask(f->index, "?!", 8);
    assert_int_equal(search.total, 0);
    assert_sources(&search, "");
    search = ask(f->index, "absent", 8);
    assert_sources(&search, "");
}

/* ---- changing ------------------------------------------------------------------------- */

static void a_source_is_replaced_as_a_whole(void **state)
{
    struct fixture *f = *state;
    struct search search;

    put(f->index, "a.md", "# One\nold words\n# Two\nold words\n");
    put(f->index, "a.md", "# One\nnew words\n");
    search = ask(f->index, "old", 8);
    assert_sources(&search, "");
    search = ask(f->index, "words", 8);
    assert_sources(&search, "a.md:2");
}

static void a_removed_source_is_not_found(void **state)
{
    struct fixture *f = *state;
    struct search search;

    put(f->index, "a.md", "words\n");
    put(f->index, "b.md", "words\n");
    take_out(f->index, "a.md");
    search = ask(f->index, "words", 8);
    assert_sources(&search, "b.md:1");
}

static void a_search_sees_what_is_committed(void **state)
{
    struct fixture *f = *state;
    struct index_source source = {"b.md", KIND_MARKDOWN, {0}};
    struct document document;
    struct search search;
    size_t passages;

    put(f->index, "a.md", "words\n");
    document_init(&document);
    markdown_read(&document, span_from_text("words\n"));
    assert_int_equal(index_begin(f->index), INDEX_OK);
    assert_int_equal(index_put(f->index, &source, &document, &passages), INDEX_OK);
    search = ask(f->index, "words", 8);
    assert_sources(&search, "a.md:1");
    assert_int_equal(index_commit(f->index), INDEX_OK);
    search = ask(f->index, "words", 8);
    assert_sources(&search, "a.md:1 b.md:1");
    document_deinit(&document);
}

static void an_unchanged_source_is_known(void **state)
{
    struct fixture *f = *state;
    struct index_source source = {"a.md", KIND_MARKDOWN, {.bytes = 6, .modified_ns = 5000000000LL}};

    put(f->index, "a.md", "words\n");
    assert_true(index_has(f->index, &source));
    source.stamp.changed_ns = 1;
    assert_false(index_has(f->index, &source));
    source.stamp.changed_ns = 0;
    source.kind = KIND_TEXT;
    assert_false(index_has(f->index, &source));
}

static void set_pages_max(struct index *index, const char *pragma)
{
    assert_int_equal(sqlite3_exec(index->writer, pragma, NULL, NULL, NULL), SQLITE_OK);
}

static void what_is_rolled_back_is_not_counted(void **state)
{
    struct fixture *f = *state;
    struct index_source source = {"large.md", KIND_MARKDOWN, {0}};
    struct document document;
    struct search search;
    struct buffer text = {0};
    size_t passages, count;

    for (unsigned i = 0; i < 2000; i++) {
        char section[64];

        snprintf(section, sizeof section, "# Section %u\nword%u\n", i, i);
        buffer_add_text(&text, section);
    }
    document_init(&document);
    markdown_read(&document, buffer_span(&text));
    put(f->index, "a.md", "words\n");
    put(f->index, "b.md", "words\n");
    count = f->index->passage_count;
    set_pages_max(f->index, "PRAGMA max_page_count=1"); /* of what there is: it can only grow */
    assert_int_equal(index_begin(f->index), INDEX_OK);
    assert_int_equal(index_put(f->index, &source, &document, &passages), INDEX_FAULT);
    assert_int_equal(f->index->passage_count, count);
    set_pages_max(f->index, "PRAGMA max_page_count=100000");
    put(f->index, "c.md", "words\n");
    assert_int_equal(f->index->passage_count, count + 1);
    search = ask(f->index, "words", 8);
    assert_sources(&search, "a.md:1 b.md:1 c.md:1");
    document_deinit(&document);
    buffer_deinit(&text);
}

static void a_source_that_was_cut_short_is_read_again(void **state)
{
    struct fixture *f = *state;
    struct index_source source = {"b.md", KIND_MARKDOWN, {.bytes = 9}};
    struct document document;
    struct search search;
    size_t passages, count;

    put(f->index, "a.md", "words\n");
    document_init(&document);
    markdown_read(&document, span_from_text("words\n# B\nwords\n"));
    count = f->index->passage_count;
    f->index->passage_count = INDEX_PASSAGES_MAX - 1;
    assert_int_equal(index_put(f->index, &source, &document, &passages), INDEX_FULL);
    assert_int_equal(passages, 1);
    assert_false(index_has(f->index, &source));
    f->index->passage_count = count + 1;
    assert_int_equal(index_put(f->index, &source, &document, &passages), INDEX_OK);
    assert_true(index_has(f->index, &source));
    search = ask(f->index, "words", 8);
    assert_sources(&search, "a.md:1 b.md:1 b.md:3");
    document_deinit(&document);
}

/* ---- one passage, all sources ----------------------------------------------------------- */

static void a_passage_comes_with_its_neighbours(void **state)
{
    struct fixture *f = *state;
    struct passage_view view;
    struct search search;

    put(f->index, "a.md", "# A\nfirst\n# B\nsecond\n# C\nthird\n");
    search = ask(f->index, "second", 1);
    assert_int_equal(search_passage(f->index, search.hits[0].id, &view), SQLITE_OK);
    assert_string_equal(view.hit.text, "second");
    assert_string_equal(view.before, "first");
    assert_string_equal(view.after, "third");
    assert_int_equal(view.hit.line_start, 4);
    passage_view_deinit(&view);
    search_deinit(&search);
}

static void an_unknown_passage_is_not_found(void **state)
{
    struct fixture *f = *state;
    static const char *const ids[] = {"", "0123456789abcdef", "0123", "0123456789ABCDEF",
                                      "0123456789abcdefg", "' OR 1 --"};
    struct passage_view view;

    put(f->index, "a.md", "words\n");
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        assert_int_equal(search_passage(f->index, ids[i], &view), SQLITE_NOTFOUND);
        passage_view_deinit(&view);
    }
}

static void replicas_give_a_passage_the_same_id(void **state)
{
    struct fixture *f = *state;
    char error[INDEX_ERROR_SIZE];
    struct index *other = index_open(NULL, error);
    struct search mine, theirs;

    assert_non_null(other);
    put(f->index, "a.md", "words\n");
    put(f->index, "b.md", "words\n");
    put(other, "b.md", "words\n");
    put(other, "a.md", "words\n");
    mine = ask(f->index, "words", 8);
    theirs = ask(other, "words", 8);
    assert_int_equal(mine.hit_count, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(mine.hits[i].id, theirs.hits[i].id);
        assert_string_equal(mine.hits[i].source, theirs.hits[i].source);
    }
    assert_string_not_equal(mine.hits[0].id, mine.hits[1].id);
    search_deinit(&mine);
    search_deinit(&theirs);
    index_close(other);
}

static void sources_are_listed_page_by_page(void **state)
{
    struct fixture *f = *state;
    struct index_source empty = {"b-empty.md", KIND_MARKDOWN, {0}};
    struct source_list list;
    size_t passages;

    put(f->index, "c.md", "# See\nwords\n");
    put(f->index, "a.md", "words\n# A\nmore\n");
    assert_int_equal(index_put(f->index, &empty, NULL, &passages), INDEX_OK);
    assert_int_equal(search_sources(f->index, NULL, 1, &list), SQLITE_OK);
    assert_int_equal(list.total, 2); /* one without passages is not a source for anybody */
    assert_int_equal(list.count, 1);
    assert_true(list.more);
    assert_string_equal(list.rows[0].path, "a.md");
    assert_int_equal(list.rows[0].passages, 2);
    assert_int_equal(list.rows[0].modified_ms, 5000);
    source_list_deinit(&list);
    assert_int_equal(search_sources(f->index, "a.md", 1, &list), SQLITE_OK);
    assert_string_equal(list.rows[0].path, "c.md");
    assert_string_equal(list.rows[0].title, "See");
    assert_false(list.more);
    source_list_deinit(&list);
}

/* ---- on disk ------------------------------------------------------------------------------ */

static void a_named_index_survives(void **state)
{
    struct fixture *f = *state;
    const char *path = scratch_path(&f->scratch, "index");
    char error[INDEX_ERROR_SIZE];
    struct index *index = index_open(path, error);
    struct search search;

    assert_non_null(index);
    put(index, "a.md", "words\n");
    assert_null(index_open(path, error)); /* while it is in use */
    assert_non_null(strstr(error, "another process"));
    index_close(index);
    index = index_open(path, error);
    assert_non_null(index);
    search = ask(index, "words", 8);
    assert_sources(&search, "a.md:1");
    index_close(index);
}

static void an_index_of_another_layout_is_made_anew(void **state)
{
    struct fixture *f = *state;
    const char *path = scratch_path(&f->scratch, "index");
    char error[INDEX_ERROR_SIZE];
    struct index *index = index_open(path, error);
    struct search search;
    sqlite3 *db;

    put(index, "a.md", "words\n");
    index_close(index);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version=0", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    index = index_open(path, error);
    assert_non_null(index);
    search = ask(index, "words", 8);
    assert_sources(&search, "");
    put(index, "a.md", "words\n");
    index_close(index);
}

static void a_database_of_something_else_is_left_alone(void **state)
{
    struct fixture *f = *state;
    const char *path = scratch_path(&f->scratch, "precious");
    const char *text = scratch_path(&f->scratch, "text");
    char error[INDEX_ERROR_SIZE];
    sqlite3 *db;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE sources(x); INSERT INTO sources VALUES(1)",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    assert_null(index_open(path, error));
    assert_non_null(strstr(error, "something else"));
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "SELECT x FROM sources", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);

    scratch_write(&f->scratch, "text", "this is no database, but something that somebody wrote\n");
    assert_null(index_open(text, error));
    assert_null(index_open("/nonexistent/folder/index", error));
}

static void a_temporary_index_leaves_nothing_behind(void **state)
{
    struct fixture *f = *state;
    char error[INDEX_ERROR_SIZE];
    struct index *index;

    setenv("TMPDIR", f->scratch.path, 1);
    index = index_open(NULL, error);
    assert_non_null(index);
    put(index, "a.md", "words\n");
    /* Not even while it is open: a killed process cannot clean up. */
    assert_int_equal(rmdir(f->scratch.path), 0);
    assert_int_equal(mkdir(f->scratch.path, 0700), 0);
    index_close(index);
    unsetenv("TMPDIR");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_hit_says_what_and_where),
        CASE(better_matches_come_first),
        CASE(a_word_in_the_title_counts_more),
        CASE(the_score_is_bm25f),
        CASE(equal_scores_have_a_stable_order),
        CASE(one_source_does_not_fill_the_answer),
        CASE(a_prefix_restricts_the_sources),
        CASE(a_query_without_words_finds_nothing),
        CASE(a_source_is_replaced_as_a_whole),
        CASE(a_removed_source_is_not_found),
        CASE(a_search_sees_what_is_committed),
        CASE(an_unchanged_source_is_known),
        CASE(what_is_rolled_back_is_not_counted),
        CASE(a_source_that_was_cut_short_is_read_again),
        CASE(a_passage_comes_with_its_neighbours),
        CASE(an_unknown_passage_is_not_found),
        CASE(replicas_give_a_passage_the_same_id),
        CASE(sources_are_listed_page_by_page),
        CASE(a_named_index_survives),
        CASE(an_index_of_another_layout_is_made_anew),
        CASE(a_database_of_something_else_is_left_alone),
        CASE(a_temporary_index_leaves_nothing_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
