/* schema_check: what each keyword demands of a value. schema.c compiles. */
#include "agents/runtime/schema_rule.h"
#include "common/check.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- reporting ---------------------------------------------------------- */

void schema_text_clean(char *text)
{
    size_t size = strlen(text);
    size_t lead = size;

    while (lead > 0 && ((unsigned char)text[lead - 1] & 0xc0) == 0x80) {
        lead--;
    }
    if (lead > 0) {
        unsigned char first = (unsigned char)text[lead - 1];
        size_t whole = first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;

        if (size - (lead - 1) < whole) {
            text[lead - 1] = '\0';
        }
    }
    for (char *c = text; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            *c = ' ';
        }
    }
}

__attribute__((format(printf, 3, 4))) static bool
misfit(struct schema_run *run, const struct json_pointer *at, const char *format, ...)
{
    char place[256];
    char reason[512];
    va_list arguments;

    if (run->quiet || run->too_complex) {
        return false;
    }
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    json_pointer_format(at, place, sizeof place);
    snprintf(run->why, run->why_size, "%s: %s", *place ? place : "(value)", reason);
    schema_text_clean(run->why);
    return false;
}

static bool too_complex(struct schema_run *run, const struct json_pointer *at)
{
    char place[256];

    if (!run->too_complex) {
        json_pointer_format(at, place, sizeof place);
        snprintf(run->why, run->why_size, "%s: too complex to check", *place ? place : "(value)");
        schema_text_clean(run->why);
    }
    run->too_complex = true;
    return false;
}

/* A text of at most `size` bytes, and what it would have had without that bound. */
struct cut_text {
    char *text;
    size_t used, size;
};

/* json_dumpb would leave a hole where a piece does not fit: what the stack held there
 * before would be told to the submitter. */
static int cut_text_add(const char *piece, size_t size, void *context)
{
    struct cut_text *cut = context;

    if (cut->used < cut->size) {
        size_t room = cut->size - cut->used;

        memcpy(cut->text + cut->used, piece, size < room ? size : room);
    }
    cut->used += size;
    return 0;
}

/* The argument of `rule` as JSON; for messages, so cut at `size`. */
static const char *argument_text(const struct schema_rule *rule, char *text, size_t size)
{
    struct cut_text cut = {.text = text, .size = size};
    int rc = json_dump_callback(rule->argument, cut_text_add, &cut,
                                JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));

    if (rc != 0) {
        text[0] = '\0'; /* no memory */
    } else if (cut.used < size) {
        text[cut.used] = '\0';
    } else {
        text[size - 4] = '\0';
        schema_text_clean(text);
        strcat(text, "...");
    }
    return text;
}

static unsigned types_of(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_NULL:
        return SCHEMA_NULL;
    case JSON_TRUE:
    case JSON_FALSE:
        return SCHEMA_BOOLEAN;
    case JSON_OBJECT:
        return SCHEMA_OBJECT;
    case JSON_ARRAY:
        return SCHEMA_ARRAY;
    case JSON_STRING:
        return SCHEMA_STRING;
    case JSON_INTEGER:
        return SCHEMA_NUMBER | SCHEMA_INTEGER;
    case JSON_REAL:
        return SCHEMA_NUMBER |
               (json_real_value(value) == floor(json_real_value(value)) ? SCHEMA_INTEGER : 0);
    }
    CHECK(false);
    return 0;
}

static const char *type_name(const json_t *value)
{
    unsigned types = types_of(value);

    for (size_t t = 0; t < SCHEMA_TYPE_COUNT; t++) {
        /* A number is called an integer when it is one. */
        if (types & (1u << t) && !(1u << t == SCHEMA_NUMBER && types & SCHEMA_INTEGER)) {
            return schema_type_names[t];
        }
    }
    CHECK(false);
    return "";
}

/* ---- the walk ----------------------------------------------------------- */

static bool spend(struct schema_run *run, size_t steps, const struct json_pointer *at)
{
    if (run->too_complex || steps > SCHEMA_STEPS_MAX - run->steps) {
        return too_complex(run, at);
    }
    run->steps += steps;
    return true;
}

static bool node_check(struct schema_run *run, const struct schema_node *node, json_t *value,
                       const struct json_pointer *at)
{
    bool fits = true;

    if (!spend(run, 1, at)) {
        return false;
    }
    if (node->refuses_all) {
        return misfit(run, at, "is not allowed");
    }
    if (run->depth == SCHEMA_RUN_DEPTH_MAX) {
        return too_complex(run, at);
    }
    run->depth++;
    for (size_t i = 0; fits && i < node->rule_count; i++) {
        const struct schema_rule *rule = &node->rules[i];

        fits = !rule->keyword->check ||
               (spend(run, 1, at) && rule->keyword->check(run, rule, value, at));
    }
    run->depth--;
    return fits;
}

