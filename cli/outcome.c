#include "cli/outcome.h"

#include "cli/call.h"
#include "cli/failure.h"
#include "cli/record.h"
#include "cli/terminal.h"

/* Bytes that JSON cannot say go to standard output as they are, unless a person looks. */
static void result_print(struct sluice_future *future)
{
    struct sluice_bytes bytes = sluice_future_payload(future);
    json_t *value = sluice_future_json(future);

    if (value != NULL) {
        record_dump(value, stdout, terminal_is(stdout));
    } else if (bytes.size == 0) {
        printf("null\n");
    } else if (terminal_is(stdout)) {
        fprintf(stderr, "sluice: the result is %zu bytes that JSON cannot say; --json prints them "
                        "as base64\n", bytes.size);
    } else {
        fwrite(bytes.data, 1, bytes.size, stdout);
    }
}

/* One line a worker. */
static void parts_print(struct sluice_future *future)
{
    json_t *parts = call_parts_json(future), *part;
    size_t i;

    json_array_foreach(parts, i, part) {
        record_dump(part, stdout, false);
    }
    json_decref(parts);
}

static bool parts_done(struct sluice_future *future)
{
    struct sluice_input part;
    bool done = true;

    for (size_t i = 0; sluice_part(future, i, &part); i++) {
        done = done && part.outcome == SLUICE_DONE;
    }
    return done;
}

int outcome_print(const struct cli *cli, const char *what, struct sluice_future *future)
{
    enum sluice_outcome outcome = sluice_future_outcome(future);
    bool for_all = sluice_part_count(future) > 0;
    json_t *map;

    if (cli->json) {
        map = call_outcome_json(future);
        record_dump(map, stdout, false);
        json_decref(map);
    } else if (for_all) {
        parts_print(future);
    } else if (outcome == SLUICE_DONE) {
        result_print(future);
    }
    if (for_all && !parts_done(future)) {
        return EXIT_TASK;
    }
    if (outcome != SLUICE_DONE) {
        failure_print(what, outcome, sluice_future_error(future));
    }
    return outcome == SLUICE_DONE ? EXIT_DONE : EXIT_TASK;
}
