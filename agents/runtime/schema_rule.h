/* schema_rule: a compiled schema from the inside: shared by the compiler
 * (schema.c) and the checks (schema_check.c), and by nobody else. */
#ifndef SLUICE_RUNTIME_SCHEMA_RULE_H
#define SLUICE_RUNTIME_SCHEMA_RULE_H

#include "agents/runtime/json_pointer.h"
#include "agents/runtime/pattern.h"
#include "agents/runtime/schema.h"

#include <stdint.h>

/* JSON's types as a bit set. A number without a fraction is an integer, too. */
enum schema_type {
    SCHEMA_NULL = 1,
    SCHEMA_BOOLEAN = 2,
    SCHEMA_OBJECT = 4,
    SCHEMA_ARRAY = 8,
    SCHEMA_NUMBER = 16,
    SCHEMA_STRING = 32,
    SCHEMA_INTEGER = 64,
};
#define SCHEMA_TYPE_COUNT 7
extern const char *const schema_type_names[SCHEMA_TYPE_COUNT];

struct schema_node;
struct schema_rule;

/* One check of one value on its way. */
struct schema_run {
    size_t steps;
    size_t depth;
    bool too_complex; /* a bound was reached: every further answer is void */
    bool quiet;       /* inside anyOf, oneOf, not: a misfit is no failure yet */
    char *why;
    size_t why_size;
};

/* True: `value` fits `rule`. False: reported to run->why. */
typedef bool schema_check_fn(struct schema_run *run, const struct schema_rule *rule, json_t *value,
                             const struct json_pointer *at);

/* What a keyword's argument has to be. */
enum schema_argument {
    ARGUMENT_ANNOTATION, /* says nothing about validity: ignored */
    ARGUMENT_ROOT_ONLY,  /* the same, but refused below the root, where it would matter */
    ARGUMENT_TYPES,
    ARGUMENT_NUMBER,
    ARGUMENT_POSITIVE,
    ARGUMENT_COUNT,
    ARGUMENT_FLAG,
    ARGUMENT_VALUE,
    ARGUMENT_VALUES,
    ARGUMENT_NAMES,
    ARGUMENT_PATTERN,
    ARGUMENT_SCHEMA,
    ARGUMENT_SCHEMA_LIST,
    ARGUMENT_SCHEMA_MAP,
    ARGUMENT_DEFS,
    ARGUMENT_REF,
};

struct schema_keyword {
    const char *name;
    enum schema_argument argument;
    schema_check_fn *check; /* NULL: nothing to check by itself */
    bool in_place;          /* its subschemas see the same value */
};

/* One keyword of one schema object. */
struct schema_rule {
    const struct schema_keyword *keyword;
    json_t *argument; /* borrowed from schema->source */
    json_t *owner;    /* the schema object it stands in: its siblings */
    union {
        unsigned types;      /* ARGUMENT_TYPES */
        long double number;  /* exact for every int64 and every double */
        uint64_t count;
        struct pattern *pattern; /* owned */
    };
    struct schema_node **children; /* owned array of nodes that the schema owns */
    size_t child_count;
};

struct schema_node {
    struct schema_node *next; /* all nodes of a schema, for freeing */
    bool refuses_all;         /* the schema `false` */
    struct schema_rule *rules;
    size_t rule_count;
    enum { NODE_NEW, NODE_OPEN, NODE_CLOSED } mark; /* of the search for loops */
};

struct schema {
    json_t *source;
    struct schema_node *root;
    struct schema_node *nodes;
};

/* The rows of the keyword table that schema_check.c implements. */
schema_check_fn schema_check_type, schema_check_enum, schema_check_const, schema_check_minimum,
    schema_check_maximum, schema_check_above, schema_check_below, schema_check_multiple,
    schema_check_length_min, schema_check_length_max, schema_check_pattern, schema_check_items,
    schema_check_prefix, schema_check_items_min, schema_check_items_max, schema_check_unique,
    schema_check_properties, schema_check_additional, schema_check_required,
    schema_check_properties_min, schema_check_properties_max, schema_check_all, schema_check_any,
    schema_check_one, schema_check_not;

/* For what is reported, which may hold a piece of the schema or of the value: drops a
 * character cut in half at the end and takes control characters out. */
void schema_text_clean(char *text);

#endif