/* Fits without saying why not. */
static bool node_tried(struct schema_run *run, const struct schema_node *node, json_t *value,
                       const struct json_pointer *at)
{
    bool quiet = run->quiet;
    bool fits;

    run->quiet = true;
    fits = node_check(run, node, value, at);
    run->quiet = quiet;
    return fits;
}

/* ---- equality: 1 equals 1.0, objects have no order ------------------------ */

static long double number_of(const json_t *value)
{
    return json_is_integer(value) ? (long double)json_integer_value(value)
                                  : (long double)json_real_value(value);
}

static bool value_equal(struct schema_run *run, json_t *a, json_t *b,
                        const struct json_pointer *at, size_t depth);

static bool members_equal(struct schema_run *run, json_t *a, json_t *b,
                          const struct json_pointer *at, size_t depth)
{
    const char *name;
    json_t *member;

    if (json_object_size(a) != json_object_size(b)) {
        return false;
    }
    json_object_foreach(a, name, member)
    {
        json_t *other = json_object_get(b, name);

        if (!other || !value_equal(run, member, other, at, depth)) {
            return false;
        }
    }
    return true;
}

static bool value_equal(struct schema_run *run, json_t *a, json_t *b,
                        const struct json_pointer *at, size_t depth)
{
    if (!spend(run, 1, at)) {
        return false;
    }
    if (depth > SCHEMA_RUN_DEPTH_MAX) {
        return too_complex(run, at);
    }
    if (json_is_number(a) && json_is_number(b)) {
        return number_of(a) == number_of(b);
    }
    if (json_typeof(a) != json_typeof(b)) {
        return false;
    }
    if (json_is_object(a)) {
        return members_equal(run, a, b, at, depth + 1);
    }
    if (json_is_array(a)) {
        bool equal = json_array_size(a) == json_array_size(b);

        for (size_t i = 0; equal && i < json_array_size(a); i++) {
            equal = value_equal(run, json_array_get(a, i), json_array_get(b, i), at, depth + 1);
        }
        return equal;
    }
    return json_equal(a, b);
}

/* ---- any type ----------------------------------------------------------- */

bool schema_check_type(struct schema_run *run, const struct schema_rule *rule, json_t *value,
                       const struct json_pointer *at)
{
    char names[128] = "";
    char *end = names;

    if (types_of(value) & rule->types) {
        return true;
    }
    for (size_t t = 0; t < SCHEMA_TYPE_COUNT; t++) {
        if (rule->types & (1u << t)) {
            end += sprintf(end, "%s%s", end == names ? "" : " or ", schema_type_names[t]);
        }
    }
    return misfit(run, at, "must be %s, is %s", names, type_name(value));
}

bool schema_check_enum(struct schema_run *run, const struct schema_rule *rule, json_t *value,
                       const struct json_pointer *at)
{
    char text[200];
    json_t *allowed;
    size_t i;

    json_array_foreach(rule->argument, i, allowed)
    {
        if (value_equal(run, value, allowed, at, 0)) {
            return true;
        }
    }
    return misfit(run, at, "must be one of %s", argument_text(rule, text, sizeof text));
}

bool schema_check_const(struct schema_run *run, const struct schema_rule *rule, json_t *value,
                        const struct json_pointer *at)
{
    char text[200];

    return value_equal(run, value, rule->argument, at, 0) ||
           misfit(run, at, "must be %s", argument_text(rule, text, sizeof text));
}

bool schema_check_all(struct schema_run *run, const struct schema_rule *rule, json_t *value,
                      const struct json_pointer *at)
{
    for (size_t i = 0; i < rule->child_count; i++) {
        if (!node_check(run, rule->children[i], value, at)) {
            return false;
        }
    }
    return true;
}

bool schema_check_any(struct schema_run *run, const struct schema_rule *rule, json_t *value,
                      const struct json_pointer *at)
{
    for (size_t i = 0; i < rule->child_count; i++) {
        if (node_tried(run, rule->children[i], value, at)) {
            return true;
        }
    }
    return misfit(run, at, "fits none of the %zu schemas of anyOf", rule->child_count);
}

bool schema_check_one(struct schema_run *run, const struct schema_rule *rule, json_t *value,
                      const struct json_pointer *at)
{
    size_t fitting = 0;

    for (size_t i = 0; i < rule->child_count; i++) {
        fitting += node_tried(run, rule->children[i], value, at);
    }
    if (run->too_complex) {
        return false;
    }
    return fitting == 1 || misfit(run, at, "fits %zu of the %zu schemas of oneOf, not exactly one",
                                  fitting, rule->child_count);
}

bool schema_check_not(struct schema_run *run, const struct schema_rule *rule, json_t *value,
                      const struct json_pointer *at)
{
    bool fits = node_tried(run, rule->children[0], value, at);

    if (run->too_complex) {
        return false;
    }
    return !fits || misfit(run, at, "must not fit the schema of not");
}

