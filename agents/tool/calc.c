/* calc: a recursive-descent parser that evaluates as it reads.
 *
 *   sum     = product { ("+" | "-") product }
 *   product = signed { ("*" | "/" | "%") signed }
 *   signed  = [ "+" | "-" ] signed | power
 *   power   = percent [ "^" signed ]
 *   percent = primary [ "%" [ "of" signed ] ]
 *   primary = number | name | name "(" sum { "," sum } ")" | "(" sum ")"
 *
 * So -2^2 is -4, 2^3^2 is 2^9, and 2^-1 is 0.5. */
#include "agents/tool/calc.h"

#include "common/check.h"

#include <ctype.h>
#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct calc {
    const char *text;
    const char *at;
    size_t depth;
    enum calc_outcome outcome;
    struct calc_result *result;
};

/* Keeps the first failure; every rule stops at it. The value is void from then on. */
__attribute__((format(printf, 4, 5))) static long double
give_up(struct calc *calc, enum calc_outcome outcome, const char *place, const char *format, ...)
{
    struct calc_result *result = calc->result;
    char reason[112];
    va_list arguments;

    if (calc->outcome != CALC_OK) {
        return 0;
    }
    calc->outcome = outcome;
    result->position = 1;
    for (const char *c = calc->text; c < place; c++) {
        result->position += ((unsigned char)*c & 0xc0) != 0x80;
    }
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    snprintf(result->error, sizeof result->error, "position %zu: %s", result->position, reason);
    return 0;
}

/* The value of an operation at `place`, if numbers reach so far. */
static long double finite_at(struct calc *calc, const char *place, long double value)
{
    if (isnan(value)) {
        return give_up(calc, CALC_UNDEFINED, place, "not defined for this number");
    }
    if (fabsl(value) > (long double)DBL_MAX) {
        return give_up(calc, CALC_UNDEFINED, place, "the result is too large");
    }
    return value;
}

/* ---- words -------------------------------------------------------------- */

static void skip_space(struct calc *calc)
{
    while (*calc->at == ' ' || *calc->at == '\t' || *calc->at == '\n' || *calc->at == '\r') {
        calc->at++;
    }
}

/* Takes `word` if it comes next. */
static bool take(struct calc *calc, const char *word)
{
    skip_space(calc);
    if (strncmp(calc->at, word, strlen(word)) != 0) {
        return false;
    }
    calc->at += strlen(word);
    return true;
}

static size_t name_bytes(const char *text)
{
    size_t size = 0;

    while (isalnum((unsigned char)text[size]) || text[size] == '_') {
        size++;
    }
    return isalpha((unsigned char)*text) ? size : 0;
}

static bool take_name(struct calc *calc, const char *name)
{
    skip_space(calc);
    if (name_bytes(calc->at) != strlen(name) || strncmp(calc->at, name, strlen(name)) != 0) {
        return false;
    }
    calc->at += strlen(name);
    return true;
}

static bool take_minus(struct calc *calc)
{
    return take(calc, "-") || take(calc, "\xe2\x88\x92"); /* U+2212 */
}

static bool take_times(struct calc *calc)
{
    skip_space(calc);
    if (strncmp(calc->at, "**", 2) == 0) {
        return false; /* a power */
    }
    return take(calc, "*") || take(calc, "\xc3\x97") || take(calc, "\xc2\xb7"); /* U+D7, U+B7 */
}

static bool take_over(struct calc *calc)
{
    return take(calc, "/") || take(calc, "\xc3\xb7"); /* U+F7 */
}

/* What is at `at`, for a message: a whole character, quoted. */
static const char *found_text(const char *at, char text[16])
{
    unsigned char first = (unsigned char)*at;
    int size = first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;

    if (first == '\0') {
        return "the end";
    }
    if (first < 0x20 || first == 0x7f) {
        return "a control character";
    }
    snprintf(text, 16, "\"%.*s\"", size, at);
    return text;
}

static long double expected(struct calc *calc, const char *what)
{
    char found[16];

    skip_space(calc);
    return give_up(calc, CALC_MALFORMED, calc->at, "expected %s, found %s", what,
                   found_text(calc->at, found));
}

/* ---- functions ---------------------------------------------------------- */

static long double apply_round(const long double *arguments, size_t count)
{
    long double scale;

    if (count == 1) {
        return roundl(arguments[0]);
    }
    if (arguments[1] != floorl(arguments[1]) || fabsl(arguments[1]) > 15) {
        return NAN;
    }
    scale = powl(10, arguments[1]);
    return roundl(arguments[0] * scale) / scale;
}

static long double apply_log(const long double *arguments, size_t count)
{
    if (arguments[0] <= 0 || (count == 2 && (arguments[1] <= 0 || arguments[1] == 1))) {
        return NAN;
    }
    if (count == 1 || arguments[1] == 10) {
        return log10l(arguments[0]);
    }
    return arguments[1] == 2 ? log2l(arguments[0]) : logl(arguments[0]) / logl(arguments[1]);
}

