#include "cli/inspect.h"

const struct command command_stats = {
    .name = "stats", .arguments = "", .summary = "what the broker counts", .run = inspect_run};
