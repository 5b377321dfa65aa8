/* links: retriever */
/* Readers of every text format: which words, in which blocks, on which lines.
 * Then the same readers against files that nobody means well. */
#include "tests/unit/retriever_fixture.h"

#include "agents/retriever/extract.h"
#include "agents/retriever/file.h"
#include "agents/retriever/utf8.h"

static void text_reader_man(struct document *document, struct span text)
{
    man_read(document, text);
}

typedef void reader_fn(struct document *document, struct span text);

static reader_fn *const readers[] = {plain_read, markdown_read, html_read, text_reader_man};

#define READERS (sizeof readers / sizeof readers[0])

static void given_text(struct document *document, reader_fn *reader, const char *text)
{
    document_init(document);
    reader(document, span_from_text(text));
}

static void given_fixture(struct document *document, reader_fn *reader, const char *name)
{
    struct buffer text = {0};
    struct file_stamp stamp;
    char path[256];

    snprintf(path, sizeof path, FIXTURES "%s", name);
    assert_int_equal(file_read(path, NULL, false, &text, &stamp), FILE_OK);
    document_init(document);
    reader(document, buffer_span(&text));
    buffer_deinit(&text);
}

/* ---- what a format means ---------------------------------------------------------- */

static void markdown_keeps_blocks_and_lines(void **state)
{
    struct document document;

    given_fixture(&document, markdown_read, "guide.md");
    assert_string_equal(buffer_text(&document.title), "Sluice guide");
    assert_document(&document, "# 4 Sluice guide\n"
                               "6-7 A first paragraph on two lines.\n"
                               "## 9 Setext heading\n"
                               "12 - item one\n"
                               "13-14 - item two goes on\n"
                               "## 16 Code\n"
                               "19-22 # not a heading int main(void); - not an item\n"
                               "25 > quoted text\n"
                               "27 1. first\n"
                               "28 2) second\n"
                               "30-33 | a | b | |---|---| #no heading Dashes --- inside.\n"
                               "35 ----\n"
                               "### 37 Last one\n"
                               "38 end\n");
    document_deinit(&document);
}

static void plain_text_has_underlined_headings(void **state)
{
    struct document document;

    given_fixture(&document, plain_read, "notes.txt");
    assert_string_equal(buffer_text(&document.title), "Release notes");
    assert_document(&document, "# 1 Release notes\n"
                               "4-5 The first paragraph has two lines.\n"
                               "## 7 Changes\n"
                               "9-10 One line. - - -\n");
    document_deinit(&document);
}

static void html_text_knows_its_lines(void **state)
{
    struct document document;

    given_fixture(&document, html_read, "page.html");
    assert_string_equal(buffer_text(&document.title), "Pipes & sluices");
    assert_document(&document, "# 8 Opening a gate\n"
                               "9-11 Water flows when the gate is open, and <stops> after.\n"
                               "12 An unclosed paragraph\n"
                               "13 one\n"
                               "13-14 two three\n"
                               "15 Name Default\n"
                               "16 HWM 1000\n"
                               "## 19 Closing\n"
                               "20 Line nineteen and after\n");
    document_deinit(&document);
}

static uint64_t chance(uint64_t *seed, uint64_t bound)
{
    *seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (*seed >> 33) % bound;
}

/* Text whose every word says the line that it is on: w17. Between the words what the
 * format has; `%` stands for such a word. */
static struct buffer numbered_text(const char *const *pieces, size_t count, uint64_t seed)
{
    struct buffer text = {0};
    unsigned line = 1;

    for (size_t i = 0; i < 3000; i++) {
        for (const char *p = pieces[chance(&seed, count)]; *p != '\0'; p++) {
            char word[32];

            if (*p != '%') {
                buffer_add_byte(&text, *p);
                line += *p == '\n';
                continue;
            }
            snprintf(word, sizeof word, " w%u ", line);
            buffer_add_text(&text, word);
        }
    }
    return text;
}

static void assert_lines_are_true(reader_fn *reader, const char *const *pieces, size_t count)
{
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct buffer text = numbered_text(pieces, count, seed);
        struct document document;
        size_t checked = 0;

        given_text(&document, reader, text.data);
        for (size_t i = 0; i < document.word_count; i++) {
            struct span word = document_words(&document, i, 1);

            if (word.data[0] == 'w') {
                if (document.words[i].line != strtoul((const char *)word.data + 1, NULL, 10)) {
                    fail_msg("%.*s is said to be on line %u (seed %d)", (int)word.size, word.data,
                             document.words[i].line, (int)seed);
                }
                checked++;
            }
        }
        assert_true(checked > 100);
        document_deinit(&document);
        buffer_deinit(&text);
    }
}

