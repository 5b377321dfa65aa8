/* service: cron.list, and with a state file cron.add and cron.remove, which nobody else may offer
 * meanwhile: entries that were given to one agent are that agent's. */
#ifndef SLUICE_CRON_SERVICE_H
#define SLUICE_CRON_SERVICE_H

#include "agents/cron/schedule.h"

int service_start(struct schedule *schedule);

#endif
