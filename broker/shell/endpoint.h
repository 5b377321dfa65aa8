/* endpoint: an address to bind, checked before libzmq sees it.
 *
 * libzmq unlinks whatever lies at an ipc path and says little about why a bind
 * failed; here a live socket or an ordinary file is refused, and every failure
 * comes with what to do about it. */
#ifndef SLUICE_BROKER_SHELL_ENDPOINT_H
#define SLUICE_BROKER_SHELL_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>

#define ENDPOINT_TEXT_MAX 256

enum endpoint_kind { ENDPOINT_TCP, ENDPOINT_IPC };

struct endpoint {
    enum endpoint_kind kind;
    char text[ENDPOINT_TEXT_MAX];    /* as given */
    char address[ENDPOINT_TEXT_MAX]; /* as libzmq wants it */
    char host[ENDPOINT_TEXT_MAX];    /* tcp: without brackets */
    char port[8];                    /* tcp: digits, or `*`: any free one */
    bool loopback;                   /* tcp */
    bool ipv6;                       /* tcp */
};

/* Reads `tcp://HOST:PORT` or `ipc://PATH`. False: `problem` is a sentence. */
bool endpoint_parse(struct endpoint *endpoint, const char *text, char *problem,
                    size_t problem_size);

bool endpoint_same(const struct endpoint *a, const struct endpoint *b);

/* True when only processes of this machine can reach it. */
bool endpoint_private(const struct endpoint *endpoint);

/* Binds `router` (a libzmq socket). `bound` receives the real address, with the
 * port that was found for `*`. False: `problem` says why and what to do. */
bool endpoint_bind(const struct endpoint *endpoint, void *router, char bound[ENDPOINT_TEXT_MAX],
                   char *problem, size_t problem_size);

#endif
