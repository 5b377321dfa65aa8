/* preview: the next times of an expression, for people who write one. Needs no broker. */
#ifndef SLUICE_CRON_PREVIEW_H
#define SLUICE_CRON_PREVIEW_H

/* `sluice-cron next EXPRESSION [--zone Z] [--count N] [--after TIME]`; argv[0] is "next".
 * Returns the exit status. */
int preview_run(int argc, char **argv);

#endif
