/* links: tool */
/* html_text: what is kept of a page, what is dropped, and that hostile pages end soon. */
#include "agents/tool/html_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <jansson.h>

static void expect(const char *html, const char *text)
{
    struct html_text result;

    assert_true(html_text_convert(html, strlen(html), 1 << 20, &result));
    assert_string_equal(result.text, text);
    assert_int_equal(result.size, strlen(text));
    assert_false(result.truncated);
    free(result.text);
}

static void blocks_become_lines(void **state)
{
    expect("<p>One  \n two</p><p>Three</p>", "One two\n\nThree");
    expect("a<div>b</div>c", "a\nb\nc");
    expect("a<br>b<br/>c", "a\nb\nc");
    expect("<b>bo</b>ld <i> and</i> on", "bold and on");
    expect("<h1>Top</h1>text<h3>Sub</h3><h2></h2>more", "# Top\n\ntext\n\n### Sub\n\nmore");
    expect("<ul><li>one<li>two <b>x</b></ul>end", "- one\n- two x\n\nend");
    expect("<table><tr><th>a<th>b<tr><td>1</td><td>2</td></tr></table>", "a | b\n1 | 2");
    expect("<pre>  x\n    y\n\n\n\nz</pre>w", "  x\n    y\n\nz\n\nw");
    expect("", "");
    expect("  <p> </p> ", "");
}

static void scripts_styles_and_forms_are_dropped(void **state)
{
    expect("a<script>if (a<b) document.write('<p>x</p>')</script>b", "ab");
    expect("a<style>p > b {}</style><template><p>x</p></template>b", "ab");
    expect("a<svg><title>t</title><svg>x</svg>y</svg>b", "ab");
    expect("a<SCRIPT type=x>y</Script >b", "ab");
    expect("a<script>never closed", "a");
    expect("a<!-- x > <p>y</p> -->b<!DOCTYPE html>c<?php x ?>d", "abcd");
    expect("a<!-->b<!--->c", "abc");
    expect("a<select><option>x</select>b<textarea><p>y</textarea>c", "abc");
}

static void the_first_title_is_the_title(void **state)
{
    static const char html[] = "<html><head><title>  A &amp; B <b>\n</title><title>C</title>"
                               "</head><body>text</body>";
    struct html_text result;

    assert_true(html_text_convert(html, strlen(html), 100, &result));
    assert_string_equal(result.title, "A & B <b>");
    assert_string_equal(result.text, "text");
    free(result.text);
}

static void links_keep_their_text_and_absolute_address(void **state)
{
    expect("see <a href='https://example.com/a?b=1&amp;c=2'>the manual</a>.",
           "see the manual <https://example.com/a?b=1&c=2>.");
    expect("<a href=/here>here</a> <a name=x>there</a>", "here there");
    expect("<a href=https://example.com/>https://example.com/</a>", "https://example.com/");
    expect("<a href=\"javascript:alert(1)\">x</a>", "x");
    expect("<a href=https://example.com/><img src=x></a>y", "y");
    expect("<img alt='A &lt;cat&gt;' src=x>", "[A <cat>]");
}

