/* links: meaning json */
/* The codec against proto/vectors: every vector means what it says; every right
 * one, cut anywhere, is broken and nothing worse; and 100,000 mutations of them
 * do no harm. Run from the root of the repository. */
#include "common/json.h"
#include "common/log.h"
#include "proto/codec.h"
#include "tests/unit/meaning.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define VECTORS "proto/vectors/*.json"

/* ---- vectors ----------------------------------------------------------- */

struct vector {
    char name[256];
    json_t *json;
    enum codec_side side;
    uint8_t *bytes;
    size_t size;
    struct blob *frames[MESSAGE_FRAMES_MAX];
    size_t frame_count;
};

static uint8_t *bytes_of(const json_t *text, size_t *size)
{
    const char *digits = json_string_value(text);
    uint8_t *bytes = malloc(json_string_length(text) / 2 + 1);

    assert_non_null(digits);
    for (*size = 0; digits[2 * *size] != '\0'; (*size)++) {
        unsigned byte;

        assert_int_equal(sscanf(digits + 2 * *size, "%2x", &byte), 1);
        bytes[*size] = (uint8_t)byte;
    }
    return bytes;
}

static void vector_init(struct vector *vector, const char *file, json_t *json)
{
    const char *to = json_string_value(json_object_get(json, "to"));
    const json_t *frames = json_object_get(json, "frames");

    *vector = (struct vector){.json = json};
    snprintf(vector->name, sizeof vector->name, "%s: %s", file,
             json_string_value(json_object_get(json, "name")));
    assert_non_null(to);
    vector->side = strcmp(to, "peer") == 0 ? CODEC_AT_PEER : CODEC_AT_BROKER;
    vector->bytes = bytes_of(json_object_get(json, "hex"), &vector->size);
    for (; vector->frame_count < json_array_size(frames); vector->frame_count++) {
        size_t size;
        uint8_t *bytes = bytes_of(json_array_get(frames, vector->frame_count), &size);

        vector->frames[vector->frame_count] = blob_new(span_of(bytes, size));
        free(bytes);
    }
}

static void vector_deinit(struct vector *vector)
{
    for (size_t i = 0; i < vector->frame_count; i++) {
        blob_unref(vector->frames[i]);
    }
    free(vector->bytes);
}

/* Calls `visit` with each vector of each file. Returns their number. */
static size_t for_each_vector(void (*visit)(struct vector *vector))
{
    size_t count = 0, i;
    json_error_t error;
    glob_t files;

    assert_int_equal(glob(VECTORS, 0, NULL, &files), 0);
    for (size_t f = 0; f < files.gl_pathc; f++) {
        json_t *list = json_load_file(files.gl_pathv[f], JSON_REJECT_DUPLICATES, &error);
        json_t *json;

        if (list == NULL) {
            fail_msg("%s:%d: %s", files.gl_pathv[f], error.line, error.text);
        }
        json_array_foreach(list, i, json) {
            struct vector vector;

            vector_init(&vector, files.gl_pathv[f], json);
            visit(&vector);
            vector_deinit(&vector);
            count++;
        }
        json_decref(list);
    }
    globfree(&files);
    return count;
}

static void reader_of(struct codec_reader *reader, const struct vector *vector, struct span bytes)
{
    codec_reader_init(reader, bytes, vector->frames, vector->frame_count);
}

static void assert_same(const struct vector *vector, json_t *got, const json_t *wanted)
{
    if (!json_equal(got, wanted)) {
        char *is = json_dumps(got, JSON_SORT_KEYS);
        char *should_be = json_dumps(wanted, JSON_SORT_KEYS);

        fail_msg("%s\n  is        %s\n  should be %s", vector->name, is, should_be);
    }
    json_decref(got);
}

/* Feeds a result's own inputs back, for writing it again. */
struct inputs {
    struct span bytes;
    size_t at;
};

static void input_at(void *context, size_t index, struct outcome_record *record)
{
    struct inputs *inputs = context;

    assert_true(codec_read_input(inputs->bytes, &inputs->at, record));
}

static void check_written_again(const struct vector *vector, const struct message *message,
                                bool is_join)
{
    struct message again = *message;
    struct codec_writer writer;
    struct inputs inputs = {{0}, 0};

    if (is_join && message->command == COMMAND_TASK) {
        inputs.bytes = message->task.inputs.bytes;
        again.task.input_at = input_at;
        again.task.input_context = &inputs;
    } else if (is_join) {
        inputs.bytes = message->result.record.payload.bytes;
        again.result.input_at = input_at;
        again.result.input_context = &inputs;
        again.result.record.payload = (struct payload){{0}, NULL};
    }
    codec_writer_init(&writer);
    assert_int_equal(codec_write(&writer, &again), CODEC_WRITTEN);
    if (!span_equal(span_of(writer.data, writer.size), span_of(vector->bytes, vector->size))) {
        fail_msg("%s: is written as %s", vector->name,
                 json_string_value(meaning_of_bytes(span_of(writer.data, writer.size))));
    }
    codec_writer_deinit(&writer);
}

