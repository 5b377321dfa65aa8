#include "tests/bench/children.h"

#include "common/check.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t children[CHILDREN_MAX];
static size_t child_count;
static pid_t owner; /* who ends them: exit() of a child is none of their business */
static void (*tidy_up)(void);

/* Also called when a signal ends us: only what is safe there. */
static void end(void)
{
    if (getpid() != owner) {
        return;
    }
    for (size_t i = 0; i < child_count; i++) {
        kill(children[i], SIGKILL);
    }
    for (size_t i = 0; i < child_count; i++) {
        while (waitpid(children[i], NULL, 0) < 0 && errno == EINTR) {
        }
    }
    child_count = 0;
    if (tidy_up != NULL) {
        tidy_up();
    }
}

static void end_on_signal(int number)
{
    end();
    _exit(128 + number);
}

void children_init(void (*tidy)(void))
{
    struct sigaction action = {.sa_handler = end_on_signal};

    owner = getpid();
    tidy_up = tidy;
    atexit(end);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

pid_t children_start(void)
{
    pid_t pid;

    CHECK(child_count < CHILDREN_MAX);
    pid = fork();
    if (pid == 0) {
        signal(SIGINT, SIG_IGN); /* the parent ends us */
        signal(SIGTERM, SIG_DFL);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != owner) {
            _exit(1);
        }
    } else if (pid > 0) {
        children[child_count++] = pid;
    }
    return pid;
}

size_t children_count(void)
{
    return child_count;
}

pid_t children_at(size_t index)
{
    CHECK(index < child_count);
    return children[index];
}
