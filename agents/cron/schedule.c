#include "agents/cron/schedule.h"

#include "agents/cron/moment.h"

#include <string.h>
#include <time.h>

#define LEAD_S_MAX 30
/* A look at everything at least so often: clocks are set, tasks end; and while an answer of the
 * broker is awaited. */
#define TICK_MS_MAX 1000
#define TICK_MS_SENT 100
/* What was refused is submitted again so long after. */
#define REFUSED_RETRY_MS 2000
/* Losing these seconds of the state costs nothing: what is submitted again is the same task. So
 * it is written once a second, or more rarely where it takes long. */
#define SAVE_MS 1000
#define SAVE_SHARE 20 /* one twentieth of the time at most */
/* The clock was set back when more than this lies ahead of what was done already. */
#define CLOCK_BACK_S 120

int64_t schedule_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* At most half of the way from one time to the next: an entry's runs are seen to one by one. */
static int64_t lead_s(const struct entry *entry)
{
    int64_t half_s = (entry->next_s - entry->last_s) / 2;

    if (entry->overlap == OVERLAP_SKIP || half_s < 0) {
        return 0; /* whether it overlaps shows at its time */
    }
    return half_s < LEAD_S_MAX ? half_s : LEAD_S_MAX;
}

static void tell(struct schedule *schedule, const struct entry *entry, const char *event,
                 int64_t planned_s, const char *detail)
{
    struct sluice_id id = firing_id(&entry->work, planned_s);
    char id_text[SLUICE_ID_TEXT_SIZE], planned[MOMENT_SIZE];

    sluice_id_format(&id, id_text);
    moment_format(planned_s, planned);
    sluice_log(schedule->sluice, event, "entry=%s planned=%s task=%s%s%s", entry->name, planned,
               id_text, detail[0] != '\0' ? " " : "", detail);
}

static void settle(struct schedule *schedule, struct entry *entry, int64_t planned_s)
{
    entry->last_s = planned_s > entry->last_s ? planned_s : entry->last_s;
    schedule->state.dirty = true;
}

/* What was polled has changed. */
static void follow(struct schedule *schedule, struct entry *entry)
{
    struct firing *firing = &entry->firing;
    char detail[320];

    snprintf(detail, sizeof detail, "outcome=%s code=%s reason=\"%.200s\"",
             sluice_outcome_name(firing->outcome), firing->code, firing->reason);
    switch (firing->state) {
    case FIRING_ACCEPTED:
        entry->runs++;
        entry->refusal_told = false;
        settle(schedule, entry, firing->planned_s);
        tell(schedule, entry, "cron_planned", firing->planned_s,
             firing->shared ? "by=another" : "by=us");
        break;
    case FIRING_ENDED:
        tell(schedule, entry, "cron_ended", firing->planned_s,
             firing->code[0] != '\0' ? detail : "outcome=done");
        break;
    case FIRING_REFUSED:
        if (!entry->refusal_told) {
            tell(schedule, entry, "cron_refused", firing->planned_s, detail);
        }
        entry->refusal_told = true;
        break;
    case FIRING_NONE:
    case FIRING_SENT:
        break;
    }
}

/* The broker does not have it: it is submitted again, or too late. True: that is done with. */
static bool insist(struct schedule *schedule, struct entry *entry, int64_t now_ms)
{
    struct firing *firing = &entry->firing;

    if (now_ms > (firing->planned_s + entry->late_s) * 1000) {
        const char *reason = firing->state == FIRING_SENT ? "reason=no_answer"
                             : firing->shared            ? "reason=lost"
                                                         : "reason=refused";

        entry->missed++;
        tell(schedule, entry, "cron_missed", firing->planned_s, reason);
        settle(schedule, entry, firing->planned_s);
        firing_forget(firing);
        return true;
    }
    if (firing->state == FIRING_REFUSED &&
        sluice_now_ms(schedule->sluice) >= firing->refused_ms + REFUSED_RETRY_MS) {
        firing_start(firing, schedule->sluice, &entry->work, firing->planned_s, now_ms);
    }
    return false;
}

