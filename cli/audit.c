/* sluice audit: is what the broker wrote down still what it wrote? Needs no broker. */
#include "cli/command.h"
#include "common/chain.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 8192 /* what the broker writes at most */
#define FILES_MAX 10000
#define PATH_SIZE 4096
#define EVENT_SIZE 64

struct check {
    const char *wanted;   /* a hash that must be there; NULL: none */
    uint64_t files, lines;
    uint64_t first, last; /* numbers; 0: no line yet */
    uint64_t wanted_at;   /* the line that has it; 0: none yet */
    uint64_t lost;        /* entries that the broker could not write */
    char event[EVENT_SIZE]; /* of the last line */
    struct chain chain;
    char problem[256];    /* of the line that broke */
};

static bool broken(struct check *check, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool broken(struct check *check, const char *format, ...)
{
    va_list values;

    va_start(values, format);
    vsnprintf(check->problem, sizeof(check->problem), format, values);
    va_end(values);
    return false;
}

static bool follows(struct check *check, const json_t *entry)
{
    const char *previous = json_string_value(json_object_get(entry, "previous"));
    const char *event = json_string_value(json_object_get(entry, "event"));
    json_int_t number = json_integer_value(json_object_get(entry, "n"));
    char hash[CHAIN_TEXT_SIZE];

    if (previous == NULL || event == NULL || number <= 0) {
        return broken(check, "not an entry of an audit");
    }
    chain_text(&check->chain, hash);
    if (check->last > 0 && (uint64_t)number != check->last + 1) {
        return broken(check, "n is %" PRIu64 " after %" PRIu64 ": lines were cut out, or put in",
                      (uint64_t)number, check->last);
    }
    if ((check->last > 0 || number == 1) && strcmp(previous, hash) != 0) {
        return broken(check, number == 1 ? "it is the first, and names one before it"
                                         : "'previous' is not the hash of the line before it: that "
                                           "line was changed, or this one");
    }
    check->first = check->first == 0 ? (uint64_t)number : check->first;
    check->last = (uint64_t)number;
    snprintf(check->event, sizeof(check->event), "%s", event);
    if (strcmp(event, "audit_lost") == 0) {
        const char *detail = json_string_value(json_object_get(entry, "detail"));

        check->lost += detail != NULL ? strtoull(detail, NULL, 10) : 0;
    }
    return true;
}

/* One line with its newline. */
static bool check_line(struct check *check, const char *line, size_t size)
{
    char hash[CHAIN_TEXT_SIZE];
    json_t *entry;
    bool good;

    if (line[size - 1] != '\n') {
        return broken(check, "the line is not whole: its end was cut off");
    }
    if (size > LINE_MAX_BYTES) {
        return broken(check, "longer than any line of an audit");
    }
    entry = json_loadb(line, size - 1, JSON_REJECT_DUPLICATES, NULL);
    good = json_is_object(entry) ? follows(check, entry) : broken(check, "not JSON");
    json_decref(entry);
    if (good) {
        check->lines++;
        chain_add(&check->chain, span_of(line, size - 1));
        chain_text(&check->chain, hash);
        if (check->wanted != NULL && strcmp(check->wanted, hash) == 0) {
            check->wanted_at = check->last;
        }
    }
    return good;
}

static int check_file(struct check *check, const char *path)
{
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t room = 0, number = 0;
    bool good = true;
    ssize_t size;

    if (file == NULL) {
        fprintf(stderr, "sluice: cannot read %s: %s\n", path, strerror(errno));
        return EXIT_USAGE;
    }
    while (good && (size = getline(&line, &room, file)) > 0) {
        number++;
        good = check_line(check, line, (size_t)size);
    }
    if (good && ferror(file)) {
        fprintf(stderr, "sluice: cannot read %s: %s\n", path, strerror(errno));
        good = false;
    } else if (!good) {
        printf("%s:%zu: %s\n", path, number, check->problem);
    }
    check->files++;
    free(line);
    fclose(file);
    return good ? EXIT_DONE : EXIT_TASK;
}

/* One path means its older files, too: PATH.3, PATH.2, PATH.1, PATH. */
static int check_family(struct check *check, const char *path)
{
    char name[PATH_SIZE];
    unsigned oldest = 0;
    int code = EXIT_DONE;

    while (oldest < FILES_MAX) {
        snprintf(name, sizeof(name), "%s.%u", path, oldest + 1);
        if (access(name, F_OK) != 0) {
            break;
        }
        oldest++;
    }
    for (unsigned i = oldest; i > 0 && code == EXIT_DONE; i--) {
        snprintf(name, sizeof(name), "%s.%u", path, i);
        code = check_file(check, name);
    }
    return code == EXIT_DONE ? check_file(check, path) : code;
}

static void report_json(const struct check *check, const char *hash, bool good)
{
    json_t *report = json_pack("{s:b,s:I,s:I,s:I,s:I,s:I,s:s,s:b}", "good", good, "files",
                               (json_int_t)check->files, "entries", (json_int_t)check->lines,
                               "first", (json_int_t)check->first, "last", (json_int_t)check->last,
                               "lost", (json_int_t)check->lost, "hash", hash, "closed",
                               strcmp(check->event, "audit_closed") == 0);

    json_dumpf(report, stdout, JSON_COMPACT);
    printf("\n");
    json_decref(report);
}

static void report(const struct check *check, const char *hash)
{
    printf("good: %" PRIu64 " entries in %" PRIu64 " files, n %" PRIu64 " to %" PRIu64 "\n",
           check->lines, check->files, check->first, check->last);
    printf("last hash: %s\n", hash);
    if (check->first > 1) {
        printf("older entries, up to n %" PRIu64 ", are not here: rotated away, or removed\n",
               check->first - 1);
    }
    if (check->lost > 0) {
        printf("%" PRIu64 " entries were never written: the disk was full or slow (audit_lost)\n",
               check->lost);
    }
    if (strcmp(check->event, "audit_closed") != 0) {
        printf("not closed: the broker is running or was killed, or the end was cut off; compare "
               "the hash with the broker's log\n");
    }
    if (check->wanted_at > 0) {
        printf("the hash that was asked for is that of n %" PRIu64 ": nothing up to there has "
               "changed\n", check->wanted_at);
    }
}

static int verify(struct cli *cli, struct check *check, const struct arguments *arguments)
{
    char hash[CHAIN_TEXT_SIZE];
    int code = EXIT_DONE;

    if (arguments->count == 2) {
        code = check_family(check, arguments->items[1]);
    }
    for (size_t i = 1; arguments->count > 2 && i < arguments->count && code == EXIT_DONE; i++) {
        code = check_file(check, arguments->items[i]);
    }
    if (code == EXIT_DONE && check->wanted != NULL && check->wanted_at == 0) {
        printf("no line has the hash %s: what led to it was changed, or is not here\n",
               check->wanted);
        code = EXIT_TASK;
    }
    chain_text(&check->chain, hash);
    if (cli->json) {
        report_json(check, hash, code == EXIT_DONE);
    } else if (code == EXIT_DONE) {
        report(check, hash);
    }
    return code;
}

static int audit_run(struct cli *cli, const struct command *self, int argc, char **argv)
{
    struct check check = {0};
    struct option_spec specs[] = {
        OPTION_TEXT_SPEC("holds", &check.wanted, "HASH",
                         "a line must have this hash: one that was kept elsewhere"),
    };
    struct option_set set = {specs, 1};
    struct arguments arguments;
    int code;

    if (!command_parse(cli, self, &set, argc, argv, &arguments, &code)) {
        return code;
    }
    if (strcmp(arguments.items[0], "verify") != 0) {
        return command_usage(self, "it can only verify");
    }
    return verify(cli, &check, &arguments);
}

const struct command command_audit = {
    .name = "audit",
    .arguments = "verify PATH...",
    .summary = "is the broker's audit whole and unchanged?",
    .about = "One PATH: with its older files, PATH.1 and so on. Several: in their order, the\n"
             "oldest first. Names the first line that does not follow from the one before\n"
             "it. That the end was cut off, or all of it written anew, shows only against a\n"
             "hash that was kept elsewhere: give it with --holds.\n",
    .arguments_min = 2,
    .arguments_max = ARGUMENTS_MAX,
    .run = audit_run,
};