static long double apply_ln(const long double *arguments, size_t count)
{
    return arguments[0] > 0 ? logl(arguments[0]) : NAN;
}

static long double apply_min(const long double *arguments, size_t count)
{
    long double least = arguments[0];

    for (size_t i = 1; i < count; i++) {
        least = fminl(least, arguments[i]);
    }
    return least;
}

static long double apply_max(const long double *arguments, size_t count)
{
    long double most = arguments[0];

    for (size_t i = 1; i < count; i++) {
        most = fmaxl(most, arguments[i]);
    }
    return most;
}

static const struct function {
    const char *name;
    long double (*plain)(long double); /* of one argument; else `apply` */
    long double (*apply)(const long double *arguments, size_t count);
    size_t arguments_max;
} functions[] = {
    {"sqrt", sqrtl, NULL, 1},       {"abs", fabsl, NULL, 1},
    {"round", NULL, apply_round, 2}, {"floor", floorl, NULL, 1},
    {"ceil", ceill, NULL, 1},       {"ln", NULL, apply_ln, 1},
    {"log", NULL, apply_log, 2},    {"exp", expl, NULL, 1},
    {"sin", sinl, NULL, 1},         {"cos", cosl, NULL, 1},
    {"tan", tanl, NULL, 1},         {"min", NULL, apply_min, CALC_ARGUMENTS_MAX},
    {"max", NULL, apply_max, CALC_ARGUMENTS_MAX},
};

static const struct constant {
    const char *name;
    long double value;
} constants[] = {
    {"pi", M_PIl},
    {"e", M_El},
};

/* ---- rules -------------------------------------------------------------- */

static long double parse_sum(struct calc *calc);
static long double parse_signed(struct calc *calc);

static long double parse_call(struct calc *calc, const struct function *function,
                              const char *place)
{
    long double arguments[CALC_ARGUMENTS_MAX];
    size_t count = 0;

    if (!take(calc, "(")) {
        return expected(calc, "\"(\"");
    }
    do {
        if (count == function->arguments_max) {
            return give_up(calc, CALC_MALFORMED, calc->at, "%s takes at most %zu number%s",
                           function->name, count, count == 1 ? "" : "s");
        }
        arguments[count++] = parse_sum(calc);
    } while (calc->outcome == CALC_OK && take(calc, ","));
    if (calc->outcome == CALC_OK && !take(calc, ")")) {
        return expected(calc, "\",\" or \")\"");
    }
    if (calc->outcome != CALC_OK) {
        return 0;
    }
    return finite_at(calc, place,
                     function->plain ? function->plain(arguments[0])
                                     : function->apply(arguments, count));
}

static long double parse_name(struct calc *calc)
{
    const char *place = calc->at;

    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++) {
        if (take_name(calc, constants[i].name)) {
            return constants[i].value;
        }
    }
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        if (take_name(calc, functions[i].name)) {
            return parse_call(calc, &functions[i], place);
        }
    }
    return give_up(calc, CALC_MALFORMED, place, "unknown name \"%.*s\"",
                   (int)(name_bytes(place) < 32 ? name_bytes(place) : 32), place);
}

/* Digits, a point, an exponent; read by strtold, but without its hex, inf and nan. */
static long double parse_number(struct calc *calc)
{
    const char *place = calc->at;
    size_t size = strspn(place, "0123456789");
    size_t digits = size;
    size_t exponent;
    char copy[CALC_BYTES_MAX + 1];

    if (place[size] == '.') {
        size_t fraction = strspn(place + size + 1, "0123456789");

        size += 1 + fraction;
        digits += fraction;
    }
    if (digits == 0) {
        return expected(calc, "a number");
    }
    if (place[size] == 'e' || place[size] == 'E') {
        exponent = size + 1;
        exponent += place[exponent] == '+' || place[exponent] == '-';
        if (isdigit((unsigned char)place[exponent])) {
            size = exponent + strspn(place + exponent, "0123456789");
        }
    }
    CHECK(size < sizeof copy);
    memcpy(copy, place, size);
    copy[size] = '\0';
    calc->at += size;
    return finite_at(calc, place, strtold(copy, NULL));
}

static long double parse_primary(struct calc *calc)
{
    long double value;

    if (take(calc, "(")) {
        value = parse_sum(calc);
        if (calc->outcome == CALC_OK && !take(calc, ")")) {
            return expected(calc, "\")\"");
        }
        return value;
    }
    if (isdigit((unsigned char)*calc->at) || *calc->at == '.') {
        return parse_number(calc);
    }
    if (isalpha((unsigned char)*calc->at)) {
        return parse_name(calc);
    }
    return expected(calc, "a number");
}