static void every_word_is_on_the_line_it_is_said_to_be_on(void **state)
{
    static const char *const html[] = {
        "%", "%%%%%%%%", "\n", "\n\n\n%", "%\n%\n%\n%\n%\n%\n%\n%\n%\n%\n", "<p>", "</p>",
        "<p\nclass='a\nb'\n>", "<!-- %\n% -->", "&amp;\n", "<b>%</b>", "<br\n/>", "<br>",
        "<script>%\n%</script>", "<style>\n</style>", "<ul><li>%\n<li>%</ul\n>", "<h2>%\n%</h2>",
        "<table><tr><td>%\n<td>%</table>", "</div>", "<pre>\n\n%\n</pre>", "<?pi\n?>", "&#10;%",
    };
    static const char *const markdown[] = {
        "%", "\n", "\n\n%", "\n# %\n", "%\n===\n", "\n\n%\n---\n", "\n- %", "\n```\n", "\n> %\n",
        "`%`", "\n1. %", "\r\n%",
    };
    static const char *const man[] = {
        ".SH %\n",       "%\n",
        "\\fB%\\fR\n",   ".B %\n",
        ".BR % %\n",     ".PP\n",
        ".TP\n%\n%\n",   "\n",
        ".\\\" %\n",     ".ig\n%\n..\n",
        ".if n %\n",     ".ie t \\{\\\n%\n.\\}\n.el \\{\\\n%\n.\\}\n",
        "%\\c\n%\n",     ".TS\ntab(:);\nl l.\n%:%\nT{\n%\nT}:%\n.TE\n",
        ".IP % 4\n",     ".SS\n%\n",
        ".nf\n%\n.fi\n",
    };

    assert_lines_are_true(html_read, html, sizeof html / sizeof html[0]);
    assert_lines_are_true(markdown_read, markdown, sizeof markdown / sizeof markdown[0]);
    assert_lines_are_true(plain_read, markdown, sizeof markdown / sizeof markdown[0]);
    assert_lines_are_true(text_reader_man, man, sizeof man / sizeof man[0]);
}

static void manual_pages_lose_macros_and_keep_words(void **state)
{
    struct document document;

    given_fixture(&document, text_reader_man, "gate.3");
    assert_document(&document,
                    "# 9 NAME\n"
                    "10 gate_open - open a gate\n"
                    "# 11 SYNOPSIS\n"
                    "13 int gate_open (struct gate *gate);\n"
                    "# 16 DESCRIPTION\n"
                    "18-22 The gate_open() function shall open gate_close(3). It isn't ATOMIC; "
                    "C:\\ path-name — café €5. this is for screens\n"
                    "29 else part\n"
                    "32-33 -f force\n"
                    "34-35 • a bullet\n"
                    "38-40 • glued bullet\n"
                    "47-51 Name Default value HWM 1000\n"
                    "## 54 Sub section\n"
                    "55-60 capital macro text Last line.\n");
    document_deinit(&document);
}

static void conditions_are_those_of_a_terminal(void **state)
{
    static const char page[] =
        ".SH A\n.if !n never\n.if !t one\n.if t never\n.ie n two\n.el never\n"
        ".ie \\nF never\n.el three\n.if 'a'b' never\n"
        ".ie t \\{\n.ie n never\n.el never\n.\\}\n.el four\n.if n .if n five\n";
    struct document document;

    given_text(&document, text_reader_man, page);
    assert_document(&document, "# 1 A\n3-15 one two three four five\n");
    document_deinit(&document);
}

static void mdoc_pages_are_read_too(void **state)
{
    struct document document;

    given_fixture(&document, text_reader_man, "gate.8");
    assert_document(&document, "# 4 NAME\n"
                               "5-6 gatectl control a gate\n"
                               "# 7 SYNOPSIS\n"
                               "8-10 gatectl -v -f file\n"
                               "# 11 DESCRIPTION\n"
                               "12-15 The utility opens see gate(3).\n"
                               "17-20 -f file Read files first.\n"
                               "23-25 Use gatectl -v, always.\n"
                               "## 26 Files\n"
                               "27 /etc/gate.conf\n");
    document_deinit(&document);
}