/* ---- numbers ------------------------------------------------------------ */

bool schema_check_minimum(struct schema_run *run, const struct schema_rule *rule, json_t *value,
                          const struct json_pointer *at)
{
    char text[64];

    return !json_is_number(value) || number_of(value) >= rule->number ||
           misfit(run, at, "must be at least %s", argument_text(rule, text, sizeof text));
}

bool schema_check_maximum(struct schema_run *run, const struct schema_rule *rule, json_t *value,
                          const struct json_pointer *at)
{
    char text[64];

    return !json_is_number(value) || number_of(value) <= rule->number ||
           misfit(run, at, "must be at most %s", argument_text(rule, text, sizeof text));
}

bool schema_check_above(struct schema_run *run, const struct schema_rule *rule, json_t *value,
                        const struct json_pointer *at)
{
    char text[64];

    return !json_is_number(value) || number_of(value) > rule->number ||
           misfit(run, at, "must be greater than %s", argument_text(rule, text, sizeof text));
}

bool schema_check_below(struct schema_run *run, const struct schema_rule *rule, json_t *value,
                        const struct json_pointer *at)
{
    char text[64];

    return !json_is_number(value) || number_of(value) < rule->number ||
           misfit(run, at, "must be less than %s", argument_text(rule, text, sizeof text));
}

/* 0.3 is meant to be a multiple of 0.1, though no binary fraction is. So a
 * quotient within 1e-9 of a whole number counts, relative to its size. */
bool schema_check_multiple(struct schema_run *run, const struct schema_rule *rule, json_t *value,
                           const struct json_pointer *at)
{
    char text[64];
    long double quotient;
    bool whole;

    if (!json_is_number(value)) {
        return true;
    }
    if (json_is_integer(value) && json_is_integer(rule->argument)) {
        whole = json_integer_value(value) % json_integer_value(rule->argument) == 0;
    } else {
        quotient = number_of(value) / rule->number;
        whole = fabsl(quotient - roundl(quotient)) <= 1e-9L * fmaxl(1, fabsl(quotient));
    }
    return whole ||
           misfit(run, at, "must be a multiple of %s", argument_text(rule, text, sizeof text));
}

/* ---- text --------------------------------------------------------------- */

static size_t code_points(const json_t *value)
{
    const char *text = json_string_value(value);
    size_t count = 0;

    for (size_t i = 0; i < json_string_length(value); i++) {
        count += ((unsigned char)text[i] & 0xc0) != 0x80;
    }
    return count;
}

bool schema_check_length_min(struct schema_run *run, const struct schema_rule *rule,
                             json_t *value, const struct json_pointer *at)
{
    return !json_is_string(value) || code_points(value) >= rule->count ||
           misfit(run, at, "must have at least %llu characters", (unsigned long long)rule->count);
}

bool schema_check_length_max(struct schema_run *run, const struct schema_rule *rule,
                             json_t *value, const struct json_pointer *at)
{
    return !json_is_string(value) || code_points(value) <= rule->count ||
           misfit(run, at, "must have at most %llu characters", (unsigned long long)rule->count);
}

bool schema_check_pattern(struct schema_run *run, const struct schema_rule *rule, json_t *value,
                          const struct json_pointer *at)
{
    size_t left = SCHEMA_STEPS_MAX - run->steps;
    char text[200];
    enum pattern_result result;

    if (!json_is_string(value)) {
        return true;
    }
    result = pattern_find(rule->pattern, json_string_value(value), json_string_length(value),
                          &left);
    run->steps = SCHEMA_STEPS_MAX - left;
    switch (result) {
    case PATTERN_MATCH:
        return true;
    case PATTERN_NO_MATCH:
        return misfit(run, at, "must match the pattern %s",
                      argument_text(rule, text, sizeof text));
    case PATTERN_TOO_COMPLEX:
        return too_complex(run, at);
    }
    CHECK(false);
    return false;
}

/* ---- arrays ------------------------------------------------------------- */

bool schema_check_items(struct schema_run *run, const struct schema_rule *rule, json_t *value,
                        const struct json_pointer *at)
{
    size_t first = json_array_size(json_object_get(rule->owner, "prefixItems"));

    for (size_t i = first; i < json_array_size(value); i++) {
        struct json_pointer step = {.parent = at, .index = i};

        if (!node_check(run, rule->children[0], json_array_get(value, i), &step)) {
            return false;
        }
    }
    return true;
}

bool schema_check_prefix(struct schema_run *run, const struct schema_rule *rule, json_t *value,
                         const struct json_pointer *at)
{
    for (size_t i = 0; i < json_array_size(value) && i < rule->child_count; i++) {
        struct json_pointer step = {.parent = at, .index = i};

        if (!node_check(run, rule->children[i], json_array_get(value, i), &step)) {
            return false;
        }
    }
    return true;
}

