/* quantity: numbers as people read them. Pure. */
#ifndef SLUICE_CLI_QUANTITY_H
#define SLUICE_CLI_QUANTITY_H

#include <stdint.h>

#define QUANTITY_SIZE 32

/* Each writes to `text` and returns it. */
const char *quantity_ms(uint64_t ms, char text[QUANTITY_SIZE]);       /* 12 ms, 3.4 s, 5 m 06 s */
const char *quantity_bytes(uint64_t bytes, char text[QUANTITY_SIZE]); /* 12 B, 3.4 KiB */
const char *quantity_count(uint64_t count, char text[QUANTITY_SIZE]); /* 1,234,567 */

#endif
