#include "broker/core/handle.h"

static void send_welcome(struct broker *broker, struct peer *peer, bool known)
{
    const struct broker_options *options = &broker->options;
    struct message message = {.command = COMMAND_WELCOME};

    message.welcome = (struct welcome){
        .version = PROTOCOL_VERSION,
        .known = known,
        .broker = options->broker,
        .shard = options->shard,
        .ping_ms = options->ping_ms,
        .silence_ms = options->silence_ms,
        .resume_ms = options->resume_ms,
        .window_tasks = options->window_tasks,
        .window_bytes = options->window_bytes,
        .payload_bytes = options->payload_max,
        .time_ms = options->started_unix_ms + (broker->now_ms - broker->started_ms),
    };
    peer_send(broker, peer, &message);
}

void handle_hello(struct broker *broker, connection_id from, const struct hello *hello)
{
    struct peer *here = peer_find(broker, from);
    struct peer *peer = peer_find_session(broker, &hello->session);
    bool known = peer != NULL;

    if (here != NULL) {
        here->heard_ms = broker->now_ms; /* whatever it said, it is alive */
    }
    if (hello->version == 0) {
        send_error(broker, from, ERROR_UNSUPPORTED, COMMAND_HELLO, "version", NULL);
        return;
    }
    if (here != NULL && here != peer) {
        send_error(broker, from, ERROR_CONFLICT, COMMAND_HELLO, "session", NULL);
        return;
    }
    if (known) {
        peer_reopen(broker, peer, from, hello);
    } else {
        peer = peer_open(broker, from, hello);
    }
    if (peer == NULL) {
        send_error(broker, from, ERROR_LIMIT_EXCEEDED, COMMAND_HELLO, "session", NULL);
        return;
    }
    send_welcome(broker, peer, known);
}
