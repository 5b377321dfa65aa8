#include "cli/histogram.h"

#include "common/check.h"

#include <math.h>
#include <string.h>

/* How far a value is shifted so that its top bits number a bucket of its doubling. */
static unsigned value_shift(uint64_t value)
{
    unsigned top = 63u - (unsigned)__builtin_clzll(value | 1);

    return top > HISTOGRAM_SPLIT_BITS ? top - HISTOGRAM_SPLIT_BITS : 0;
}

static unsigned bucket_of(uint64_t value)
{
    unsigned shift = value_shift(value);

    return shift * HISTOGRAM_SPLIT + (unsigned)(value >> shift);
}

/* The largest value that belongs to `bucket`. */
static uint64_t bucket_end(unsigned bucket)
{
    unsigned shift;

    if (bucket < 2 * HISTOGRAM_SPLIT) {
        return bucket;
    }
    shift = bucket / HISTOGRAM_SPLIT - 1;
    return (((uint64_t)(bucket - shift * HISTOGRAM_SPLIT) + 1) << shift) - 1;
}

void histogram_init(struct histogram *histogram)
{
    memset(histogram, 0, sizeof(*histogram));
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
    unsigned bucket = bucket_of(value);

    CHECK(bucket < HISTOGRAM_BUCKETS);
    histogram->counts[bucket]++;
    histogram->total++;
    if (value > histogram->max) {
        histogram->max = value;
    }
}

void histogram_merge(struct histogram *histogram, const struct histogram *other)
{
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        histogram->counts[i] += other->counts[i];
    }
    histogram->total += other->total;
    if (other->max > histogram->max) {
        histogram->max = other->max;
    }
}

uint64_t histogram_percentile(const struct histogram *histogram, double percent)
{
    uint64_t rank, seen = 0;

    if (histogram->total == 0) {
        return 0;
    }
    /* The epsilon keeps 99.9 % of 1,000 at rank 999, whatever the last bit says. */
    rank = (uint64_t)ceil(percent / 100.0 * (double)histogram->total - 1e-6);
    if (rank == 0) {
        rank = 1;
    }
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->counts[i];
        if (seen >= rank) {
            uint64_t end = bucket_end(i);

            return end < histogram->max ? end : histogram->max;
        }
    }
    return histogram->max;
}
