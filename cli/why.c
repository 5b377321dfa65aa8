#include "cli/inspect.h"

const struct command command_why = {
    .name = "why",
    .arguments = "TASK",
    .summary = "the one reason why a task has not run",
    .about = "no_worker: nobody offers its service. no_credit: every worker is busy.\n"
             "concurrency_cap, rate, budget: a limit holds it; `key` and `tenant` say whose.\n"
             "needs: a join waits for its tasks. not_before: a retry waits for its time.\n"
             "running, stopping, ended: it does not wait.\n",
    .arguments_min = 1,
    .arguments_max = 1,
    .run = inspect_run,
};
