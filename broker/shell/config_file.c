/* The config file: ZPL, read with czmq's zconfig.
 *
 * zconfig keeps no line numbers. But it makes one node of every line that is
 * neither blank nor comment, in order; so the nth node of the tree, parents
 * before children, came from the nth such line. */
#include "broker/shell/config.h"
#include "broker/shell/setting.h"

#include <czmq.h>
#include <fcntl.h>
#include <sys/stat.h>

#define LINE_BYTES_MAX 1000 /* zconfig reads lines into a buffer of 1024 */

/* A file being read: its bytes, its lines, and how far the tree has been walked. */
struct source {
    const char *path;
    char *text; /* NUL-terminated */
    int *lines; /* line of each node */
    size_t line_count;
    size_t line_next;
    struct config *config;
    struct problem *problem;
};

static bool fail_at(const struct source *source, int line)
{
    struct problem why = *source->problem;

    problem_set(source->problem, "%s:%d: %.900s", source->path, line, why.text);
    return false;
}

static bool read_text(struct source *source)
{
    struct stat status;
    ssize_t got = 0;
    int file = open(source->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (file < 0 || fstat(file, &status) != 0) {
        problem_set(source->problem, "cannot read %s: %s", source->path, strerror(errno));
        goto out;
    }
    if (!S_ISREG(status.st_mode) || status.st_size > CONFIG_FILE_BYTES_MAX) {
        problem_set(source->problem, "%s is no config file: %s", source->path,
                    S_ISREG(status.st_mode) ? "it is larger than 1 MiB" : "not a regular file");
        goto out;
    }
    source->text = malloc((size_t)status.st_size + 1);
    source->lines = malloc(((size_t)status.st_size + 1) * sizeof *source->lines);
    if (source->text == NULL || source->lines == NULL) {
        problem_set(source->problem, "out of memory");
        goto out;
    }
    got = read(file, source->text, (size_t)status.st_size);
    if (got != status.st_size) {
        problem_set(source->problem, "cannot read %s: it changed meanwhile", source->path);
        goto out;
    }
    source->text[got] = '\0';
    if (strlen(source->text) != (size_t)got) {
        problem_set(source->problem, "%s is no config file: it has a NUL byte", source->path);
        goto out;
    }
    close(file);
    return true;
out:
    if (file >= 0) {
        close(file);
    }
    return false;
}

/* What is wrong with the form of a line that is neither blank nor comment; NULL:
 * nothing. Stricter than zconfig, which prints its complaints to standard output. */
static const char *line_fault(const char *line, size_t size, size_t level_max)
{
    static const char name_characters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                          "0123456789_.-";
    size_t indent = strspn(line, " ");
    const char *at = line + indent, *end = line + size, *quote;
    size_t name_size = strspn(at, name_characters);

    if (indent % 4 != 0) {
        return "indent by 4 spaces at once";
    }
    if (indent / 4 > level_max) {
        return "indented deeper than what it belongs to allows";
    }
    at += name_size;
    at += strspn(at, " ");
    if (name_size == 0 || (at < end && *at != '=' && *at != '#')) {
        return "write `key = value`, or the name of a section alone";
    }
    at += at < end && *at == '=';
    at += strspn(at, " ");
    if (at < end && (*at == '"' || *at == '\'')) {
        quote = memchr(at + 1, *at, (size_t)(end - at - 1));
        if (quote == NULL) {
            return "the quotation mark is not closed";
        }
        at = quote + 1;
        at += strspn(at, " ");
        if (at < end && *at != '#') {
            return "something follows the closing quotation mark";
        }
    }
    return NULL;
}

/* Finds the lines that zconfig makes nodes of, and refuses what it would mangle. */
static bool index_lines(struct source *source)
{
    const char *at = source->text;
    size_t level_max = 0;

    for (int number = 1; *at != '\0'; number++) {
        size_t size = strcspn(at, "\n");
        size_t indent = strspn(at, " ");
        const char *fault = NULL;

        if (size > LINE_BYTES_MAX) {
            fault = "the line is longer than 1000 bytes";
        } else if (memchr(at, '\r', size) != NULL || memchr(at, '\t', size) != NULL) {
            fault = "a tab or carriage return: indent by 4 spaces, end lines with a line feed";
        } else if (indent < size && at[indent] != '#') {
            fault = line_fault(at, size, level_max);
            level_max = indent / 4 + 1;
            source->lines[source->line_count++] = number;
        }
        if (fault != NULL) {
            problem_set(source->problem, "%s", fault);
            return fail_at(source, number);
        }
        at += size + (at[size] == '\n');
    }
    return true;
}

static size_t count_nodes(zconfig_t *node)
{
    size_t count = 0;

    /* zconfig bounds nesting by the line length; 250 levels at most. */
    for (node = zconfig_child(node); node != NULL; node = zconfig_next(node)) {
        count += 1 + count_nodes(node);
    }
    return count;
}

/* The line of the node that the walk has just reached. */
static int next_line(struct source *source)
{
    return source->lines[source->line_next++];
}

static void list_keys(struct problem *problem, const struct setting *from, size_t count,
                      const char *section)
{
    size_t used = strlen(problem->text);

    for (size_t i = 0; i < count; i++) {
        if (strcmp(from[i].section, section) == 0 && used < sizeof problem->text) {
            used += (size_t)snprintf(problem->text + used, sizeof problem->text - used, " %s",
                                     from[i].key);
        }
    }
}

static bool unknown_key(struct source *source, const char *section, const char *key, int line)
{
    struct problem *problem = source->problem;
    size_t used;

    snprintf(problem->text, sizeof problem->text,
             "unknown key '%.100s' in section '%s'; its keys are:", key, section);
    list_keys(problem, settings, setting_count, section);
    used = strlen(problem->text);
    if (strcmp(section, "broker") == 0) {
        snprintf(problem->text + used, sizeof problem->text - used, " endpoint");
    }
    return fail_at(source, line);
}

/* One `key = value` of `section` into `target`. `seen` marks keys that were there before. */
static bool read_setting(struct source *source, const char *section, zconfig_t *node, void *target,
                         bool *seen, int line)
{
    const struct setting *setting = setting_find(section, zconfig_name(node));

    if (setting == NULL) {
        return unknown_key(source, section, zconfig_name(node), line);
    }
    if (zconfig_child(node) != NULL) {
        problem_set(source->problem, "%s is a key, not a section: nothing may be indented below it",
                    setting->key);
        return fail_at(source, next_line(source));
    }
    if (seen[setting - settings]) {
        problem_set(source->problem, "%s is given twice", setting->key);
        return fail_at(source, line);
    }
    seen[setting - settings] = true;
    return setting_apply(setting, target != NULL ? target : setting_target(setting, source->config),
                         zconfig_value(node), source->problem) ||
           fail_at(source, line);
}

/* The keys of a section. `target` NULL: where the setting belongs. */
static bool read_settings(struct source *source, const char *section, zconfig_t *parent,
                          void *target)
{
    bool *seen = calloc(setting_count, sizeof *seen);
    bool good = seen != NULL;

    if (!good) {
        problem_set(source->problem, "out of memory");
    }
    for (zconfig_t *node = zconfig_child(parent); good && node != NULL; node = zconfig_next(node)) {
        int line = next_line(source);

        if (strcmp(section, "broker") == 0 && strcmp(zconfig_name(node), "endpoint") == 0) {
            good = zconfig_child(node) == NULL &&
                   config_add_endpoint(source->config, zconfig_value(node), source->problem);
            if (!good) {
                fail_at(source, line);
            }
        } else {
            good = read_setting(source, section, node, target, seen, line);
        }
    }
    free(seen);
    return good;
}

/* Something with limits: a service, or (service NULL) a tenant or a fairness key. */
struct entry {
    const char *kind; /* of limit_setting_find */
    struct config_service *service;
    struct limit_values *values;
};

/* Where a key of an entry belongs; NULL: unknown. */
static const struct setting *entry_setting(const struct entry *entry, const char *key,
                                           void **target)
{
    const struct setting *setting = entry->service != NULL ? setting_find("service", key) : NULL;

    *target = entry->service != NULL ? &entry->service->limits : NULL;
    if (setting == NULL) {
        setting = limit_setting_find(key, entry->kind);
        *target = entry->values;
    }
    return setting;
}

static bool unknown_entry_key(struct source *source, const struct entry *entry, const char *key,
                              int line)
{
    snprintf(source->problem->text, sizeof source->problem->text,
             "unknown key '%.100s' of a %s; there are:", key,
             entry->service != NULL ? "service" : entry->kind);
    list_keys(source->problem, limit_settings, limit_setting_count, "tenant");
    if (strcmp(entry->kind, "tenant") != 0) {
        list_keys(source->problem, limit_settings, limit_setting_count, entry->kind);
    }
    if (entry->service != NULL) {
        list_keys(source->problem, settings, setting_count, "service");
    }
    return fail_at(source, line);
}

/* True: a key before `node` has its name. */
static bool said_before(zconfig_t *parent, const zconfig_t *node)
{
    for (zconfig_t *at = zconfig_child(parent); at != node; at = zconfig_next(at)) {
        if (strcmp(zconfig_name(at), zconfig_name((zconfig_t *)node)) == 0) {
            return true;
        }
    }
    return false;
}

/* One key of `entry`, on `line`. */
static bool read_value(struct source *source, zconfig_t *parent, zconfig_t *node,
                       const struct entry *entry, int line)
{
    void *target;
    const struct setting *setting = entry_setting(entry, zconfig_name(node), &target);

    if (setting == NULL) {
        return unknown_entry_key(source, entry, zconfig_name(node), line);
    }
    if (zconfig_child(node) != NULL) {
        problem_set(source->problem,
                    "%s is a key, not a section: nothing may be indented below it", setting->key);
        return fail_at(source, next_line(source));
    }
    if (said_before(parent, node)) {
        problem_set(source->problem, "%s is given twice", setting->key);
        return fail_at(source, line);
    }
    return setting_apply(setting, target, zconfig_value(node), source->problem) ||
           fail_at(source, line);
}

/* What is below a tenant or a key. */
static bool read_rule(struct source *source, zconfig_t *parent, const char *service,
                      const char *tenant, const char *key, int line)
{
    struct config_rule *rule =
        config_add_rule(source->config, service, tenant, key, source->problem);
    struct entry entry = {.kind = key[0] != '\0' ? "key" : "tenant"};

    if (rule == NULL) {
        return fail_at(source, line);
    }
    entry.values = &rule->values;
    for (zconfig_t *node = zconfig_child(parent); node != NULL; node = zconfig_next(node)) {
        if (!read_value(source, parent, node, &entry, next_line(source))) {
            return false;
        }
    }
    return true;
}

/* What is below a service: its keys, and what its tenants and fairness keys may take. */
static bool read_service(struct source *source, zconfig_t *parent, struct config_service *service)
{
    const struct entry entry = {"limit", service, &service->values};

    for (zconfig_t *node = zconfig_child(parent); node != NULL; node = zconfig_next(node)) {
        bool of_key = strcmp(zconfig_name(node), "key") == 0;
        int line = next_line(source);
        const char *value = zconfig_value(node);
        bool good;

        if (!of_key && strcmp(zconfig_name(node), "tenant") != 0) {
            good = read_value(source, parent, node, &entry, line);
        } else if (value[0] == '\0') {
            problem_set(source->problem, "which one? Write `%s = \"NAME\"`", zconfig_name(node));
            good = fail_at(source, line);
        } else {
            good = read_rule(source, node, service->name, of_key ? "" : value,
                             of_key ? value : "", line);
        }
        if (!good) {
            return false;
        }
    }
    return true;
}

/* Names with keys below them: services, or tenants. */
static bool read_entries(struct source *source, zconfig_t *parent, bool of_tenants)
{
    for (zconfig_t *node = zconfig_child(parent); node != NULL; node = zconfig_next(node)) {
        int line = next_line(source);
        struct config_service *service;

        if (zconfig_value(node)[0] != '\0') {
            problem_set(source->problem, "a %s has no value; put its keys below it, indented "
                                         "by 4 more spaces", of_tenants ? "tenant" : "service");
            return fail_at(source, line);
        }
        if (of_tenants) {
            if (!read_rule(source, node, "", zconfig_name(node), "", line)) {
                return false;
            }
            continue;
        }
        service = config_add_service(source->config, zconfig_name(node), source->problem);
        if (service == NULL) {
            return fail_at(source, line);
        }
        if (!read_service(source, node, service)) {
            return false;
        }
    }
    return true;
}

static bool read_section(struct source *source, zconfig_t *node)
{
    static const char *const sections[] = {"broker", "limits", "service", "timers", NULL};
    const char *name = zconfig_name(node);
    int line = next_line(source);

    if (zconfig_value(node)[0] != '\0') {
        problem_set(source->problem,
                    "'%.100s' stands outside any section; keys are indented by 4 spaces below "
                    "broker, limits, service, timers, services or tenants",
                    name);
        return fail_at(source, line);
    }
    if (strcmp(name, "services") == 0 || strcmp(name, "tenants") == 0) {
        return read_entries(source, node, strcmp(name, "tenants") == 0);
    }
    for (size_t i = 0; sections[i] != NULL; i++) {
        if (strcmp(name, sections[i]) == 0) {
            return read_settings(source, name, node, NULL);
        }
    }
    problem_set(source->problem,
                "unknown section '%.100s'; there are broker, limits, service, timers, services and "
                "tenants",
                name);
    return fail_at(source, line);
}

static bool read_tree(struct source *source, zconfig_t *root)
{
    /* Not reached unless zconfig's idea of a good line is narrower than line_fault's. */
    if (root == NULL || count_nodes(root) != source->line_count) {
        problem_set(source->problem, "%s is not in ZPL form: `key = value`, one a line",
                    source->path);
        return false;
    }
    for (zconfig_t *node = zconfig_child(root); node != NULL; node = zconfig_next(node)) {
        if (!read_section(source, node)) {
            return false;
        }
    }
    return true;
}

bool config_read_file(struct config *config, const char *path, struct problem *problem)
{
    struct source source = {.path = path, .config = config, .problem = problem};
    zconfig_t *root = NULL;
    bool good = read_text(&source) && index_lines(&source);

    if (good) {
        root = zconfig_str_load(source.text);
        good = read_tree(&source, root);
    }
    zconfig_destroy(&root);
    free(source.lines);
    free(source.text);
    return good;
}
