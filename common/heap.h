/* heap: how this process's malloc deals with the kernel. */
#ifndef SLUICE_COMMON_HEAP_H
#define SLUICE_COMMON_HEAP_H

/* For a process that large messages pass through: blocks up to 4 MiB are taken from memory that it
 * has, and up to 16 MiB that are free stay with it. By itself glibc maps and unmaps each block of
 * 128 KiB and more, and each page of it faults in anew. Before other threads are started. */
void heap_keep(void);

#endif
