/* sluice-research: answers questions from documents, with citations that hold:
 * it plans, scatters over retrievers and tools, has analysis weigh and write,
 * and checks. docs/research.md says how. */
#include "agents/program/program.h"
#include "agents/research/ask.h"

static int offer(struct sluice *sluice, void *arg)
{
    return ask_offer(sluice, arg);
}

int main(int argc, char **argv)
{
    struct ask_options ask = {.deadline_ms = ASK_DEADLINE_MS_DEFAULT};
    const struct option_spec options[] = {
        OPTION_UINT_SPEC("deadline-ms", &ask.deadline_ms, "N", ASK_DEADLINE_MS_MIN,
                         ASK_DEADLINE_MS_MAX,
                         "for a question that names no time of its own (30000)"),
    };
    const struct program program = {
        .name = "sluice-research",
        .about = "Serves research.ask.\n",
        .options = {options, sizeof options / sizeof options[0]},
    };

    return program_main(&program, argc, argv, offer, &ask);
}
