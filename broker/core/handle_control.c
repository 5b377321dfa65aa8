#include "broker/core/backup.h"
#include "broker/core/dead.h"
#include "broker/core/directive.h"
#include "broker/core/drain.h"
#include "broker/core/handle.h"
#include "broker/core/watch.h"

/* One function a thing. Each fills `body`, the map of the REPLY, and says ERROR_NONE; or it says
 * why not and has changed nothing. */
static enum error_code carry_out(struct broker *broker, struct peer *peer,
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
    case CONTROL_BACKUP:
        return backup_start(broker, peer, control->request);
    }
    return ERROR_BAD_MESSAGE;
}

/* What an operator asks for, and what of it the next broker has to know. */
static enum error_code control(struct broker *broker, struct peer *peer,
                               const struct control *control, struct doc *body)
{
    enum error_code code;
    bool over_config;

    if (!directive_fits(broker, control)) {
        return ERROR_LIMIT_EXCEEDED;
    }
    over_config = directive_over_config(broker, control);
    code = carry_out(broker, peer, control, body);
    if (code == ERROR_NONE && !directive_keep(broker, peer, control, over_config)) {
        BROKER_LOG(broker, LOG_ERROR, "control_not_kept",
                   LOG_WORD("what", control_what_name(control->what)),
                   LOG_TEXT("service", control->service));
    }
    return code;
}

/* Of a note: what was asked for, as far as its other fields do not say it. */
struct detail {
    size_t size;
    uint8_t text[EVENT_DETAIL_MAX];
};

/* Appends "NAME=VALUE", unless it is too long: a detail is cut between two words. */
static void detail_add(struct detail *detail, const char *name, struct span value)
{
    size_t length = strlen(name), gap = detail->size > 0;

    if (detail->size + gap + length + 1 + value.size > sizeof detail->text) {
        return;
    }
    if (gap > 0) {
        detail->text[detail->size++] = ' ';
    }
    memcpy(detail->text + detail->size, name, length);
    detail->size += length;
    detail->text[detail->size++] = '=';
    memcpy(detail->text + detail->size, value.data, value.size);
    detail->size += value.size;
}

static void detail_add_uint(struct detail *detail, const char *name, uint64_t value)
{
    uint8_t digits[20];
    size_t at = sizeof digits;

    do {
        digits[--at] = (uint8_t)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    detail_add(detail, name, span_of(digits + at, sizeof digits - at));
}

static void detail_fill(const struct broker *broker, const struct control *control,
                        struct detail *detail)
{
    const struct peer *peer = control->peer > 0 ? peer_find_number(broker, control->peer) : NULL;

    if (control->tenant.size > 0) {
        detail_add(detail, "tenant", control->tenant);
    }
    if (control->key.size > 0) {
        detail_add(detail, "key", control->key);
    }
    if (peer != NULL) {
        detail_add(detail, "worker", label_span(peer->name));
    }
    if (control->ms > 0) {
        detail_add_uint(detail, "ms", control->ms);
    }
#define VALUE(name, max)                                                                           \
    if (control->what == CONTROL_LIMIT && control->limits.name != LIMIT_UNCHANGED) {               \
        detail_add_uint(detail, #name, control->limits.name);                                      \
    }
    LIMIT_VALUES(VALUE)
#undef VALUE
}

/* Who did it: watchers and the audit want to know. */
static void note_control(struct broker *broker, const struct peer *peer,
                         const struct control *control)
{
    static const enum note_kind kinds[CONTROL_WHAT_COUNT] = {
        [CONTROL_LIMIT] = NOTE_LIMIT_CHANGED,    [CONTROL_PAUSE] = NOTE_PAUSED,
        [CONTROL_RESUME] = NOTE_RESUMED,         [CONTROL_DRAIN] = NOTE_DRAINING,
        [CONTROL_UNDRAIN] = NOTE_UNDRAINED,      [CONTROL_RETRY] = NOTE_LETTER_RETRIED,
        [CONTROL_DROP] = NOTE_LETTER_DROPPED,    [CONTROL_BACKUP] = NOTE_BACKUP_STARTED,
    };
    enum note_kind kind = kinds[control->what];
    struct detail detail = {.size = 0};

    if (watch_wanted(broker, kind)) {
        detail_fill(broker, control, &detail);
        watch_tell(broker, &(struct note){.kind = kind,
                                          .task = control->task,
                                          .service = control->service,
                                          .peer = label_span(peer->name),
                                          .detail = span_of(detail.text, detail.size)});
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
        if (message->what == CONTROL_BACKUP) {
            return; /* backup_end answers */
        }
    }
    reply.reply.request = message->request;
    reply.reply.ok = code == ERROR_NONE;
    reply.reply.body = &body;
    if (code != ERROR_NONE) {
        reply.reply.error = error_of(code);
    }
    peer_send(broker, peer, &reply);
}
