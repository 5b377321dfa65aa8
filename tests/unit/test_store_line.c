/* links: cli */
/* A row as a line of JSON: all of it comes back, and what is not a row is named. */
#include "cli/store/line.h"
#include "cli/store/line_file.h"
#include "cli/store/value.h"
#include "tests/unit/store_fixture.h"

#define KEYS 48 /* each kind of sample: joins, failures, large payloads */

static struct store_row row_of(struct sample *sample, uint64_t key)
{
    struct store_record record = record_of(sample, STORE_CHECKPOINT, key);

    return (struct store_row){.key = key,
                              .submit = sample->submit,
                              .session = record.session,
                              .peer = record.peer,
                              .accepted_unix_ms = record.accepted_unix_ms,
                              .attempts = 2,
                              .causes = span_of("\x01\xc1why", 5),
                              .checkpoint = record.checkpoint,
                              .ended = true,
                              .outcome = sample->outcome,
                              .ended_unix_ms = record.ended_unix_ms};
}

/* As it would stand in a file; free it. */
static char *text_of(const struct store_row *row)
{
    json_t *json = line_make(row);
    char *text;

    assert_non_null(json);
    text = json_dumps(json, VALUE_WRITE);
    assert_non_null(text);
    assert_null(strchr(text, '\n'));
    json_decref(json);
    return text;
}

static void comes_back(const struct store_row *row, uint64_t key)
{
    char *text = text_of(row), *again;
    json_t *json = json_loads(text, VALUE_READ, NULL);
    struct problem problem = {""};
    struct line line;

    assert_non_null(json);
    if (!line_read(&line, json, &problem)) {
        fail_msg("%s: %s", problem.text, text);
    }
    assert_true(row_is_of(&line.row, key));
    assert_int_equal(line.row.attempts, row->attempts);
    assert_true(span_equal(line.row.causes, row->causes));
    assert_int_equal(line.row.ended, row->ended);
    assert_true(span_equal(line.row.checkpoint.bytes, row->checkpoint.bytes));
    again = text_of(&line.row);
    assert_string_equal(again, text);
    line_deinit(&line);
    json_decref(json);
    free(again);
    free(text);
}

static void every_option_comes_back(void **state)
{
    static struct sample sample;

    for (uint64_t key = 1; key <= KEYS; key++) {
        struct store_row row = row_of(&sample, key);

        comes_back(&row, key);
        row.attempts = 0;
        row.causes = span_of(NULL, 0);
        row.checkpoint = (struct payload){.blob = NULL};
        row.ended = false;
        comes_back(&row, key);
    }
}

static const char said[] =
    "{\"key\":8,\"session\":\"00000000-0000-0000-0000-000000000009\",\"peer\":\"operator\","
    "\"accepted_unix_ms\":1700000000000,\"control\":%s,\"options\":{\"service\":\"work\"%s}}";

static void what_an_operator_said_comes_back(void **state)
{
    static const char *const pairs[][2] = {{"\"pause\"", ",\"ms\":500"},
                                           {"\"drain\"", ""},
                                           {"\"limit\"", ",\"key\":\"*\",\"concurrency\":0"}};
    struct problem problem = {""};
    struct line line;
    char text[512];

    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        json_t *json, *made;

        snprintf(text, sizeof(text), said, pairs[i][0], pairs[i][1]);
        json = json_loads(text, VALUE_READ, NULL);
        if (!line_read(&line, json, &problem)) {
            fail_msg("%s: %s", problem.text, text);
        }
        assert_true(line.row.is_directive);
        made = line_make(&line.row);
        assert_true(json_equal(made, json));
        line_deinit(&line);
        json_decref(made);
        json_decref(json);
    }
}

