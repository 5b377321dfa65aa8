/* standard: the descriptors 0, 1 and 2. */
#ifndef SLUICE_COMMON_STANDARD_H
#define SLUICE_COMMON_STANDARD_H

/* Opens /dev/null in the place of each of them that is closed: the next file or socket would get
 * its number, libuv refuses to run so, and what is printed would go there. First thing of all. */
void standard_open(void);

#endif
