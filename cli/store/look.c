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