bool schema_check_items_min(struct schema_run *run, const struct schema_rule *rule,
                            json_t *value, const struct json_pointer *at)
{
    return !json_is_array(value) || json_array_size(value) >= rule->count ||
           misfit(run, at, "must have at least %llu items", (unsigned long long)rule->count);
}

bool schema_check_items_max(struct schema_run *run, const struct schema_rule *rule,
                            json_t *value, const struct json_pointer *at)
{
    return !json_is_array(value) || json_array_size(value) <= rule->count ||
           misfit(run, at, "must have at most %llu items", (unsigned long long)rule->count);
}

/* Every pair is compared, so the steps bound this at about a thousand items. */
bool schema_check_unique(struct schema_run *run, const struct schema_rule *rule, json_t *value,
                         const struct json_pointer *at)
{
    if (json_is_false(rule->argument)) {
        return true;
    }
    for (size_t i = 1; i < json_array_size(value); i++) {
        struct json_pointer step = {.parent = at, .index = i};

        for (size_t j = 0; j < i; j++) {
            if (value_equal(run, json_array_get(value, i), json_array_get(value, j), &step, 0)) {
                return misfit(run, &step, "is the same as item %zu", j);
            }
            if (run->too_complex) {
                return false;
            }
        }
    }
    return true;
}

/* ---- objects ------------------------------------------------------------ */

bool schema_check_properties(struct schema_run *run, const struct schema_rule *rule,
                             json_t *value, const struct json_pointer *at)
{
    size_t i = 0;
    const char *name;
    json_t *unused;

    json_object_foreach(rule->argument, name, unused)
    {
        struct json_pointer step = {.parent = at, .name = name};
        json_t *member = json_object_get(value, name);

        if (member && !node_check(run, rule->children[i], member, &step)) {
            return false;
        }
        i++;
    }
    return true;
}

/* What may stand instead, for whoever mistyped a name. */
static const char *names_text(json_t *properties, char *text, size_t size)
{
    size_t used = 0;
    const char *name;
    json_t *unused;

    text[0] = '\0';
    json_object_foreach(properties, name, unused)
    {
        size_t need = strlen(name) + 2;

        if (used + need + sizeof "..." > size) {
            strcpy(text + used, "...");
            break;
        }
        used += (size_t)sprintf(text + used, "%s%s", used ? ", " : "", name);
    }
    return used ? text : "none";
}

bool schema_check_additional(struct schema_run *run, const struct schema_rule *rule,
                             json_t *value, const struct json_pointer *at)
{
    json_t *properties = json_object_get(rule->owner, "properties");
    const char *name;
    json_t *member;
    char names[300];

    json_object_foreach(value, name, member)
    {
        struct json_pointer step = {.parent = at, .name = name};

        if (json_object_get(properties, name)) {
            continue;
        }
        if (json_is_false(rule->argument)) {
            return misfit(run, &step, "is not allowed here (known: %s)",
                          names_text(properties, names, sizeof names));
        }
        if (!node_check(run, rule->children[0], member, &step)) {
            return false;
        }
    }
    return true;
}

bool schema_check_required(struct schema_run *run, const struct schema_rule *rule, json_t *value,
                           const struct json_pointer *at)
{
    json_t *name;
    size_t i;

    if (!json_is_object(value)) {
        return true;
    }
    json_array_foreach(rule->argument, i, name)
    {
        struct json_pointer step = {.parent = at, .name = json_string_value(name)};

        if (!json_object_get(value, json_string_value(name))) {
            return misfit(run, &step, "is required");
        }
    }
    return true;
}

bool schema_check_properties_min(struct schema_run *run, const struct schema_rule *rule,
                                 json_t *value, const struct json_pointer *at)
{
    return !json_is_object(value) || json_object_size(value) >= rule->count ||
           misfit(run, at, "must have at least %llu members", (unsigned long long)rule->count);
}

bool schema_check_properties_max(struct schema_run *run, const struct schema_rule *rule,
                                 json_t *value, const struct json_pointer *at)
{
    return !json_is_object(value) || json_object_size(value) <= rule->count ||
           misfit(run, at, "must have at most %llu members", (unsigned long long)rule->count);
}

/* ---- public ------------------------------------------------------------- */

bool schema_check(const struct schema *schema, json_t *value, char *why, size_t size)
{
    struct schema_run run = {.why = why, .why_size = size};
    struct json_pointer root = {0};

    CHECK(schema != NULL);
    CHECK(value != NULL);
    CHECK(size > 0);
    why[0] = '\0';
    if (node_check(&run, schema->root, value, &root)) {
        return true;
    }
    CHECK(why[0] != '\0' || size < 8);
    return false;
}
