#include "broker/core/handle.h"
#include "broker/core/watch.h"

/* Where the watch stands: every event up to `sequence` has been told, or counted as lost. */
static void reply_standing(struct broker *broker, struct peer *peer, uint64_t request,
                           const struct watcher *watcher)
{
    struct message message = {.command = COMMAND_REPLY};
    struct doc_token tokens[8];
    uint8_t arena[8];
    struct doc body;

    doc_init(&body, tokens, sizeof tokens / sizeof *tokens, arena, sizeof arena);
    doc_map(&body, NULL);
    doc_uint(&body, "sequence", watcher->sequence);
    doc_uint(&body, "lost", watcher->lost);
    doc_end(&body);
    message.reply.request = request;
    message.reply.ok = true;
    message.reply.body = &body;
    peer_send(broker, peer, &message);
}

static void reply_error(struct broker *broker, struct peer *peer, uint64_t request,
                        enum error_code code)
{
    struct message message = {.command = COMMAND_REPLY};

    message.reply.request = request;
    message.reply.error = error_of(code);
    peer_send(broker, peer, &message);
}

void handle_watch(struct broker *broker, struct peer *peer, const struct watch *watch)
{
    struct watcher *watcher = watcher_find(peer, watch->request);

    if (watcher == NULL) {
        if (watch->credit == 0) {
            reply_error(broker, peer, watch->request, ERROR_NOT_FOUND);
            return;
        }
        watcher = watcher_new(broker, peer, watch);
        if (watcher == NULL) {
            reply_error(broker, peer, watch->request, ERROR_LIMIT_EXCEEDED);
            return;
        }
    }
    watcher->credit = watch->credit < CREDIT_MAX ? watch->credit : CREDIT_MAX;
    reply_standing(broker, peer, watch->request, watcher);
    if (watch->credit == 0) {
        watcher_free(broker, watcher);
    }
}
