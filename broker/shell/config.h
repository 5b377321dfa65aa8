/* config: everything an operator can decide about a broker.
 *
 * Three sources, later ones win: the defaults, a file (ZPL, read with czmq), the
 * command line. Every value is checked where it enters, so that the message can
 * name the file and line, or the option. One thread; no globals. */
#ifndef SLUICE_BROKER_SHELL_CONFIG_H
#define SLUICE_BROKER_SHELL_CONFIG_H

#include "broker/core/broker.h"
#include "broker/shell/endpoint.h"
#include "common/problem.h"

#define CONFIG_ENDPOINTS_MAX 16
#define CONFIG_FILE_BYTES_MAX (1024 * 1024)
#define CONFIG_SERVICES_MAX 4096 /* named in one file */
#define CONFIG_RULES_MAX 2048
#define CONFIG_PATH_MAX 512
#define CONFIG_DEFAULT_ENDPOINT "tcp://127.0.0.1:5570"

/* Bounds of one service that offers cannot change. */
struct config_service {
    char name[SERVICE_NAME_MAX + 1];
    struct service_limits limits;
    struct limit_values values; /* LIMIT_UNCHANGED: not said */
};

/* Bounds of what a tenant, or a fairness key, does. */
struct config_rule {
    char service[SERVICE_NAME_MAX + 1]; /* empty: all of them */
    char tenant[PEER_NAME_MAX + 1];     /* empty: a key's */
    char key[KEY_MAX + 1];              /* "*": of each by itself; empty: a tenant's */
    struct limit_values values;         /* LIMIT_UNCHANGED: not said */
};

struct config {
    char name[PEER_NAME_MAX + 1];
    enum log_level log_level;
    bool allow_plain;  /* bind beyond loopback and ipc, without encryption */
    char audit[CONFIG_PATH_MAX]; /* its newest file; empty: no audit */
    uint64_t audit_bytes, audit_files; /* of one file; files at most */
    char store[CONFIG_PATH_MAX]; /* database of durable tasks; empty: none is kept */
    char backups[CONFIG_PATH_MAX]; /* folder of its copies; empty: that of the store */
    uint64_t drain_ms; /* SIGTERM waits this long for tasks; 0: for ever */
    struct endpoint endpoints[CONFIG_ENDPOINTS_MAX];
    size_t endpoint_count;
    struct config_service *services;
    size_t service_count;
    struct config_rule *rules;
    size_t rule_count;
    struct broker_options broker;
};

/* Defaults; no endpoint yet: config_complete adds the default one. */
void config_init(struct config *config);
void config_deinit(struct config *config);

/* Adds an endpoint. False: `problem` says why, nothing changed. */
bool config_add_endpoint(struct config *config, const char *text, struct problem *problem);

/* Adds a service without bounds of its own. NULL: `problem` says why. The
 * pointer is good until the next call. */
struct config_service *config_add_service(struct config *config, const char *name,
                                          struct problem *problem);

/* The same of a tenant or a key; the other one is "", as `service` is for a tenant everywhere. */
struct config_rule *config_add_rule(struct config *config, const char *service, const char *tenant,
                                    const char *key, struct problem *problem);

/* Tells a new broker what services, tenants and keys may take. False: `problem` says what it
 * cannot. */
bool config_apply(const struct config *config, struct broker *broker, struct problem *problem);

/* Reads `path` over what is there. False: `problem` is `PATH:LINE: why`, and the
 * config is half read: give up. */
bool config_read_file(struct config *config, const char *path, struct problem *problem);

/* Adds the default endpoint if there is none, then checks what concerns several
 * settings at once, and that nothing is bound in public by accident. */
bool config_complete(struct config *config, struct problem *problem);

#endif
