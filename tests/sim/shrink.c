#include "tests/sim/shrink.h"

#include "common/check.h"
#include "tests/sim/world.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TRY_SECONDS_MAX 30

static void run_child(const struct sim_options *options, int output)
{
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    alarm(TRY_SECONDS_MAX);
    world_run(options, false);
    exit(0);
}

/* "VIOLATION name at ...": the name. */
static void find_property(const char *text, char *property, size_t size)
{
    const char *at = strstr(text, "VIOLATION ");

    if (at != NULL) {
        snprintf(property, size, "%.*s", (int)strcspn(at + 10, " "), at + 10);
    } else if ((at = strstr(text, "CHECK(")) != NULL) {
        snprintf(property, size, "%.*s", (int)strcspn(at, "\n"), at);
    }
}

bool shrink_try(const struct sim_options *options, char *property, size_t size)
{
    char text[4096] = "";
    size_t used = 0;
    ssize_t got;
    int pipes[2], status;
    pid_t child;

    CHECK(pipe(pipes) == 0);
    fflush(stdout);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        close(pipes[0]);
        run_child(options, pipes[1]);
    }
    close(pipes[1]);
    while ((got = read(pipes[0], text + used, sizeof text - 1 - used)) > 0) {
        used += (size_t)got;
        if (used == sizeof text - 1) {
            used = sizeof text / 2; /* the beginning says it; the rest may go */
        }
    }
    close(pipes[0]);
    CHECK(waitpid(child, &status, 0) == child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        return false;
    }
    snprintf(property, size, "%s",
             WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? "timeout" : "crash");
    find_property(text, property, size);
    return true;
}

static bool still_fails(const struct sim_options *options, const char *property)
{
    char seen[256];

    return shrink_try(options, seen, sizeof seen) && strcmp(seen, property) == 0;
}

static bool lower(struct sim_options *options, unsigned index, const char *property)
{
    uint32_t lowest = sim_options[index].lowest;
    uint32_t now = *sim_option_at(options, index);
    struct sim_options tried = *options;

    if (now <= lowest) {
        return false;
    }
    *sim_option_at(&tried, index) = lowest;
    if (!still_fails(&tried, property)) {
        *sim_option_at(&tried, index) = lowest + (now - lowest) / 2;
        if (*sim_option_at(&tried, index) == now || !still_fails(&tried, property)) {
            return false;
        }
    }
    *options = tried;
    return true;
}

struct sim_options shrink(const struct sim_options *failing, const char *property,
                          unsigned seconds)
{
    struct sim_options best = *failing;
    time_t end = time(NULL) + seconds;
    bool better = true;

    while (better && time(NULL) < end) {
        better = false;
        for (unsigned i = 0; i < sim_option_count && time(NULL) < end; i++) {
            better |= lower(&best, i, property);
        }
    }
    return best;
}
