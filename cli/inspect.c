#include "cli/inspect.h"

#include "cli/record.h"
#include "cli/terminal.h"
#include "cli/visit.h"

struct question {
    struct cli *cli;
    const char *what;
    bool about_task;
    struct sluice_id id;
};

static int inspect_main(struct sluice *sluice, void *arg)
{
    struct question *question = arg;
    const struct sluice_id *id = question->about_task ? &question->id : NULL;
    json_t *reply = NULL;
    int code = visit_query(sluice, question->what, id, NULL, &reply);

    if (code != EXIT_DONE) {
        return code;
    }
    if (question->cli->json) {
        record_dump(reply, stdout, terminal_is(stdout));
    } else {
        record_print(reply, stdout);
    }
    json_decref(reply);
    return EXIT_DONE;
}

int inspect_run(struct cli *cli, const struct command *self, int argc, char **argv)
{
    struct question question = {
        .cli = cli, .what = self->name, .about_task = self->arguments_max == 1};
    struct arguments arguments;
    int code;

    if (!command_parse(cli, self, NULL, argc, argv, &arguments, &code)) {
        return code;
    }
    if (question.about_task && !visit_id(self, arguments.items[0], &question.id)) {
        return EXIT_USAGE;
    }
    return visit(cli, self, inspect_main, &question);
}
