/* links: retriever */
/* From a name to the text behind it: kinds, files, gzip, PDF. */
#include "tests/unit/retriever_fixture.h"

#include "agents/retriever/file.h"
#include "agents/retriever/kind.h"
#include "agents/retriever/pdf.h"
#include "agents/retriever/source.h"
#include "agents/retriever/utf8.h"

#include <fcntl.h>
#include <zlib.h>

/* ---- kinds ---------------------------------------------------------------------- */

static void a_name_tells_the_kind(void **state)
{
    static const struct {
        const char *path;
        enum kind kind;
        bool compressed;
    } expected[] = {
        {"a/README.md", KIND_MARKDOWN, false},
        {"x.MARKDOWN", KIND_MARKDOWN, false},
        {"x.txt.gz", KIND_TEXT, true},
        {"README", KIND_TEXT, false},
        {"NEWS.gz", KIND_TEXT, true},
        {"x.htm", KIND_HTML, false},
        {"man/zmq_socket.3.gz", KIND_MAN, true},
        {"openssl.1ssl", KIND_MAN, false},
        {"x.9", KIND_MAN, false},
        {"x.pdf", KIND_PDF, false},
        {"x.pdf.gz", KIND_NONE, true},
        {"x.0", KIND_NONE, false},
        {"x.3PM", KIND_NONE, false},
        {"x.10", KIND_NONE, false},
        {"x.3abcdefghi", KIND_NONE, false},
        {"x.c", KIND_NONE, false},
        {"x", KIND_NONE, false},
        {".md", KIND_NONE, false},
        {"a.md/x", KIND_NONE, false},
        {".gz", KIND_NONE, false},
        {"", KIND_NONE, false},
    };

    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        bool compressed;
        enum kind kind = kind_of_path(expected[i].path, &compressed);

        if (kind != expected[i].kind ||
            (kind != KIND_NONE && compressed != expected[i].compressed)) {
            fail_msg("%s is taken for %s", expected[i].path, kind_name(kind));
        }
    }
}

/* ---- files ------------------------------------------------------------------------- */

static struct scratch scratch;

static int folder_open(void **state)
{
    scratch_open(&scratch);
    return 0;
}

static int folder_close(void **state)
{
    scratch_close(&scratch);
    return 0;
}

static const char *given_gzip(const char *name, const void *data, size_t size, size_t times)
{
    const char *path = scratch_path(&scratch, name);
    gzFile gz = gzopen(path, "wb9");

    assert_non_null(gz);
    for (size_t i = 0; i < times; i++) {
        assert_int_equal(gzwrite(gz, data, (unsigned)size), size);
    }
    assert_int_equal(gzclose(gz), Z_OK);
    return path;
}

static void assert_reads(const char *path, bool compressed, enum file_result expected,
                         const char *text)
{
    struct buffer buffer = {0};
    struct file_stamp stamp;

    assert_int_equal(file_read(path, NULL, compressed, &buffer, &stamp), expected);
    assert_string_equal(buffer_text(&buffer), text);
    buffer_deinit(&buffer);
}

static void a_file_is_read_as_valid_text(void **state)
{
    char late_nul[9001];

    assert_reads(scratch_write(&scratch, "a", "caf\xC3\xA9\n"), false, FILE_OK, "caf\xC3\xA9\n");
    assert_reads(scratch_write(&scratch, "b", "caf\xE9 \xFF\n"), false, FILE_OK,
                 "caf\xC3\xA9 \xC3\xBF\n"); /* Latin-1 */
    assert_reads(scratch_write(&scratch, "c", "\xEF\xBB\xBFx"), false, FILE_OK, "   x");
    assert_reads(scratch_write(&scratch, "d", ""), false, FILE_OK, "");
    assert_reads(given_gzip("e.gz", "zipped", 6, 1), true, FILE_OK, "zipped");
    memset(late_nul, 'x', sizeof late_nul);
    late_nul[8999] = '\0';
    {
        struct buffer buffer = {0};
        struct file_stamp stamp;

        assert_int_equal(file_read(given_gzip("f.gz", late_nul, 9001, 1), NULL, true, &buffer,
                                   &stamp),
                         FILE_OK);
        assert_int_equal(buffer.size, 9001);
        assert_int_equal(buffer.data[8999], ' ');
        buffer_deinit(&buffer);
    }
}

