/* service: what sluice-analysis offers. */
#ifndef SLUICE_AGENTS_ANALYSIS_SERVICE_H
#define SLUICE_AGENTS_ANALYSIS_SERVICE_H

#include "agents/runtime/sluice.h"

/* Offers analysis.extract, analysis.summarize, analysis.compare and
 * analysis.report. 0, or what sluice_serve said. */
int service_offer_all(struct sluice *sluice);

#endif