static void check_one(const struct vector *vector, struct codec_reader *reader, const json_t *entry)
{
    const json_t *meaning = json_object_get(entry, "meaning");
    bool is_join = json_is_array(json_object_get(meaning, "inputs"));
    struct codec_error error;
    struct message message;
    enum codec_result result = codec_read(reader, vector->side, &message, &error);

    if (meaning == NULL) {
        const json_t *wanted = json_object_get(entry, "error");
        const char *field = json_string_value(json_object_get(wanted, "field"));

        if (result == CODEC_OK) {
            fail_msg("%s: was accepted", vector->name);
        }
        assert_int_equal(result, strcmp(field, "batch") == 0 ? CODEC_BROKEN : CODEC_BAD);
        assert_same(vector, meaning_of_error(&error), wanted);
        return;
    }
    if (result != CODEC_OK) {
        fail_msg("%s: was refused: `%s` %s", vector->name, error.field, error.message);
    }
    assert_string_equal(command_name(message.command),
                        json_string_value(json_object_get(entry, "command")));
    assert_same(vector, meaning_of_message(&message, is_join), meaning);
    if (json_is_true(json_object_get(entry, "canonical"))) {
        check_written_again(vector, &message, is_join);
    }
}

static void check_vector(struct vector *vector)
{
    const json_t *each = json_object_get(vector->json, "each");
    struct codec_reader reader;
    struct codec_error error;
    struct message message;
    json_t *entry;
    size_t i;

    reader_of(&reader, vector, span_of(vector->bytes, vector->size));
    if (each == NULL) {
        check_one(vector, &reader, vector->json);
    }
    json_array_foreach(each, i, entry) {
        check_one(vector, &reader, entry);
    }
    assert_int_equal(codec_read(&reader, vector->side, &message, &error), CODEC_END);
}

static void every_vector_means_what_it_says(void **state)
{
    assert_true(for_each_vector(check_vector) > 200);
}

/* ---- hostile bytes ----------------------------------------------------- */

/* Reads all of `bytes`, which the sanitizer watches to the byte. Whatever it
 * says must stay inside. Returns the last result before the end. */
static enum codec_result read_all(const struct vector *vector, const uint8_t *from, size_t size)
{
    uint8_t *bytes = malloc(size);
    enum codec_result result, last = CODEC_END;
    struct codec_reader reader;
    struct codec_error error;
    struct message message;

    memcpy(bytes, from, size);
    reader_of(&reader, vector, span_of(bytes, size));
    for (size_t reads = 0;; reads++) {
        const uint8_t *before = reader.at;

        result = codec_read(&reader, vector->side, &message, &error);
        if (result == CODEC_END) {
            break;
        }
        last = result;
        assert_true(reader.at > before || result == CODEC_BROKEN);
        assert_true(reads <= size);
        /* touches everything that a message points to */
        json_decref(result == CODEC_OK ? meaning_of_message(&message, false) : meaning_of_error(&error));
    }
    free(bytes);
    return last;
}

static void check_cut(struct vector *vector)
{
    if (json_object_get(vector->json, "meaning") == NULL) {
        return;
    }
    for (size_t size = 1; size < vector->size; size++) {
        if (read_all(vector, vector->bytes, size) != CODEC_BROKEN) {
            fail_msg("%s: cut after %zu bytes", vector->name, size);
        }
    }
}

static void cut_anywhere_is_broken(void **state)
{
    for_each_vector(check_cut);
}

static uint32_t seed = 20;

static uint32_t random_below(uint32_t bound)
{
    seed ^= seed << 13; /* Marsaglia's xorshift */
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed % bound;
}

#define MUTATIONS_PER_VECTOR 400

static void mutate(uint8_t *bytes, size_t size)
{
    static const uint8_t telling[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0,
                                      0xc1, 0xc2, 0xc4, 0xc6, 0xc9, 0xcb, 0xcf, 0xd3, 0xd8,
                                      0xd9, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0xe0, 0xff};

    for (uint32_t i = 0; i <= random_below(3); i++) {
        uint32_t at = random_below((uint32_t)size);

        switch (random_below(3)) {
        case 0:
            bytes[at] ^= (uint8_t)(1 << random_below(8));
            break;
        case 1:
            bytes[at] = telling[random_below(sizeof telling)];
            break;
        default:
            bytes[at] = (uint8_t)random_below(256);
            break;
        }
    }
}

static void check_mutations(struct vector *vector)
{
    uint8_t *bytes = malloc(vector->size + 1);

    for (int i = 0; vector->size > 0 && i < MUTATIONS_PER_VECTOR; i++) {
        memcpy(bytes, vector->bytes, vector->size);
        mutate(bytes, vector->size);
        read_all(vector, bytes, vector->size);
    }
    free(bytes);
}

static void mutations_do_no_harm(void **state)
{
    assert_true(for_each_vector(check_mutations) * MUTATIONS_PER_VECTOR >= 100000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_vector_means_what_it_says),
        cmocka_unit_test(cut_anywhere_is_broken),
        cmocka_unit_test(mutations_do_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