static void what_is_no_manual_page_is_refused(void **state)
{
    static const char *const texts[] = {"", "plain words\n", ".so man3/other.3\n",
                                        "1.0.2\nchanges in release 1\n", ".\\\" only a comment\n"};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct document document;

        document_init(&document);
        assert_false(man_read(&document, span_from_text(texts[i])));
        document_deinit(&document);
    }
}

/* ---- hostile files ------------------------------------------------------------------- */

static struct buffer repeat(const char *text, size_t times)
{
    struct buffer buffer = {0};

    for (size_t i = 0; i < times; i++) {
        buffer_add_text(&buffer, text);
    }
    return buffer;
}

/* Whatever a reader did, the document is sound and can be indexed. */
static void assert_sound(const struct document *document)
{
    size_t words = 0;

    assert_true(document->word_count <= DOCUMENT_WORDS_MAX);
    assert_true(document->block_count <= DOCUMENT_BLOCKS_MAX);
    assert_true(document->text.size <= DOCUMENT_TEXT_BYTES_MAX + DOCUMENT_WORD_BYTES_MAX + 2);
    assert_true(utf8_valid(buffer_span(&document->text)));
    assert_true(utf8_valid(buffer_span(&document->title)));
    for (size_t i = 0; i < document->word_count; i++) {
        const struct word *word = &document->words[i];

        assert_true(word->size >= 1 && word->size <= DOCUMENT_WORD_BYTES_MAX);
        assert_true(word->line >= 1 && word->line <= word->line_last);
        assert_true(word->offset + word->size < document->text.size);
    }
    for (size_t i = 0; i < document->block_count; i++) {
        assert_int_equal(document->blocks[i].word_first, words);
        words += document->blocks[i].word_count;
    }
    assert_int_equal(words, document->word_count);
}

static void every_reader_survives(const char *piece, size_t times)
{
    struct buffer text = repeat(piece, times);

    for (size_t i = 0; i < READERS; i++) {
        struct document document;

        document_init(&document);
        readers[i](&document, buffer_span(&text));
        assert_sound(&document);
        document_deinit(&document);
    }
    buffer_deinit(&text);
}

static void readers_survive_huge_and_nested_input(void **state)
{
    every_reader_survives("x", 4 << 20);                /* one line, one word */
    every_reader_survives("word ", 1 << 20);            /* one line */
    every_reader_survives("\n", 1 << 20);
    every_reader_survives("a\n\n", 1 << 19);            /* more paragraphs than there may be */
    every_reader_survives("<div><b>deep ", 1 << 16);
    every_reader_survives("</i></b></div>", 1 << 16);
    every_reader_survives("<p <p <p ", 1 << 16);
    every_reader_survives("&#xD800;&amp", 1 << 16);
    every_reader_survives("<!--", 1 << 17);
    every_reader_survives(".if n ", 1 << 17);           /* one line of conditions */
    every_reader_survives(".SH x\n.ie t \\{\n", 1 << 15);
    every_reader_survives(".de x\n", 1 << 16);
    every_reader_survives(".TH a 1\n.TS\nl.\n", 1 << 14);
    every_reader_survives("\\", 1 << 18);
    every_reader_survives(".SH \"\"\"\"\n", 1 << 15);
    every_reader_survives(".SH a\n.B \\f\\*[\\n(\\s-\\h'\\o\"\n", 1 << 14);
    every_reader_survives(".SH a\n\\\xC3\xA9\\f(\xC3\xA9\\(\xE2\x82\xAC \\h\xC3\xA9x\n", 1 << 12);
    every_reader_survives(".SH a\n.TS\ntab(\xC3\xA9);\nl.\na\xC3\xA9\xC3\xA8z\n.TE\n", 1 << 12);
    every_reader_survives("# \xC2\xA0\n```\n", 1 << 16);
}

static void a_word_that_is_too_long_leaves_a_hole(void **state)
{
    struct buffer text = repeat("x", DOCUMENT_WORD_BYTES_MAX + 1);
    struct document document;

    buffer_add_text(&text, " after\n\nmore");
    given_text(&document, plain_read, text.data);
    assert_document(&document, "hole\n1 after\n3 more\n");
    document_deinit(&document);
    buffer_deinit(&text);
}

