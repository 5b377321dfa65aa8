#include "broker/core/ending.h"
#include "broker/core/handle.h"
#include "broker/core/stream.h"
#include "common/mutant.h"

/* Numbers that any language has exactly. */
#define SEQUENCE_MAX (1ULL << 53)

void handle_chunk(struct broker *broker, struct peer *peer, const struct chunk *chunk)
{
    struct task *task = find_held(broker, peer, &chunk->id, chunk->attempt);
    enum error_code code;

    if (task == NULL || task->state != TASK_LEASED) {
        return;
    }
    lease_renew(broker, task);
    code = stream_take(broker, task, chunk);
    if (code != ERROR_NONE) {
        send_error(broker, peer->connection, code, COMMAND_CHUNK,
                   code == ERROR_TOO_LARGE || code == ERROR_MEMORY_FULL ? "payload" : "sequence",
                   &chunk->id);
        task_fail_attempt(broker, task, code);
    }
}

/* It was cancelled because this very session was away: here again it submits the task anew, and
 * is not to take the end of the old one for the new one's. */
static bool is_past(const struct task *task, const struct peer *peer)
{
    return task->orphan && !MUTANT(PAST_IS_READ) && id_equal(&task->owner->session, &peer->session);
}

void handle_read(struct broker *broker, struct peer *peer, const struct read *read)
{
    struct task *task = task_find(broker, &read->id);
    enum error_code code;

    if (task == NULL || is_past(task, peer)) {
        send_error(broker, peer->connection, ERROR_NOT_FOUND, COMMAND_READ, "id", &read->id);
        return;
    }
    if (read->sequence > SEQUENCE_MAX || read->credit > STREAM_CREDIT_MAX) {
        send_error(broker, peer->connection, ERROR_BAD_MESSAGE, COMMAND_READ,
                   read->credit > STREAM_CREDIT_MAX ? "credit" : "sequence", &read->id);
        return;
    }
    if (!task_ended(task)) {
        code = stream_read(broker, task, peer, read);
        if (code != ERROR_NONE) {
            send_error(broker, peer->connection, code, COMMAND_READ, "id", &read->id);
        }
    } else if (read->credit > 0) {
        stream_replay(broker, task, peer, read);
        result_send(broker, peer, task);
    }
}
