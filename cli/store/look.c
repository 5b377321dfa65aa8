#include "cli/store/look.h"

#include "cli/terminal.h"

enum store_exit look_fail(enum store_exit code, const struct problem *problem)
{
    fprintf(stderr, "sluice: ");
    terminal_print(stderr, problem->text);
    fprintf(stderr, "\n");
    return code;
}

bool look_open(struct store_file *file, const char *path)
{
    struct problem problem;

    if (store_file_open_to_read(file, path, &problem)) {
        return true;
    }
    look_fail(STORE_EXIT_USAGE, &problem);
    return false;
}

bool look_log_damaged(const struct store_log *log)
{
    bool damaged = store_log_is_damaged(log);

    if (damaged) {
        fprintf(stderr, "sluice: the log is damaged, so rows are missing or as they were earlier: "
                        "start a broker with the store once, which reads what can be read\n");
    }
    return damaged;
}
