#include "cli/command.h"

#include <stdarg.h>
#include <stdlib.h>

#define BROKER_DEFAULT "tcp://127.0.0.1:5570"

struct option_set command_common_options(struct cli *cli, struct option_spec specs[3])
{
    specs[0] = (struct option_spec)OPTION_TEXT_SPEC(
        "broker", &cli->broker, "ENDPOINT",
        "which broker; else $SLUICE_BROKER, else " BROKER_DEFAULT);
    specs[1] = (struct option_spec)OPTION_FLAG_SPEC("json", &cli->json, "print JSON, for programs");
    specs[2] = (struct option_spec)OPTION_FLAG_SPEC("help", &cli->help, "this text");
    return (struct option_set){specs, 3};
}

static void print_help(const struct command *self, const struct option_set *options,
                       const struct option_set *common)
{
    printf("usage: sluice %s%s%s [OPTION]...\n\n%s\n", self->name,
           self->arguments[0] != '\0' ? " " : "", self->arguments, self->summary);
    if (self->about != NULL) {
        printf("\n%s", self->about);
    }
    printf("\noptions:\n");
    options_print(common, stdout);
    options_print(options, stdout);
}

int command_usage(const struct command *self, const char *format, ...)
{
    va_list values;

    fprintf(stderr, "sluice %s: ", self->name);
    va_start(values, format);
    vfprintf(stderr, format, values);
    va_end(values);
    fprintf(stderr, "\nusage: sluice %s%s%s; more with: sluice %s --help\n", self->name,
            self->arguments[0] != '\0' ? " " : "", self->arguments, self->name);
    return EXIT_USAGE;
}

static const char *broker_choose(const char *given)
{
    const char *environment = getenv("SLUICE_BROKER");

    if (given != NULL) {
        return given;
    }
    return environment != NULL && environment[0] != '\0' ? environment : BROKER_DEFAULT;
}

bool command_parse(struct cli *cli, const struct command *self, const struct option_set *options,
                   int argc, char **argv, struct arguments *arguments, int *code)
{
    static const struct option_set none = {NULL, 0};
    struct option_spec common_specs[3];
    struct option_set sets[2];
    char problem[160];

    sets[0] = options != NULL ? *options : none;
    sets[1] = command_common_options(cli, common_specs);
    if (options_parse(sets, argc, argv, false, arguments, problem, sizeof(problem)) < 0) {
        *code = command_usage(self, "%s", problem);
        return false;
    }
    if (cli->help) {
        print_help(self, &sets[0], &sets[1]);
        *code = EXIT_DONE;
        return false;
    }
    if (arguments->count < self->arguments_min || arguments->count > self->arguments_max) {
        *code = command_usage(self, "%s", arguments->count < self->arguments_min
                                              ? "an argument is missing"
                                              : "too many arguments");
        return false;
    }
    cli->broker_given = cli->broker != NULL;
    cli->broker = broker_choose(cli->broker);
    return true;
}
