/* conversation: somebody goes on talking while a task runs in the background. What is said and what
 * functions return go through one ordering key, so a session hears one thing at a time, in order;
 * the task is detached, so it is there whoever asks for it. */
#include "agents/examples/example.h"

#include <string.h>

#define SESSION "ann" /* the ordering key: there may be many, and none waits for another */

/* What the one session of this program knows; one thread. */
static struct {
    json_t *transcript;    /* NULL: no conversation is going on, and nothing is written down */
    struct sluice_id task; /* create_task's last one */
    bool created;
    json_t *report;        /* what it came back with; NULL: not yet */
} session;

static void tell(const char *who, const char *text)
{
    json_array_append_new(session.transcript, json_sprintf("%s: %s", who, text));
}

static void research(struct sluice_task *task, void *arg)
{
    json_t *args = sluice_task_args(task);

    if (example_work(task, example_work_ms())) {
        sluice_done_json(task, json_pack("{s:O, s:i}", "topic", json_object_get(args, "topic"),
                                         "sources", 12));
    }
}

/* ---- the functions that the assistant has ---- */

static const char *create_task(struct sluice *sluice, const char *topic)
{
    const struct sluice_submit_options detached = {.detached = true};
    struct sluice_future *future = sluice_submit_json(
        sluice, "example.background", json_pack("{s:s}", "topic", topic), &detached);

    if (!sluice_accepted(future)) {
        sluice_future_free(future);
        return "I cannot begin that now.";
    }
    session.task = *sluice_future_id(future);
    session.created = true;
    sluice_future_free(future); /* it goes on */
    return "I have begun. Ask me anything meanwhile.";
}

static const char *check_task(struct sluice *sluice)
{
    static char text[64];
    json_t *status = NULL;

    if (!session.created || sluice_query(sluice, "status", &session.task, NULL, &status) != 0) {
        json_decref(status);
        return "there is no task";
    }
    snprintf(text, sizeof text, "it is %s",
             json_string_value(json_object_get(status, "state")));
    json_decref(status);
    return text;
}

static const char *check_all_tasks(struct sluice *sluice)
{
    static char text[64];
    json_t *page = NULL;
    size_t running = 0;

    if (sluice_list(sluice, "example.background", "leased", NULL, &page) == 0) {
        running = json_array_size(json_object_get(page, "tasks"));
    }
    json_decref(page);
    snprintf(text, sizeof text, "%zu in the background", running);
    return text;
}

static const char *answer(struct sluice *sluice, const char *text)
{
    static char said[160];

    if (strncmp(text, "research ", 9) == 0) {
        return create_task(sluice, text + 9);
    }
    if (strcmp(text, "how is it?") == 0) {
        return check_task(sluice);
    }
    if (strcmp(text, "what is going on?") == 0) {
        return check_all_tasks(sluice);
    }
    if (strcmp(text, "and?") == 0 && session.report != NULL) {
        snprintf(said, sizeof said, "%s: %d sources",
                 json_string_value(json_object_get(session.report, "topic")),
                 (int)json_integer_value(json_object_get(session.report, "sources")));
        return said;
    }
    return "I see.";
}

/* {"user": TEXT} or {"result": VALUE}: one thing that the session hears. */
static void hear(struct sluice_task *task, void *arg)
{
    json_t *args = sluice_task_args(task);
    const char *text = json_string_value(json_object_get(args, "user"));

    if (text != NULL) {
        tell("user", text);
        tell("assistant", answer(sluice_task_peer(task), text));
    } else {
        json_decref(session.report);
        session.report = json_incref(json_object_get(args, "result"));
        tell("function", "research has come back");
    }
    sluice_done_json(task, json_object());
}

/* ---- what happens ---- */

static struct sluice_future *say(struct sluice *sluice, const char *kind, json_t *value)
{
    const struct sluice_submit_options in_order = {.order = SESSION};

    return sluice_submit_json(sluice, "example.hear", json_pack("{s:o}", kind, value), &in_order);
}

static void converse(struct sluice_task *task, void *arg)
{
    static const char *const lines[] = {"research tides", "nice weather", "how is it?",
                                        "what is going on?"};
    struct sluice *sluice = sluice_task_peer(task);
    struct sluice_future *turns[4], *background;
    struct sluice_scope *scope;

    if (session.transcript != NULL) {
        sluice_failf(task, "busy", "there is one session, and somebody talks in it");
        return;
    }
    scope = sluice_scope_open(sluice, 0);
    session.transcript = json_array();
    for (size_t i = 0; i < 4; i++) { /* faster than anybody answers; heard one by one */
        turns[i] = say(sluice, "user", json_string(lines[i]));
    }
    if (sluice_gather(turns, 4) > 0 || !session.created) {
        example_fail_as(task, turns[0]);
        sluice_scope_close(scope, SLUICE_SCOPE_CANCEL);
        json_decref(session.transcript);
        session.transcript = NULL;
        return;
    }
    background = sluice_attach(sluice, &session.task);
    sluice_await(background);
    turns[0] = say(sluice, "result", json_incref(sluice_future_json(background)));
    turns[1] = say(sluice, "user", json_string("and?"));
    sluice_gather(turns, 2);
    sluice_future_free(background);
    sluice_scope_close(scope, SLUICE_SCOPE_WAIT);
    sluice_done_json(task, json_pack("{s:o}", "transcript", session.transcript));
    session.transcript = NULL; /* it went with the result */
    json_decref(session.report);
    session.report = NULL;
}

static int ask(struct sluice *sluice, void *arg)
{
    return example_ask(sluice, "example.conversation", json_object());
}

static const struct sluice_service services[] = {
    {.name = "example.background", .handler = research, .about = "Takes its time"},
    {.name = "example.hear", .handler = hear, .about = "One thing that a session hears"},
    {.name = "example.conversation", .handler = converse, .about = "A whole conversation"},
};

static const struct example example = {
    .name = "conversation",
    .about = "A conversation goes on while a task runs in the background: create_task,\n"
             "check_task, check_all_tasks. What is said, and what functions return, is heard\n"
             "in order.\n",
    .services = services,
    .service_count = sizeof services / sizeof *services,
    .ask = ask,
};

int main(int argc, char **argv)
{
    return example_main(&example, argc, argv);
}
