#include "broker/core/ending.h"
#include "broker/core/handle.h"
#include "broker/core/watch.h"

static void reply_error(struct broker *broker, struct peer *peer, uint64_t request,
                        enum error_code code)
{
    struct message message = {.command = COMMAND_REPLY};

    message.reply.request = request;
    message.reply.ok = false;
    message.reply.error = error_of(code);
    peer_send(broker, peer, &message);
}

static void reply_ended(struct broker *broker, struct peer *peer, uint64_t request,
                        const struct task *task)
{
    struct message message = {.command = COMMAND_REPLY};
    struct doc_token tokens[8];
    uint8_t arena[32];
    struct doc body;

    doc_init(&body, tokens, sizeof tokens / sizeof *tokens, arena, sizeof arena);
    doc_map(&body, NULL);
    doc_text(&body, "state", span_from_text(task_state_name(task->state)));
    doc_uint(&body, "stopped", 0);
    doc_end(&body);
    message.reply.request = request;
    message.reply.ok = true;
    message.reply.body = &body;
    peer_send(broker, peer, &message);
}

void handle_cancel(struct broker *broker, struct peer *peer, const struct cancel *cancel)
{
    struct task *task = task_find(broker, &cancel->id);

    if (task == NULL) {
        if (cancel->request != 0) {
            reply_error(broker, peer, cancel->request, ERROR_NOT_FOUND);
        } else {
            send_error(broker, peer->connection, ERROR_NOT_FOUND, COMMAND_CANCEL, "id",
                       &cancel->id);
        }
        return;
    }
    if (task_ended(task)) {
        if (cancel->request != 0) {
            reply_ended(broker, peer, cancel->request, task);
        }
        return;
    }
    if (cancel->request != 0 && !task_await(broker, peer, task, cancel->request, WAIT_CANCEL)) {
        reply_error(broker, peer, cancel->request, ERROR_LIMIT_EXCEEDED);
        return;
    }
    BROKER_LOG(broker, LOG_INFO, "cancel_requested", LOG_ID("task", &task->id),
               LOG_TEXT("by", label_span(peer->name)), LOG_TEXT("reason", cancel->reason));
    watch_task(broker, NOTE_CANCEL_REQUESTED, task, label_span(peer->name), cancel->reason);
    task_doom(broker, task);
}
