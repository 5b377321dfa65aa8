/* links: runtime */
/* schema: what each keyword demands, what does not compile, and its bounds. */
#include "agents/runtime/schema.h"
#include "proto/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct schema *compiled(const char *text)
{
    char error[512];
    struct schema *schema = schema_compile(text, error, sizeof error);

    if (!schema) {
        fail_msg("%s: %s", text, error);
    }
    return schema;
}

/* Checks `value` and expects `why`; NULL: it fits. */
static void expect(const char *schema_text, const char *value_text, const char *why)
{
    struct schema *schema = compiled(schema_text);
    json_t *value = json_loads(value_text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    char told[512];
    bool fits;

    assert_non_null(value);
    fits = schema_check(schema, value, told, sizeof told);
    if (fits != (why == NULL)) {
        fail_msg("%s against %s: %s", value_text, schema_text, fits ? "fits" : told);
    }
    assert_string_equal(told, why ? why : "");
    json_decref(value);
    schema_free(schema);
}

static void expect_refused(const char *schema_text, const char *error)
{
    char told[512] = "";
    struct schema *schema = schema_compile(schema_text, told, sizeof told);

    if (schema) {
        fail_msg("compiled: %s", schema_text);
    }
    assert_string_equal(told, error);
}

static void types_are_told_apart_and_one_point_zero_is_an_integer(void **state)
{
    expect("{\"type\":\"string\"}", "\"a\"", NULL);
    expect("{\"type\":\"string\"}", "5", "(value): must be string, is integer");
    expect("{\"type\":\"integer\"}", "1.0", NULL);
    expect("{\"type\":\"integer\"}", "1.5", "(value): must be integer, is number");
    expect("{\"type\":\"integer\"}", "-9223372036854775808", NULL);
    expect("{\"type\":\"number\"}", "1", NULL);
    expect("{\"type\":\"boolean\"}", "true", NULL);
    expect("{\"type\":\"null\"}", "null", NULL);
    expect("{\"type\":\"null\"}", "false", "(value): must be null, is boolean");
    expect("{\"type\":[\"string\",\"null\"]}", "null", NULL);
    expect("{\"type\":[\"string\",\"null\"]}", "[]",
           "(value): must be null or string, is array");
    expect("{}", "{\"a\":1}", NULL);
    expect("true", "5", NULL);
    expect("false", "5", "(value): is not allowed");
}

static void members_are_named_by_pointer(void **state)
{
    const char *schema = "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"object\","
                         "\"properties\":{\"b/c~\":{\"type\":\"integer\"}},\"required\":[\"d\"]}},"
                         "\"required\":[\"a\"],\"additionalProperties\":false}";

    expect(schema, "{\"a\":{\"d\":1,\"b/c~\":2}}", NULL);
    expect(schema, "{}", "/a: is required");
    expect(schema, "{\"a\":{}}", "/a/d: is required");
    expect(schema, "{\"a\":{\"d\":1,\"b/c~\":\"x\"}}",
           "/a/b~1c~0: must be integer, is string");
    expect(schema, "{\"a\":{\"d\":1},\"e\":1}", "/e: is not allowed here (known: a)");
    expect("{\"additionalProperties\":{\"type\":\"null\"}}", "{\"x\":null,\"y\":1}",
           "/y: must be null, is integer");
    expect("{\"additionalProperties\":false}", "{\"x\":1}",
           "/x: is not allowed here (known: none)");
    expect("{\"minProperties\":1}", "{}", "(value): must have at least 1 members");
    expect("{\"maxProperties\":1}", "{\"a\":1,\"b\":2}", "(value): must have at most 1 members");
    expect("{\"required\":[\"a\"],\"minProperties\":3}", "\"no object\"", NULL);
}

static void reports_hold_no_control_characters(void **state)
{
    expect("{\"additionalProperties\":false}", "{\"a\\n\\u001bb\":1}",
           "/a??b: is not allowed here (known: none)");
    expect("{\"const\":\"\\u007f\"}", "1", "(value): must be \" \"");
}

/* Once a hole in the text, filled with what the stack had held. */
static void long_arguments_are_cut_and_nothing_else(void **state)
{
    char letters[301], schema[400], report[400];

    memset(letters, 'x', sizeof letters - 1);
    letters[sizeof letters - 1] = '\0';
    snprintf(schema, sizeof schema, "{\"const\":\"%s\"}", letters);
    snprintf(report, sizeof report, "(value): must be \"%.195s...", letters);
    expect(schema, "1", report);
}

static void refusals_hold_no_control_characters(void **state)
{
    static const char *const schemas[] = {"{\x02type\":1}", "{\"a\\u001b\":1}",
                                          "{\"type\":\"\\u007f\"}", "{\"type\": \n\n \x1b }"};
    char why[128];

    for (size_t i = 0; i < sizeof schemas / sizeof schemas[0]; i++) {
        assert_null(schema_compile(schemas[i], why, sizeof why));
        for (const char *c = why; *c != '\0'; c++) {
            assert_true((unsigned char)*c >= 0x20 && *c != 0x7f);
        }
    }
}

static void reports_are_cut_between_characters(void **state)
{
    struct schema *schema = compiled("{\"const\":\"\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\"}");
    json_t *value = json_integer(1);
    char why[32];

    for (size_t size = 1; size <= sizeof why; size++) {
        assert_false(schema_check(schema, value, why, size));
        assert_true(strlen(why) < size);
        json_t *text = json_string(why); /* NULL if not UTF-8 */
        assert_non_null(text);
        json_decref(text);
    }
    json_decref(value);
    schema_free(schema);
}

static void elements_are_checked_in_order(void **state)
{
    expect("{\"items\":{\"type\":\"integer\"}}", "[1,2,\"x\"]",
           "/2: must be integer, is string");
    expect("{\"prefixItems\":[{\"type\":\"string\"}],\"items\":{\"type\":\"integer\"}}",
           "[\"x\",2]", NULL);
    expect("{\"prefixItems\":[{\"type\":\"string\"}],\"items\":false}", "[\"x\",2]",
           "/1: is not allowed");
    expect("{\"prefixItems\":[{\"type\":\"string\"}]}", "[2]", "/0: must be string, is integer");
    expect("{\"minItems\":2}", "[1]", "(value): must have at least 2 items");
    expect("{\"maxItems\":0}", "[1]", "(value): must have at most 0 items");
    expect("{\"uniqueItems\":true}", "[1,2,{\"a\":1,\"b\":2},{\"b\":2,\"a\":1.0}]",
           "/3: is the same as item 2");
    expect("{\"uniqueItems\":true}", "[1,true,\"1\",[1],null]", NULL);
    expect("{\"uniqueItems\":false}", "[1,1]", NULL);
}

static void numbers_are_compared_exactly(void **state)
{
    expect("{\"minimum\":1}", "1", NULL);
    expect("{\"minimum\":1}", "0.5", "(value): must be at least 1");
    expect("{\"maximum\":0.1}", "0.2", "(value): must be at most 0.1");
    expect("{\"exclusiveMinimum\":1}", "1.0", "(value): must be greater than 1");
    expect("{\"exclusiveMaximum\":1}", "1", "(value): must be less than 1");
    /* 2^53 + 1 is no double. */
    expect("{\"maximum\":9007199254740992}", "9007199254740993",
           "(value): must be at most 9007199254740992");
    expect("{\"const\":9007199254740993}", "9007199254740992",
           "(value): must be 9007199254740993");
    expect("{\"multipleOf\":0.1}", "0.3", NULL);
    expect("{\"multipleOf\":3}", "9", NULL);
    expect("{\"multipleOf\":3}", "10", "(value): must be a multiple of 3");
    expect("{\"multipleOf\":0.5}", "1.25", "(value): must be a multiple of 0.5");
    expect("{\"minimum\":5,\"multipleOf\":2}", "\"text\"", NULL);
}

static void lengths_count_characters(void **state)
{
    expect("{\"maxLength\":2}", "\"\xc3\xa9\xe2\x82\xac\"", NULL);
    expect("{\"maxLength\":2}", "\"abc\"", "(value): must have at most 2 characters");
    expect("{\"minLength\":2}", "\"\xf0\x9f\x98\x80\"",
           "(value): must have at least 2 characters");
    expect("{\"minLength\":2,\"maxLength\":2.0}", "5", NULL);
    expect("{\"pattern\":\"^[a-z]+$\"}", "\"abc\"", NULL);
    expect("{\"pattern\":\"^[a-z]+$\"}", "\"abC\"",
           "(value): must match the pattern \"^[a-z]+$\"");
}

static void values_are_listed(void **state)
{
    expect("{\"enum\":[\"a\",1,null]}", "1.0", NULL);
    expect("{\"enum\":[\"a\",1,null]}", "\"b\"", "(value): must be one of [\"a\", 1, null]");
    expect("{\"const\":{\"a\":[1]}}", "{\"a\":[1.0]}", NULL);
    expect("{\"const\":{\"a\":[1]}}", "{\"a\":[1,1]}", "(value): must be {\"a\": [1]}");
}

static void schemas_combine(void **state)
{
    expect("{\"allOf\":[{\"minimum\":1},{\"maximum\":3}]}", "4", "(value): must be at most 3");
    expect("{\"anyOf\":[{\"type\":\"string\"},{\"minimum\":3}]}", "4", NULL);
    expect("{\"anyOf\":[{\"type\":\"string\"},{\"minimum\":3}]}", "2",
           "(value): fits none of the 2 schemas of anyOf");
    expect("{\"oneOf\":[{\"minimum\":1},{\"minimum\":3}]}", "2", NULL);
    expect("{\"oneOf\":[{\"minimum\":1},{\"minimum\":3}]}", "4",
           "(value): fits 2 of the 2 schemas of oneOf, not exactly one");
    expect("{\"not\":{\"type\":\"string\"}}", "1", NULL);
    expect("{\"not\":{\"type\":\"string\"}}", "\"x\"", "(value): must not fit the schema of not");
    expect("{\"not\":{\"not\":{\"type\":\"string\"}}}", "\"x\"", NULL);
}

static void references_name_definitions(void **state)
{
    const char *tree = "{\"$ref\":\"#/$defs/tree\",\"$defs\":{\"tree\":{\"type\":\"object\","
                       "\"properties\":{\"kids\":{\"items\":{\"$ref\":\"#/$defs/tree\"}}}}}}";

    expect(tree, "{\"kids\":[{\"kids\":[]},{}]}", NULL);
    expect(tree, "{\"kids\":[{\"kids\":[5]}]}", "/kids/0/kids/0: must be object, is integer");
    expect("{\"$defs\":{\"a/b~\":{\"type\":\"null\"}},\"$ref\":\"#/$defs/a~1b~0\"}", "1",
           "(value): must be null, is integer");
    /* 2020-12: what stands beside $ref counts. */
    expect("{\"$defs\":{\"n\":{\"type\":\"integer\"}},\"$ref\":\"#/$defs/n\",\"minimum\":2}", "1",
           "(value): must be at least 2");
}

static void annotations_say_nothing(void **state)
{
    expect("{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"$id\":\"x:y\","
           "\"title\":\"t\",\"description\":\"d\",\"default\":1,\"examples\":[1],"
           "\"format\":\"uri\",\"$comment\":\"c\",\"x-mine\":{\"type\":5}}",
           "\"not a uri\"", NULL);
}

static void what_is_not_supported_does_not_compile(void **state)
{
    expect_refused("{\"properties\":{\"a\":{\"contains\":{}}}}",
                   "schema at #/properties/a/contains: keyword not supported (see docs/schema.md)");
    expect_refused("{\"if\":{}}", "schema at #/if: keyword not supported (see docs/schema.md)");
    expect_refused("{\"type\":\"text\"}", "schema at #/type: must name null, boolean, object, "
                                          "array, number, string or integer");
    expect_refused("{\"type\":[]}", "schema at #/type: must name at least one type");
    expect_refused("{\"minimum\":\"1\"}", "schema at #/minimum: must be a number");
    expect_refused("{\"exclusiveMinimum\":true}", "schema at #/exclusiveMinimum: must be a number");
    expect_refused("{\"multipleOf\":0}", "schema at #/multipleOf: must be greater than 0");
    expect_refused("{\"minLength\":-1}",
                   "schema at #/minLength: must be a whole number, 0 or more");
    expect_refused("{\"maxItems\":1.5}", "schema at #/maxItems: must be a whole number, 0 or more");
    expect_refused("{\"items\":[{}]}",
                   "schema at #/items: must be a schema: an object, true or false");
    expect_refused("{\"anyOf\":[]}", "schema at #/anyOf: must not be empty");
    expect_refused("{\"anyOf\":[{},5]}",
                   "schema at #/anyOf/1: must be a schema: an object, true or false");
    expect_refused("{\"enum\":[]}", "schema at #/enum: must list values");
    expect_refused("{\"required\":\"a\"}", "schema at #/required: must be a list of names");
    expect_refused("{\"uniqueItems\":1}", "schema at #/uniqueItems: must be true or false");
    expect_refused("{\"pattern\":\"(?=a)\"}", "schema at #/pattern: pattern at offset 1: only "
                                              "(...) and (?:...) are supported");
    expect_refused("{\"properties\":{\"a\":{\"$defs\":{}}}}",
                   "schema at #/properties/a/$defs: is supported at the top of the schema only");
    expect_refused("{\"$ref\":\"http://example.com/x\"}",
                   "schema at #: $ref \"http://example.com/x\" is not #/$defs/NAME of this schema");
    expect_refused("{\"$ref\":\"#/$defs/a\",\"$defs\":{\"b\":{}}}",
                   "schema at #: $ref \"#/$defs/a\" is not #/$defs/NAME of this schema");
    expect_refused("{\"a\":1,\"a\":2}", "schema: not JSON: line 1: duplicate object key near "
                                        "'\"a\"'");
    expect_refused("5", "schema at #: must be a schema: an object, true or false");
}

static void references_in_a_circle_do_not_compile(void **state)
{
    expect_refused("{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"$ref\":\"#/$defs/a\"}}}",
                   "schema at #: a $ref leads back to itself, or too deep");
    expect_refused("{\"$defs\":{\"a\":{\"anyOf\":[{},{\"not\":{\"$ref\":\"#/$defs/b\"}}]},"
                   "\"b\":{\"allOf\":[{\"$ref\":\"#/$defs/a\"}]}}}",
                   "schema at #: a $ref leads back to itself, or too deep");
}

static void a_schema_has_bounds(void **state)
{
    static char text[SCHEMA_BYTES_MAX + 16];
    char error[256];

    memset(text, ' ', SCHEMA_BYTES_MAX + 1);
    assert_null(schema_compile(text, error, sizeof error));
    assert_string_equal(error, "schema: longer than 16384 bytes");

    text[0] = '\0';
    for (int i = 0; i < SCHEMA_DEPTH_MAX; i++) {
        strcat(text, "{\"not\":");
    }
    strcat(text, "{}");
    for (int i = 0; i < SCHEMA_DEPTH_MAX; i++) {
        strcat(text, "}");
    }
    assert_null(schema_compile(text, error, sizeof error));
    assert_non_null(strstr(error, "nested deeper than 32"));
}

/* Each of d0 to d39 asks the next one twice: 2^40 steps without a bound. */
static const char *exploding(const char *first)
{
    static char text[SCHEMA_BYTES_MAX];
    size_t used = (size_t)sprintf(text, "{%s,\"$defs\":{", first);

    for (int i = 0; i < 40; i++) {
        used += (size_t)sprintf(text + used,
                                "\"d%d\":{\"anyOf\":[{\"$ref\":\"#/$defs/d%d\"},"
                                "{\"$ref\":\"#/$defs/d%d\"}]},",
                                i, i + 1, i + 1);
    }
    sprintf(text + used, "\"d40\":false}}");
    return text;
}

static void a_check_has_a_bound_of_steps(void **state)
{
    expect(exploding("\"$ref\":\"#/$defs/d0\""), "{}", "(value): too complex to check");
    /* `not` must not turn "too complex" into "fits". */
    expect(exploding("\"not\":{\"$ref\":\"#/$defs/d0\"}"), "{}", "(value): too complex to check");
}

static void a_check_has_a_bound_of_depth(void **state)
{
    struct schema *schema = compiled("{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{"
                                     "\"properties\":{\"a\":{\"$ref\":\"#/$defs/a\"}}}}}");
    json_t *value = json_object(), *inner = value;
    char why[512];

    for (int i = 0; i < 200; i++) {
        json_t *next = json_object();

        json_object_set_new(inner, "a", next);
        inner = next;
    }
    assert_false(schema_check(schema, value, why, sizeof why));
    assert_non_null(strstr(why, "/a/a: too complex to check"));
    schema_free(schema);
    json_decref(value);
}

static void many_items_that_must_differ_are_too_complex(void **state)
{
    struct schema *schema = compiled("{\"uniqueItems\":true}");
    json_t *value = json_array();
    char why[64];

    for (int i = 0; i < 5000; i++) {
        json_array_append_new(value, json_integer(i));
    }
    assert_false(schema_check(schema, value, why, sizeof why));
    assert_non_null(strstr(why, "too complex to check"));
    json_decref(value);
    schema_free(schema);
}

/* A schema is somebody else's text: it compiles or says why not, and checks within bounds. */
static void mutated_schemas_compile_or_say_why(void **state)
{
    static const char seed[] =
        "{\"type\":[\"object\",\"array\"],\"required\":[\"a\"],\"properties\":{\"a\":{\"pattern\":"
        "\"^(a|b{1,3})+[^c-d]$\",\"minLength\":1},\"b\":{\"$ref\":\"#/$defs/x\"}},\"$defs\":{\"x\":{"
        "\"anyOf\":[{\"enum\":[1,\"2\",{}]},{\"const\":[1]},{\"items\":{\"$ref\":\"#/$defs/x\"}}]}}}";
    static const char bits[] = "{}[]\",:0123456789.-+*?()|^$\\/abx";
    json_t *value = json_loads("{\"a\":\"abbba\",\"b\":[[1],[\"2\",{}],1]}", 0, NULL);
    unsigned compiled_count = 0;

    srand(5);
    for (int round = 0; round < 50000; round++) {
        char text[sizeof seed];
        char told[300] = "";
        struct schema *schema;

        memcpy(text, seed, sizeof seed);
        for (int i = 1 + rand() % 2; i > 0; i--) {
            text[(size_t)rand() % strlen(seed)] = bits[(size_t)rand() % strlen(bits)];
        }
        schema = schema_compile(text, told, sizeof told);
        assert_true((schema == NULL) == (told[0] != '\0'));
        if (schema) {
            assert_true(schema_check(schema, value, told, sizeof told) == (told[0] == '\0'));
            compiled_count++;
        }
        schema_free(schema);
    }
    assert_true(compiled_count > 1000); /* else this would test the JSON parser alone */
    json_decref(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_are_told_apart_and_one_point_zero_is_an_integer),
        cmocka_unit_test(members_are_named_by_pointer),
        cmocka_unit_test(reports_hold_no_control_characters),
        cmocka_unit_test(refusals_hold_no_control_characters),
        cmocka_unit_test(long_arguments_are_cut_and_nothing_else),
        cmocka_unit_test(reports_are_cut_between_characters),
        cmocka_unit_test(elements_are_checked_in_order),
        cmocka_unit_test(numbers_are_compared_exactly),
        cmocka_unit_test(lengths_count_characters),
        cmocka_unit_test(values_are_listed),
        cmocka_unit_test(schemas_combine),
        cmocka_unit_test(references_name_definitions),
        cmocka_unit_test(annotations_say_nothing),
        cmocka_unit_test(what_is_not_supported_does_not_compile),
        cmocka_unit_test(references_in_a_circle_do_not_compile),
        cmocka_unit_test(a_schema_has_bounds),
        cmocka_unit_test(a_check_has_a_bound_of_steps),
        cmocka_unit_test(a_check_has_a_bound_of_depth),
        cmocka_unit_test(many_items_that_must_differ_are_too_complex),
        cmocka_unit_test(mutated_schemas_compile_or_say_why),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
