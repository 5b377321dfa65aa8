/* The stemmer against the examples of Porter's paper, rule by rule. */
/* links: analysis */
#include "agents/analysis/stem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void assert_stem(const char *word, const char *expected)
{
    char buffer[64];
    size_t size = strlen(word);

    memcpy(buffer, word, size);
    size = stem_word(buffer, size);
    buffer[size] = '\0';
    assert_string_equal(buffer, expected);
}

static void plurals_lose_their_ending(void **state)
{
    assert_stem("caresses", "caress");
    assert_stem("ponies", "poni");
    assert_stem("ties", "ti");
    assert_stem("caress", "caress");
    assert_stem("cats", "cat");
}

static void past_and_gerund_are_repaired(void **state)
{
    assert_stem("feed", "feed");
    assert_stem("agreed", "agre");
    assert_stem("plastered", "plaster");
    assert_stem("bled", "bled");
    assert_stem("motoring", "motor");
    assert_stem("sing", "sing");
    assert_stem("conflated", "conflat");
    assert_stem("troubled", "troubl");
    assert_stem("sized", "size");
    assert_stem("hopping", "hop");
    assert_stem("tanned", "tan");
    assert_stem("falling", "fall");
    assert_stem("hissing", "hiss");
    assert_stem("fizzed", "fizz");
    assert_stem("failing", "fail");
    assert_stem("filing", "file");
    assert_stem("happy", "happi");
    assert_stem("sky", "sky");
}

static void long_suffixes_shrink_step_by_step(void **state)
{
    assert_stem("relational", "relat");
    assert_stem("conditional", "condit");
    assert_stem("rational", "ration");
    assert_stem("digitizer", "digit");
    assert_stem("vietnamization", "vietnam");
    assert_stem("operator", "oper");
    assert_stem("hopefulness", "hope");
    assert_stem("sensibiliti", "sensibl");
    assert_stem("triplicate", "triplic");
    assert_stem("electrical", "electr");
    assert_stem("goodness", "good");
    assert_stem("replacement", "replac");
    assert_stem("adjustment", "adjust");
    assert_stem("dependent", "depend");
    assert_stem("adoption", "adopt");
    assert_stem("homologous", "homolog");
    assert_stem("effective", "effect");
    assert_stem("probate", "probat");
    assert_stem("rate", "rate");
    assert_stem("cease", "ceas");
    assert_stem("controlling", "control");
    assert_stem("rolling", "roll");
    assert_stem("generalizations", "gener");
    assert_stem("oscillators", "oscil");
}

static void forms_of_one_word_meet(void **state)
{
    assert_stem("dropped", "drop");
    assert_stem("dropping", "drop");
    assert_stem("drops", "drop");
    assert_stem("messages", "messag");
    assert_stem("message", "messag");
    assert_stem("unroutable", "unrout");
}

static void short_and_foreign_words_stay(void **state)
{
    assert_stem("is", "is");
    assert_stem("a", "a");
    assert_stem("zmq_poll", "zmq_poll");
    assert_stem("4s", "4s");
    assert_stem("caf\xC3\xA9s", "caf\xC3\xA9s");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plurals_lose_their_ending),
        cmocka_unit_test(past_and_gerund_are_repaired),
        cmocka_unit_test(long_suffixes_shrink_step_by_step),
        cmocka_unit_test(forms_of_one_word_meet),
        cmocka_unit_test(short_and_foreign_words_stay),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
