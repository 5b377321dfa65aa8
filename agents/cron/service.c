#include "agents/cron/service.h"

#include "agents/cron/moment.h"
#include "common/json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char add_schema[] =
    "{\"$schema\": \"https://json-schema.org/draft/2020-12/schema\","
    " \"type\": \"object\", \"required\": [\"name\", \"service\"],"
    " \"properties\": {"
    "  \"name\": {\"type\": \"string\", \"description\": \"of the entry\"},"
    "  \"cron\": {\"type\": \"string\", \"examples\": [\"0 3 * * mon-fri\"],"
    "           \"description\": \"minute hour day-of-month month day-of-week\"},"
    "  \"every\": {\"type\": [\"string\", \"integer\"], \"examples\": [\"10m\"],"
    "            \"description\": \"instead of cron: 30s, 10m, 2h; a number is milliseconds, of "
    "whole seconds\"},"
    "  \"zone\": {\"type\": \"string\", \"default\": \"UTC\", \"examples\": [\"Europe/Berlin\"],"
    "           \"description\": \"IANA name of the time zone of cron\"},"
    "  \"service\": {\"type\": \"string\", \"description\": \"who does it\"},"
    "  \"payload\": {\"description\": \"what it is told\"},"
    "  \"missed\": {\"enum\": [\"skip\", \"once\"], \"default\": \"skip\"},"
    "  \"overlap\": {\"enum\": [\"allow\", \"skip\", \"queue\"], \"default\": \"allow\"},"
    "  \"replace\": {\"type\": \"boolean\", \"default\": false,"
    "              \"description\": \"in place of the one of that name\"}}}";

static const char add_about[] =
    "Submits a task again and again, at planned times: by a cron expression in a time zone, or "
    "every so often. Answers with the next times.";

static const char name_schema[] =
    "{\"$schema\": \"https://json-schema.org/draft/2020-12/schema\","
    " \"type\": \"object\", \"required\": [\"name\"], \"additionalProperties\": false,"
    " \"properties\": {\"name\": {\"type\": \"string\"}}}";

static const char list_schema[] =
    "{\"$schema\": \"https://json-schema.org/draft/2020-12/schema\","
    " \"type\": \"object\", \"additionalProperties\": false,"
    " \"properties\": {\"name\": {\"type\": \"string\", \"description\": \"only this one\"}}}";

static json_t *moment_to_json(int64_t unix_s)
{
    char text[MOMENT_SIZE];

    moment_format(unix_s, text);
    return json_string(text);
}

/* ---- cron.list ---- */

static const char *state_name(const struct firing *firing, int64_t now_s)
{
    switch (firing->state) {
    case FIRING_NONE:
        return "none";
    case FIRING_SENT:
        return "sent";
    case FIRING_REFUSED:
        return "refused";
    case FIRING_ACCEPTED:
        return firing->planned_s > now_s ? "planned" : "due";
    case FIRING_ENDED:
        return sluice_outcome_name(firing->outcome);
    }
    return "none";
}

static json_t *firing_to_json(const struct entry *entry, int64_t now_s)
{
    const struct firing *firing = &entry->firing;
    struct sluice_id id = firing_id(&entry->work, firing->planned_s);
    char text[SLUICE_ID_TEXT_SIZE];
    json_t *value;

    sluice_id_format(&id, text);
    value = json_pack("{s:s, s:o, s:s}", "task", text, "planned",
                      moment_to_json(firing->planned_s), "state", state_name(firing, now_s));
    if (firing->code[0] != '\0') {
        json_object_set_new(value, "code", json_string(firing->code));
        json_object_set_new(value, "message", json_string(firing->reason));
    }
    return value;
}

static json_t *entry_to_json(const struct entry *entry, int64_t now_s)
{
    static const char *const given[] = {"cron", "every", "service", "overlap"};
    json_t *value = json_pack("{s:s, s:b, s:I, s:I, s:I}", "name", entry->name, "configured",
                              entry->configured, "runs", (json_int_t)entry->runs, "skipped",
                              (json_int_t)entry->skipped, "missed", (json_int_t)entry->missed);

    for (size_t i = 0; i < sizeof given / sizeof *given; i++) {
        json_t *text = json_object_get(entry->source, given[i]);

        if (text != NULL) {
            json_object_set(value, given[i], text);
        }
    }
    if (entry->plan.every_s == 0) {
        json_object_set_new(value, "zone", json_string(entry->plan.zone));
    }
    if (entry->next_s != ENTRY_NEVER) {
        json_object_set_new(value, "next", moment_to_json(entry->next_s));
    }
    if (entry->firing.state != FIRING_NONE) {
        json_object_set_new(value, "last", firing_to_json(entry, now_s));
    }
    return value;
}

