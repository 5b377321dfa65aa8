/* links: retriever */
/* From folders to the index, and in step with them: the walk, the scan, the watch. */
#include "tests/unit/retriever_fixture.h"

#include "agents/retriever/folder.h"
#include "agents/retriever/scan.h"
#include "agents/retriever/search.h"
#include "agents/retriever/watch.h"

#include <pthread.h>

struct fixture {
    struct scratch scratch;
    struct index *index;
    struct scan scan;
    const char *roots[3];
    struct buffer log; /* event ids, a blank behind each */
    const char *swapped, *target; /* becomes a link to that when the walk is over; NULL: nothing */
};

/* As somebody may do who can write into the folder. */
static void swap_for_link(const struct fixture *f)
{
    tree_remove(f->swapped);
    assert_int_equal(symlink(f->target, f->swapped), 0);
}

static void note(void *arg, const struct log_record *record)
{
    struct fixture *f = arg;

    if (f->swapped != NULL && strcmp(record->event, "folder_truncated") == 0) {
        swap_for_link(f);
    }
    buffer_add_text(&f->log, record->event);
    buffer_add_text(&f->log, " ");
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    char error[INDEX_ERROR_SIZE];

    CHECK(f != NULL);
    scratch_open(&f->scratch);
    f->index = index_open(NULL, error);
    CHECK(f->index != NULL);
    f->roots[0] = f->scratch.path;
    f->scan = (struct scan){
        .index = f->index, .roots = f->roots, .root_count = 1, .log = note, .log_arg = f};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    index_close(f->index);
    scratch_close(&f->scratch);
    buffer_deinit(&f->log);
    free(f);
    return 0;
}

/* ---- the walk ------------------------------------------------------------------------- */

static void assert_files(struct fixture *f, size_t root_count, const char *expected)
{
    struct buffer names = {0};
    struct folder folder;

    folder_walk(&folder, f->roots, root_count, NULL);
    for (size_t i = 0; i < folder.file_count; i++) {
        buffer_add_text(&names, i > 0 ? " " : "");
        buffer_add_text(&names, folder.files[i].path + strlen(f->scratch.path) + 1);
        assert_ptr_equal(folder_find(&folder, folder.files[i].path), &folder.files[i]);
    }
    assert_string_equal(buffer_text(&names), expected);
    assert_null(folder_find(&folder, "absent"));
    buffer_deinit(&names);
    folder_deinit(&folder);
}

static void the_walk_finds_documents_and_nothing_else(void **state)
{
    struct fixture *f = *state;

    scratch_folder(&f->scratch, "sub");
    scratch_folder(&f->scratch, ".hidden");
    scratch_write(&f->scratch, "sub/b.txt", "b");
    scratch_write(&f->scratch, "a.md", "a");
    scratch_write(&f->scratch, "program.c", "c");
    scratch_write(&f->scratch, ".secret.md", "s");
    scratch_write(&f->scratch, ".hidden/c.md", "s");
    scratch_write(&f->scratch, "bad\xFFname.md", "x");
    scratch_write(&f->scratch, "bad\nname.md", "x");
    assert_int_equal(mkfifo(scratch_path(&f->scratch, "pipe.md"), 0600), 0);
    assert_files(f, 1, "a.md sub/b.txt");
}

static void links_neither_loop_nor_lead_out(void **state)
{
    struct fixture *f = *state;
    struct scratch outside;

    scratch_open(&outside);
    scratch_folder(&f->scratch, "sub");
    scratch_folder(&f->scratch, ".data");
    scratch_write(&f->scratch, "sub/real.md", "real");
    scratch_write(&f->scratch, ".data/config.md", "as a cluster mounts it");
    scratch_write(&outside, "private.md", "private");
    assert_int_equal(symlink("..", scratch_path(&f->scratch, "sub/loop")), 0);
    assert_int_equal(symlink("self.md", scratch_path(&f->scratch, "self.md")), 0);
    assert_int_equal(symlink("sub/real.md", scratch_path(&f->scratch, "alias.md")), 0);
    assert_int_equal(symlink(".data/config.md", scratch_path(&f->scratch, "config.md")), 0);
    assert_int_equal(
        symlink(scratch_path(&outside, "private.md"), scratch_path(&f->scratch, "leak.md")), 0);
    assert_int_equal(symlink(outside.path, scratch_path(&f->scratch, "out")), 0);
    assert_files(f, 1, "config.md sub/real.md");
    scratch_close(&outside);
}

