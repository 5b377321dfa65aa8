/* chunks: a stream, printed as it comes. */
#ifndef SLUICE_CLI_CHUNKS_H
#define SLUICE_CLI_CHUNKS_H

#include "agents/runtime/sluice.h"

/* Until the stream ends: the chunks' bytes as they are, or with `json` a line for each. Gaps and
 * new attempts are told on standard error. SUSPENDS. As sluice_next_chunk, but never 1. */
int chunks_print(struct sluice_stream *stream, bool json);

#endif
