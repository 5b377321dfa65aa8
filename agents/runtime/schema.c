#include "agents/runtime/schema.h"

#include "agents/runtime/schema_rule.h"
#include "common/check.h"
#include "proto/limits.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const schema_type_names[SCHEMA_TYPE_COUNT] = {
    "null", "boolean", "object", "array", "number", "string", "integer",
};

/* Everything a schema may say. What is not here does not compile. */
static const struct schema_keyword keywords[] = {
    {"type", ARGUMENT_TYPES, schema_check_type, false},
    {"enum", ARGUMENT_VALUES, schema_check_enum, false},
    {"const", ARGUMENT_VALUE, schema_check_const, false},
    {"minimum", ARGUMENT_NUMBER, schema_check_minimum, false},
    {"maximum", ARGUMENT_NUMBER, schema_check_maximum, false},
    {"exclusiveMinimum", ARGUMENT_NUMBER, schema_check_above, false},
    {"exclusiveMaximum", ARGUMENT_NUMBER, schema_check_below, false},
    {"multipleOf", ARGUMENT_POSITIVE, schema_check_multiple, false},
    {"minLength", ARGUMENT_COUNT, schema_check_length_min, false},
    {"maxLength", ARGUMENT_COUNT, schema_check_length_max, false},
    {"pattern", ARGUMENT_PATTERN, schema_check_pattern, false},
    {"items", ARGUMENT_SCHEMA, schema_check_items, false},
    {"prefixItems", ARGUMENT_SCHEMA_LIST, schema_check_prefix, false},
    {"minItems", ARGUMENT_COUNT, schema_check_items_min, false},
    {"maxItems", ARGUMENT_COUNT, schema_check_items_max, false},
    {"uniqueItems", ARGUMENT_FLAG, schema_check_unique, false},
    {"properties", ARGUMENT_SCHEMA_MAP, schema_check_properties, false},
    {"additionalProperties", ARGUMENT_SCHEMA, schema_check_additional, false},
    {"required", ARGUMENT_NAMES, schema_check_required, false},
    {"minProperties", ARGUMENT_COUNT, schema_check_properties_min, false},
    {"maxProperties", ARGUMENT_COUNT, schema_check_properties_max, false},
    {"allOf", ARGUMENT_SCHEMA_LIST, schema_check_all, true},
    {"anyOf", ARGUMENT_SCHEMA_LIST, schema_check_any, true},
    {"oneOf", ARGUMENT_SCHEMA_LIST, schema_check_one, true},
    {"not", ARGUMENT_SCHEMA, schema_check_not, true},
    {"$ref", ARGUMENT_REF, schema_check_all, true},
    {"$defs", ARGUMENT_DEFS, NULL, false},
    {"$schema", ARGUMENT_ROOT_ONLY, NULL, false},
    {"$id", ARGUMENT_ROOT_ONLY, NULL, false},
    {"$comment", ARGUMENT_ANNOTATION, NULL, false},
    {"title", ARGUMENT_ANNOTATION, NULL, false},
    {"description", ARGUMENT_ANNOTATION, NULL, false},
    {"default", ARGUMENT_ANNOTATION, NULL, false},
    {"examples", ARGUMENT_ANNOTATION, NULL, false},
    {"format", ARGUMENT_ANNOTATION, NULL, false},
    {"deprecated", ARGUMENT_ANNOTATION, NULL, false},
    {"readOnly", ARGUMENT_ANNOTATION, NULL, false},
    {"writeOnly", ARGUMENT_ANNOTATION, NULL, false},
    {"contentEncoding", ARGUMENT_ANNOTATION, NULL, false},
    {"contentMediaType", ARGUMENT_ANNOTATION, NULL, false},
};

static const struct schema_keyword *keyword_find(const char *name)
{
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++) {
        if (strcmp(keywords[i].name, name) == 0) {
            return &keywords[i];
        }
    }
    return NULL;
}

/* ---- compiling ---------------------------------------------------------- */

struct compiler {
    struct schema *schema;
    struct schema_node **defs; /* in the order of the root's $defs */
    json_t *defs_json;
    char *error;
    size_t error_size;
};

