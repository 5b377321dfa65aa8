/* sluice store compact: the file without what is free in it. */
#include "broker/shell/store_shrink.h"
#include "cli/quantity.h"
#include "cli/record.h"
#include "cli/store/look.h"
#include "cli/terminal.h"

enum store_exit compact_run(const char *path, bool json)
{
    char before[QUANTITY_SIZE], after[QUANTITY_SIZE];
    struct store_compacted compacted;
    struct problem problem;
    json_t *report;

    if (!store_compact(path, &compacted, &problem)) {
        return look_fail(STORE_EXIT_USAGE, &problem);
    }
    if (!json) {
        printf("%s: %s, it was %s\n", path, quantity_bytes(compacted.after_bytes, after),
               quantity_bytes(compacted.before_bytes, before));
        return STORE_EXIT_DONE;
    }
    report = json_pack("{s:s,s:I,s:I}", "path", path, "bytes", (json_int_t)compacted.after_bytes,
                       "before_bytes", (json_int_t)compacted.before_bytes);
    record_dump(report, stdout, terminal_is(stdout));
    json_decref(report);
    return STORE_EXIT_DONE;
}
