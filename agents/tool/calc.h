/* calc: arithmetic in the notation people type.
 *
 * Pure; any thread. The work is linear in the text, which is bounded. Numbers
 * are long doubles inside (at least 64 bits of mantissa on the machines we
 * build for), so whole numbers are exact to 2^53 and well beyond, and 0.1 + 0.2
 * is 0.3 when it is rounded at the end. docs/tools.md has the grammar. */
#ifndef SLUICE_TOOL_CALC_H
#define SLUICE_TOOL_CALC_H

#include <stdbool.h>
#include <stddef.h>

#define CALC_BYTES_MAX 1000
#define CALC_DEPTH_MAX 50      /* brackets, signs and powers inside one another */
#define CALC_ARGUMENTS_MAX 32 /* of min and max; on the stack, times the depth */
#define CALC_TEXT_SIZE 32

enum calc_outcome {
    CALC_OK,
    CALC_MALFORMED, /* not an expression */
    CALC_UNDEFINED, /* it has no value: 1/0, sqrt(-1), beyond the range of numbers */
};

struct calc_result {
    double value;
    bool whole;                /* a whole number below 2^53: `value` is exact as int64 */
    char text[CALC_TEXT_SIZE]; /* as people write it, 15 digits */
    size_t position;           /* not CALC_OK: of the character at fault, from 1 */
    char error[160];           /* not CALC_OK: a sentence that names the position */
};

/* Evaluates UTF-8 text with NUL at its end. */
enum calc_outcome calc_evaluate(const char *expression, struct calc_result *result);

#endif
