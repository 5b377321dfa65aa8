#include "broker/core/handle.h"

#include "common/mutant.h"

/* PINGs a second that a broker wants to hear, of all its peers together. */
#define PINGS_PER_S 500
#define SILENCE_PINGS 3 /* a peer says at least so many until it would be lost */

/* Peers that have nothing to do wake the broker with nothing else: the more there are, the rarer
 * each does, as far as a silent one is still lost for its silence and not for one lost PING. */
static uint64_t ping_ms(const struct broker *broker)
{
    const struct broker_options *options = &broker->options;
    uint64_t shared_ms = broker->stats.peers * 1000 / PINGS_PER_S;
    uint64_t most_ms = options->silence_ms / SILENCE_PINGS;

    shared_ms = shared_ms < most_ms ? shared_ms : most_ms;
    return shared_ms > options->ping_ms ? shared_ms : options->ping_ms;
}

static void send_welcome(struct broker *broker, struct peer *peer, const struct hello *hello,
                         bool known, enum resume resume, uint64_t start)
{
    const struct broker_options *options = &broker->options;
    struct message message = {.command = COMMAND_WELCOME};

    message.welcome = (struct welcome){
        .version = PROTOCOL_VERSION,
        .known = known,
        .resume = peer->numbered,
        .resumed = resume == RESUME_GOES_ON,
        .received = start,
        .greeting = hello->greeting,
        .broker = options->broker,
        .shard = options->shard,
        .ping_ms = ping_ms(broker),
        .silence_ms = options->silence_ms,
        .resume_ms = options->resume_ms,
        .window_tasks = options->window_tasks,
        .window_bytes = options->window_bytes,
        .payload_bytes = options->payload_max,
        .time_ms = options->started_unix_ms + (broker->now_ms - broker->started_ms),
    };
    peer_send(broker, peer, &message);
}

/* Whether `peer` (NULL: unknown) may go on where it stopped. */
static enum resume ask_resume(struct broker *broker, const struct peer *peer, connection_id from,
                              const struct hello *hello, uint64_t *start)
{
    struct resume_request request = {.from = from, .received = hello->received};

    *start = 0;
    if (!hello->resume || broker->effects.resume == NULL) {
        return RESUME_REFUSED;
    }
    if (peer != NULL && peer->numbered) {
        request.numbered = true;
        request.old = peer->connection;
    }
    return broker->effects.resume(broker->effects.context, &request, start);
}

/* A session that is new here, or begins anew. NULL: too many, and the HELLO is answered. */
static struct peer *open_session(struct broker *broker, struct peer *peer, connection_id from,
                                 const struct hello *hello)
{
    if (peer != NULL) {
        peer_reopen(broker, peer, from, hello);
        return peer;
    }
    peer = peer_open(broker, from, hello);
    if (peer == NULL) {
        send_error(broker, from, ERROR_LIMIT_EXCEEDED, COMMAND_HELLO, "session", NULL);
    }
    return peer;
}

/* PROTOCOL.md, section 2 and HELLO. */
void handle_hello(struct broker *broker, connection_id from, const struct hello *hello)
{
    struct peer *here = peer_find(broker, from);
    struct peer *peer = peer_find_session(broker, &hello->session);
    bool here_before = peer != NULL;
    bool known = here_before && (peer->spoken || MUTANT(KNOWN_TOO_EARLY));
    enum resume resume;
    uint64_t start;

    if (here != NULL) {
        peer_hear(broker, here); /* whatever it said, it is alive */
    }
    if (hello->version == 0) {
        send_error(broker, from, ERROR_UNSUPPORTED, COMMAND_HELLO, "version", NULL);
        return;
    }
    if (here != NULL && here != peer) {
        send_error(broker, from, ERROR_CONFLICT, COMMAND_HELLO, "session", NULL);
        return;
    }
    resume = here_before ? ask_resume(broker, peer, from, hello, &start) : RESUME_REFUSED;
    switch (resume) {
    case RESUME_STALE:
        send_error(broker, from, ERROR_CONFLICT, COMMAND_HELLO, "received", NULL);
        return;
    case RESUME_GOES_ON:
        peer_resume(broker, peer, from, hello);
        break;
    case RESUME_ANEW:
    case RESUME_REFUSED:
        peer = open_session(broker, peer, from, hello);
        if (peer == NULL) {
            return;
        }
        if (!here_before) {
            resume = ask_resume(broker, peer, from, hello, &start);
        }
        peer->numbered = resume == RESUME_ANEW;
        break;
    }
    send_welcome(broker, peer, hello, known, resume, start);
}