static void what_is_not_text_is_told_apart(void **state)
{
    assert_reads("/nonexistent/file", false, FILE_GONE, "");
    assert_reads(scratch.path, false, FILE_BROKEN, "");
    assert_reads(given_gzip("nul.gz", "a\0b", 3, 1), true, FILE_BINARY, "");
    assert_reads(scratch_write(&scratch, "not.gz", "plain text"), true, FILE_BROKEN, "");
    assert_int_equal(mkfifo(scratch_path(&scratch, "pipe"), 0600), 0);
    assert_reads(scratch_path(&scratch, "pipe"), false, FILE_BROKEN, ""); /* and does not hang */
}

static void a_cut_gzip_file_is_broken(void **state)
{
    static char noise[4096];
    const char *path;
    struct stat status;

    for (size_t i = 0; i < sizeof noise; i++) {
        noise[i] = (char)('a' + i * i * 7919 % 26);
    }
    path = given_gzip("cut.gz", noise, sizeof noise, 4);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(truncate(path, status.st_size / 2), 0);
    assert_reads(path, true, FILE_BROKEN, "");
}

static void a_damaged_gzip_file_is_broken(void **state)
{
    const char *path = given_gzip("damaged.gz", "not one bit of this may change", 30, 1);
    FILE *file = fopen(path, "r+");

    assert_non_null(file);
    assert_int_equal(fseek(file, 20, SEEK_SET), 0);
    assert_true(fputc('!', file) == '!');
    assert_int_equal(fclose(file), 0);
    assert_reads(path, true, FILE_BROKEN, "");
}

static void a_gzip_bomb_is_bounded(void **state)
{
    static char zeros[1 << 20];
    const char *path;
    struct stat status;

    memset(zeros, ' ', sizeof zeros);
    path = given_gzip("bomb.gz", zeros, sizeof zeros, 64);
    assert_int_equal(stat(path, &status), 0);
    assert_true(status.st_size < 1 << 20);
    assert_reads(path, true, FILE_TOO_LARGE, "");
}

static void a_large_file_is_not_read_at_all(void **state)
{
    const char *path = scratch_write(&scratch, "large", "x");

    assert_int_equal(truncate(path, (off_t)FILE_BYTES_MAX + 1), 0);
    assert_reads(path, false, FILE_TOO_LARGE, "");
}

static void every_version_of_a_file_has_its_stamp(void **state)
{
    const char *path = scratch_write(&scratch, "stamped", "one");
    struct file_stamp before, after;
    struct buffer text = {0};
    struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};

    assert_int_equal(file_read(path, NULL, false, &text, &before), FILE_OK);
    assert_int_equal(before.bytes, 3);
    assert_int_equal(utimensat(0, path, times, 0), 0);
    assert_int_equal(file_read(path, NULL, false, &text, &after), FILE_OK);
    assert_int_equal(after.modified_ns, 1000000000000LL);
    assert_false(file_stamp_equal(&before, &after));
    buffer_deinit(&text);
}

static void bytes_are_utf8_or_not(void **state)
{
    static const struct {
        const char *bytes;
        bool valid;
    } expected[] = {
        {"", true},
        {"abc", true},
        {"\xC3\xA9", true},
        {"\xE2\x82\xAC", true},
        {"\xF0\x9F\x98\x80", true},
        {"\xF4\x8F\xBF\xBF", true},
        {"\x80", false},
        {"\xC3", false},
        {"\xC0\x80", false},
        {"\xE0\x80\x80", false},
        {"\xED\xA0\x80", false},
        {"\xF0\x80\x80\x80", false},
        {"\xF4\x90\x80\x80", false},
        {"\xF5\x80\x80\x80", false},
        {"\xFF", false},
        {"\xE2\x82", false},
    };

    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        assert_int_equal(utf8_valid(span_from_text(expected[i].bytes)), expected[i].valid);
    }
}

/* ---- pdf ------------------------------------------------------------------------------- */

static void pdf_text_is_parted_into_pages(void **state)
{
    struct document document;

    document_init(&document);
    pdf_text_read(&document, span_from_text("one\ntwo\n\nthree\f\f  four\n"));
    assert_document(&document, "p1 1-2 one two\np1 4 three\np3 1 four\n");
    document_deinit(&document);
}

