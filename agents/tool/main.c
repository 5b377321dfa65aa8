/* sluice-tool: an agent with functions: fetch a page, calculate, tell the time, sleep. */
#include "agents/program/program.h"
#include "agents/tool/service.h"

static int offer(struct sluice *sluice, void *arg)
{
    int rc = serve_fetch(sluice, arg);

    rc = rc ? rc : serve_calc(sluice);
    rc = rc ? rc : serve_time(sluice);
    return rc ? rc : serve_sleep(sluice);
}

int main(int argc, char **argv)
{
    struct tool_options tool = {.allow_private = false};
    const struct option_spec options[] = {
        OPTION_FLAG_SPEC("allow-private", &tool.allow_private,
                         "let tool.fetch reach private, loopback and link-local addresses"),
    };
    const struct program program = {
        .name = "sluice-tool",
        .about = "Serves tool.fetch, tool.calc, tool.time and tool.sleep.\n"
                 "\n"
                 "tool.fetch reaches public addresses only, so that nobody reaches your network\n"
                 "through this agent.\n",
        .options = {options, sizeof options / sizeof options[0]},
    };

    return program_main(&program, argc, argv, offer, &tool);
}
