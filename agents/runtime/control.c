/* control: what operators ask of a broker. */
#include "agents/runtime/future.h"
#include "agents/runtime/question.h"

#include <errno.h>
#include <inttypes.h>

#define BACKUP_TIMEOUT_MS (24 * 3600 * 1000) /* however long it takes: it is answered in the end */

static bool what_parse(const char *name, enum control_what *what)
{
    for (unsigned i = 0; i < CONTROL_WHAT_COUNT; i++) {
        if (strcmp(control_what_name(i), name) == 0) {
            *what = (enum control_what)i;
            return true;
        }
    }
    return false;
}

/* Where the value called `name` is; NULL: there is none. */
static uint64_t *value_at(struct limit_values *values, const char *name, uint64_t *max)
{
#define VALUE(field, most)                                                                         \
    if (strcmp(name, #field) == 0) {                                                               \
        *max = (most);                                                                             \
        return &values->field;                                                                     \
    }
    LIMIT_VALUES(VALUE)
#undef VALUE
    return NULL;
}

/* As the broker would say it. False. */
static bool refuse(json_t **reply, json_t *message)
{
    *reply = json_pack("{s:s, s:o*, s:b}", "code", error_code_name(ERROR_BAD_MESSAGE), "message",
                       message, "retryable", 0);
    return false;
}

/* False: there is no such name, or a value is out of its bounds. */
static bool limits_parse(json_t *from, struct limit_values *values, json_t **reply)
{
    const char *name;
    json_t *value;

    memset(values, 0xff, sizeof *values); /* LIMIT_UNCHANGED, each of them */
    json_object_foreach(from, name, value) {
        uint64_t max = 0, *to = value_at(values, name, &max);

        if (to == NULL) {
            return refuse(reply, json_sprintf("there is no limit '%s'", name));
        }
        if (!json_is_integer(value) || json_integer_value(value) < 0 ||
            (uint64_t)json_integer_value(value) > max) {
            return refuse(reply,
                          json_sprintf("%s is a whole number from 0 to %" PRIu64, name, max));
        }
        *to = (uint64_t)json_integer_value(value);
    }
    return true;
}

static bool texts_valid(const struct control *control, json_t **reply)
{
    if (control->service.size > 0 && !service_name_valid(control->service)) {
        return refuse(reply, json_string("a service's name has 1 to 128 of A-Z a-z 0-9 _ . -"));
    }
    if (control->key.size > 0 && !text_valid(control->key, KEY_MAX)) {
        return refuse(reply, json_sprintf("a key is text of at most %d bytes", KEY_MAX));
    }
    if (control->tenant.size > 0 && !text_valid(control->tenant, PEER_NAME_MAX)) {
        return refuse(reply, json_sprintf("a tenant is text of at most %d bytes", PEER_NAME_MAX));
    }
    return true;
}

static struct span text_of(const char *text)
{
    return span_from_text(text != NULL ? text : "");
}

int sluice_control(struct sluice *sluice, const char *what,
                   const struct sluice_control_options *options, json_t **reply)
{
    static const struct sluice_control_options none;
    struct question question = question_new("sluice_control");
    struct control control = {0};

    *reply = NULL;
    options = options != NULL ? options : &none;
    control.service = text_of(options->service);
    control.key = text_of(options->key);
    control.tenant = text_of(options->tenant);
    control.peer = options->peer;
    control.ms = options->ms;
    if (options->task != NULL) {
        memcpy(control.task.bytes, options->task->bytes, sizeof control.task.bytes);
    }
    if (!what_parse(what, &control.what)) {
        refuse(reply, json_sprintf("there is no control '%s'", what));
        return -EINVAL;
    }
    if (!texts_valid(&control, reply) ||
        !limits_parse(options->limits, &control.limits, reply)) {
        return -EINVAL;
    }
    question.request = peer_control(runtime_peer(sluice), &control,
                                    control.what == CONTROL_BACKUP ? BACKUP_TIMEOUT_MS
                                                                   : QUESTION_TIMEOUT_MS,
                                    &question.asking);
    return question_wait(sluice, &question, reply);
}