static void values_are_lossless(void **state)
{
#define BYTES(...) {{__VA_ARGS__}, sizeof((uint8_t[]){__VA_ARGS__})}
    static const struct {
        struct {
            uint8_t bytes[24];
            size_t size;
        } packed;
        const char *text;
    } values[] = {
        {BYTES(0xc0), "null"},
        {BYTES(0x05), "5"},
        {BYTES(0xd0, 0x05), "{\"$raw\":\"0AU=\"}"}, /* 5, but longer than need be */
        {BYTES(0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
         "{\"$raw\":\"z///////////\"}"},
        {BYTES(0xcb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0), "1.0"},
        {BYTES(0xcb, 0x3f, 0xb9, 0x99, 0x99, 0x99, 0x99, 0x99, 0x9a), "0.10000000000000001"},
        {BYTES(0xca, 0x3f, 0x80, 0, 0), "{\"$raw\":\"yj+AAAA=\"}"}, /* 32 bits: would be 64 */
        {BYTES(0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0), "{\"$raw\":\"y3/4AAAAAAAA\"}"}, /* NaN */
        {BYTES(0x81, 0xa1, 'a', 0x92, 1, 2), "{\"a\":[1,2]}"},
        {BYTES(0x82, 0xa1, 'a', 1, 0xa1, 'a', 2), "{\"$raw\":\"gqFhAaFhAg==\"}"},
        {BYTES(0x81, 1, 2), "{\"$raw\":\"gQEC\"}"},
        {BYTES(0xc4, 2, 0xff, 0), "{\"$bin\":\"/wA=\"}"},
        {BYTES(0xa2, 0xff, 0xfe), "{\"$raw\":\"ov/+\"}"},
        {BYTES(0xa3, 'a', 0, 'b'), "\"a\\u0000b\""},
        {BYTES(0xd4, 1, 2), "{\"$raw\":\"1AEC\"}"},
        {BYTES(0x81, 0xa4, '$', 'r', 'a', 'w', 0xa4, 'A', 'A', 'A', 'A'),
         "{\"$raw\":\"gaQkcmF3pEFBQUE=\"}"}, /* what looks like ours is not taken for it */
        {BYTES(1, 2), "{\"$raw\":\"AQI=\"}"},
    };

    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct span bytes = span_of(values[i].packed.bytes, values[i].packed.size);
        json_t *value = value_from_bytes(bytes);
        char *text = json_dumps(value, VALUE_WRITE);
        json_t *read = json_loads(text, VALUE_READ, NULL);
        size_t size;
        uint8_t *back = value_to_bytes(read, &size);

        assert_string_equal(text, values[i].text);
        assert_non_null(back);
        assert_true(span_equal(span_of(back, size), bytes));
        free(back);
        free(text);
        json_decref(read);
        json_decref(value);
    }
}

static const char plain[] =
    "{\"key\":7,\"id\":\"00000000-0000-0000-0000-000000000007\",\"service\":\"work\","
    "\"session\":\"00000000-0000-0000-0000-000000000009\",\"peer\":\"asker\","
    "\"accepted_unix_ms\":1700000000000,\"payload\":{\"n\":1},\"options\":{\"durable\":true}%s}";

static const char ended[] = ",\"ended_unix_ms\":1700000000001,\"outcome\":{\"is\":%s}";

static void refused(const char *text, const char *why)
{
    json_t *json = json_loads(text, VALUE_READ, NULL);
    struct problem problem = {"nothing"};
    struct line line;

    assert_non_null(json);
    if (line_read(&line, json, &problem) || strstr(problem.text, why) == NULL) {
        fail_msg("%s: not '%s' but '%s'", text, why, problem.text);
    }
    line_deinit(&line);
    json_decref(json);
}

/* The plain line with `from` replaced. */
static void refused_with(const char *from, const char *to, const char *why)
{
    char whole[1024], text[2048];
    const char *at;

    snprintf(whole, sizeof(whole), plain, "");
    at = strstr(whole, from);
    assert_non_null(at);
    snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - whole), whole, to, at + strlen(from));
    refused(text, why);
}

static void refused_control(const char *what, const char *options, const char *why)
{
    char text[512];

    snprintf(text, sizeof(text), said, what, options);
    refused(text, why);
}

static void refused_end(const char *end, const char *why)
{
    char more[512], text[1024];

    snprintf(more, sizeof(more), ended, end);
    snprintf(text, sizeof(text), plain, more);
    refused(text, why);
}