static void a_real_pdf_is_read_by_page(void **state)
{
    struct document document;
    int fd;

    if (access("/usr/bin/pdftotext", X_OK) != 0) {
        skip();
    }
    fd = open(FIXTURES "two-pages.pdf", O_RDONLY | O_CLOEXEC);
    document_init(&document);
    assert_int_equal(pdf_read(&document, fd, NULL, NULL), PDF_OK);
    close(fd);
    assert_document(&document, "p1 1 Gates open slowly.\np2 1 Sluices close at once.\n");
    document_deinit(&document);
}

/* A program in the place of pdftotext. */
static enum pdf_result given_program(const char *script, struct document *document)
{
    const char *path = scratch_write(&scratch, "program", script);
    int fd = open(scratch_write(&scratch, "x.pdf", "the file\n"), O_RDONLY | O_CLOEXEC);
    enum pdf_result result;

    assert_int_equal(chmod(path, 0700), 0);
    document_init(document);
    result = pdf_read(document, fd, path, NULL);
    close(fd);
    return result;
}

static void a_misbehaving_pdf_program_does_no_harm(void **state)
{
    atomic_bool stop = true;
    struct document document;

    assert_int_equal(given_program("#!/bin/sh\nexit 3\n", &document), PDF_BROKEN);
    document_deinit(&document);
    assert_int_equal(given_program("#!/bin/sh\nkill -9 $$\n", &document), PDF_BROKEN);
    document_deinit(&document);
    assert_int_equal(given_program("#!/bin/sh\nexec cat \"$4\"\n", &document), PDF_OK);
    assert_document(&document, "p1 1 the file\n");
    document_deinit(&document);
    assert_int_equal(given_program("#!/bin/sh\nexec yes 'one two three four'\n", &document),
                     PDF_OK); /* without end: cut */
    assert_true(document.text.size <= DOCUMENT_TEXT_BYTES_MAX + DOCUMENT_WORD_BYTES_MAX);
    document_deinit(&document);

    document_init(&document);
    assert_int_equal(pdf_read(&document, 0, "/nonexistent/pdftotext", NULL), PDF_NO_PROGRAM);
    assert_int_equal(pdf_read(&document, 0, scratch_path(&scratch, "program"), &stop),
                     PDF_STOPPED);
    document_deinit(&document);
}

/* ---- sources ------------------------------------------------------------------------------ */

static void a_source_always_has_a_title(void **state)
{
    static const struct {
        const char *name, *text, *title;
    } expected[] = {
        {"a.md", "# Its own\n\nwords", "Its own"},
        {"b.md", "words", "b.md"},
        {"c.txt", "words", "c.txt"},
        {"d.html", "<title>T</title>words", "T"},
        {"gate_open.3x", ".TH GATE 3\n.SH NAME\ngate", "gate_open(3x)"},
    };

    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        const char *path = scratch_write(&scratch, expected[i].name, expected[i].text);
        struct file_stamp stamp;
        struct document document;
        const char *why;
        bool compressed;

        document_init(&document);
        assert_int_equal(source_read(path, NULL, kind_of_path(path, &compressed), false, NULL,
                                     &document, &stamp, &why),
                         SOURCE_OK);
        assert_string_equal(buffer_text(&document.title), expected[i].title);
        document_deinit(&document);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_tells_the_kind),
        cmocka_unit_test_setup_teardown(a_file_is_read_as_valid_text, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(what_is_not_text_is_told_apart, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(a_cut_gzip_file_is_broken, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(a_damaged_gzip_file_is_broken, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(a_gzip_bomb_is_bounded, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(a_large_file_is_not_read_at_all, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(every_version_of_a_file_has_its_stamp, folder_open,
                                        folder_close),
        cmocka_unit_test(bytes_are_utf8_or_not),
        cmocka_unit_test(pdf_text_is_parted_into_pages),
        cmocka_unit_test(a_real_pdf_is_read_by_page),
        cmocka_unit_test_setup_teardown(a_misbehaving_pdf_program_does_no_harm, folder_open,
                                        folder_close),
        cmocka_unit_test_setup_teardown(a_source_always_has_a_title, folder_open, folder_close),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
