/* links: shell */
/* What an operator writes: every mistake is named, nothing is half believed. */
#include "broker/shell/arguments.h"
#include "broker/shell/setting.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define ARGUMENTS_MAX 16

struct fixture {
    struct config config;
    struct problem problem;
    char path[64];
    char *argv[ARGUMENTS_MAX + 1];
    int argc;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    config_init(&f->config);
    f->argv[f->argc++] = "sluice-broker";
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    if (f->path[0] != '\0') {
        unlink(f->path);
    }
    config_deinit(&f->config);
    free(f);
    return 0;
}

static void given_argument(struct fixture *f, const char *argument)
{
    assert_true(f->argc < ARGUMENTS_MAX);
    f->argv[f->argc++] = (char *)argument;
}

/* Writes a config file of these bytes, and names it on the command line. */
static void given_bytes(struct fixture *f, const char *bytes, size_t size)
{
    int file;

    snprintf(f->path, sizeof f->path, "/tmp/test_config.XXXXXX");
    file = mkstemp(f->path);
    assert_true(file >= 0);
    assert_int_equal(write(file, bytes, size), size);
    close(file);
    given_argument(f, "--config");
    given_argument(f, f->path);
}

static void given_file(struct fixture *f, const char *text)
{
    given_bytes(f, text, strlen(text));
}

static enum arguments_result read_all(struct fixture *f)
{
    return arguments_read(&f->config, f->argc, f->argv, &f->problem);
}

static void expect_bad(struct fixture *f, const char *words)
{
    assert_int_equal(read_all(f), ARGUMENTS_BAD);
    if (strstr(f->problem.text, words) == NULL) {
        fail_msg("'%s' expected in: %s", words, f->problem.text);
    }
}

static void expect_bad_line(struct fixture *f, int line, const char *words)
{
    char place[96];

    expect_bad(f, words);
    snprintf(place, sizeof place, "%s:%d: ", f->path, line);
    if (strncmp(f->problem.text, place, strlen(place)) != 0) {
        fail_msg("line %d expected in: %s", line, f->problem.text);
    }
}

static void nothing_given_means_loopback(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(read_all(f), ARGUMENTS_RUN);
    assert_int_equal(f->config.endpoint_count, 1);
    assert_string_equal(f->config.endpoints[0].address, "tcp://127.0.0.1:5570");
}

static void every_default_passes_its_own_check(void **state)
{
    struct fixture *f = *state;
    char value[PEER_NAME_MAX + 1];

    for (size_t i = 0; i < setting_count; i++) {
        struct config before = f->config;

        setting_format(&settings[i], &f->config, value, sizeof value);
        if (!setting_apply(&settings[i], setting_target(&settings[i], &f->config), value,
                           &f->problem)) {
            fail_msg("%s", f->problem.text);
        }
        assert_memory_equal(&before, &f->config, sizeof before);
    }
}

static void every_setting_is_an_option(void **state)
{
    struct fixture *f = *state;
    char option[SETTING_OPTION_MAX], argument[128], value[PEER_NAME_MAX + 1];

    strcpy(f->config.store, "tasks.db");
    for (size_t i = 0; i < setting_count; i++) {
        setting_option(&settings[i], option);
        setting_format(&settings[i], &f->config, value, sizeof value);
        if (settings[i].kind == SETTING_SWITCH) {
            snprintf(argument, sizeof argument, "--%s", option);
        } else {
            snprintf(argument, sizeof argument, "--%s=%s", option, value);
        }
        f->argc = 1;
        given_argument(f, argument);
        f->config.endpoint_count = 0;
        if (read_all(f) != ARGUMENTS_RUN) {
            fail_msg("%s: %s", argument, f->problem.text);
        }
    }
}

