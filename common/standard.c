#include "common/standard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void standard_open(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0) {
            open("/dev/null", O_RDWR); /* gets the lowest number, which is `fd` */
        }
    }
}

int standard_flush(const char *program, int status)
{
    bool failed = ferror(stdout) != 0; /* earlier, for reasons that are gone */

    errno = 0;
    if (fflush(stdout) == 0 && !failed) {
        return status;
    }
    fprintf(stderr, "%s: cannot write the output%s%s\n", program, errno != 0 ? ": " : "",
            errno != 0 ? strerror(errno) : "");
    return status == 0 ? 1 : status;
}
