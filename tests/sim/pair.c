#include "tests/sim/pair.h"

#include "common/check.h"
#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINE_SIZE 8192

void pair_start(struct pair *pair, const char *program)
{
    int to[2], from[2];

    CHECK(pipe(to) == 0 && pipe(from) == 0);
    pair->pid = fork();
    CHECK(pair->pid >= 0);
    if (pair->pid == 0) {
        dup2(to[0], STDIN_FILENO);
        dup2(from[1], STDOUT_FILENO);
        close(to[1]);
        close(from[0]);
        execl(program, program, "--follow", (char *)NULL);
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    pair->to = fdopen(to[1], "w");
    pair->from = fdopen(from[0], "r");
    CHECK(pair->to != NULL && pair->from != NULL);
}

void pair_stop(struct pair *pair)
{
    fclose(pair->to);
    fclose(pair->from);
    waitpid(pair->pid, NULL, 0);
}

/* "SEED NAME=VALUE...": every option, so that both sides run the very same world. */
void pair_ask(struct pair *pair, const struct sim_options *options)
{
    struct sim_options copy = *options;

    fprintf(pair->to, "%" PRIu64, options->seed);
    for (unsigned i = 0; i < sim_option_count; i++) {
        fprintf(pair->to, " %s=%" PRIu32, sim_options[i].name, *sim_option_at(&copy, i));
    }
    fputc('\n', pair->to);
    fflush(pair->to);
}

bool pair_answer(struct pair *pair, const struct sim_options *options, uint64_t *hash)
{
    uint64_t seed;

    return fscanf(pair->from, "%" SCNu64 " %" SCNx64, &seed, hash) == 2 && seed == options->seed;
}

int pair_follow(void)
{
    static char text[LINE_SIZE];

    while (fgets(text, sizeof text, stdin) != NULL) {
        char *save = NULL;
        char *word = strtok_r(text, " \n", &save);
        struct sim_options options;

        CHECK(word != NULL);
        options = sim_options_draw(strtoull(word, NULL, 10));
        while ((word = strtok_r(NULL, " \n", &save)) != NULL) {
            CHECK(sim_options_set(&options, word));
        }
        printf("%" PRIu64 " %016" PRIx64 "\n", options.seed, world_run(&options, false).hash);
        fflush(stdout);
    }
    return 0;
}
