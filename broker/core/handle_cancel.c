#include "broker/core/ending.h"
#include "broker/core/handle.h"

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

static bool wait_for(struct broker *broker, struct peer *peer, struct task *task,
                     uint64_t request)
{
    struct extra *extra;
    struct wait *wait;

    if (peer->wait_count >= broker->options.window_tasks) {
        return false;
    }
    extra = task_extra(broker, task);
    wait = extra == NULL ? NULL : pool_get(&broker->wait_pool);
    if (wait == NULL) {
        return false;
    }
    peer->wait_count++;
    wait->peer = peer;
    wait->request = request;
    list_init(&wait->task_link);
    list_init(&wait->peer_link);
    list_push_back(&extra->waits, &wait->task_link);
    list_push_back(&peer->waits, &wait->peer_link);
    return true;
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
    if (cancel->request != 0 && !wait_for(broker, peer, task, cancel->request)) {
        reply_error(broker, peer, cancel->request, ERROR_LIMIT_EXCEEDED);
        return;
    }
    BROKER_LOG(broker, LOG_INFO, "cancel_requested", LOG_ID("task", &task->id),
               LOG_TEXT("by", label_span(peer->name)), LOG_TEXT("reason", cancel->reason));
    task_doom(broker, task);
}