/* The time that is to be submitted now, if any: of several that have passed, the last. */
static bool find_due(struct schedule *schedule, struct entry *entry, int64_t now_ms,
                     int64_t *planned_s)
{
    int64_t now_s = now_ms / 1000, since_s = now_s - entry->late_s - 1;

    if (entry->next_s == ENTRY_NEVER || entry->next_s - lead_s(entry) > now_s) {
        return false;
    }
    *planned_s = entry->next_s;
    if (*planned_s > now_s) {
        return true;
    }
    if (plan_latest(&entry->plan, since_s > *planned_s - 1 ? since_s : *planned_s - 1, now_s,
                    planned_s)) {
        if (*planned_s != entry->next_s) {
            entry->missed++;
            tell(schedule, entry, "cron_missed", entry->next_s, "reason=passed");
        }
        return true;
    }
    entry->missed++;
    tell(schedule, entry, "cron_missed", entry->next_s, "reason=passed");
    settle(schedule, entry, now_s);
    entry_plan(entry, now_s);
    return false;
}

static void step(struct schedule *schedule, struct entry *entry, int64_t now_ms)
{
    struct firing *firing = &entry->firing;
    int64_t planned_s;

    if (entry->next_s == ENTRY_NEVER) {
        entry_plan(entry, entry->last_s); /* its zone's file may be back */
    }
    while (firing_poll(firing, schedule->sluice, &entry->work)) {
        follow(schedule, entry);
    }
    if ((firing->state == FIRING_SENT || firing->state == FIRING_REFUSED) &&
        !insist(schedule, entry, now_ms)) {
        return; /* one after the other */
    }
    if (entry->last_s > now_ms / 1000 + LEAD_S_MAX + CLOCK_BACK_S) {
        entry_plan(entry, now_ms / 1000);
    }
    if (!find_due(schedule, entry, now_ms, &planned_s)) {
        return;
    }
    if (entry->overlap == OVERLAP_SKIP && firing->state == FIRING_ACCEPTED) {
        entry->skipped++;
        tell(schedule, entry, "cron_skipped", planned_s, "reason=overlap");
        settle(schedule, entry, planned_s);
    } else {
        firing_start(firing, schedule->sluice, &entry->work, planned_s, now_ms);
        if (firing->state == FIRING_NONE) {
            return; /* no memory: it stays due */
        }
    }
    if (!plan_next(&entry->plan, planned_s, &entry->next_s)) {
        entry->next_s = ENTRY_NEVER;
    }
}

static void save(struct schedule *schedule)
{
    uint64_t begin_ms = sluice_now_ms(schedule->sluice);
    int rc;

    if (!schedule->state.dirty || begin_ms < schedule->save_ms) {
        return;
    }
    rc = state_save(&schedule->state, &schedule->entries);
    uv_update_time(sluice_loop(schedule->sluice));
    schedule->save_ms =
        begin_ms + SAVE_MS + SAVE_SHARE * (sluice_now_ms(schedule->sluice) - begin_ms);
    if (rc != 0) {
        sluice_log(schedule->sluice, "cron_state_unwritable", "file=%s error=\"%s\"",
                   schedule->state.path, strerror(-rc));
    }
}

/* When to look again. */
static uint64_t nap_ms(const struct schedule *schedule, int64_t now_ms)
{
    int64_t least_ms = TICK_MS_MAX;

    list_each(at, &schedule->entries.list) {
        const struct entry *entry = list_entry(at, struct entry, link);
        int64_t left_ms = TICK_MS_MAX;

        if (entry->firing.state == FIRING_SENT) {
            left_ms = TICK_MS_SENT;
        } else if (entry->firing.state != FIRING_REFUSED && entry->next_s != ENTRY_NEVER) {
            left_ms = (entry->next_s - lead_s(entry)) * 1000 - now_ms;
            left_ms = left_ms > 0 ? left_ms : TICK_MS_SENT; /* it is due: there was no memory */
        }
        least_ms = left_ms < least_ms ? left_ms : least_ms;
    }
    return least_ms < 1 ? 1 : (uint64_t)least_ms;
}

static void on_timer(uv_timer_t *timer)
{
    struct schedule *schedule = timer->data;
    int64_t now_ms = schedule_now_ms();

    list_each(at, &schedule->entries.list) {
        step(schedule, list_entry(at, struct entry, link), now_ms);
    }
    save(schedule);
    uv_timer_start(timer, on_timer, nap_ms(schedule, schedule_now_ms()), 0);
}

int schedule_start(struct schedule *schedule)
{
    int rc = uv_timer_init(sluice_loop(schedule->sluice), &schedule->timer);

    schedule->timer.data = schedule;
    return rc ? rc : uv_timer_start(&schedule->timer, on_timer, 0, 0);
}

void schedule_wake(struct schedule *schedule)
{
    uv_timer_start(&schedule->timer, on_timer, 0, 0);
}