__attribute__((format(printf, 3, 4))) static bool
refuse(struct compiler *compiler, const struct json_pointer *at, const char *format, ...)
{
    char place[256];
    char reason[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    json_pointer_format(at, place, sizeof place);
    snprintf(compiler->error, compiler->error_size, "schema at #%s: %s", place, reason);
    schema_text_clean(compiler->error);
    return false;
}

static struct schema_node *compile_node(struct compiler *compiler, json_t *json,
                                        const struct json_pointer *at, size_t depth);

static bool compile_types(struct compiler *compiler, struct schema_rule *rule,
                          const struct json_pointer *at)
{
    size_t count = json_is_array(rule->argument) ? json_array_size(rule->argument) : 1;

    for (size_t i = 0; i < count; i++) {
        json_t *name =
            json_is_array(rule->argument) ? json_array_get(rule->argument, i) : rule->argument;
        unsigned bit = 0;

        for (size_t t = 0; json_is_string(name) && t < SCHEMA_TYPE_COUNT; t++) {
            if (strcmp(json_string_value(name), schema_type_names[t]) == 0) {
                bit = 1u << t;
            }
        }
        if (!bit) {
            return refuse(compiler, at, "must name null, boolean, object, array, number, string "
                                        "or integer");
        }
        rule->types |= bit;
    }
    return count > 0 || refuse(compiler, at, "must name at least one type");
}

static bool compile_number(struct compiler *compiler, struct schema_rule *rule,
                           const struct json_pointer *at)
{
    if (!json_is_number(rule->argument)) {
        return refuse(compiler, at, "must be a number");
    }
    rule->number = json_is_integer(rule->argument)
                       ? (long double)json_integer_value(rule->argument)
                       : (long double)json_real_value(rule->argument);
    if (rule->keyword->argument == ARGUMENT_POSITIVE && rule->number <= 0) {
        return refuse(compiler, at, "must be greater than 0");
    }
    return true;
}

static bool compile_count(struct compiler *compiler, struct schema_rule *rule,
                          const struct json_pointer *at)
{
    double number = json_number_value(rule->argument);

    if (!json_is_number(rule->argument) || number < 0 || number > 9e15 || number != floor(number)) {
        return refuse(compiler, at, "must be a whole number, 0 or more");
    }
    rule->count = (uint64_t)number;
    return true;
}

static bool compile_names(struct compiler *compiler, struct schema_rule *rule,
                          const struct json_pointer *at)
{
    json_t *name;
    size_t i;

    if (!json_is_array(rule->argument)) {
        return refuse(compiler, at, "must be a list of names");
    }
    json_array_foreach(rule->argument, i, name)
    {
        if (!json_is_string(name)) {
            return refuse(compiler, at, "must be a list of names");
        }
    }
    return true;
}

static bool compile_pattern(struct compiler *compiler, struct schema_rule *rule,
                            const struct json_pointer *at)
{
    char error[128];

    if (!json_is_string(rule->argument)) {
        return refuse(compiler, at, "must be text");
    }
    rule->pattern = pattern_compile(json_string_value(rule->argument), error, sizeof error);
    return rule->pattern != NULL || refuse(compiler, at, "%s", error);
}

/* Subschemas: one, a list, or the values of a map, in its order. */
static bool compile_children(struct compiler *compiler, struct schema_rule *rule,
                             const struct json_pointer *at, size_t depth)
{
    bool list = rule->keyword->argument == ARGUMENT_SCHEMA_LIST;
    bool one = rule->keyword->argument == ARGUMENT_SCHEMA;
    size_t count = one    ? 1
                   : list ? json_array_size(rule->argument)
                          : json_object_size(rule->argument);
    void *member = json_object_iter(rule->argument);

    if (!one && !(list ? json_is_array(rule->argument) : json_is_object(rule->argument))) {
        return refuse(compiler, at, list ? "must be a list of schemas" : "must be an object whose "
                                                                         "values are schemas");
    }
    if (list && count == 0) {
        return refuse(compiler, at, "must not be empty");
    }
    rule->children = calloc(count ? count : 1, sizeof(struct schema_node *));
    if (!rule->children) {
        return refuse(compiler, at, "no memory");
    }
    for (size_t i = 0; i < count; i++) {
        struct json_pointer step = {.parent = at, .index = i};
        json_t *json = one ? rule->argument : json_array_get(rule->argument, i);

        if (!one && !list) {
            step.name = json_object_iter_key(member);
            json = json_object_iter_value(member);
            member = json_object_iter_next(rule->argument, member);
        }
        rule->children[i] = compile_node(compiler, json, one ? at : &step, depth);
        if (!rule->children[i]) {
            return false;
        }
        rule->child_count = i + 1;
    }
    return true;
}

static bool compile_argument(struct compiler *compiler, struct schema_rule *rule,
                             const struct json_pointer *at, size_t depth)
{
    switch (rule->keyword->argument) {
    case ARGUMENT_ANNOTATION:
    case ARGUMENT_VALUE:
        return true;
    case ARGUMENT_ROOT_ONLY:
        return depth == 1 || refuse(compiler, at, "is supported at the top of the schema only");
    case ARGUMENT_TYPES:
        return compile_types(compiler, rule, at);
    case ARGUMENT_NUMBER:
    case ARGUMENT_POSITIVE:
        return compile_number(compiler, rule, at);
    case ARGUMENT_COUNT:
        return compile_count(compiler, rule, at);
    case ARGUMENT_FLAG:
        return json_is_boolean(rule->argument) || refuse(compiler, at, "must be true or false");
    case ARGUMENT_VALUES:
        return json_array_size(rule->argument) > 0 || refuse(compiler, at, "must list values");
    case ARGUMENT_NAMES:
        return compile_names(compiler, rule, at);
    case ARGUMENT_PATTERN:
        return compile_pattern(compiler, rule, at);
    case ARGUMENT_SCHEMA:
    case ARGUMENT_SCHEMA_LIST:
    case ARGUMENT_SCHEMA_MAP:
        return compile_children(compiler, rule, at, depth + 1);
    case ARGUMENT_DEFS:
        if (depth != 1) {
            return refuse(compiler, at, "is supported at the top of the schema only");
        }
        return compile_children(compiler, rule, at, depth + 1);
    case ARGUMENT_REF: /* resolved when all $defs are known */
        return json_is_string(rule->argument) || refuse(compiler, at, "must be text");
    }
    CHECK(false);
    return false;
}

static bool compile_rules(struct compiler *compiler, struct schema_node *node, json_t *json,
                          const struct json_pointer *at, size_t depth)
{
    const char *name;
    json_t *argument;

    json_object_foreach(json, name, argument)
    {
        struct json_pointer step = {.parent = at, .name = name};
        struct schema_rule *rule = &node->rules[node->rule_count];
        const struct schema_keyword *keyword = keyword_find(name);

        if (!keyword && strncmp(name, "x-", 2) == 0) {
            continue;
        }
        if (!keyword) {
            return refuse(compiler, &step, "keyword not supported (see docs/schema.md)");
        }
        *rule = (struct schema_rule){.keyword = keyword, .argument = argument, .owner = json};
        node->rule_count++;
        if (!compile_argument(compiler, rule, &step, depth)) {
            return false;
        }
        if (keyword->argument == ARGUMENT_DEFS) {
            compiler->defs = rule->children;
            compiler->defs_json = argument;
        }
    }
    return true;
}

/* NULL: refused; what was built so far hangs in schema->nodes. */
static struct schema_node *compile_node(struct compiler *compiler, json_t *json,
                                        const struct json_pointer *at, size_t depth)
{
    struct schema_node *node;

    if (depth > SCHEMA_DEPTH_MAX) {
        refuse(compiler, at, "nested deeper than %d", SCHEMA_DEPTH_MAX);
        return NULL;
    }
    if (!json_is_object(json) && !json_is_boolean(json)) {
        refuse(compiler, at, "must be a schema: an object, true or false");
        return NULL;
    }
    node = calloc(1, sizeof *node);
    if (!node) {
        refuse(compiler, at, "no memory");
        return NULL;
    }
    node->next = compiler->schema->nodes;
    compiler->schema->nodes = node;
    node->refuses_all = json_is_false(json);
    node->rules = calloc(json_object_size(json) + 1, sizeof *node->rules);
    if (!node->rules) {
        refuse(compiler, at, "no memory");
        return NULL;
    }
    return compile_rules(compiler, node, json, at, depth) ? node : NULL;
}

/* ---- references --------------------------------------------------------- */

/* Is `text`, with ~0 and ~1, the name `name`? */
static bool pointer_names(const char *text, const char *name)
{
    for (; *text; text++, name++) {
        char c = *text;

        if (c == '~' && (text[1] == '0' || text[1] == '1')) {
            c = *++text == '0' ? '~' : '/';
        }
        if (c != *name) {
            return false;
        }
    }
    return *name == '\0';
}

static struct schema_node *def_find(const struct compiler *compiler, const char *ref)
{
    static const char prefix[] = "#/$defs/";
    size_t i = 0;
    const char *name;
    json_t *unused;

    if (strncmp(ref, prefix, strlen(prefix)) != 0) {
        return NULL;
    }
    json_object_foreach(compiler->defs_json, name, unused)
    {
        if (pointer_names(ref + strlen(prefix), name)) {
            return compiler->defs[i];
        }
        i++;
    }
    return NULL;
}

static bool resolve_refs(struct compiler *compiler)
{
    for (struct schema_node *node = compiler->schema->nodes; node; node = node->next) {
        for (size_t i = 0; i < node->rule_count; i++) {
            struct schema_rule *rule = &node->rules[i];
            const char *ref;

            if (rule->keyword->argument != ARGUMENT_REF) {
                continue;
            }
            ref = json_string_value(rule->argument);
            rule->children = calloc(1, sizeof(struct schema_node *));
            if (!rule->children) {
                return refuse(compiler, NULL, "no memory");
            }
            rule->children[0] = def_find(compiler, ref);
            if (!rule->children[0]) {
                return refuse(compiler, NULL, "$ref \"%.100s\" is not #/$defs/NAME of this schema",
                              ref);
            }
            rule->child_count = 1;
        }
    }
    return true;
}

/* A schema that leads back to itself without a step into the value could never
 * be checked, nor one that is deeper than a check may go; `depth` bounds the search. */
static bool find_loop(struct schema_node *node, size_t depth)
{
    if (node->mark != NODE_NEW) {
        return node->mark == NODE_OPEN;
    }
    if (depth > SCHEMA_RUN_DEPTH_MAX) {
        return true;
    }
    node->mark = NODE_OPEN;
    for (size_t i = 0; i < node->rule_count; i++) {
        const struct schema_rule *rule = &node->rules[i];

        for (size_t c = 0; rule->keyword->in_place && c < rule->child_count; c++) {
            if (find_loop(rule->children[c], depth + 1)) {
                return true;
            }
        }
    }
    node->mark = NODE_CLOSED;
    return false;
}

static bool refuse_loops(struct compiler *compiler)
{
    for (struct schema_node *node = compiler->schema->nodes; node; node = node->next) {
        if (find_loop(node, 0)) {
            return refuse(compiler, NULL, "a $ref leads back to itself, or too deep");
        }
    }
    return true;
}

/* ---- public ------------------------------------------------------------- */

struct schema *schema_compile(const char *json_text, char *error, size_t error_size)
{
    struct compiler compiler = {.error = error, .error_size = error_size};
    struct json_pointer root = {0};
    size_t size = strnlen(json_text, SCHEMA_BYTES_MAX + 1);
    json_error_t parse_error;

    CHECK(error_size > 0);
    if (size > SCHEMA_BYTES_MAX) {
        snprintf(error, error_size, "schema: longer than %d bytes", SCHEMA_BYTES_MAX);
        return NULL;
    }
    compiler.schema = calloc(1, sizeof *compiler.schema);
    if (!compiler.schema) {
        snprintf(error, error_size, "schema: no memory");
        return NULL;
    }
    compiler.schema->source =
        json_loadb(json_text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &parse_error);
    if (!compiler.schema->source) {
        snprintf(error, error_size, "schema: not JSON: line %d: %s", parse_error.line,
                 parse_error.text);
        schema_text_clean(error);
        goto fail;
    }
    compiler.schema->root = compile_node(&compiler, compiler.schema->source, &root, 1);
    if (!compiler.schema->root || !resolve_refs(&compiler) || !refuse_loops(&compiler)) {
        goto fail;
    }
    return compiler.schema;

fail:
    schema_free(compiler.schema);
    return NULL;
}

void schema_free(struct schema *schema)
{
    if (!schema) {
        return;
    }
    while (schema->nodes) {
        struct schema_node *node = schema->nodes;

        schema->nodes = node->next;
        for (size_t i = 0; i < node->rule_count; i++) {
            if (node->rules[i].keyword->argument == ARGUMENT_PATTERN) {
                pattern_free(node->rules[i].pattern);
            }
            free(node->rules[i].children);
        }
        free(node->rules);
        free(node);
    }
    json_decref(schema->source);
    free(schema);
}
