/* links: runtime */
/* schema_compile and schema_check: a schema, a NUL, and a JSON value to check against it.
 *
 * Refusals say why in text without control characters, cut where they were told to; a check
 * is the same every time; and neither takes longer than its bound of steps. */
#include "tests/fuzz/input.h"

#include "agents/runtime/schema.h"
#include "common/check.h"
#include "proto/limits.h"

#include <stdlib.h>

#define WHY_MAX 200

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t size)
{
    CHECK(memchr(text, '\0', size) != NULL);
    CHECK(text[0] != '\0');
    for (; *text != '\0'; text++) {
        CHECK((unsigned char)*text >= ' ' && *text != 0x7f);
    }
}

static void check_value(const struct schema *schema, json_t *value)
{
    char why[WHY_MAX], again[WHY_MAX], brief[8];
    bool fits = schema_check(schema, value, why, sizeof why);

    CHECK(schema_check(schema, value, again, sizeof again) == fits);
    CHECK(schema_check(schema, value, brief, sizeof brief) == fits);
    if (!fits) {
        check_text(why, sizeof why);
        check_text(brief, sizeof brief);
        CHECK(strcmp(why, again) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = memchr(data, '\0', size);
    size_t text_size = nul != NULL ? (size_t)(nul - data) : size;
    char *text = malloc(text_size + 1), error[WHY_MAX];
    struct schema *schema;
    json_t *value = NULL;

    CHECK(text != NULL);
    memcpy(text, data, text_size);
    text[text_size] = '\0';
    schema = schema_compile(text, error, sizeof error);
    free(text);
    if (schema == NULL) {
        check_text(error, sizeof error);
        return 0;
    }
    CHECK(text_size <= SCHEMA_BYTES_MAX);
    if (nul != NULL) {
        value = json_loadb((const char *)nul + 1, size - text_size - 1,
                           JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    }
    if (value != NULL) {
        check_value(schema, value);
    }
    json_decref(value);
    schema_free(schema);
    return 0;
}