/* Which entry is meant, NULL if that is not said. False: no entry can have that name, and the task
 * has failed. */
static bool name_arg(struct sluice_task *task, const char **name)
{
    const json_t *given = json_object_get(sluice_task_args(task), "name");

    *name = json_text(given);
    if (given != NULL && *name == NULL) {
        sluice_failf(task, "bad_arguments", "/name: must have no NUL");
        return false;
    }
    return true;
}

static void on_list(struct sluice_task *task, void *arg)
{
    struct schedule *schedule = arg;
    int64_t now_s = schedule_now_ms() / 1000;
    const char *name;
    json_t *rows;

    if (!name_arg(task, &name)) {
        return;
    }
    rows = json_array();
    list_each(at, &schedule->entries.list) {
        const struct entry *entry = list_entry(at, struct entry, link);

        if (name == NULL || strcmp(name, entry->name) == 0) {
            json_array_append_new(rows, entry_to_json(entry, now_s));
        }
    }
    if (name != NULL && json_array_size(rows) == 0) {
        json_decref(rows);
        sluice_failf(task, "no_such_entry", "there is no entry of that name; cron.list names them");
        return;
    }
    sluice_done_json(task, json_pack("{s:o}", "entries", rows));
}

/* ---- cron.add ---- */

#define NEXT_SHOWN 3

static json_t *next_to_json(const struct entry *entry)
{
    json_t *times = json_array();
    int64_t at_s = entry->last_s;

    for (int i = 0; i < NEXT_SHOWN && plan_next(&entry->plan, at_s, &at_s); i++) {
        json_array_append_new(times, moment_to_json(at_s));
    }
    return times;
}

/* The entry that the task describes; NULL: the task has failed. */
static struct entry *entry_of_task(struct sluice_task *task, bool *replace)
{
    json_t *source = json_copy(sluice_task_args(task));
    char error[ENTRY_ERROR_SIZE];
    struct entry *entry;

    *replace = json_is_true(json_object_get(source, "replace"));
    json_object_del(source, "replace");
    entry = entry_new(source, error, sizeof error);
    json_decref(source);
    if (entry == NULL) {
        sluice_failf(task, "bad_entry", "%s", error);
    }
    return entry;
}

/* Whether an entry may take the place of `old`. False: the task has failed. */
static bool may_replace(struct sluice_task *task, const struct entry *old, bool replace)
{
    if (old->configured) {
        sluice_failf(task, "configured", "'%s' is an entry of the configuration file; change it "
                     "there", old->name);
        return false;
    }
    if (!replace) {
        sluice_failf(task, "exists", "there is an entry '%s'; with \"replace\": true this one "
                     "takes its place", old->name);
    }
    return replace;
}

static void fail_state(struct sluice_task *task, int rc)
{
    struct sluice_error error = {
        .code = "state_unwritable", .message = strerror(-rc), .retryable = true};

    sluice_fail(task, &error);
}

/* Puts `entry` in the place of `old` (NULL: none), on disk too. False: the task has failed, and
 * the entries are as they were. */
static bool put(struct sluice_task *task, struct schedule *schedule, struct entry *entry,
                struct entry *old)
{
    struct entries *entries = &schedule->entries;
    char error[ENTRY_ERROR_SIZE];
    int rc = 0;

    if (old != NULL) {
        entries_take(entries, old);
    }
    if (!entries_add(entries, entry, error, sizeof error)) {
        sluice_failf(task, "too_many", "%s", error);
    } else if ((rc = state_save(&schedule->state, entries)) != 0) {
        entries_take(entries, entry);
        fail_state(task, rc);
    } else {
        return true;
    }
    if (old != NULL) {
        entries_add(entries, old, error, sizeof error); /* where it was, it fits */
    }
    return false;
}

