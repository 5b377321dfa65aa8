/* problem: why something was refused: one sentence for people, no newline. libc only. */
#ifndef SLUICE_COMMON_PROBLEM_H
#define SLUICE_COMMON_PROBLEM_H

struct problem {
    char text[1024];
};

/* Replaces the text; it is cut where there is no room. */
void problem_set(struct problem *problem, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
