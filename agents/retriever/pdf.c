#include "agents/retriever/pdf.h"

#include "agents/retriever/file.h"
#include "agents/retriever/lines.h"
#include "common/check.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PDF_POLL_MS 100
#define PDF_READ_BYTES (64U << 10)
#define PDF_MEMORY_BYTES_MAX (1ULL << 30)

extern char **environ;

void pdf_text_read(struct document *document, struct span text)
{
    uint32_t page = 1;

    while (text.size > 0 && !document->truncated) {
        const uint8_t *feed = memchr(text.data, '\f', text.size);
        size_t size = feed == NULL ? text.size : (size_t)(feed - text.data);
        struct lines lines = lines_of(span_of(text.data, size));
        struct span line;

        document_set_page(document, page++);
        while (lines_next(&lines, &line)) {
            if (line_trim(line).size == 0) {
                document_break(document);
            }
            document_add(document, lines.number, line);
            document_space(document);
        }
        text.data += size + (feed != NULL);
        text.size -= size + (feed != NULL);
    }
    document_break(document);
}

static uint64_t clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Starts the program with its output in a pipe; returns the end to read, or negative errno. It gets
 * the open file: by its name it might come to another one. */
static int child_start(const char *program, int file_fd, pid_t *pid)
{
    char *argv[] = {(char *)program, "-q", "-enc", "UTF-8", "/dev/stdin", "-", NULL};
    posix_spawn_file_actions_t actions;
    int pipe_fds[2], rc;

    if (pipe2(pipe_fds, O_CLOEXEC) != 0) {
        return -errno;
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, file_fd, 0);
    posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    rc = posix_spawnp(pid, program, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(pipe_fds[1]);
    if (rc != 0) {
        close(pipe_fds[0]);
    }
    return rc == 0 ? pipe_fds[0] : -rc;
}

static void child_limit(pid_t pid)
{
    struct rlimit memory = {PDF_MEMORY_BYTES_MAX, PDF_MEMORY_BYTES_MAX};
    struct rlimit cpu = {PDF_TIME_MAX_MS / 1000, PDF_TIME_MAX_MS / 1000};

    prlimit(pid, RLIMIT_AS, &memory, NULL);
    prlimit(pid, RLIMIT_CPU, &cpu, NULL);
}

/* Reads to the end, the bound or the time limit, whichever comes first. */
static enum pdf_result output_read(int fd, struct buffer *text, const atomic_bool *stop)
{
    uint64_t deadline_ms = clock_ms() + PDF_TIME_MAX_MS;

    while (text->size < DOCUMENT_TEXT_BYTES_MAX) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        ssize_t got;

        if (stop != NULL && atomic_load(stop)) {
            return PDF_STOPPED;
        }
        if (clock_ms() >= deadline_ms) {
            return PDF_TIMEOUT;
        }
        if (poll(&ready, 1, PDF_POLL_MS) <= 0) {
            continue;
        }
        got = read(fd, buffer_reserve(text, PDF_READ_BYTES), PDF_READ_BYTES);
        if (got == 0 || (got < 0 && errno != EINTR)) {
            return PDF_OK;
        }
        text->size += got > 0 ? (size_t)got : 0;
    }
    return PDF_OK;
}

enum pdf_result pdf_read(struct document *document, int file_fd, const char *program,
                         const atomic_bool *stop)
{
    struct buffer text = {0};
    enum pdf_result result;
    int status = 0, fd;
    bool ended;
    pid_t pid;

    fd = child_start(program == NULL ? "pdftotext" : program, file_fd, &pid);
    if (fd < 0) {
        return fd == -ENOENT || fd == -EACCES ? PDF_NO_PROGRAM : PDF_BROKEN;
    }
    child_limit(pid);
    result = output_read(fd, &text, stop);
    ended = result == PDF_OK && text.size < DOCUMENT_TEXT_BYTES_MAX;
    close(fd);
    if (!ended) {
        kill(pid, SIGKILL); /* our own child, not yet waited for: the pid is still its */
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (ended && (!WIFEXITED(status) || WEXITSTATUS(status) != 0)) {
        /* glibc reports a program that is not there by posix_spawnp; 127 is for others. */
        result = WIFEXITED(status) && WEXITSTATUS(status) == 127 ? PDF_NO_PROGRAM : PDF_BROKEN;
    }
    if (result == PDF_OK) {
        file_text_repair(&text);
        pdf_text_read(document, buffer_span(&text));
        result = document->word_count > 0 ? PDF_OK : PDF_BROKEN;
    }
    buffer_deinit(&text);
    return result;
}

const char *pdf_result_name(enum pdf_result result)
{
    switch (result) {
    case PDF_OK:
        return "ok";
    case PDF_NO_PROGRAM:
        return "no_program";
    case PDF_BROKEN:
        return "broken";
    case PDF_TIMEOUT:
        return "timeout";
    case PDF_STOPPED:
        return "stopped";
    }
    CHECK(!"a result");
    return "";
}