static void odd_html_is_read_as_a_browser_does(void **state)
{
    static const struct {
        const char *html, *expected;
    } cases[] = {
        {"a < b && c<=d", "1 a < b && c<=d\n"},
        {"&lt;&eacute;&#233;&#xE9;&unknown;&amp &#0;&#x110000;&",
         "1 <ééé&unknown;& &#0;&#x110000;&\n"},
        {"x<a title='a > b' href=\"c>d\">y</a>z", "1 xyz\n"},
        {"<p title=don't>one<p title='>two", "1 one\n1 two\n"},
        {"a<!-->b<!-- <p> --->c<!-- x", "1 abc\n"},
        {"<SCRIPT>if (a < b) '</scripty>'</ScRiPt >after", "1 after\n"},
        {"<script src='x'/>after<script>never", "1 after\n"},
        {"<nav>a<nav>b</nav>c<script></nav></script>d</nav>e", "1 e\n"},
        {"<svg/>a<svg><title>b</title></svg>c", "1 ac\n"},
        {"<title>T</title><title>U</title><p>a", "1 a\n"},
        {"<h1>a<h7>b</h1>c<h6>d", "# 1 ab\n1 c\n###### 1 d\n"},
        {"a<averylongelementnamethatnobodyknows>b</p", "1 ab\n"},
        {"a<![CDATA[b]]>c<?php d ?>e</>f<", "1 ace</>f<\n"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct document document;

        given_text(&document, html_read, cases[i].html);
        assert_document(&document, cases[i].expected);
        document_deinit(&document);
    }
}

/* What makes parsers slow: a minute each in one that compares all with all. */
static void hostile_html_takes_linear_time(void **state)
{
    static const char *const pieces[][2] = {
        {"<div>", "</b>"},     {"<p ", "a1 b2 c3 "}, {"<p ", "a='\"' b=\"'\" "}, {"", "<a b='"},
        {"", "<a b=\"<a b='"}, {"", "<!--"},         {"<script>", "</scrip"},    {"<nav>", "<nav>"},
        {"", "&am"},           {"", "<a'\""},        {"<title>", "x"},           {"<p a=", "=\""},
    };

    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        struct buffer text = repeat(pieces[i][0], 1000);
        struct buffer rest = repeat(pieces[i][1], (3U << 20) / strlen(pieces[i][1]));
        struct document document;

        buffer_add(&text, rest.data, rest.size);
        document_init(&document);
        html_read(&document, buffer_span(&text));
        assert_sound(&document);
        document_deinit(&document);
        buffer_deinit(&rest);
        buffer_deinit(&text);
    }
}

/* Every prefix and every one-byte change of a real file, as readers get them: made text. */
static void mutations_of_fixtures_do_no_harm(void **state)
{
    static const char *const names[READERS] = {"notes.txt", "guide.md", "page.html", "gate.3"};
    uint64_t seed = 1;

    for (size_t i = 0; i < READERS; i++) {
        struct buffer original = {0};
        struct file_stamp stamp;
        char path[256];

        snprintf(path, sizeof path, FIXTURES "%s", names[i]);
        assert_int_equal(file_read(path, NULL, false, &original, &stamp), FILE_OK);
        for (size_t round = 0; round < 2000; round++) {
            struct buffer text = {0};
            struct document document;

            seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
            buffer_add(&text, original.data, round < original.size ? round : original.size);
            if (text.size > 0) {
                text.data[(seed >> 33) % text.size] = (char)(seed >> 25);
            }
            file_text_repair(&text);
            document_init(&document);
            readers[i](&document, buffer_span(&text));
            assert_sound(&document);
            document_deinit(&document);
            buffer_deinit(&text);
        }
        buffer_deinit(&original);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(markdown_keeps_blocks_and_lines),
        cmocka_unit_test(plain_text_has_underlined_headings),
        cmocka_unit_test(html_text_knows_its_lines),
        cmocka_unit_test(every_word_is_on_the_line_it_is_said_to_be_on),
        cmocka_unit_test(manual_pages_lose_macros_and_keep_words),
        cmocka_unit_test(conditions_are_those_of_a_terminal),
        cmocka_unit_test(mdoc_pages_are_read_too),
        cmocka_unit_test(what_is_no_manual_page_is_refused),
        cmocka_unit_test(readers_survive_huge_and_nested_input),
        cmocka_unit_test(a_word_that_is_too_long_leaves_a_hole),
        cmocka_unit_test(odd_html_is_read_as_a_browser_does),
        cmocka_unit_test(hostile_html_takes_linear_time),
        cmocka_unit_test(mutations_of_fixtures_do_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
