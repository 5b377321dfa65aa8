/* trace: what the core says as text, a line an effect; how the fixture names peers and tasks. */
#ifndef SLUICE_TESTS_SPEC_TRACE_H
#define SLUICE_TESTS_SPEC_TRACE_H

#include "tests/spec/fixture.h"

/* Nothing, while the fixture is quiet. */
void trace_add(struct fixture *f, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* What the message carries, " t1 attempt=1 ...", without its command. */
void trace_message(struct fixture *f, const struct message *message);

/* The reverse of id_of and connection_of. Good until four more ids, or one more connection, are
 * named. */
const char *name_of(const struct id *id);
const char *connection_name(connection_id connection);
/* The next id that the broker makes is "#0" again. */
void trace_forget_ids(void);

#endif
