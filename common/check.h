/* check: assertions that stay on in every build.
 *
 * A failed CHECK is a bug of ours, never bad input: the process says where and
 * stops, because going on would break a promise in silence. */
#ifndef SLUICE_COMMON_CHECK_H
#define SLUICE_COMMON_CHECK_H

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0)) {                                                   \
            check_failed(#condition, __FILE__, __LINE__, __func__);                                \
        }                                                                                          \
    } while (0)

/* Prints one line to standard error and aborts. */
_Noreturn void check_failed(const char *condition, const char *file, int line,
                            const char *function) __attribute__((cold));

#endif