static void references_are_decoded(void **state)
{
    expect("&lt;p&gt; &amp;amp; &copy; &eacute;&euro;&apos;&quot;", "<p> &amp; \xc2\xa9 "
                                                                   "\xc3\xa9\xe2\x82\xac'\"");
    expect("&#65;&#x42;&#X43; &#128; &#8217;", "ABC \xe2\x82\xac \xe2\x80\x99");
    expect("&#0;&#xd800;&#x110000;&#99999999999999;",
           "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    expect("a & b &unknown; &; &# &#x; &copy=1 AT&T", "a & b &unknown; &; &# &#x; &copy=1 AT&T");
    expect("a&nbsp;&nbsp;b", "a b");
    expect("soft&shy;hy\xe2\x80\x8bphen", "softhyphen");
}

static void tag_soup_is_text_again(void **state)
{
    expect("1 < 2 and 3 > 2", "1 < 2 and 3 > 2");
    expect("a <3 b", "a <3 b");
    expect("<p title='a > b'>x", "x");
    expect("<p a=\"unclosed>x", "");
    expect("x<p", "x");
    expect("x<", "x<");
    expect("</ >x</>y", "xy");
    expect("</p></p></pre></a>x", "x");
    expect("<p =x='y'>z", "z");
}

static void text_is_cut_between_characters(void **state)
{
    static const char html[] = "<p>\xc3\xa9\xc3\xa9\xc3\xa9</p>";
    struct html_text result;

    assert_true(html_text_convert(html, strlen(html), 5, &result));
    assert_true(result.truncated);
    assert_string_equal(result.text, "\xc3\xa9\xc3\xa9");
    free(result.text);
    assert_true(html_text_plain(html + 3, 6, 5, &result));
    assert_true(result.truncated);
    assert_string_equal(result.text, "\xc3\xa9\xc3\xa9");
    free(result.text);
    assert_true(html_text_plain(html + 3, 6, 6, &result));
    assert_false(result.truncated);
    free(result.text);
}

static void plain_text_loses_control_characters_only(void **state)
{
    struct html_text result;

    assert_true(html_text_plain("a\r\n\tb <p>\x1b[1m\0c", 16, 100, &result));
    assert_string_equal(result.text, "a\n\tb <p>[1mc");
    free(result.text);
}

/* Pages made to be slow cost no more than their length. Each took a parser that builds
 * a tree, or compares attributes, seconds to minutes. */
static void hostile_pages_take_linear_time(void **state)
{
    static const char *const pieces[] = {"<b>", "a=1 ", "<!--", "<a href='", "&", "</p>", "<pre>",
                                         "<svg>", "<a href=http://x>y", "<title>", "<", "<script>"};
    size_t size = 1 << 20;
    char *html = malloc(size + 64);

    assert_non_null(html);
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        struct html_text result;
        size_t used = (size_t)sprintf(html, i == 1 ? "<p " : "");
        clock_t start = clock();

        while (used < size) {
            used += (size_t)sprintf(html + used, "%s", pieces[i]);
        }
        assert_true(html_text_convert(html, used, 1 << 20, &result));
        assert_true(result.size <= 1 << 20);
        free(result.text);
        if (clock() - start > 5 * CLOCKS_PER_SEC) {
            fail_msg("%s took %.1f s", pieces[i], (double)(clock() - start) / CLOCKS_PER_SEC);
        }
    }
    free(html);
}

/* Whatever happens to a page, its text is valid, within the bound, and read from nowhere else. */
static void mutated_pages_give_valid_text(void **state)
{
    static const char page[] =
        "<html><head><title>a &amp; b</title><script>x<y</script></head><body><h1>H</h1><p class='x'>"
        "t &lt; &#x41; \xe2\x82\xac <a href=\"http://x/\">l</a><ul><li>1<li>2</ul><pre> a\n b</pre>"
        "<table><tr><td>c<td>d</table><!-- c --><svg><g/></svg><img alt=\"&eacute;\"></body>";
    static const char bits[] = "<>&;#/='\"!- ax1";

    srand(11);
    for (int round = 0; round < 20000; round++) {
        size_t size = strlen(page) - (size_t)rand() % 40;
        char *html = malloc(size); /* exact, so that the sanitizer sees a step too far */
        struct html_text result;
        json_t *text, *title;

        memcpy(html, page, size);
        for (int i = rand() % 8; i > 0; i--) {
            size_t at = (size_t)rand() % size;

            if ((unsigned char)html[at] < 0x80) { /* the input stays UTF-8 */
                html[at] = bits[(size_t)rand() % strlen(bits)];
            }
        }
        assert_true(html_text_convert(html, size, (size_t)rand() % 200, &result));
        text = json_stringn(result.text, result.size); /* NULL if it is not UTF-8 */
        title = json_string(result.title);
        assert_non_null(text);
        assert_non_null(title);
        assert_true(result.size <= 200);
        json_decref(text);
        json_decref(title);
        free(result.text);
        free(html);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_become_lines),
        cmocka_unit_test(scripts_styles_and_forms_are_dropped),
        cmocka_unit_test(the_first_title_is_the_title),
        cmocka_unit_test(links_keep_their_text_and_absolute_address),
        cmocka_unit_test(references_are_decoded),
        cmocka_unit_test(tag_soup_is_text_again),
        cmocka_unit_test(text_is_cut_between_characters),
        cmocka_unit_test(plain_text_loses_control_characters_only),
        cmocka_unit_test(hostile_pages_take_linear_time),
        cmocka_unit_test(mutated_pages_give_valid_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