static void overlapping_roots_and_single_files_count_once(void **state)
{
    struct fixture *f = *state;
    char sub[300], file[300];

    scratch_folder(&f->scratch, "sub");
    scratch_write(&f->scratch, "sub/b.md", "b");
    scratch_write(&f->scratch, "a.md", "a");
    snprintf(sub, sizeof sub, "%s/sub//", f->scratch.path);
    snprintf(file, sizeof file, "%s/a.md", f->scratch.path);
    f->roots[0] = sub;
    assert_files(f, 1, "sub/b.md");
    f->roots[1] = file;
    assert_files(f, 2, "a.md sub/b.md");
    f->roots[2] = f->scratch.path;
    assert_files(f, 3, "a.md sub/b.md");
}

static void make_deep_folder(struct fixture *f)
{
    struct buffer path = {0};

    buffer_add_text(&path, f->scratch.path);
    for (unsigned i = 0; i < FOLDER_DEPTH_MAX + 5; i++) {
        buffer_add_text(&path, "/d");
        assert_int_equal(mkdir(path.data, 0700), 0);
    }
    buffer_deinit(&path);
}

static void the_walk_is_bounded_in_depth(void **state)
{
    struct fixture *f = *state;
    struct folder folder;

    make_deep_folder(f);
    folder_walk(&folder, f->roots, 1, NULL);
    assert_true(folder.truncated);
    assert_int_equal(folder.folder_count, FOLDER_DEPTH_MAX);
    folder_deinit(&folder);
}

/* ---- the scan --------------------------------------------------------------------------- */

static void scan(struct fixture *f, size_t read, size_t removed)
{
    struct folder folder = {0};

    assert_true(scan_run(&f->scan, &folder));
    assert_int_equal(f->scan.read, read);
    assert_int_equal(f->scan.removed, removed);
    folder_deinit(&folder);
}

static size_t found(struct index *index, const char *query)
{
    struct search search = {.query = span_from_text(query), .limit = 8};

    assert_int_equal(search_run(index, &search), SQLITE_OK);
    search_deinit(&search);
    return search.total;
}

static void a_scan_reads_only_what_has_changed(void **state)
{
    struct fixture *f = *state;

    scratch_write(&f->scratch, "a.md", "apples\n");
    scratch_write(&f->scratch, "b.txt", "bananas\n");
    scan(f, 2, 0);
    scan(f, 0, 0);
    scratch_write(&f->scratch, "a.md", "cherries\n");
    scan(f, 1, 0);
    assert_int_equal(found(f->index, "apples"), 0);
    assert_int_equal(found(f->index, "cherries"), 1);
    unlink(scratch_path(&f->scratch, "b.txt"));
    scan(f, 0, 1);
    assert_int_equal(found(f->index, "bananas"), 0);
}

static void an_edit_that_keeps_size_and_time_is_seen(void **state)
{
    struct fixture *f = *state;
    struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    const char *path = scratch_write(&f->scratch, "a.md", "apples\n");

    assert_int_equal(utimensat(0, path, times, 0), 0);
    scan(f, 1, 0);
    scratch_write(&f->scratch, "a.md", "grapes\n");
    assert_int_equal(utimensat(0, path, times, 0), 0);
    scan(f, 1, 0);
    assert_int_equal(found(f->index, "grapes"), 1);
}

static void a_file_without_text_is_not_read_again(void **state)
{
    struct fixture *f = *state;

    scratch_write(&f->scratch, "no.md.gz", "not gzip\n");
    scratch_write(&f->scratch, "empty.md", "\n\n");
    scratch_write(&f->scratch, "program.1", "no manual page\n");
    scan(f, 3, 0);
    assert_int_equal(f->scan.skipped, 3);
    scan(f, 0, 0);
}

