/* sluice-analysis: extracts, summarises, compares and writes, by published
 * algorithms and without a model. docs/analysis.md says which. */
#include "agents/analysis/service.h"
#include "agents/program/program.h"

static const struct program program = {
    .name = "sluice-analysis",
    .about = "Serves analysis.extract, analysis.summarize, analysis.compare and analysis.report.\n",
};

static int offer(struct sluice *sluice, void *arg)
{
    (void)arg;
    return service_offer_all(sluice);
}

int main(int argc, char **argv)
{
    return program_main(&program, argc, argv, offer, NULL);
}
