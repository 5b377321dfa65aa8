#include "broker/shell/arguments.h"

#include "broker/shell/setting.h"
#include "common/check.h"

#include <getopt.h>
#include <stdlib.h>

#define SHORT_OPTIONS ":e:c:hV"
#define SETTINGS_MAX 64
#define OPTION_CHECK_CONFIG 256
#define OPTION_SETTING 1000 /* + index in settings[] */

/* The option table for getopt, made from the settings. */
struct option_table {
    struct option options[SETTINGS_MAX + 6];
    char names[SETTINGS_MAX][SETTING_OPTION_MAX];
};

static void option_table_init(struct option_table *table)
{
    static const struct option fixed[] = {
        {"endpoint", required_argument, NULL, 'e'},
        {"config", required_argument, NULL, 'c'},
        {"check-config", no_argument, NULL, OPTION_CHECK_CONFIG},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
    };
    size_t count = sizeof fixed / sizeof fixed[0];

    CHECK(setting_count <= SETTINGS_MAX);
    memset(table, 0, sizeof *table);
    memcpy(table->options, fixed, sizeof fixed);
    for (size_t i = 0; i < setting_count; i++) {
        setting_option(&settings[i], table->names[i]);
        table->options[count++] = (struct option){
            table->names[i],
            settings[i].kind == SETTING_SWITCH ? no_argument : required_argument,
            NULL,
            OPTION_SETTING + (int)i,
        };
    }
}

/* First pass: what decides about everything else. */
static enum arguments_result scan(const struct option_table *table, int argc, char *const argv[],
                                  const char **config_path, struct problem *problem)
{
    enum arguments_result result = ARGUMENTS_RUN;
    int code;

    optind = 0; /* glibc: start anew; tests read several command lines */
    opterr = 0;
    while ((code = getopt_long(argc, argv, SHORT_OPTIONS, table->options, NULL)) != -1) {
        switch (code) {
        case 'h':
            return ARGUMENTS_HELP;
        case 'V':
            return ARGUMENTS_VERSION;
        case 'c':
            *config_path = optarg;
            break;
        case OPTION_CHECK_CONFIG:
            result = ARGUMENTS_CHECK;
            break;
        case ':':
            problem_set(problem, "option '%.200s' needs a value", argv[optind - 1]);
            return ARGUMENTS_BAD;
        case '?':
            problem_set(problem, "unknown option '%.200s'; --help lists them", argv[optind - 1]);
            return ARGUMENTS_BAD;
        default:
            break;
        }
    }
    if (optind < argc) {
        problem_set(problem, "'%.200s' is no option; --help lists them", argv[optind]);
        return ARGUMENTS_BAD;
    }
    return result;
}

static bool apply_setting(struct config *config, size_t index, const char *value,
                          struct problem *problem)
{
    const struct setting *setting = &settings[index];
    char option[SETTING_OPTION_MAX];
    struct problem why;

    if (setting_apply(setting, setting_target(setting, config), value == NULL ? "1" : value,
                      &why)) {
        return true;
    }
    setting_option(setting, option);
    problem_set(problem, "--%s: %.900s", option, why.text);
    return false;
}

/* Second pass: the values, over what the file said. */
static bool apply(const struct option_table *table, struct config *config, int argc,
                  char *const argv[], struct problem *problem)
{
    bool endpoints_replaced = false;
    int code;

    optind = 0;
    while ((code = getopt_long(argc, argv, SHORT_OPTIONS, table->options, NULL)) != -1) {
        if (code == 'e') {
            if (!endpoints_replaced) {
                config->endpoint_count = 0;
                endpoints_replaced = true;
            }
            if (!config_add_endpoint(config, optarg, problem)) {
                return false;
            }
        } else if (code >= OPTION_SETTING &&
                   !apply_setting(config, (size_t)(code - OPTION_SETTING), optarg, problem)) {
            return false;
        }
    }
    return true;
}

enum arguments_result arguments_read(struct config *config, int argc, char *const argv[],
                                     struct problem *problem)
{
    struct option_table table;
    const char *config_path = NULL;
    enum arguments_result result;

    option_table_init(&table);
    result = scan(&table, argc, argv, &config_path, problem);
    if (result != ARGUMENTS_RUN && result != ARGUMENTS_CHECK) {
        return result;
    }
    if (config_path != NULL && !config_read_file(config, config_path, problem)) {
        return ARGUMENTS_BAD;
    }
    if (!apply(&table, config, argc, argv, problem) || !config_complete(config, problem)) {
        return ARGUMENTS_BAD;
    }
    return result;
}

static const char *value_name(enum setting_kind kind)
{
    static const char *const names[] = {
        [SETTING_NAME] = " NAME", [SETTING_LEVEL] = " LEVEL", [SETTING_SWITCH] = "",
        [SETTING_COUNT] = " N",   [SETTING_BYTES] = " BYTES", [SETTING_DURATION] = " TIME",
        [SETTING_PATH] = " FILE",
    };

    return names[kind];
}

void arguments_print_help(FILE *stream)
{
    struct config defaults;
    char option[SETTING_OPTION_MAX], value[PEER_NAME_MAX + 1], left[SETTING_OPTION_MAX + 8];

    config_init(&defaults);
    fprintf(
        stream,
        "usage: sluice-broker [OPTION]...\n\n"
        "Routes tasks between agents. Options override the config file.\n\n"
        "  -e, --endpoint ENDPOINT          bind tcp://ADDRESS:PORT or ipc://PATH; may be "
        "repeated\n"
        "                                   (" CONFIG_DEFAULT_ENDPOINT ")\n"
        "  -c, --config FILE                read this config file first\n"
        "      --check-config               say what is wrong with the config, and do no more\n"
        "  -h, --help                       this\n"
        "  -V, --version                    the version\n\n"
        "BYTES may be 65536, 64K, 512M or 2G; TIME 500ms, 10s, 5m, 1h, or plain milliseconds.\n");
    for (size_t i = 0; i < setting_count; i++) {
        const struct setting *setting = &settings[i];

        if (i == 0 || strcmp(setting->section, settings[i - 1].section) != 0) {
            fprintf(stream, "\n%s:\n", setting->section);
        }
        setting_option(setting, option);
        setting_format(setting, &defaults, value, sizeof value);
        snprintf(left, sizeof left, "%s%s", option, value_name(setting->kind));
        if (setting->kind == SETTING_SWITCH || value[0] == '\0') {
            fprintf(stream, "      --%-26s %s\n", left, setting->about);
        } else {
            fprintf(stream, "      --%-26s %s (%s)\n", left, setting->about, value);
        }
    }
    config_deinit(&defaults);
}
