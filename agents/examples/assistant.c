/* assistant: reads the mail while calendar and customer records are being asked, and puts the three
 * together. */
#include "agents/examples/example.h"

#include <string.h>

static const char mail[] = "From: Ada Keller <ada@example.org>\n"
                           "Subject: our meeting on Thursday\n"
                           "\n"
                           "Could we meet on Thursday at ten? It is about the renewal.\n";

static void calendar(struct sluice_task *task, void *arg)
{
    if (example_work(task, example_work_ms())) {
        sluice_done_json(task, json_pack("{s:[s,s]}", "busy", "Thursday 09:00-10:00",
                                         "Thursday 14:00-15:30"));
    }
}

static void customer(struct sluice_task *task, void *arg)
{
    const char *address = json_string_value(json_object_get(sluice_task_args(task), "address"));

    if (example_work(task, example_work_ms() * 8 / 10)) {
        sluice_done_json(task, json_pack("{s:s, s:s, s:s}", "address", address, "contract",
                                         "support, yearly", "until", "2026-12-31"));
    }
}

/* What the mail wants, in the handler's own time: nobody waits for it, for the two others are under
 * way. */
static json_t *read_mail(void)
{
    const char *subject = strstr(mail, "Subject: ") + strlen("Subject: ");
    const char *line_end = strchr(subject, '\n');
    const char *body = strstr(mail, "\n\n") + 2;

    return json_pack("{s:s%, s:s, s:b}", "subject", subject, (size_t)(line_end - subject), "body",
                     body, "asks_for_thursday", strstr(body, "Thursday") != NULL);
}

static void brief(struct sluice_task *task, void *arg)
{
    struct sluice *sluice = sluice_task_peer(task);
    struct sluice_scope *scope = sluice_scope_open(sluice, 5 * example_work_ms());
    struct sluice_future *futures[2] = {
        sluice_submit_json(sluice, "example.calendar", NULL, NULL),
        sluice_submit_json(sluice, "example.customer",
                           json_pack("{s:s}", "address", "ada@example.org"), NULL),
    };
    json_t *read = read_mail();

    sluice_gather(futures, 2);
    /* Without the calendar there is no answer; without the record there is a poorer one. */
    if (sluice_future_outcome(futures[0]) != SLUICE_DONE) {
        example_fail_as(task, futures[0]);
        json_decref(read);
    } else {
        json_t *record = sluice_future_json(futures[1]);

        sluice_done_json(task, json_pack("{s:o, s:O, s:O, s:s}", "mail", read, "calendar",
                                         sluice_future_json(futures[0]), "customer",
                                         record != NULL ? record : json_null(), "suggestion",
                                         "Thursday at ten is free"));
    }
    sluice_scope_close(scope, SLUICE_SCOPE_CANCEL);
}

static int ask(struct sluice *sluice, void *arg)
{
    return example_ask(sluice, "example.assistant", json_object());
}

static const struct sluice_service services[] = {
    {.name = "example.calendar", .handler = calendar, .about = "When somebody is busy"},
    {.name = "example.customer", .handler = customer, .about = "What is known of a customer"},
    {.name = "example.assistant", .handler = brief, .about = "What to answer to a mail"},
};

static const struct example example = {
    .name = "assistant",
    .about = "An assistant reads a mail while calendar and customer records are being asked, and\n"
             "puts the three together: it takes as long as the slower of the two.\n",
    .services = services,
    .service_count = sizeof services / sizeof *services,
    .ask = ask,
};

int main(int argc, char **argv)
{
    return example_main(&example, argc, argv);
}