static void a_folder_that_becomes_a_link_publishes_nothing(void **state)
{
    struct fixture *f = *state;
    struct scratch outside;
    char *pdf = realpath(FIXTURES "two-pages.pdf", NULL);
    char sub[300];

    assert_non_null(pdf);
    make_deep_folder(f); /* so that the log tells of the end of the walk */
    scratch_open(&outside);
    scratch_write(&outside, "a.md", "private\n");
    assert_int_equal(symlink(pdf, scratch_path(&outside, "b.pdf")), 0);
    scratch_folder(&f->scratch, "sub");
    scratch_write(&f->scratch, "sub/a.md", "apples\n");
    scratch_write(&f->scratch, "sub/b.pdf", "none\n");
    snprintf(sub, sizeof sub, "%s/sub", f->scratch.path);
    f->swapped = sub;
    f->target = outside.path;
    scan(f, 0, 0);
    assert_int_equal(found(f->index, "private"), 0);
    assert_int_equal(found(f->index, "sluices"), 0);
    f->swapped = NULL;
    scan(f, 0, 0);
    scratch_close(&outside);
    free(pdf);
}

static void a_root_that_vanishes_takes_its_sources_along(void **state)
{
    struct fixture *f = *state;
    char sub[300];

    scratch_folder(&f->scratch, "sub");
    scratch_write(&f->scratch, "sub/a.md", "apples\n");
    snprintf(sub, sizeof sub, "%s/sub", f->scratch.path);
    f->roots[0] = sub;
    scan(f, 1, 0);
    tree_remove(sub);
    scan(f, 0, 1);
}

/* Nothing is unreadable to root. */
static void become_nobody(struct fixture *f)
{
    if (geteuid() == 0) {
        assert_int_equal(chmod(f->scratch.path, 0755), 0);
        assert_int_equal(seteuid(65534), 0);
    }
}

static void an_unreadable_folder_keeps_its_sources(void **state)
{
    struct fixture *f = *state;
    const char *gone;

    scratch_folder(&f->scratch, "sub");
    scratch_write(&f->scratch, "sub/a.md", "apples\n");
    gone = scratch_write(&f->scratch, "subway.md", "bananas\n");
    scan(f, 2, 0);
    assert_int_equal(chmod(scratch_path(&f->scratch, "sub"), 0), 0);
    unlink(gone);
    become_nobody(f);
    scan(f, 0, 1); /* what is gone elsewhere goes */
    scan(f, 0, 0);
    assert_int_equal(seteuid(getuid()), 0);
    assert_int_equal(found(f->index, "apples"), 1);
    assert_string_equal(f->log.data, "scan_done folder_unreadable scan_done scan_done ");
    assert_int_equal(chmod(scratch_path(&f->scratch, "sub"), 0700), 0);
}

static void a_scan_can_be_stopped(void **state)
{
    struct fixture *f = *state;
    atomic_bool stop = true;
    struct folder folder = {0};

    scratch_write(&f->scratch, "a.md", "apples\n");
    scan(f, 1, 0);
    f->scan.stop = &stop;
    assert_false(scan_run(&f->scan, &folder));
    assert_int_equal(found(f->index, "apples"), 1); /* and removes nothing */
    folder_deinit(&folder);
}

/* ---- the watch ---------------------------------------------------------------------------- */

/* Counts what the watch's thread reports; a test waits for the next count. */
struct reports {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    unsigned scans, ready;
};

static struct reports reports = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0};

static void on_record(void *arg, const struct log_record *record)
{
    pthread_mutex_lock(&reports.mutex);
    reports.scans += strcmp(record->event, "scan_done") == 0;
    pthread_cond_broadcast(&reports.changed);
    pthread_mutex_unlock(&reports.mutex);
}

static void on_ready(void *arg)
{
    pthread_mutex_lock(&reports.mutex);
    reports.ready++;
    pthread_cond_broadcast(&reports.changed);
    pthread_mutex_unlock(&reports.mutex);
}

/* Until `query` finds `count` passages, looked at after each scan; at most 10 s. */
static void await_found(struct index *index, const char *query, size_t count)
{
    struct timespec deadline;

    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += 10;
    for (;;) {
        unsigned scans;
        int rc = 0;

        pthread_mutex_lock(&reports.mutex);
        scans = reports.scans;
        pthread_mutex_unlock(&reports.mutex);
        if (found(index, query) == count) {
            return;
        }
        pthread_mutex_lock(&reports.mutex);
        while (reports.scans == scans && rc == 0) {
            rc = pthread_cond_timedwait(&reports.changed, &reports.mutex, &deadline);
        }
        pthread_mutex_unlock(&reports.mutex);
        assert_int_equal(rc, 0);
    }
}

