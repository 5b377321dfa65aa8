#include "broker/core/dead.h"
#include "broker/core/drain.h"
#include "broker/core/handle.h"
#include "broker/core/watch.h"

/* What an operator asks for, one function a thing. Each fills `body`, the map of the REPLY, and
 * says ERROR_NONE; or it says why not and has changed nothing. */
static enum error_code control(struct broker *broker, struct peer *peer,
                               const struct control *control, struct doc *body)
{
    switch (control->what) {
    case CONTROL_LIMIT:
        return limit_set(broker, control->service, control->key, control->tenant,
                         &control->limits);
    case CONTROL_PAUSE:
        return limit_pause(broker, control->service, control->ms);
    case CONTROL_RESUME:
        return limit_resume(broker, control->service);
    case CONTROL_DRAIN:
    case CONTROL_UNDRAIN:
        return control_drain(broker, control, body);
    case CONTROL_RETRY:
    case CONTROL_DROP:
        return control_letters(broker, peer, control, body);
    }
    return ERROR_BAD_MESSAGE;
}

/* What it was done to, if the other fields of its note do not say it. */
static struct span control_object(const struct broker *broker, const struct control *control)
{
    const struct peer *peer = control->peer > 0 ? peer_find_number(broker, control->peer) : NULL;

    return peer != NULL ? label_span(peer->name) : control->key;
}

/* Who did it: watchers and the audit want to know. */
static void note_control(struct broker *broker, const struct peer *peer,
                         const struct control *control)
{
    static const enum note_kind kinds[CONTROL_WHAT_COUNT] = {
        [CONTROL_LIMIT] = NOTE_LIMIT_CHANGED,    [CONTROL_PAUSE] = NOTE_PAUSED,
        [CONTROL_RESUME] = NOTE_RESUMED,         [CONTROL_DRAIN] = NOTE_DRAINING,
        [CONTROL_UNDRAIN] = NOTE_UNDRAINED,      [CONTROL_RETRY] = NOTE_LETTER_RETRIED,
        [CONTROL_DROP] = NOTE_LETTER_DROPPED,
    };
    enum note_kind kind = kinds[control->what];

    if (watch_wanted(broker, kind)) {
        watch_tell(broker, &(struct note){.kind = kind,
                                          .task = control->task,
                                          .service = control->service,
                                          .peer = label_span(peer->name),
                                          .detail = control_object(broker, control)});
    }
}

void handle_control(struct broker *broker, struct peer *peer, const struct control *message)
{
    struct message reply = {.command = COMMAND_REPLY};
    struct doc_token tokens[16];
    uint8_t arena[256];
    enum error_code code;
    struct doc body;

    doc_init(&body, tokens, sizeof tokens / sizeof *tokens, arena, sizeof arena);
    doc_map(&body, NULL);
    code = control(broker, peer, message, &body);
    doc_end(&body);
    CHECK(!body.overflow);
    BROKER_LOG(broker, LOG_INFO, "control", LOG_WORD("what", control_what_name(message->what)),
               LOG_TEXT("service", message->service), LOG_TEXT("key", message->key),
               LOG_TEXT("peer", label_span(peer->name)),
               LOG_WORD("outcome", code == ERROR_NONE ? "done" : error_code_name(code)));
    if (code == ERROR_NONE) {
        note_control(broker, peer, message);
    }
    reply.reply.request = message->request;
    reply.reply.ok = code == ERROR_NONE;
    reply.reply.body = &body;
    if (code != ERROR_NONE) {
        reply.reply.error = error_of(code);
    }
    peer_send(broker, peer, &reply);
}
