/* stem: the root of an English word, so that "dropped" finds "dropping".
 *
 * M. F. Porter, "An algorithm for suffix stripping", Program 14(3), 1980, as
 * published: rules 1a to 5b, without the later departures. Pure. */
#ifndef SLUICE_AGENTS_ANALYSIS_STEM_H
#define SLUICE_AGENTS_ANALYSIS_STEM_H

#include <stddef.h>

/* Shortens the lower-case `word` of `size` bytes in place and returns its new
 * size, at least 1 and never more than `size` (step 1b may change the last
 * byte to `e`). Words of one or two letters, and words with anything but a-z
 * in them, stay as they are. */
size_t stem_word(char *word, size_t size);

#endif