static void on_add(struct sluice_task *task, void *arg)
{
    struct schedule *schedule = arg;
    struct entry *entry, *old;
    bool replace;

    entry = entry_of_task(task, &replace);
    if (entry == NULL) {
        return;
    }
    entry_plan(entry, schedule_now_ms() / 1000);
    old = entries_find(&schedule->entries, entry->name);
    if ((old != NULL && !may_replace(task, old, replace)) || !put(task, schedule, entry, old)) {
        entry_free(entry);
        return;
    }
    if (old != NULL) {
        firing_forget(&old->firing);
        entry_free(old);
    }
    sluice_log(schedule->sluice, "cron_added", "entry=%s service=%s by=%s", entry->name,
               entry->work.service, sluice_task_submitter(task));
    sluice_done_json(task, json_pack("{s:s, s:o}", "name", entry->name, "next",
                                     next_to_json(entry)));
    schedule_wake(schedule);
}

/* ---- cron.remove ---- */

/* It has a run whose time has not come, and which the broker may have. */
static bool is_ahead(const struct entry *entry)
{
    const struct firing *firing = &entry->firing;

    return (firing->state == FIRING_SENT || firing->state == FIRING_ACCEPTED) &&
           firing->planned_s > schedule_now_ms() / 1000;
}

/* The entry that may be removed, taken out on disk, too. NULL: the task has failed. */
static struct entry *take(struct sluice_task *task, struct schedule *schedule, const char *name)
{
    struct entry *entry = entries_find(&schedule->entries, name);
    char error[ENTRY_ERROR_SIZE];
    int rc;

    if (entry == NULL) {
        sluice_failf(task, "no_such_entry", "there is no entry of that name; cron.list names them");
        return NULL;
    }
    if (entry->configured) {
        sluice_failf(task, "configured", "'%s' is an entry of the configuration file; remove it "
                     "there", name);
        return NULL;
    }
    entries_take(&schedule->entries, entry);
    rc = state_save(&schedule->state, &schedule->entries);
    if (rc == 0) {
        return entry;
    }
    entries_add(&schedule->entries, entry, error, sizeof error); /* where it was, it fits */
    fail_state(task, rc);
    return NULL;
}

/* SUSPENDS. False: the broker may have it, and did not say that it has stopped. What the broker
 * does not have will not reach it any more. */
static bool stop_run(struct schedule *schedule, const struct sluice_id *id)
{
    json_t *reply = NULL;
    int rc = sluice_cancel_id(schedule->sluice, id, "its entry was removed", &reply);

    json_decref(reply);
    return rc == 0 || rc == -EREMOTEIO; /* that there is none, or none any more */
}

static void on_remove(struct sluice_task *task, void *arg)
{
    struct schedule *schedule = arg;
    struct entry *entry;
    struct sluice_id id;
    const char *name;
    bool ahead;

    if (!name_arg(task, &name)) {
        return;
    }
    entry = take(task, schedule, name);
    if (entry == NULL) {
        return;
    }
    sluice_log(schedule->sluice, "cron_removed", "entry=%s by=%s", name,
               sluice_task_submitter(task));
    id = firing_id(&entry->work, entry->firing.planned_s);
    ahead = is_ahead(entry);
    firing_forget(&entry->firing);
    entry_free(entry);
    if (ahead && !stop_run(schedule, &id)) {
        sluice_failf(task, "run_not_stopped",
                     "the entry is removed, but the broker did not say that its next run is; "
                     "`sluice list` shows it, `sluice cancel` stops it");
        return;
    }
    sluice_done_json(task, json_pack("{s:s}", "name", name));
}

int service_start(struct schedule *schedule)
{
    struct sluice_service services[] = {
        {.name = "cron.list", .handler = on_list, .sync = true, .schema = list_schema,
         .about = "The entries of this agent, with their next and last runs."},
        {.name = "cron.add", .handler = on_add, .sync = true, .schema = add_schema,
         .about = add_about, .exclusive = true},
        {.name = "cron.remove", .handler = on_remove, .schema = name_schema,
         .about = "Removes an entry that cron.add has added.", .exclusive = true},
    };
    size_t count = schedule->state.path != NULL ? 3 : 1;
    int rc = 0;

    for (size_t i = 0; i < count && rc == 0; i++) {
        services[i].arg = schedule;
        services[i].version = "1";
        rc = sluice_serve(schedule->sluice, &services[i]);
    }
    return rc;
}
