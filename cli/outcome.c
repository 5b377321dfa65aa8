#include "cli/outcome.h"

#include "cli/call.h"
#include "cli/failure.h"
#include "cli/record.h"
#include "cli/terminal.h"

#include <string.h>

/* Bytes that are no MessagePack go to standard output as they are, unless a person looks. */
static void result_print(struct sluice_future *future)
{
    struct sluice_bytes bytes = sluice_future_payload(future);
    json_t *value = sluice_future_json(future);

    if (value != NULL) {
        record_dump(value, stdout, terminal_is(stdout));
    } else if (bytes.size == 0) {
        printf("null\n");
    } else if (terminal_is(stdout)) {
        fprintf(stderr, "sluice: the result is %zu bytes that are no MessagePack value\n",
                bytes.size);
    } else {
        fwrite(bytes.data, 1, bytes.size, stdout);
    }
}

/* One line a worker. True: each was done. */
static bool parts_print(struct sluice_future *future, bool quiet)
{
    json_t *parts = call_parts_json(future), *part;
    bool all_done = true;
    size_t i;

    json_array_foreach(parts, i, part) {
        const char *outcome = json_string_value(json_object_get(part, "outcome"));

        all_done = all_done && strcmp(outcome, sluice_outcome_name(SLUICE_DONE)) == 0;
        if (!quiet) {
            record_dump(part, stdout, false);
        }
    }
    json_decref(parts);
    return all_done;
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
    } else if (outcome == SLUICE_DONE && !for_all) {
        result_print(future);
    }
    if (for_all && !parts_print(future, cli->json)) {
        return EXIT_TASK;
    }
    if (outcome != SLUICE_DONE) {
        failure_print(what, outcome, sluice_future_error(future));
    }
    return outcome == SLUICE_DONE ? EXIT_DONE : EXIT_TASK;
}