static void units_are_understood(void **state)
{
    struct fixture *f = *state;

    given_file(f, "limits\n"
                  "    memory = 2G\n"
                  "    max_payload = 64KiB\n"
                  "    retain_bytes = 4096\n"
                  "timers\n"
                  "    ping_ms = 500ms\n"
                  "    silence_ms = 1m\n"
                  "    retain_ms = 2h\n"
                  "    backoff_ms = 7\n");
    assert_int_equal(read_all(f), ARGUMENTS_RUN);
    assert_int_equal(f->config.broker.memory_max, 2ULL << 30);
    assert_int_equal(f->config.broker.payload_max, 65536);
    assert_int_equal(f->config.broker.retain_bytes, 4096);
    assert_int_equal(f->config.broker.ping_ms, 500);
    assert_int_equal(f->config.broker.silence_ms, 60000);
    assert_int_equal(f->config.broker.retain_ms, 7200000);
    assert_int_equal(f->config.broker.backoff_ms, 7);
}

static void numbers_that_are_none_are_refused(void **state)
{
    static const char *const values[] = {"",
                                         "x",
                                         "-1",
                                         "1.5",
                                         "0x10",
                                         "1 M",
                                         "5T",
                                         "5MM",
                                         "+5",
                                         " 5",
                                         "18446744073709551616",
                                         "18446744073709551615K"};
    struct fixture *f = *state;
    const struct setting *memory = setting_find("limits", "memory");
    uint64_t before = f->config.broker.memory_max;

    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        assert_false(setting_apply(memory, &f->config, values[i], &f->problem));
        assert_int_equal(f->config.broker.memory_max, before);
    }
}

static void bounds_hold_on_both_sides(void **state)
{
    struct fixture *f = *state;
    const struct setting *attempts = setting_find("service", "attempts");
    struct service_limits limits = {0};

    assert_false(setting_apply(attempts, &limits, "0", &f->problem));
    assert_true(setting_apply(attempts, &limits, "1", &f->problem));
    assert_true(setting_apply(attempts, &limits, "100", &f->problem));
    assert_false(setting_apply(attempts, &limits, "101", &f->problem));
    assert_int_equal(limits.attempts, 100);
}

static void services_have_bounds_of_their_own(void **state)
{
    struct fixture *f = *state;

    given_file(f, "services\n"
                  "    tool.fetch\n"
                  "        max_tasks = 10   # few\n"
                  "\n"
                  "        attempts = 2\n"
                  "        durable = 1\n"
                  "    tool.calc\n"
                  "service\n"
                  "    max_tasks = 77\n"
                  "broker\n"
                  "    store = tasks.db\n");
    assert_int_equal(read_all(f), ARGUMENTS_RUN);
    assert_int_equal(f->config.service_count, 2);
    assert_true(f->config.services[0].limits.durable);
    assert_false(f->config.services[1].limits.durable);
    assert_string_equal(f->config.services[0].name, "tool.fetch");
    assert_int_equal(f->config.services[0].limits.max_tasks, 10);
    assert_int_equal(f->config.services[0].limits.attempts, 2);
    assert_string_equal(f->config.services[1].name, "tool.calc");
    assert_int_equal(f->config.services[1].limits.max_tasks, 0);
    assert_int_equal(f->config.broker.service.max_tasks, 77);
}

static void services_tenants_and_keys_have_limits(void **state)
{
    struct fixture *f = *state;
    const struct limit_values *api;
    const struct config_rule *rules;

    given_file(f, "services\n"
                  "    llm.chat\n"
                  "        max_tasks = 10\n"
                  "        rate = 50\n"
                  "        rate_ms = 2s\n"
                  "        breaker_failures = 5\n"
                  "        refuse = 1\n"
                  "        key = \"*\"\n"
                  "            concurrency = 4\n"
                  "        key = ann # of many\n"
                  "            weight = 3\n"
                  "        attempts = 2\n"
                  "        tenant = default\n"
                  "            rate = 7\n"
                  "tenants\n"
                  "    default\n"
                  "        concurrency = 100\n");
    assert_int_equal(read_all(f), ARGUMENTS_RUN);
    assert_int_equal(f->config.services[0].limits.max_tasks, 10);
    api = &f->config.services[0].values;
    assert_int_equal(api->rate, 50);
    assert_int_equal(api->rate_ms, 2000);
    assert_int_equal(api->breaker_failures, 5);
    assert_int_equal(api->refuse, 1);
    assert_true(api->concurrency == LIMIT_UNCHANGED);
    assert_int_equal(f->config.services[0].limits.attempts, 2);
    assert_int_equal(f->config.rule_count, 4);
    rules = f->config.rules;
    assert_string_equal(rules[0].service, "llm.chat");
    assert_string_equal(rules[0].key, "*");
    assert_int_equal(rules[0].values.concurrency, 4);
    assert_true(rules[0].values.weight == LIMIT_UNCHANGED);
    assert_string_equal(rules[1].key, "ann");
    assert_int_equal(rules[1].values.weight, 3);
    assert_string_equal(rules[2].service, "llm.chat");
    assert_string_equal(rules[2].tenant, "default");
    assert_string_equal(rules[2].key, "");
    assert_int_equal(rules[2].values.rate, 7);
    assert_string_equal(rules[3].service, "");
    assert_string_equal(rules[3].tenant, "default");
    assert_int_equal(rules[3].values.concurrency, 100);
}

