#include "agents/cron/entries.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

void entries_init(struct entries *entries)
{
    *entries = (struct entries){.count = 0};
    list_init(&entries->list);
}

void entries_deinit(struct entries *entries)
{
    struct list *at;

    while ((at = list_first(&entries->list)) != NULL) {
        struct entry *entry = list_entry(at, struct entry, link);

        entries_take(entries, entry);
        entry_free(entry);
    }
}

struct entry *entries_find(const struct entries *entries, const char *name)
{
    list_each(at, &entries->list) {
        struct entry *entry = list_entry(at, struct entry, link);

        if (strcmp(entry->name, name) == 0) {
            return entry;
        }
    }
    return NULL;
}

bool entries_add(struct entries *entries, struct entry *entry, char *error, size_t error_size)
{
    CHECK(entries_find(entries, entry->name) == NULL);
    if (entries->count == ENTRIES_MAX) {
        snprintf(error, error_size, "there are %d entries already, which is the most", ENTRIES_MAX);
        return false;
    }
    if (entries->payload_bytes + entry->payload_bytes > ENTRIES_PAYLOADS_MAX) {
        snprintf(error, error_size, "all payloads together may have %d MiB, and have more with it",
                 ENTRIES_PAYLOADS_MAX / 1024 / 1024);
        return false;
    }
    list_push_back(&entries->list, &entry->link);
    entries->count++;
    entries->payload_bytes += entry->payload_bytes;
    return true;
}

void entries_take(struct entries *entries, struct entry *entry)
{
    list_unlink(&entry->link);
    entries->count--;
    entries->payload_bytes -= entry->payload_bytes;
}

json_t *entries_read_file(const char *path, bool *absent, char *error, size_t error_size)
{
    struct stat info;
    json_error_t problem;
    json_t *value;

    *absent = false;
    if (stat(path, &info) != 0) {
        *absent = errno == ENOENT;
        snprintf(error, error_size, "%s: %s", path, strerror(errno));
        return NULL;
    }
    if (!S_ISREG(info.st_mode) || info.st_size > ENTRIES_FILE_BYTES_MAX) {
        snprintf(error, error_size, "%s: a file of %d MiB at most is needed", path,
                 ENTRIES_FILE_BYTES_MAX / 1024 / 1024);
        return NULL;
    }
    value = json_load_file(path, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &problem);
    if (value == NULL) {
        snprintf(error, error_size, "%s:%d:%d: %s", path, problem.line, problem.column,
                 problem.text);
    }
    return value;
}

static bool add_one(struct entries *entries, json_t *source, bool configured, char *error,
                    size_t error_size)
{
    struct entry *entry = entry_new(source, error, error_size);

    if (entry == NULL) {
        return false;
    }
    entry->configured = configured;
    if (entries_find(entries, entry->name) != NULL) {
        snprintf(error, error_size, "name: there is one of that name already");
    } else if (entries_add(entries, entry, error, error_size)) {
        return true;
    }
    entry_free(entry);
    return false;
}

bool entries_add_all(struct entries *entries, json_t *list, bool configured, char *error,
                     size_t error_size)
{
    size_t index;
    json_t *source;

    json_array_foreach(list, index, source) {
        const char *name = json_string_value(json_object_get(source, "name"));
        char problem[ENTRY_ERROR_SIZE];

        if (!add_one(entries, source, configured, problem, sizeof problem)) {
            snprintf(error, error_size, "entry %zu%s%.40s%s: %s", index + 1,
                     name != NULL ? " (" : "", name != NULL ? name : "", name != NULL ? ")" : "",
                     problem);
            return false;
        }
    }
    return true;
}

bool entries_load(struct entries *entries, const char *path, char *error, size_t error_size)
{
    bool absent;
    json_t *file = entries_read_file(path, &absent, error, error_size);
    json_t *list = json_object_get(file, "entries");
    char problem[ENTRY_ERROR_SIZE + 80];
    bool good = false;

    if (file == NULL) {
        return false;
    }
    if (!json_is_array(list) || json_object_size(file) != 1) {
        snprintf(error, error_size, "%s: it has to be {\"entries\": [{\"name\": ...}, ...]}", path);
    } else {
        good = entries_add_all(entries, list, true, problem, sizeof problem);
        if (!good) {
            snprintf(error, error_size, "%s: %s", path, problem);
        }
    }
    json_decref(file);
    return good;
}
