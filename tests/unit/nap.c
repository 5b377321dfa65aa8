#include "tests/unit/nap.h"

#include "common/check.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

int __real_pthread_cond_wait(pthread_cond_t *wake, pthread_mutex_t *lock);
int __real_pthread_cond_timedwait(pthread_cond_t *wake, pthread_mutex_t *lock,
                                  const struct timespec *until);
int __real_pthread_cond_signal(pthread_cond_t *wake);

int __wrap_pthread_cond_wait(pthread_cond_t *wake, pthread_mutex_t *lock);
int __wrap_pthread_cond_timedwait(pthread_cond_t *wake, pthread_mutex_t *lock,
                                  const struct timespec *until);
int __wrap_pthread_cond_signal(pthread_cond_t *wake);

static struct {
    bool ours;
    int asleep_fd; /* readable: the thread sleeps */
    /* Under the sleeper's own lock. */
    pthread_mutex_t *lock;
    pthread_cond_t *wake;
    bool timed;
    _Atomic bool passed, woken;
} nap = {.asleep_fd = -1};

void nap_begin(void)
{
    nap.asleep_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    CHECK(nap.asleep_fd >= 0);
    nap.ours = true;
}

void nap_end(void)
{
    if (nap.ours) {
        nap.ours = false;
        close(nap.asleep_fd);
    }
}

/* From here on it does not count as asleep, whenever it gets to run. */
static int wake_up(pthread_cond_t *wake, _Atomic bool *how)
{
    uint64_t count;

    if (read(nap.asleep_fd, &count, sizeof count) == sizeof count) {
        *how = true;
    }
    return __real_pthread_cond_signal(wake);
}

static int sleep_until_woken(pthread_cond_t *wake, pthread_mutex_t *lock, bool timed)
{
    const uint64_t one = 1;

    nap.lock = lock;
    nap.wake = wake;
    nap.timed = timed;
    nap.passed = nap.woken = false;
    CHECK(write(nap.asleep_fd, &one, sizeof one) == sizeof one);
    while (!nap.passed && !nap.woken) {
        __real_pthread_cond_wait(wake, lock);
    }
    return nap.passed ? ETIMEDOUT : 0;
}

int __wrap_pthread_cond_wait(pthread_cond_t *wake, pthread_mutex_t *lock)
{
    return nap.ours ? sleep_until_woken(wake, lock, false) : __real_pthread_cond_wait(wake, lock);
}

int __wrap_pthread_cond_timedwait(pthread_cond_t *wake, pthread_mutex_t *lock,
                                  const struct timespec *until)
{
    return nap.ours ? sleep_until_woken(wake, lock, true)
                    : __real_pthread_cond_timedwait(wake, lock, until);
}

int __wrap_pthread_cond_signal(pthread_cond_t *wake)
{
    return nap.ours ? wake_up(wake, &nap.woken) : __real_pthread_cond_signal(wake);
}

bool nap_await(int fd, bool *timed)
{
    struct pollfd fds[] = {{.fd = nap.asleep_fd, .events = POLLIN}, {.fd = fd, .events = POLLIN}};

    CHECK(poll(fds, 2, 60000) > 0);
    *timed = nap.timed;
    return fds[0].revents != 0;
}

void nap_pass(void)
{
    pthread_mutex_lock(nap.lock);
    CHECK(nap.timed);
    wake_up(nap.wake, &nap.passed);
    pthread_mutex_unlock(nap.lock);
}
