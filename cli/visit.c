#include "cli/visit.h"

#include "cli/endpoint.h"
#include "cli/failure.h"
#include "cli/record.h"

#include <errno.h>
#include <string.h>

#define PROBE_MS 3000   /* a machine that answers at all does so in this time */
#define CONNECT_MS 5000 /* from the first byte to WELCOME */
#define PAGES_MAX 1000  /* 100,000 rows: more is not for reading */

static int broker_missing(const struct cli *cli, const char *reason)
{
    fprintf(stderr,
            "sluice: no broker at %s (%s)\n"
            "  start one:      sluice-broker\n"
            "  or a cluster:   deploy/cluster.sh up\n"
            "  or name it:     --broker ENDPOINT, or the variable SLUICE_BROKER\n",
            cli->broker, reason);
    return EXIT_NO_BROKER;
}

int visit(struct cli *cli, const struct command *self, sluice_main_fn *fn, void *arg)
{
    struct sluice_options options = {
        .broker = cli->broker, .connect_ms = CONNECT_MS, .quiet = true};
    struct sluice *sluice;
    char reason[160], name[64];
    int code;

    switch (endpoint_probe(cli->broker, PROBE_MS, reason, sizeof(reason))) {
    case ENDPOINT_LISTENS:
        break;
    case ENDPOINT_SILENT:
        return broker_missing(cli, reason);
    case ENDPOINT_INVALID:
        return command_usage(self, "'%s' is no broker's endpoint: %s", cli->broker, reason);
    }
    snprintf(name, sizeof(name), "sluice-%s", self->name);
    options.name = name;
    sluice = sluice_new(&options);
    if (sluice == NULL) {
        fprintf(stderr, "sluice: %s: %s\n", cli->broker, strerror(errno));
        return EXIT_NO_BROKER;
    }
    code = sluice_run(sluice, fn, arg);
    sluice_free(sluice);
    if (code < 0) {
        return broker_missing(cli, code == -ETIMEDOUT
                                       ? "something listens there, but does not answer as a broker"
                                       : strerror(-code));
    }
    return code;
}

/* Exit code of an answer; a refusal is printed and freed. */
static int said(int result, const char *what, json_t **reply)
{
    switch (result) {
    case 0:
        *reply = record_ids_format(*reply);
        return EXIT_DONE;
    case -EREMOTEIO:
        failure_print_json(what, *reply);
        json_decref(*reply);
        *reply = NULL;
        return EXIT_TASK;
    case -EINVAL:
        if (*reply != NULL) {
            failure_print_json(what, *reply);
            json_decref(*reply);
            *reply = NULL;
        } else {
            fprintf(stderr, "sluice: no such name or value for '%s'\n", what);
        }
        return EXIT_USAGE;
    default:
        fprintf(stderr, "sluice: the broker did not answer '%s' (%s)\n", what, strerror(-result));
        return EXIT_NO_BROKER;
    }
}

int visit_query(struct sluice *sluice, const char *what, const struct sluice_id *id,
                const char *cursor, json_t **reply)
{
    return said(sluice_query(sluice, what, id, cursor, reply), what, reply);
}

int visit_control(struct sluice *sluice, const char *what,
                  const struct sluice_control_options *options, json_t **reply)
{
    return said(sluice_control(sluice, what, options, reply), what, reply);
}

int visit_list(struct sluice *sluice, const char *service, const char *state,
               const char *cursor, json_t **reply)
{
    return said(sluice_list(sluice, service, state, cursor, reply), "list", reply);
}

int visit_pages(struct sluice *sluice, const char *what, const char *key, json_t **rows)
{
    json_t *page = NULL;
    char cursor[257] = "";
    int code;

    *rows = json_array();
    for (int i = 0; i < PAGES_MAX; i++) {
        const char *next;

        code = visit_query(sluice, what, NULL, cursor[0] != '\0' ? cursor : NULL, &page);
        if (code != EXIT_DONE) {
            json_decref(*rows);
            *rows = NULL;
            return code;
        }
        json_array_extend(*rows, json_object_get(page, key));
        next = json_string_value(json_object_get(page, "next"));
        snprintf(cursor, sizeof(cursor), "%s", next != NULL ? next : "");
        json_decref(page);
        if (cursor[0] == '\0') {
            return EXIT_DONE;
        }
    }
    fprintf(stderr, "sluice: only the first %zu rows are shown\n", json_array_size(*rows));
    return EXIT_DONE;
}

void visit_note_absent(struct sluice *sluice, const char *service)
{
    json_t *rows = NULL, *row;
    bool there = false;
    size_t i;

    if (service == NULL ||
        visit_pages(sluice, "catalog", "services", &rows) != EXIT_DONE) {
        return;
    }
    json_array_foreach(rows, i, row) {
        there = there || (strcmp(record_text(row, "service"), service) == 0 &&
                          record_uint(row, "workers") > 0);
    }
    json_decref(rows);
    if (!there) {
        fprintf(stderr, "sluice: nobody offers '%s' now; it holds for whoever will\n", service);
    }
}

bool visit_id(const struct command *self, const char *text, struct sluice_id *id)
{
    if (!sluice_id_parse(text, id)) {
        command_usage(self, "'%.60s' is no task id (like 01890a5d-ac96-774b-bcce-b302099a8057)",
                      text);
        return false;
    }
    return true;
}