static void what_nobody_can_have_said_is_named(void **state)
{
    refused_control("7", "", "`what`");
    refused_control("\"retry\"", "", "must be limit, pause or drain");
    refused_control("\"fly\"", "", "`what`");
    refused_control("\"limit\"", ",\"wings\":2", "`wings` is unknown");
    refused_control("\"limit\"", ",\"concurrency\":-2", "`concurrency`");
    refused_control("\"drain\",\"attempts\":1", "", "`attempts` is unknown");
}

static void what_is_wrong_is_named(void **state)
{
    refused("[1]", "no JSON object");
    refused_with("\"key\":7", "\"key\":0", "`key` must be a positive");
    refused_with("\"key\":7", "\"key\":7.0", "`key` must be a positive");
    refused_with("\"key\":7", "\"key\":-1", "`key` must be a positive");
    refused_with("\"key\":7,", "", "`key` must be a positive");
    refused_with("\"id\":\"0", "\"id\":\"x", "`id` must be an id");
    refused_with("\"session\":\"0", "\"session\":\"", "`session` must be an id");
    refused_with("\"work\"", "\"no work\"", "`service`");
    refused_with("\"work\"", "7", "`service`");
    refused_with("\"asker\"", "\"a\\u0001\"", "`peer`");
    refused_with("1700000000000", "\"now\"", "`accepted_unix_ms`");
    refused_with("\"payload\":{\"n\":1},", "", "`payload` is missing");
    refused_with("{\"n\":1}", "{\"$raw\":\"?\"}", "`payload` is nested too deep, or its $raw");
    refused_with("{\"durable\":true}", "{}", "only durable tasks");
    refused_with("{\"durable\":true}", "[]", "`options` must be an object");
    refused_with(",\"options\":{\"durable\":true}", "", "`options` must be an object");
    refused_with("{\"durable\":true}", "{\"durable\":true,\"priority\":10}", "`priority`");
    refused_with("{\"durable\":true}", "{\"durable\":true,\"held\":false}", "`held` is unknown, or");
    refused_with("{\"durable\":true}", "{\"durable\":true,\"wings\":2}", "`wings` is unknown");
    refused_with("{\"durable\":true}", "{\"durable\":true,\"join\":\"all\"}", "`needs`");
    refused_with("{\"durable\":true}", "{\"durable\":true,\"parent\":\"me\"}", "`parent`");
    refused_with("\"key\":7", "\"key\":7,\"color\":1", "`color` is unknown");
    refused_with("\"key\":7", "\"key\":7,\"attempts\":-1", "`attempts`");
    refused_end("\"dune\"", "`outcome.is`");
    refused_end("\"done\"", "`payload` is missing");
    refused_end("\"failed\",\"payload\":1", "`error` is missing");
    refused_end("\"failed\",\"error\":{}", "`code` is required");
    refused_end("\"done\",\"payload\":1,\"worker\":5", "`worker`");
    refused_end("\"done\",\"payload\":1,\"attempt\":-5", "`attempt`");
}

static void lines_are_bounded_and_counted(void **state)
{
    static char text[] = "one\n\nthree";
    struct line_file file = {.stream = fmemopen(text, sizeof(text) - 1, "r")};

    assert_int_equal(line_file_next(&file), LINE_FILE_LINE);
    assert_memory_equal(file.data, "one", 3);
    assert_int_equal(file.size, 3);
    assert_int_equal(line_file_next(&file), LINE_FILE_LINE);
    assert_int_equal(file.size, 0);
    assert_int_equal(line_file_next(&file), LINE_FILE_LINE);
    assert_int_equal(file.size, 5);
    assert_int_equal(file.number, 3);
    assert_int_equal(line_file_next(&file), LINE_FILE_END);
    line_file_deinit(&file);
    fclose(file.stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_comes_back),
        cmocka_unit_test(what_an_operator_said_comes_back),
        cmocka_unit_test(what_nobody_can_have_said_is_named),
        cmocka_unit_test(values_are_lossless),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(lines_are_bounded_and_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
