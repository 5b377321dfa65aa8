/* links: retriever */
/* Questions become full-text queries; whatever is typed, SQLite accepts them. */
#include "tests/unit/retriever_fixture.h"

#include "agents/retriever/query.h"

#include <sqlite3.h>

static void assert_query(const char *text, const char *match)
{
    struct query query = {0};

    assert_int_equal(query_build(&query, span_from_text(text)), match[0] != '\0');
    assert_string_equal(buffer_text(&query.match), match);
    query_deinit(&query);
}

static void stop_words_are_left_out(void **state)
{
    assert_query("What is the default high water mark?",
                 "\"default\" OR \"high\" OR \"water\" OR \"mark\"");
    assert_query("LINGER", "\"linger\"");
}

static void a_question_of_stop_words_is_taken_as_it_is(void **state)
{
    assert_query("to be or not to be", "\"to\" OR \"be\" OR \"or\" OR \"not\"");
}

static void a_compound_is_a_phrase_and_its_parts(void **state)
{
    struct query query = {0};

    assert_query("zmq_msg_send(3)",
                 "\"zmq msg send\" OR \"zmq\" OR \"msg\" OR \"send\" OR \"3\"");
    assert_query("man-in-the-middle", "\"man in the middle\" OR \"man\" OR \"middle\"");
    assert_true(query_build(&query, span_from_text("a_b retry retry")));
    assert_int_equal(query.term_count, 2);
    assert_true(query.weights[0] == 1.0);
    assert_true(query.weights[1] == 2.0); /* asked for twice, counts twice */
    query_deinit(&query);
}

static void no_syntax_of_the_query_language_passes(void **state)
{
    assert_query("\"drop\" AND (table:x*) NEAR^",
                 "\"drop\" OR \"table x\" OR \"table\" OR \"near\"");
    assert_query("title:{a b} + -", "\"title\" OR \"b\"");
    assert_query("\"\"\" ' % ; --", "");
    assert_query("", "");
}

static void other_scripts_are_words_too(void **state)
{
    assert_query("caf\xC3\xA9 \xE2\x80\x9CStra\xC3\x9F" "e\xE2\x80\x9D",
                 "\"caf\xC3\xA9\" OR \"stra\xC3\x9F" "e\"");
    assert_query("\xC2\xA0\xE2\x80\x94\xE2\x80\xA6", "");
}

static void the_number_of_terms_is_bounded(void **state)
{
    struct buffer text = {0};
    struct query query = {0};

    for (unsigned i = 0; i < 3000; i++) {
        char word[32];

        snprintf(word, sizeof word, "w%u ", i);
        buffer_add_text(&text, word);
    }
    assert_true(query_build(&query, buffer_span(&text)));
    assert_int_equal(query.term_count, QUERY_TERMS_MAX);
    buffer_truncate(&text, 0);
    for (unsigned i = 0; i < 9000; i++) {
        buffer_add_text(&text, "x_");
    }
    assert_true(query_build(&query, buffer_span(&text)));
    assert_true(query.match.size < 200);
    query_deinit(&query);
    buffer_deinit(&text);
}

static void any_bytes_make_a_query_that_sqlite_accepts(void **state)
{
    sqlite3_stmt *match = NULL;
    sqlite3 *db = NULL;
    uint64_t seed = 3;

    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "CREATE VIRTUAL TABLE t USING fts5(a,"
                                  " tokenize='porter unicode61 remove_diacritics 2');"
                                  "INSERT INTO t VALUES('some words')",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(db, "SELECT rowid FROM t WHERE t MATCH ?1", -1, &match, NULL),
        SQLITE_OK);
    for (size_t round = 0; round < 20000; round++) {
        static const char ascii[] = "ab_-.\"'()*:^{}+ NOT OR AND NEAR\t\n\\/";
        struct query query = {0};
        char text[64];

        for (size_t i = 0; i < sizeof text; i++) {
            seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
            text[i] = (seed >> 40) % 8 == 0 ? (char)(seed >> 50)
                                            : ascii[(seed >> 33) % (sizeof ascii - 1)];
        }
        if (query_build(&query, span_of(text, sizeof text))) {
            int rc;

            sqlite3_bind_text(match, 1, query.match.data, (int)query.match.size, SQLITE_STATIC);
            rc = sqlite3_step(match);
            if (rc != SQLITE_DONE && rc != SQLITE_ROW) {
                fail_msg("%s: %s", query.match.data, sqlite3_errmsg(db));
            }
            sqlite3_reset(match);
        }
        query_deinit(&query);
    }
    sqlite3_finalize(match);
    sqlite3_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stop_words_are_left_out),
        cmocka_unit_test(a_question_of_stop_words_is_taken_as_it_is),
        cmocka_unit_test(a_compound_is_a_phrase_and_its_parts),
        cmocka_unit_test(no_syntax_of_the_query_language_passes),
        cmocka_unit_test(other_scripts_are_words_too),
        cmocka_unit_test(the_number_of_terms_is_bounded),
        cmocka_unit_test(any_bytes_make_a_query_that_sqlite_accepts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
