/* histogram: counts of positive values in log-linear buckets.
 *
 * Every power of two is split into 128 equal buckets, so a percentile is at most
 * 1/128 above the true value whatever its size, in constant memory. This is the
 * bucket layout of HdrHistogram (Gil Tene). Pure; one thread. */
#ifndef SLUICE_CLI_HISTOGRAM_H
#define SLUICE_CLI_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_SPLIT_BITS 7
#define HISTOGRAM_SPLIT (1u << HISTOGRAM_SPLIT_BITS)
/* Values below the first split have a bucket each; each doubling beyond adds a split. */
#define HISTOGRAM_BUCKETS ((64 - HISTOGRAM_SPLIT_BITS + 1) * HISTOGRAM_SPLIT)

struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS];
    uint64_t total; /* values added */
    uint64_t max;   /* the largest one; 0: none */
};

void histogram_init(struct histogram *histogram);
void histogram_add(struct histogram *histogram, uint64_t value);

/* Adds all that `other` has. */
void histogram_merge(struct histogram *histogram, const struct histogram *other);

/* The smallest value that at least `percent` (0-100) of all values do not exceed,
 * rounded up to its bucket's end, never above the largest one. 0: empty. */
uint64_t histogram_percentile(const struct histogram *histogram, double percent);

#endif
