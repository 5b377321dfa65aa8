/* links: shell */
/* The audit's files: numbered, chained, of bounded size and number, whatever the disk does. */
#include "broker/shell/audit_file.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char folder[64];
    char path[96];
    struct audit_file file;
    struct problem problem;
    uint64_t torn;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    strcpy(f->folder, "/tmp/sluice-audit-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof f->path, "%s/audit.log", f->folder);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char path[128];

    unlink(f->path);
    for (unsigned i = 1; i < 20; i++) {
        snprintf(path, sizeof path, "%s.%u", f->path, i);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s.new", f->path);
    unlink(path);
    assert_int_equal(rmdir(f->folder), 0); /* nothing else was left behind */
    free(f);
    return 0;
}

static bool open_audit(struct fixture *f, uint64_t files)
{
    return audit_file_open(&f->file, f->path, 64 * 1024, files, &f->torn, &f->problem);
}

static bool add(struct fixture *f, const char *detail)
{
    return audit_file_add(&f->file, &(struct audit_entry){.at_ms = 7,
                                                          .event = "failed",
                                                          .attempt = 2,
                                                          .service = span_from_text("echo"),
                                                          .peer = span_from_text("w1"),
                                                          .detail = span_from_text(detail)});
}

/* The lines of one file: each must name the hash of the one before. Returns how many. */
static unsigned follow(const char *path, struct chain *chain)
{
    FILE *file = fopen(path, "re");
    char *line = NULL, hash[CHAIN_TEXT_SIZE];
    size_t room = 0;
    unsigned lines = 0;
    ssize_t size;

    assert_non_null(file);
    while ((size = getline(&line, &room, file)) > 0) {
        assert_int_equal(line[size - 1], '\n');
        chain_text(chain, hash);
        assert_non_null(strstr(line, hash));
        chain_add(chain, span_of(line, (size_t)size - 1));
        lines++;
    }
    free(line);
    fclose(file);
    return lines;
}

static void expect_line(const struct fixture *f, const char *expected)
{
    FILE *file = fopen(f->path, "re");
    char *line = NULL;
    size_t room = 0;

    assert_non_null(file);
    assert_true(getline(&line, &room, file) > 0);
    assert_string_equal(line, expected);
    free(line);
    fclose(file);
}

static void a_hash_is_that_of_the_line(void **state)
{
    struct chain chain = {{0}};
    char text[CHAIN_TEXT_SIZE];

    (void)state;
    chain_text(&chain, text);
    assert_string_equal(text, "0000000000000000000000000000000000000000000000000000000000000000");
    chain_add(&chain, span_from_text("abc")); /* FIPS 180-4's example */
    chain_text(&chain, text);
    assert_string_equal(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void a_line_says_it_all(void **state)
{
    struct fixture *f = *state;

    assert_true(open_audit(f, 3));
    assert_true(add(f, "a \"quoted\" \\ \n word"));
    audit_file_close(&f->file);
    expect_line(f, "{\"n\":1,\"at_ms\":7,\"event\":\"failed\",\"attempt\":2,\"service\":\"echo\","
                   "\"peer\":\"w1\",\"detail\":\"a \\\"quoted\\\" \\\\ \\u000a word\",\"previous\":"
                   "\"0000000000000000000000000000000000000000000000000000000000000000\"}\n");
}

static void it_goes_on_where_it_stopped(void **state)
{
    struct fixture *f = *state;
    struct chain chain = {{0}};
    FILE *file;

    for (unsigned i = 0; i < 3; i++) {
        assert_true(open_audit(f, 3));
        assert_int_equal(f->torn, i == 2 ? 12 : 0);
        assert_int_equal(f->file.number, i);
        assert_true(add(f, "x"));
        audit_file_close(&f->file);
        if (i == 1) {
            file = fopen(f->path, "ae");
            fputs("{\"n\":3,\"at_m", file); /* the machine stopped here */
            fclose(file);
        }
    }
    assert_int_equal(follow(f->path, &chain), 3);
}

static void a_first_line_that_was_torn_is_cut(void **state)
{
    struct fixture *f = *state;
    FILE *file = fopen(f->path, "we");

    fputs("{\"n\":1,", file);
    fclose(file);
    assert_true(open_audit(f, 3));
    assert_int_equal(f->torn, 7);
    audit_file_close(&f->file);
}

static void what_is_no_audit_is_left_alone(void **state)
{
    struct fixture *f = *state;
    FILE *file = fopen(f->path, "we");

    fputs("dear diary\n", file);
    fclose(file);
    assert_false(open_audit(f, 3));
    assert_non_null(strstr(f->problem.text, "does not end as an audit does"));
    expect_line(f, "dear diary\n");
    assert_false(audit_file_open(&f->file, f->folder, 64 * 1024, 3, &f->torn, &f->problem));
    assert_non_null(strstr(f->problem.text, "cannot write the audit"));
}

static void files_are_rotated_and_few(void **state)
{
    struct fixture *f = *state;
    struct chain chain = {{0}};
    struct stat status;
    unsigned lines = 0;
    char path[128];

    assert_true(open_audit(f, 4));
    for (unsigned i = 0; i < 800; i++) { /* some 180 KB */
        assert_true(add(f, "out of order"));
    }
    audit_file_close(&f->file);
    for (int i = 3; i >= 0; i--) {
        snprintf(path, sizeof path, i > 0 ? "%s.%d" : "%s", f->path, i);
        if (stat(path, &status) == 0) {
            assert_true(status.st_size <= 64 * 1024);
            lines += follow(path, &chain);
        }
    }
    assert_int_equal(lines, 800);
    assert_true(open_audit(f, 4));
    for (unsigned i = 0; i < 2000; i++) {
        assert_true(add(f, "out of order"));
    }
    audit_file_close(&f->file);
    snprintf(path, sizeof path, "%s.4", f->path);
    assert_int_not_equal(stat(path, &status), 0);
    snprintf(path, sizeof path, "%s.3", f->path);
    assert_int_equal(stat(path, &status), 0);
}

static void one_file_begins_again(void **state)
{
    struct fixture *f = *state;
    char path[128];

    assert_true(open_audit(f, 1));
    for (unsigned i = 0; i < 800; i++) {
        assert_true(add(f, "out of order"));
    }
    audit_file_close(&f->file);
    snprintf(path, sizeof path, "%s.1", f->path);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_true(open_audit(f, 1));
    assert_int_equal(f->file.number, 800);
    audit_file_close(&f->file);
}

/* Stopped right after the newest file was made. */
static void it_goes_on_from_the_file_before(void **state)
{
    struct fixture *f = *state;
    struct chain chain = {{0}};
    char path[128];

    assert_true(open_audit(f, 3));
    assert_true(add(f, "x"));
    audit_file_close(&f->file);
    snprintf(path, sizeof path, "%s.1", f->path);
    assert_int_equal(rename(f->path, path), 0);
    assert_true(open_audit(f, 3));
    assert_int_equal(f->file.number, 1);
    assert_true(add(f, "y"));
    audit_file_close(&f->file);
    assert_int_equal(follow(path, &chain), 1);
    assert_int_equal(follow(f->path, &chain), 1);
}

static void bound_files(uint64_t bytes)
{
    struct rlimit limit;

    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = bytes == 0 ? limit.rlim_max : bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_full_disk_is_counted(void **state)
{
    struct fixture *f = *state;
    struct chain chain = {{0}};
    char expected[64];
    unsigned kept = 0, lost = 0;

    signal(SIGXFSZ, SIG_IGN);
    assert_true(audit_file_open(&f->file, f->path, 1024 * 1024, 3, &f->torn, &f->problem));
    bound_files(1000); /* in the middle of a line */
    for (unsigned i = 0; i < 2000; i++) {
        bool added = add(f, "no room");

        kept += added;
        lost += !added;
        audit_file_flush(&f->file);
    }
    assert_true(kept > 100 && lost > 100);
    assert_int_equal(f->file.lost_all, lost);
    assert_int_not_equal(f->file.error, 0);
    bound_files(0);
    assert_true(add(f, "room again"));
    audit_file_close(&f->file);
    assert_int_equal(f->file.error, 0);
    assert_int_equal(follow(f->path, &chain), kept + 2);
    assert_int_equal(f->file.number, kept + 2);
    snprintf(expected, sizeof expected, "\"event\":\"audit_lost\",\"detail\":\"%u\"", lost);
    {
        FILE *file = fopen(f->path, "re");
        char *all = calloc(1, 1024 * 1024);

        assert_true(fread(all, 1, 1024 * 1024 - 1, file) > 0);
        assert_non_null(strstr(all, expected));
        free(all);
        fclose(file);
    }
}

static void the_old_file_goes_on_until_a_new_one_begins(void **state)
{
    struct fixture *f = *state;
    struct chain chain = {{0}};
    char path[128];

    snprintf(path, sizeof path, "%s.new", f->path);
    assert_int_equal(mkdir(path, 0700), 0); /* in the way */
    assert_true(open_audit(f, 2));
    for (unsigned i = 0; i < 800; i++) { /* some 180 KB */
        assert_true(add(f, "no new file"));
    }
    assert_true(audit_file_flush(&f->file));
    assert_int_equal(f->file.error, 0);
    assert_int_equal(f->file.rotate_error, EISDIR);
    assert_int_equal(f->file.lost_all, 0);
    assert_int_equal(rmdir(path), 0);
    assert_true(add(f, "a new file"));
    assert_int_equal(f->file.rotate_error, 0);
    audit_file_close(&f->file);
    snprintf(path, sizeof path, "%s.1", f->path);
    assert_int_equal(follow(path, &chain), 800);
    assert_int_equal(follow(f->path, &chain), 1);
}

#define AUDIT(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        AUDIT(a_hash_is_that_of_the_line),
        AUDIT(a_line_says_it_all),
        AUDIT(it_goes_on_where_it_stopped),
        AUDIT(a_first_line_that_was_torn_is_cut),
        AUDIT(what_is_no_audit_is_left_alone),
        AUDIT(files_are_rotated_and_few),
        AUDIT(one_file_begins_again),
        AUDIT(it_goes_on_from_the_file_before),
        AUDIT(a_full_disk_is_counted),
        AUDIT(the_old_file_goes_on_until_a_new_one_begins),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