static void a_wrong_line_is_named(void **state)
{
    static const struct {
        const char *text;
        int line;
        const char *words;
    } files[] = {
        {"# one\n\nbroker\n    # four\n    colour = red\n", 5, "colour"},
        {"colours\n", 1, "colours"},
        {"broker\n    name = a\n    name = b\n", 3, "twice"},
        {"limits\n    memory = 1\n", 2, "memory"},
        {"limits\n\n\n    memory = 1M\n   max_tasks = 1\n", 5, "4 spaces"},
        {"services\n    a\n    a\n", 3, "twice"},
        {"services\n    a\n        colour = 1\n", 3, "max_tasks"},
        {"services\n    a\n        rate = fast\n", 3, "rate"},
        {"services\n    a\n        rate = 1\n        rate = 2\n", 4, "twice"},
        {"services\n    a\n        breaker_percent = 101\n", 3, "100"},
        {"tenants\n    a\n        breaker_failures = 1\n", 3, "concurrency"},
        {"tenants\n    a\n        max_tasks = 1\n", 3, "unknown"},
        {"tenants\n    a\n    a\n", 3, "twice"},
        {"tenants\n    a = 5\n", 2, "no value"},
        {"tenants\n    a\n        weight = 2\n", 3, "unknown"},
        {"services\n    a\n        weight = 2\n", 3, "unknown"},
        {"services\n    a\n        key\n            rate = 2\n", 3, "which one"},
        {"services\n    a\n        key = b\n            max_tasks = 2\n", 4, "weight"},
        {"services\n    a\n        key = b\n            weight = 1001\n", 4, "1000"},
        {"services\n    a\n        key = b\n            weight = 1\n"
         "                c = 1\n", 5, "indented below"},
        {"services\n    a\n        tenant = b\n        tenant = b\n", 4, "twice"},
        {"services\n    a\n        key = b\n    c\n        key = b\n        key = b\n", 6, "twice"},
        {"services\n    a = 5\n", 2, "no value"},
        {"services\n    a+b\n", 2, "name"},
        {"broker\n    endpoint = tcp://127.0.0.1:1\n    endpoint = tcp://127.0.0.1:1\n", 3,
         "twice"},
        {"broker = 5\n", 1, "section"},
        {"broker\n    name = a\n        b = c\n", 3, "indented below"},
        {"broker\n    name = 'a\n", 2, "quotation"},
        {"broker\n    name = \"a\" b\n", 2, "quotation"},
        {"broker\r\n", 1, "carriage"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        given_file(f, files[i].text);
        expect_bad_line(f, files[i].line, files[i].words);
        unlink(f->path);
        f->argc = 1;
        config_deinit(&f->config);
        config_init(&f->config);
    }
}

static void a_file_that_is_no_config_is_refused(void **state)
{
    struct fixture *f = *state;

    given_bytes(f, "broker\n\0    colour = red\n", 24);
    expect_bad(f, "NUL");
    f->argc = 1;
    given_argument(f, "--config=/");
    expect_bad(f, "not a regular file");
    f->argc = 1;
    given_argument(f, "--config=/nonexistent/file");
    expect_bad(f, "No such file");
}

static void a_long_line_is_refused(void **state)
{
    struct fixture *f = *state;
    char text[2048];

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    given_file(f, text);
    expect_bad_line(f, 1, "1000 bytes");
}

static void the_command_line_wins(void **state)
{
    struct fixture *f = *state;

    given_argument(f, "--max-tasks=3");
    given_argument(f, "--endpoint=ipc://mine");
    given_file(f, "limits\n    max_tasks = 2\n    max_peers = 4\n"
                  "broker\n    endpoint = tcp://127.0.0.1:1\n");
    assert_int_equal(read_all(f), ARGUMENTS_RUN);
    assert_int_equal(f->config.broker.tasks_max, 3);
    assert_int_equal(f->config.broker.peers_max, 4);
    assert_int_equal(f->config.endpoint_count, 1);
    assert_string_equal(f->config.endpoints[0].text, "ipc://mine");
}

static void settings_that_contradict_each_other_are_refused(void **state)
{
    static const char *const arguments[][2] = {{"--ping-ms=10s", "silence_ms"},
                                               {"--backoff-max-ms=1ms", "backoff_max_ms"},
                                               {"--memory=1M", "memory"},
                                               {"--window-bytes=1M", "window_bytes"},
                                               {"--service-durable", "store"}};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof arguments / sizeof arguments[0]; i++) {
        config_deinit(&f->config);
        config_init(&f->config);
        f->argc = 1;
        given_argument(f, arguments[i][0]);
        expect_bad(f, arguments[i][1]);
    }
}

