/* schema: a bounded subset of JSON Schema 2020-12, for the arguments of tasks.
 *
 * docs/schema.md lists the keywords. A schema that uses any other assertion
 * does not compile: a schema never checks less than it says. Checking has a
 * bound on depth and on steps, so no value and no schema can hold up a loop.
 *
 * Threads: a compiled schema never changes; any number of threads may check
 * against it at once. */
#ifndef SLUICE_RUNTIME_SCHEMA_H
#define SLUICE_RUNTIME_SCHEMA_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define SCHEMA_DEPTH_MAX 32     /* nesting of a schema's text; payloads have the same bound */
#define SCHEMA_RUN_DEPTH_MAX 96 /* schemas inside one another while checking, $ref included */
#define SCHEMA_STEPS_MAX 500000 /* rules and comparisons of one check: some milliseconds */

struct schema;

/* Compiles `json_text`, at most SCHEMA_BYTES_MAX bytes. NULL: `error` says where
 * (a JSON Pointer into the schema) and why, without control characters, cut at `error_size`. */
struct schema *schema_compile(const char *json_text, char *error, size_t error_size);

/* True: `value` fits. False: `why` is `POINTER: reason`, cut at `size`, the pointer
 * being that of the first value that does not fit; the whole value is called
 * `(value)`. Reports text without control characters. Nothing is kept of `value`. */
bool schema_check(const struct schema *schema, json_t *value, char *why, size_t size);

void schema_free(struct schema *schema); /* accepts NULL */

#endif
