/* links: shell */
/* The reader of sluice-broker's config file over any bytes.
 *
 * A refusal says why in one line. What is accepted lies within the bounds of every setting,
 * means the same after setting_format and setting_apply, and a broker starts with it. */
#include "tests/fuzz/input.h"

#include "broker/shell/config.h"
#include "broker/shell/setting.h"
#include "common/check.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A file that is only in memory; its path. */
static const char *file_with(const uint8_t *data, size_t size)
{
    static char path[64];
    static int file = -1;

    if (file < 0) {
        file = memfd_create("config", MFD_CLOEXEC);
        CHECK(file >= 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    }
    CHECK(ftruncate(file, 0) == 0);
    CHECK(pwrite(file, data, size, 0) == (ssize_t)size);
    return path;
}

static void check_problem(const struct problem *problem)
{
    CHECK(problem->text[0] != '\0');
    CHECK(memchr(problem->text, '\0', sizeof problem->text) != NULL);
    CHECK(strchr(problem->text, '\n') == NULL);
}

static void check_settings(struct config *config)
{
    for (size_t i = 0; i < setting_count; i++) {
        struct problem problem;
        char before[256], after[256];

        setting_format(&settings[i], config, before, sizeof before);
        CHECK(setting_apply(&settings[i], setting_target(&settings[i], config), before, &problem));
        setting_format(&settings[i], config, after, sizeof after);
        CHECK(strcmp(before, after) == 0);
    }
}

static void discard(void *context, connection_id to, const struct message *message)
{
}

static void discard_forget(void *context, connection_id connection)
{
}

static void start_broker(const struct config *config)
{
    struct effects effects = {.send = discard, .forget = discard_forget, .log_level = LOG_ERROR};
    struct event tick = {.kind = EVENT_TICK};
    struct problem problem = {""};
    struct broker *broker;

    effects.log_level = LOG_ERROR;
    broker = broker_new(&config->broker, &effects, 0);
    CHECK(broker != NULL);
    if (!config_apply(config, broker, &problem)) {
        CHECK(problem.text[0] != '\0');
    }
    broker_step(broker, &tick);
    broker_check(broker);
    broker_free(broker);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config config;
    struct problem problem = {""};

    config_init(&config);
    if (config_read_file(&config, file_with(data, size), &problem) &&
        config_complete(&config, &problem)) {
        CHECK(config.endpoint_count >= 1 && config.endpoint_count <= CONFIG_ENDPOINTS_MAX);
        CHECK(config.service_count <= CONFIG_SERVICES_MAX);
        CHECK(config.rule_count <= CONFIG_RULES_MAX);
        check_settings(&config);
        start_broker(&config);
    } else {
        check_problem(&problem);
    }
    config_deinit(&config);
    return 0;
}
