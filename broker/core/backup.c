#include "broker/core/backup.h"

#include "broker/core/peer.h"
#include "common/doc.h"

enum error_code backup_start(struct broker *broker, const struct peer *peer, uint64_t request)
{
    if (broker->effects.backup == NULL) {
        return ERROR_UNSUPPORTED;
    }
    if (broker->store_state != STORE_OPEN) {
        return ERROR_STORE_UNAVAILABLE;
    }
    if (broker->backing_up) {
        return ERROR_LIMIT_EXCEEDED;
    }
    broker->backing_up = true;
    broker->backup_session = peer->session;
    broker->backup_request = request;
    broker->effects.backup(broker->effects.context);
    return ERROR_NONE;
}

void backup_end(struct broker *broker, const struct backup_end *end)
{
    struct peer *peer = peer_find_session(broker, &broker->backup_session);
    struct message reply = {.command = COMMAND_REPLY};
    struct doc_token tokens[4];
    uint8_t arena[1024];
    struct doc body;

    if (!broker->backing_up) {
        return;
    }
    broker->backing_up = false;
    if (peer == NULL) {
        return;
    }
    doc_init(&body, tokens, sizeof tokens / sizeof *tokens, arena, sizeof arena);
    doc_map(&body, NULL);
    doc_text(&body, "path", end->path);
    doc_uint(&body, "bytes", end->bytes);
    doc_end(&body);
    reply.reply.request = broker->backup_request;
    reply.reply.ok = end->why.size == 0;
    reply.reply.body = &body;
    if (!reply.reply.ok) {
        reply.reply.error = error_of(ERROR_STORE_UNAVAILABLE);
        reply.reply.error.message = end->why;
    }
    peer_send(broker, peer, &reply);
}