static struct watch *given_watch(struct fixture *f, uint64_t rescan_ms)
{
    struct watch_options options = {
        .index = f->index,
        .roots = f->roots,
        .root_count = 1,
        .rescan_ms = rescan_ms,
        .log = on_record,
        .ready = on_ready,
    };

    reports.ready = reports.scans = 0;
    return watch_start(&options);
}

static void the_watch_follows_every_change(void **state)
{
    struct fixture *f = *state;
    struct watch *watch;

    scratch_write(&f->scratch, "a.md", "apples\n");
    watch = given_watch(f, 3600 * 1000); /* so it is the notices that do it */
    assert_non_null(watch);
    await_found(f->index, "apples", 1);
    scratch_write(&f->scratch, "a.md", "cherries\n");
    await_found(f->index, "apples", 0);
    await_found(f->index, "cherries", 1);
    scratch_folder(&f->scratch, "new");
    scratch_write(&f->scratch, "new/b.md", "bananas\n");
    await_found(f->index, "bananas", 1);
    scratch_write(&f->scratch, "new/c.md", "bananas\n"); /* the new folder is watched, too */
    await_found(f->index, "bananas", 2);
    assert_int_equal(rename(scratch_path(&f->scratch, "new/c.md"),
                            scratch_path(&f->scratch, "c.md")), 0);
    unlink(scratch_path(&f->scratch, "new/b.md"));
    await_found(f->index, "bananas", 1);
    unlink(scratch_path(&f->scratch, "c.md"));
    await_found(f->index, "bananas", 0);
    watch_stop(watch);
    assert_int_equal(reports.ready, 1);
}

static void a_single_file_is_followed_through_replacement(void **state)
{
    struct fixture *f = *state;
    struct watch *watch;
    char root[300];

    snprintf(root, sizeof root, "%s", scratch_write(&f->scratch, "a.md", "apples\n"));
    f->roots[0] = root;
    watch = given_watch(f, 3600 * 1000);
    assert_non_null(watch);
    await_found(f->index, "apples", 1);
    scratch_write(&f->scratch, ".new", "cherries\n"); /* as editors save */
    assert_int_equal(rename(scratch_path(&f->scratch, ".new"), root), 0);
    await_found(f->index, "cherries", 1);
    watch_stop(watch);
}

static void the_rescan_finds_what_nobody_told(void **state)
{
    struct fixture *f = *state;
    struct watch *watch;
    char root[300];

    /* A root that does not exist yet cannot be watched. */
    snprintf(root, sizeof root, "%s/later", f->scratch.path);
    f->roots[0] = root;
    watch = given_watch(f, 20);
    assert_non_null(watch);
    scratch_folder(&f->scratch, "later");
    scratch_write(&f->scratch, "later/a.md", "apples\n");
    await_found(f->index, "apples", 1);
    watch_stop(watch);
}

static void a_watch_stops_at_any_moment(void **state)
{
    struct fixture *f = *state;

    for (unsigned i = 0; i < 200; i++) {
        char name[32];

        snprintf(name, sizeof name, "%u.md", i);
        scratch_write(&f->scratch, name, "words\n");
    }
    for (unsigned i = 0; i < 10; i++) {
        watch_stop(given_watch(f, 1));
    }
    watch_stop(NULL);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_walk_finds_documents_and_nothing_else),
        CASE(links_neither_loop_nor_lead_out),
        CASE(overlapping_roots_and_single_files_count_once),
        CASE(the_walk_is_bounded_in_depth),
        CASE(a_scan_reads_only_what_has_changed),
        CASE(an_edit_that_keeps_size_and_time_is_seen),
        CASE(a_file_without_text_is_not_read_again),
        CASE(a_folder_that_becomes_a_link_publishes_nothing),
        CASE(a_root_that_vanishes_takes_its_sources_along),
        CASE(an_unreadable_folder_keeps_its_sources),
        CASE(a_scan_can_be_stopped),
        CASE(the_watch_follows_every_change),
        CASE(a_single_file_is_followed_through_replacement),
        CASE(the_rescan_finds_what_nobody_told),
        CASE(a_watch_stops_at_any_moment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
