#include "broker/shell/config.h"

#include "broker/shell/store_path.h"
#include "common/check.h"

#include <stdio.h>
#include <stdlib.h>

/* Short enough that an operator who stops a broker gets it stopped. */
#define DRAIN_MS_DEFAULT 30000

void config_init(struct config *config)
{
    memset(config, 0, sizeof *config);
    snprintf(config->name, sizeof config->name, "sluice");
    config->log_level = LOG_INFO;
    config->drain_ms = DRAIN_MS_DEFAULT;
    config->audit_bytes = 64 * 1024 * 1024;
    config->audit_files = 10;
    config->broker = broker_options_default();
}

void config_deinit(struct config *config)
{
    free(config->services);
    free(config->rules);
    memset(config, 0, sizeof *config);
}

bool config_add_endpoint(struct config *config, const char *text, struct problem *problem)
{
    struct endpoint *endpoint;

    if (config->endpoint_count == CONFIG_ENDPOINTS_MAX) {
        problem_set(problem, "more than %d endpoints", CONFIG_ENDPOINTS_MAX);
        return false;
    }
    endpoint = &config->endpoints[config->endpoint_count];
    if (!endpoint_parse(endpoint, text, problem->text, sizeof problem->text)) {
        return false;
    }
    for (size_t i = 0; i < config->endpoint_count; i++) {
        if (endpoint_same(&config->endpoints[i], endpoint)) {
            problem_set(problem, "endpoint %s is given twice", text);
            return false;
        }
    }
    config->endpoint_count++;
    return true;
}

struct config_service *config_add_service(struct config *config, const char *name,
                                          struct problem *problem)
{
    struct config_service *services;

    if (!service_name_valid(span_from_text(name))) {
        problem_set(problem, "'%s' is no service name: 1 to %d of A-Z a-z 0-9 _ . -", name,
                    SERVICE_NAME_MAX);
        return NULL;
    }
    if (config->service_count == CONFIG_SERVICES_MAX) {
        problem_set(problem, "more than %d services", CONFIG_SERVICES_MAX);
        return NULL;
    }
    for (size_t i = 0; i < config->service_count; i++) {
        if (strcmp(config->services[i].name, name) == 0) {
            problem_set(problem, "service '%s' is given twice", name);
            return NULL;
        }
    }
    services = realloc(config->services, (config->service_count + 1) * sizeof *services);
    if (services == NULL) {
        problem_set(problem, "out of memory");
        return NULL;
    }
    config->services = services;
    services += config->service_count++;
    memset(services, 0, sizeof *services);
    snprintf(services->name, sizeof services->name, "%s", name);
    memset(&services->values, 0xff, sizeof services->values); /* LIMIT_UNCHANGED, each of them */
    return services;
}

static bool rule_name_valid(const char *name, size_t max)
{
    return name[0] != '\0' && text_valid(span_from_text(name), max);
}

struct config_rule *config_add_rule(struct config *config, const char *service, const char *tenant,
                                    const char *key, struct problem *problem)
{
    bool of_key = tenant[0] == '\0';
    struct config_rule *rules;

    if (of_key ? !rule_name_valid(key, KEY_MAX) : !rule_name_valid(tenant, PEER_NAME_MAX)) {
        problem_set(problem, "a %s is 1 to %d bytes of text", of_key ? "key" : "tenant's name",
                    of_key ? KEY_MAX : PEER_NAME_MAX);
        return NULL;
    }
    if (config->rule_count == CONFIG_RULES_MAX) {
        problem_set(problem, "more than %d tenants and keys", CONFIG_RULES_MAX);
        return NULL;
    }
    for (size_t i = 0; i < config->rule_count; i++) {
        const struct config_rule *rule = &config->rules[i];

        if (strcmp(rule->service, service) == 0 && strcmp(rule->tenant, tenant) == 0 &&
            strcmp(rule->key, key) == 0) {
            problem_set(problem, "%s '%s' is given twice", of_key ? "key" : "tenant",
                        of_key ? key : tenant);
            return NULL;
        }
    }
    rules = realloc(config->rules, (config->rule_count + 1) * sizeof *rules);
    if (rules == NULL) {
        problem_set(problem, "out of memory");
        return NULL;
    }
    config->rules = rules;
    rules += config->rule_count++;
    memset(rules, 0, sizeof *rules);
    snprintf(rules->service, sizeof rules->service, "%s", service);
    snprintf(rules->tenant, sizeof rules->tenant, "%s", tenant);
    snprintf(rules->key, sizeof rules->key, "%s", key);
    memset(&rules->values, 0xff, sizeof rules->values);
    return rules;
}

