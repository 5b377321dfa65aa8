#include "broker/core/durable.h"
#include "broker/core/handle.h"
#include "broker/core/memo.h"

void handle_checkpoint(struct broker *broker, struct peer *peer,
                       const struct checkpoint *checkpoint)
{
    struct task *task = find_held(broker, peer, &checkpoint->id, checkpoint->attempt);
    enum error_code code = ERROR_TOO_LARGE;

    if (task == NULL || task->state != TASK_LEASED) {
        return;
    }
    lease_renew(broker, task);
    if (checkpoint->payload.bytes.size <= CHECKPOINT_MAX) {
        code = memo_set_checkpoint(broker, task, &checkpoint->payload);
    }
    if (code != ERROR_NONE) {
        send_error(broker, peer->connection, code, COMMAND_CHECKPOINT, "payload",
                   &checkpoint->id);
    }
}

static void refuse(struct broker *broker, struct peer *peer, const struct signal *signal,
                   enum error_code code)
{
    struct message message = {.command = COMMAND_REPLY};

    if (signal->request == 0) {
        send_error(broker, peer->connection, code, COMMAND_SIGNAL,
                   code == ERROR_TOO_LARGE ? "payload" : "id", &signal->id);
        return;
    }
    message.reply.request = signal->request;
    message.reply.error = error_of(code);
    peer_send(broker, peer, &message);
}

static void confirm(struct broker *broker, struct peer *peer, uint64_t request, bool delivered)
{
    struct message message = {.command = COMMAND_REPLY};
    struct doc_token tokens[8];
    uint8_t arena[32];
    struct doc body;

    if (request == 0) {
        return;
    }
    doc_init(&body, tokens, sizeof tokens / sizeof *tokens, arena, sizeof arena);
    doc_map(&body, NULL);
    doc_bool(&body, "delivered", delivered);
    doc_bool(&body, "kept", !delivered);
    doc_end(&body);
    message.reply.request = request;
    message.reply.ok = true;
    message.reply.body = &body;
    peer_send(broker, peer, &message);
}

static enum error_code check_signal(const struct task *task, const struct signal *signal)
{
    if (task == NULL || task_ended(task) || task->state == TASK_CANCELLING ||
        task->state == TASK_STORING) {
        return ERROR_NOT_FOUND;
    }
    if (task->service == NULL) {
        return ERROR_UNSUPPORTED; /* a pure join never runs */
    }
    return signal->payload.bytes.size > SIGNALS_BYTES_MAX ? ERROR_TOO_LARGE : ERROR_NONE;
}

void handle_signal(struct broker *broker, struct peer *peer, const struct signal *signal)
{
    struct task *task = task_find(broker, &signal->id);
    bool runs = task != NULL && task->state == TASK_LEASED && !durable_starting(task);
    enum error_code code = check_signal(task, signal);

    if (code == ERROR_NONE) {
        code = memo_add_signal(broker, task, &signal->payload, runs);
    }
    if (code != ERROR_NONE) {
        refuse(broker, peer, signal, code);
        return;
    }
    if (runs) {
        struct message message = {.command = COMMAND_SIGNAL_OUT};

        message.signal_out.id = task->id;
        message.signal_out.attempt = task_attempt(task);
        message.signal_out.payload = signal->payload;
        peer_send(broker, task->offer->peer, &message);
    }
    confirm(broker, peer, signal->request, runs);
}
