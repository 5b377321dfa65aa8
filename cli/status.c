#include "cli/inspect.h"

const struct command command_status = {
    .name = "status",
    .arguments = "TASK",
    .summary = "where a task is: state, attempt, times, worker",
    .arguments_min = 1,
    .arguments_max = 1,
    .run = inspect_run,
};