static void only_loopback_and_ipc_need_no_permission(void **state)
{
    static const struct {
        const char *endpoint;
        bool private;
    } cases[] = {
        {"tcp://127.0.0.1:1", true},    {"tcp://127.8.9.1:1", true},  {"tcp://[::1]:1", true},
        {"tcp://localhost:1", true},    {"ipc:///tmp/x", true},       {"ipc://@x", true},
        {"tcp://0.0.0.0:1", false},     {"tcp://*:1", false},         {"tcp://eth0:1", false},
        {"tcp://10.0.0.1:1", false},    {"tcp://[::]:1", false},      {"tcp://[fe80::1]:1", false},
        {"tcp://127.0.0.1.x:1", false}, {"tcp://128.0.0.1:1", false},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        f->config.allow_plain = false;
        f->argc = 1;
        given_argument(f, "-e");
        given_argument(f, cases[i].endpoint);
        if (cases[i].private) {
            assert_int_equal(read_all(f), ARGUMENTS_RUN);
            continue;
        }
        expect_bad(f, "not encrypted");
        given_argument(f, "--allow-plain");
        assert_int_equal(read_all(f), ARGUMENTS_RUN);
    }
}

static void what_is_no_endpoint_is_refused(void **state)
{
    static const char *const endpoints[] = {
        "",
        "tcp://",
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:",
        "tcp://:5570",
        "tcp://a:0",
        "tcp://a:65536",
        "tcp://a:1x",
        "tcp://::1:5570",
        "tcp://[]:1",
        "ipc://",
        "ipc://*",
        "udp://127.0.0.1:1",
        "inproc://x",
        "127.0.0.1:5570",
        "ipc:///0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/"
        "0123456789/0123456789/0123456789"};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof endpoints / sizeof endpoints[0]; i++) {
        assert_false(config_add_endpoint(&f->config, endpoints[i], &f->problem));
        assert_int_equal(f->config.endpoint_count, 0);
    }
}

static void endpoints_are_bounded(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < CONFIG_ENDPOINTS_MAX; i++) {
        assert_true(config_add_endpoint(&f->config, "tcp://127.0.0.1:*", &f->problem));
    }
    assert_false(config_add_endpoint(&f->config, "tcp://127.0.0.1:*", &f->problem));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(nothing_given_means_loopback),
        CASE(every_default_passes_its_own_check),
        CASE(every_setting_is_an_option),
        CASE(units_are_understood),
        CASE(numbers_that_are_none_are_refused),
        CASE(bounds_hold_on_both_sides),
        CASE(services_have_bounds_of_their_own),
        CASE(services_tenants_and_keys_have_limits),
        CASE(a_wrong_line_is_named),
        CASE(a_file_that_is_no_config_is_refused),
        CASE(a_long_line_is_refused),
        CASE(the_command_line_wins),
        CASE(settings_that_contradict_each_other_are_refused),
        CASE(only_loopback_and_ipc_need_no_permission),
        CASE(what_is_no_endpoint_is_refused),
        CASE(endpoints_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
