/* crowd: processes that speak to a broker as little as the protocol allows, made in cli/crowd/:
 * many idle agents, or a submitter of many tasks, which keeps nothing of them.
 *
 * What it says of them goes to its standard output, as bytes of struct crowd_report: one for each
 * byte on its standard input. Who reads it is the same program. */
#ifndef SLUICE_CLI_CROWD_H
#define SLUICE_CLI_CROWD_H

#include <stdbool.h>
#include <stdint.h>

/* So many in a process: two descriptors each. */
#define CROWD_AGENTS_MAX 4000
#define CROWD_FILES_EACH 2
#define CROWD_FILES_MORE 128 /* for the process itself */
#define CROWD_PING_MS 2000   /* until WELCOME says more */

struct crowd_report {
    uint64_t joined; /* agents with a session, whose offer has been taken */
    uint64_t pings;
    uint64_t pongs;  /* of these; each ping has one until its agent's next */
    uint64_t missed; /* pings that had none by then */
    uint64_t lost;   /* sessions that the broker did not know any more, or errors it told */
    uint64_t failed; /* no socket or no memory */
};

/* Lives as `count` agents at the broker, whose services' names begin with `service`, until standard
 * input ends. False: not begun, said why. */
bool crowd_live(const char *endpoint, const char *service, uint64_t count);

struct crowd_pile_plan {
    const char *service; /* which nobody offers */
    uint64_t tasks, payload_bytes;
    uint64_t delay_ms;   /* of each; 0: none */
};

/* Submits them, and is there for them until standard input ends. False: not all, or not begun. */
bool crowd_pile(const char *endpoint, const struct crowd_pile_plan *plan);

#endif
