/* service: what sluice-tool offers. Each serve_* registers one service with its schema and
 * returns what sluice_serve does. docs/tools.md describes them. */
#ifndef SLUICE_TOOL_SERVICE_H
#define SLUICE_TOOL_SERVICE_H

#include "agents/runtime/sluice.h"

struct tool_options {
    bool allow_private; /* tool.fetch may reach private and loopback addresses */
};

/* The text `name` of the task's arguments, which its schema has as one; absent: *text stays.
 * False: it holds a NUL, which nothing that reads it expects, and the task has failed. */
bool argument_text(struct sluice_task *task, const char *name, const char **text);

/* `options` is borrowed while the peer lives. */
int serve_fetch(struct sluice *sluice, const struct tool_options *options);
int serve_calc(struct sluice *sluice);
int serve_time(struct sluice *sluice);
int serve_sleep(struct sluice *sluice);

#endif
