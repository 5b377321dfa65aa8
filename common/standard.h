/* standard: the descriptors 0, 1 and 2. */
#ifndef SLUICE_COMMON_STANDARD_H
#define SLUICE_COMMON_STANDARD_H

/* Opens /dev/null in the place of each of them that is closed: the next file or socket would get
 * its number, libuv refuses to run so, and what is printed would go there. First thing of all. */
void standard_open(void);

/* Writes out what was printed. Returns `status`; 1 for 0 if not all of it has arrived (a full disk,
 * say), which is told on descriptor 2 in the name of `program`. Last thing of all. */
int standard_flush(const char *program, int status);

#endif