static bool values_said(const struct limit_values *values)
{
    static const struct limit_values none = {
#define UNCHANGED(name, max) .name = LIMIT_UNCHANGED,
        LIMIT_VALUES(UNCHANGED)
#undef UNCHANGED
    };

    return memcmp(values, &none, sizeof none) != 0;
}

bool config_apply(const struct config *config, struct broker *broker, struct problem *problem)
{
    const struct span none = span_of(NULL, 0);

    for (size_t i = 0; i < config->service_count; i++) {
        const struct config_service *service = &config->services[i];
        struct span name = span_from_text(service->name);

        if (!broker_configure_service(broker, name, &service->limits) ||
            (values_said(&service->values) &&
             !broker_configure_limit(broker, name, none, none, &service->values))) {
            problem_set(problem, "cannot set up service '%s': too many services or limits",
                        service->name);
            return false;
        }
    }
    for (size_t i = 0; i < config->rule_count; i++) {
        const struct config_rule *rule = &config->rules[i];

        if (values_said(&rule->values) &&
            !broker_configure_limit(broker, span_from_text(rule->service),
                                    span_from_text(rule->tenant), span_from_text(rule->key),
                                    &rule->values)) {
            problem_set(problem, "cannot set up %s '%s': too many limits",
                        rule->key[0] != '\0' ? "key" : "tenant",
                        rule->key[0] != '\0' ? rule->key : rule->tenant);
            return false;
        }
    }
    return true;
}

static bool wants_store(const struct config *config)
{
    bool wants = config->broker.service.durable;

    for (size_t i = 0; !wants && i < config->service_count; i++) {
        wants = config->services[i].limits.durable;
    }
    return wants;
}

static bool check_relations(const struct config *config, struct problem *problem)
{
    const struct broker_options *broker = &config->broker;

    if (broker->silence_ms < 2 * broker->ping_ms) {
        problem_set(problem,
                    "silence_ms must be at least twice ping_ms, or one late PING loses a peer");
    } else if (broker->backoff_max_ms < broker->backoff_ms) {
        problem_set(problem, "backoff_max_ms must not be less than backoff_ms");
    } else if (broker->memory_max < broker->payload_max) {
        problem_set(problem, "memory must be at least max_payload, or the largest task never fits");
    } else if (broker->window_bytes < broker->payload_max) {
        problem_set(problem, "window_bytes must be at least max_payload, "
                             "or the largest task never fits");
    } else if (wants_store(config) && config->store[0] == '\0') {
        problem_set(problem, "durable services need a store: name a file for it");
    } else if (config->backups[0] != '\0' && config->store[0] == '\0') {
        problem_set(problem, "backups are of a store, and there is none: name a file for it");
    } else if (store_path_is_of(config->audit, config->store)) {
        problem_set(problem, "the audit and the store must be different files");
    } else if (config->service_count > broker->services_max) {
        problem_set(problem, "the services section names more services than max_services allows");
    } else {
        return true;
    }
    return false;
}

bool config_complete(struct config *config, struct problem *problem)
{
    if (config->endpoint_count == 0) {
        bool added = config_add_endpoint(config, CONFIG_DEFAULT_ENDPOINT, problem);

        CHECK(added);
    }
    for (size_t i = 0; i < config->endpoint_count; i++) {
        if (!config->allow_plain && !endpoint_private(&config->endpoints[i])) {
            problem_set(problem,
                        "refusing to bind %s: connections are not encrypted and not authenticated "
                        "yet, so everyone who can reach it could read every task and submit their "
                        "own. Bind tcp://127.0.0.1:PORT or ipc://PATH, or say --allow-plain if the "
                        "network is yours alone",
                        config->endpoints[i].text);
            return false;
        }
    }
    return check_relations(config, problem);
}
