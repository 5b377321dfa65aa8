/* line: a row of the store as a JSON object, one line of an export, and back.
 *
 *     {"key": 17, "id": "01890a5d-...", "service": "report.write", "session": "0189...",
 *      "peer": "asker", "accepted_unix_ms": 1700000000000, "attempts": 1, "causes": VALUE,
 *      "payload": VALUE,
 *      "options": {"durable": true, ...}, "checkpoint": VALUE,
 *      "ended_unix_ms": 1700000001000, "outcome": {"is": "done", "payload": VALUE, "attempt": 2,
 *      "waited_ms": 3, "ran_ms": 4, "worker": "w1"}}
 *
 * or, if it is something that an operator has said (CONTROL),
 *
 *     {"key": 18, "control": "limit", "session": "0189...", "peer": "sluice-limit",
 *      "accepted_unix_ms": 1700000000000, "options": {"service": "echo", "concurrency": 10}}
 *
 * A VALUE is as cli/store/value.h says. `options` are those of the command, by the names that they
 * have in proto/PROTOCOL.md; an outcome that is not `done` has an `error`. What has its default is
 * left out. What is read has passed the codec, as if it had come over the wire. */
#ifndef SLUICE_CLI_STORE_LINE_H
#define SLUICE_CLI_STORE_LINE_H

#include "broker/core/store.h"
#include "common/problem.h"

#include <jansson.h>

/* A new reference. NULL: no memory, or a name in it is no UTF-8. */
json_t *line_make(const struct store_row *row);

#define LINE_PARTS_MAX 16

struct line {
    struct store_row row; /* borrows from the parts, and from the JSON */
    uint8_t *parts[LINE_PARTS_MAX];
    size_t part_count;
};

/* Nothing of it is lost: line_make would make it again. False: `problem` names what is wrong.
 * Deinit `line` in either case. */
bool line_read(struct line *line, const json_t *json, struct problem *problem);
void line_deinit(struct line *line);

/* ---- what making and reading share ------------------------------------------------- */

json_t *line_id_to_json(const struct id *id);
bool line_id_from_json(const json_t *json, struct id *id);

/* The names in "outcome" of RESULT's last elements. */
extern const char *const line_result_names[];

#endif
