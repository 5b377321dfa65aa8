/* process: what the broker is to its operating system: signals, limits, systemd. */
#ifndef SLUICE_BROKER_SHELL_PROCESS_H
#define SLUICE_BROKER_SHELL_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Raises the soft limit of open files to the hard one; returns it. Call it before
 * the first thread, as it is the limit of connections too. */
size_t process_raise_files_max(void);

/* Turns SIGTERM and SIGINT into something to poll for, ignores SIGHUP and SIGPIPE.
 * Call it before the first thread, which inherits the mask. Returns the
 * descriptor, yours to close; -1 with errno on failure. */
int process_open_signals(void);

/* True if SIGTERM or SIGINT has arrived; takes it. Never blocks. */
bool process_take_signal(int signals);

/* systemd: started by a unit of Type=notify, these tell it; otherwise they do nothing. */
void process_notify_ready(const char *status);
void process_notify_stopping(void);
void process_notify_alive(void);
/* How often process_notify_alive must be called; 0: nobody watches. */
uint64_t process_watchdog_ms(void);

#endif
