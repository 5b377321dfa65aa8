#include "broker/shell/process.h"

#include "common/check.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

size_t process_raise_files_max(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return 0;
    }
    if (limit.rlim_cur < limit.rlim_max) {
        rlim_t before = limit.rlim_cur;

        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
            limit.rlim_cur = before;
        }
    }
    return (size_t)limit.rlim_cur;
}

int process_open_signals(void)
{
    sigset_t set;

    signal(SIGPIPE, SIG_IGN);
    /* The config is read once, at the start: nothing to do on a hangup, and no
     * reason to die when the terminal goes. */
    signal(SIGHUP, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) {
        return -1;
    }
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

bool process_take_signal(int signals)
{
    struct signalfd_siginfo info;

    return read(signals, &info, sizeof info) == (ssize_t)sizeof info;
}

void process_notify_ready(const char *status)
{
    sd_notifyf(0, "READY=1\nSTATUS=%s", status);
}

void process_notify_stopping(void)
{
    sd_notify(0, "STOPPING=1");
}

void process_notify_alive(void)
{
    sd_notify(0, "WATCHDOG=1");
}

uint64_t process_watchdog_ms(void)
{
    uint64_t limit_us = 0;

    if (sd_watchdog_enabled(0, &limit_us) <= 0) {
        return 0;
    }
    /* Twice as often as needed, as sd_watchdog_enabled(3) advises; 1 ms at least. */
    return limit_us / 2000 > 0 ? limit_us / 2000 : 1;
}
