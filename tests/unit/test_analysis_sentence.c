/* What counts as one sentence, and that it stands in the text as it is. */
/* links: analysis */
#include "agents/analysis/sentence.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct found {
    char text[4096];
    const char *whole;
    size_t whole_size;
};

/* One line a sentence: its kind's letter, and its text squeezed. */
static bool note(const struct sentence *sentence, void *arg)
{
    static const char letters[] = {'P', 'H', 'R', 'C', 'N'};
    struct found *found = arg;
    char squeezed[SENTENCE_BYTES_MAX + 16];
    size_t size = sentence_squeeze(sentence->text, squeezed);
    size_t used = strlen(found->text);

    assert_true((const char *)sentence->text.data >= found->whole);
    assert_true((const char *)sentence->text.data + sentence->text.size <=
                found->whole + found->whole_size);
    snprintf(found->text + used, sizeof found->text - used, "%c %.*s\n", letters[sentence->kind],
             (int)size, squeezed);
    return true;
}

static void assert_split(const char *text, const char *expected)
{
    struct found found = {.whole = text, .whole_size = strlen(text)};

    sentence_split(span_from_text(text), note, &found);
    assert_string_equal(found.text, expected);
}

static void marks_end_sentences(void **state)
{
    assert_split("It waits. Does it end? Yes! \"Quoted.\" Then more.",
                 "P It waits.\nP Does it end?\nP Yes!\nP \"Quoted.\"\nP Then more.\n");
    assert_split("(A note.) More. \xE3\x80\x82", "P (A note.)\nP More.\nP \xE3\x80\x82\n");
}

static void abbreviations_and_numbers_do_not(void **state)
{
    assert_split("See e.g. Porter or M. F. Porter, i.e. Him.",
                 "P See e.g. Porter or M. F. Porter, i.e. Him.\n");
    assert_split("Version 4.3 is out. It has 3.5 MB, tools, etc. Nothing else.",
                 "P Version 4.3 is out.\nP It has 3.5 MB, tools, etc.\nP Nothing else.\n");
    assert_split("Calls zmq_poll resp. zmq_poller_wait.",
                 "P Calls zmq_poll resp. zmq_poller_wait.\n");
}

static void names_start_sentences_in_lower_case(void **state)
{
    assert_split("It returns. zmq_poll() waits for ever. and so on",
                 "P It returns.\nP zmq_poll() waits for ever. and so on\n");
}

static void wrapped_lines_are_one_paragraph(void **state)
{
    assert_split("The socket shall block when its high water mark is reached,\n"
                 "Or drop the message when it is of a type that never blocks.\n"
                 "Next.",
                 "P The socket shall block when its high water mark is reached, "
                 "Or drop the message when it is of a type that never blocks.\n"
                 "P Next.\n");
}

static void structure_separates(void **state)
{
    assert_split("# Start\n\nFirst text here.\n\n- one item\n- two items. Still two.\n\n"
                 "| a | b |\n|---|---|\n| 1 | 2 |\n\n```\nmake demo\n```\nAfter.\n",
                 "H Start\nP First text here.\nP one item\nP two items.\nP Still two.\n"
                 "R a | b\nR 1 | 2\nC make demo\nP After.\n");
    assert_split("ZMQ_LINGER: Set linger period\n\nIt sets the period.",
                 "H ZMQ_LINGER: Set linger period\nP It sets the period.\n");
    assert_split("Under\n=====\nText.", "H Under\nP Text.\n");
}

static void what_was_run_together_is_parted_or_known(void **state)
{
    assert_split("| key | meaning | |---|---| | `a b` | first. And more | | `c` | second |",
                 "R key | meaning\nR `a b` | first. And more\nR `c` | second\n");
    assert_split("end of one. | | `c` | second |", "R end of one.\nR `c` | second\n");
    assert_split("int rc = zmq_bind (socket, \"x\"); assert (rc == 0);",
                 "C int rc = zmq_bind (socket, \"x\"); assert (rc == 0);\n");
    assert_split("sluice-tool [--broker E] [--name N]", "C sluice-tool [--broker E] [--name N]\n");
    assert_split("zmq_bind(3) zmq_send(3), zmq(7).", "N zmq_bind(3) zmq_send(3), zmq(7).\n");
    assert_split("It takes --all or --none; both (a, b) end it.",
                 "P It takes --all or --none; both (a, b) end it.\n");
}

static void a_paragraph_a_line_needs_no_blank_lines(void **state)
{
    char text[600];
    char expected[600];

    snprintf(text, sizeof text, "Heading of it\n%0200d is a long paragraph\nOption value int", 7);
    snprintf(expected, sizeof expected,
             "H Heading of it\nP %0200d is a long paragraph\nP Option value int\n", 7);
    assert_split(text, expected);
}

static void long_sentences_are_cut_between_characters(void **state)
{
    static char text[5000];
    struct found found;
    size_t i;

    for (i = 0; i + 2 < sizeof text; i += 2) { /* one endless word of U+00E9 */
        memcpy(text + i, "\xC3\xA9", 2);
    }
    found = (struct found){.whole = text, .whole_size = strlen(text)};
    sentence_split(span_from_text(text), note, &found);
    for (i = 0; found.text[i] != '\0'; i++) {
        if (found.text[i] == '\n') {
            assert_int_equal((uint8_t)found.text[i - 1], 0xA9);
        }
    }
}

static void hostile_text_is_survived(void **state)
{
    const char *texts[] = {
        "",         "\n\n\n", ".",   "...",          "```",     "#",   "- ",      "|",  "a.\xE3",
        "\xE3\x80", "====",   "1. ", "\xE2\x80\xA2", ". . . .", "?\"", "#######", "A.", "etc. X"};
    size_t i;

    for (i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct found found = {.whole = texts[i], .whole_size = strlen(texts[i])};

        sentence_split(span_from_text(texts[i]), note, &found);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(marks_end_sentences),
        cmocka_unit_test(abbreviations_and_numbers_do_not),
        cmocka_unit_test(names_start_sentences_in_lower_case),
        cmocka_unit_test(wrapped_lines_are_one_paragraph),
        cmocka_unit_test(structure_separates),
        cmocka_unit_test(what_was_run_together_is_parted_or_known),
        cmocka_unit_test(a_paragraph_a_line_needs_no_blank_lines),
        cmocka_unit_test(long_sentences_are_cut_between_characters),
        cmocka_unit_test(hostile_text_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