/* `%` at `place` is a percentage, unless an operand follows: then it is a
 * remainder. Before a sign it is a percentage if it touches its number (50% - 1),
 * and else nobody can tell. */
static bool is_percentage(struct calc *calc, const char *place, bool touches)
{
    struct calc ahead = *calc;

    ahead.at = place + 1;
    skip_space(&ahead);
    if (*ahead.at == '-' || *ahead.at == '+' || strncmp(ahead.at, "\xe2\x88\x92", 3) == 0) {
        if (!touches) {
            give_up(calc, CALC_MALFORMED, place,
                    "percentage or remainder? Write 10%% - 3, or 10 %% (-3)");
        }
        return touches;
    }
    return take_name(&ahead, "of") || !(isalnum((unsigned char)*ahead.at) || *ahead.at == '.' ||
                                        *ahead.at == '(');
}

static long double parse_percent(struct calc *calc)
{
    long double value = parse_primary(calc);
    const char *end = calc->at;

    skip_space(calc);
    if (calc->outcome != CALC_OK || *calc->at != '%' ||
        !is_percentage(calc, calc->at, calc->at == end)) {
        return value;
    }
    calc->at++;
    value /= 100;
    if (take_name(calc, "of")) {
        const char *place = calc->at;

        value = finite_at(calc, place, value * parse_signed(calc));
    }
    return value;
}

static long double parse_power(struct calc *calc)
{
    long double base = parse_percent(calc);
    const char *place;
    long double exponent;

    skip_space(calc);
    place = calc->at;
    if (calc->outcome != CALC_OK || !(take(calc, "^") || take(calc, "**"))) {
        return base;
    }
    exponent = parse_signed(calc);
    if (calc->outcome == CALC_OK && base == 0 && exponent < 0) {
        return give_up(calc, CALC_UNDEFINED, place, "division by zero");
    }
    return finite_at(calc, place, powl(base, exponent));
}

/* Every recursion passes through here. */
static long double parse_signed(struct calc *calc)
{
    long double value;

    if (calc->outcome != CALC_OK) {
        return 0;
    }
    if (calc->depth == CALC_DEPTH_MAX) {
        return give_up(calc, CALC_MALFORMED, calc->at, "nested too deep");
    }
    calc->depth++;
    if (take_minus(calc)) {
        value = -parse_signed(calc);
    } else if (take(calc, "+")) {
        value = parse_signed(calc);
    } else {
        value = parse_power(calc);
    }
    calc->depth--;
    return value;
}

static long double divide(struct calc *calc, const char *place, long double a, long double b,
                          bool remainder)
{
    if (calc->outcome == CALC_OK && b == 0) {
        return give_up(calc, CALC_UNDEFINED, place, "division by zero");
    }
    return finite_at(calc, place, remainder ? fmodl(a, b) : a / b);
}

static long double parse_product(struct calc *calc)
{
    long double value = parse_signed(calc);

    while (calc->outcome == CALC_OK) {
        const char *place;

        skip_space(calc);
        place = calc->at;
        if (take_times(calc)) {
            value = finite_at(calc, place, value * parse_signed(calc));
        } else if (take_over(calc)) {
            value = divide(calc, place, value, parse_signed(calc), false);
        } else if (take(calc, "%")) {
            value = divide(calc, place, value, parse_signed(calc), true);
        } else {
            break;
        }
    }
    return value;
}

static long double parse_sum(struct calc *calc)
{
    long double value = parse_product(calc);

    while (calc->outcome == CALC_OK) {
        const char *place;

        skip_space(calc);
        place = calc->at;
        if (take(calc, "+")) {
            value = finite_at(calc, place, value + parse_product(calc));
        } else if (take_minus(calc)) {
            value = finite_at(calc, place, value - parse_product(calc));
        } else {
            break;
        }
    }
    return value;
}

/* ---- public ------------------------------------------------------------- */

enum calc_outcome calc_evaluate(const char *expression, struct calc_result *result)
{
    struct calc calc = {.text = expression, .at = expression, .result = result};
    long double value;

    *result = (struct calc_result){0};
    if (strnlen(expression, CALC_BYTES_MAX + 1) > CALC_BYTES_MAX) {
        give_up(&calc, CALC_MALFORMED, expression, "longer than %d bytes", CALC_BYTES_MAX);
        return CALC_MALFORMED;
    }
    value = parse_sum(&calc);
    skip_space(&calc);
    if (calc.outcome == CALC_OK && *calc.at) {
        expected(&calc, "an operator");
    }
    if (calc.outcome != CALC_OK) {
        return calc.outcome;
    }
    result->value = (double)value + 0.0; /* no -0 */
    result->whole = result->value == floor(result->value) && fabs(result->value) < 0x1p53;
    if (result->whole) {
        snprintf(result->text, sizeof result->text, "%.0f", result->value);
    } else {
        snprintf(result->text, sizeof result->text, "%.15g", result->value);
    }
    return CALC_OK;
}
