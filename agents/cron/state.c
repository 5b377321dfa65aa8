#include "agents/cron/state.h"

#include "agents/cron/moment.h"
#include "common/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define PATH_BYTES 4096

static bool take(struct state *state, char *error, size_t error_size)
{
    char path[PATH_BYTES];

    if ((size_t)snprintf(path, sizeof path, "%s.lock", state->path) >= sizeof path) {
        snprintf(error, error_size, "the state file's name is too long");
        return false;
    }
    state->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (state->lock_fd < 0) {
        snprintf(error, error_size, "%s: %s", path, strerror(errno));
        return false;
    }
    if (flock(state->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        snprintf(error, error_size, "%s: another sluice-cron has it; give each its own, or none",
                 state->path);
        return false;
    }
    return true;
}

/* And not a configuration, say, which would be written over. */
static bool is_state(const json_t *file)
{
    return json_is_array(json_object_get(file, "entries")) &&
           json_is_object(json_object_get(file, "last"));
}

/* Entries of the file that the configuration has not. */
static bool read_entries(json_t *file, struct entries *entries, char *error, size_t error_size)
{
    json_t *list = json_array(), *source;
    size_t index;
    bool good;

    json_array_foreach(json_object_get(file, "entries"), index, source) {
        const char *name = json_text(json_object_get(source, "name"));

        if (name == NULL || entries_find(entries, name) == NULL) {
            json_array_append(list, source);
        }
    }
    good = entries_add_all(entries, list, false, error, error_size);
    json_decref(list);
    return good;
}

static void plan_all(const json_t *file, struct entries *entries, int64_t now_s)
{
    const json_t *last = json_object_get(file, "last");

    list_each(at, &entries->list) {
        struct entry *entry = list_entry(at, struct entry, link);
        const char *text = json_string_value(json_object_get(last, entry->name));
        int64_t last_s;

        entry_plan(entry, text != NULL && moment_parse(text, &last_s) ? last_s : now_s);
    }
}

bool state_open(struct state *state, const char *path, struct entries *entries, int64_t now_s,
                char *error, size_t error_size)
{
    char problem[ENTRY_ERROR_SIZE + 80];
    json_t *file = NULL;
    bool absent, good;

    *state = (struct state){.lock_fd = -1};
    if (path == NULL) {
        plan_all(NULL, entries, now_s);
        return true;
    }
    state->path = strdup(path);
    if (state->path == NULL || !take(state, error, error_size)) {
        return false;
    }
    file = entries_read_file(path, &absent, error, error_size);
    if (file == NULL && !absent) {
        return false;
    }
    if (file != NULL && !is_state(file)) {
        snprintf(error, error_size, "%s: that is no state file of sluice-cron, and stays as it is; "
                 "name one that is, or a new one", path);
        json_decref(file);
        return false;
    }
    good = read_entries(file, entries, problem, sizeof problem);
    if (good) {
        plan_all(file, entries, now_s);
        state->dirty = true;
    } else {
        snprintf(error, error_size, "%s: %s", path, problem);
    }
    json_decref(file);
    return good;
}

static json_t *state_to_json(const struct entries *entries)
{
    json_t *list = json_array(), *last = json_object();
    char text[MOMENT_SIZE];

    list_each(at, &entries->list) {
        const struct entry *entry = list_entry(at, struct entry, link);

        if (!entry->configured) {
            json_array_append(list, entry->source);
        }
        moment_format(entry->last_s, text);
        json_object_set_new(last, entry->name, json_string(text));
    }
    return json_pack("{s:o, s:o}", "entries", list, "last", last);
}

/* The name of a file is safe on disk when its folder is. */
static int sync_folder(const char *path)
{
    char folder[PATH_BYTES];
    const char *slash = strrchr(path, '/');
    int fd, rc;

    snprintf(folder, sizeof folder, "%.*s", slash != NULL ? (int)(slash - path + 1) : 1,
             slash != NULL ? path : ".");
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    rc = fsync(fd) != 0 ? -errno : 0;
    close(fd);
    return rc;
}

static int write_file(const char *path, const json_t *value)
{
    /* Payloads are nobody else's business. */
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int rc = 0;

    if (fd < 0) {
        return -errno;
    }
    if (json_dumpfd(value, fd, JSON_COMPACT) != 0 || fsync(fd) != 0) {
        rc = errno != 0 ? -errno : -EIO;
    }
    close(fd);
    return rc;
}

int state_save(struct state *state, const struct entries *entries)
{
    char fresh[PATH_BYTES];
    json_t *value;
    int rc;

    if (state->path == NULL) {
        state->dirty = false;
        return 0;
    }
    state->dirty = true;
    value = state_to_json(entries);
    if (value == NULL) {
        return -ENOMEM;
    }
    snprintf(fresh, sizeof fresh, "%s.new", state->path);
    errno = 0;
    rc = write_file(fresh, value);
    json_decref(value);
    if (rc == 0 && rename(fresh, state->path) != 0) {
        rc = -errno;
    }
    rc = rc != 0 ? rc : sync_folder(state->path);
    state->dirty = rc != 0;
    return rc;
}

void state_close(struct state *state)
{
    if (state->lock_fd >= 0) {
        close(state->lock_fd); /* and so gives back the lock */
    }
    free(state->path);
    *state = (struct state){.lock_fd = -1};
}
