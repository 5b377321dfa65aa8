#include "agents/retriever/source.h"

#include "agents/retriever/extract.h"
#include "agents/retriever/pdf.h"
#include "common/check.h"

#include <unistd.h>

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}

/* zmq_socket.3.gz: zmq_socket(3), as everybody calls it; the page itself knows its name
 * only in capitals. */
static void man_title_set(struct document *document, const char *path)
{
    struct buffer title = {0};
    const char *name = base_name(path);
    size_t size = strlen(name);
    const char *dot;

    size -= size > 3 && strcmp(name + size - 3, ".gz") == 0 ? 3 : 0;
    dot = memrchr(name, '.', size);
    CHECK(dot != NULL); /* or its kind would not be that */
    buffer_add(&title, name, (size_t)(dot - name));
    buffer_add_text(&title, "(");
    buffer_add(&title, dot + 1, size - (size_t)(dot + 1 - name));
    buffer_add_text(&title, ")");
    document_set_title(document, buffer_span(&title));
    buffer_deinit(&title);
}

static enum source_result pdf_source_read(const char *path, const struct file_id *id,
                                          const atomic_bool *stop, struct document *document,
                                          struct file_stamp *stamp, const char **why)
{
    enum file_result file;
    enum pdf_result result;
    int fd;

    file = file_open(path, id, &fd, stamp);
    if (file != FILE_OK) {
        *why = file_result_name(file);
        return file == FILE_GONE ? SOURCE_GONE : SOURCE_NOTHING;
    }
    result = pdf_read(document, fd, NULL, stop);
    close(fd);
    *why = pdf_result_name(result);
    switch (result) {
    case PDF_OK:
        return SOURCE_OK;
    case PDF_NO_PROGRAM:
        return SOURCE_NO_PROGRAM;
    case PDF_BROKEN:
    case PDF_TIMEOUT:
        return SOURCE_NOTHING;
    case PDF_STOPPED:
        return SOURCE_STOPPED;
    }
    CHECK(!"a result");
    return SOURCE_NOTHING;
}

static bool text_read(enum kind kind, struct document *document, struct span text)
{
    switch (kind) {
    case KIND_MARKDOWN:
        markdown_read(document, text);
        break;
    case KIND_TEXT:
        plain_read(document, text);
        break;
    case KIND_HTML:
        html_read(document, text);
        break;
    case KIND_MAN:
        return man_read(document, text);
    case KIND_PDF:
    case KIND_NONE:
        CHECK(!"a kind that is text");
    }
    return true;
}

enum source_result source_read(const char *path, const struct file_id *id, enum kind kind,
                               bool compressed, const atomic_bool *stop, struct document *document,
                               struct file_stamp *stamp, const char **why)
{
    enum source_result result = SOURCE_OK;
    struct buffer text = {0};

    *why = "ok";
    if (kind == KIND_PDF) {
        result = pdf_source_read(path, id, stop, document, stamp, why);
    } else {
        enum file_result file = file_read(path, id, compressed, &text, stamp);

        *why = file_result_name(file);
        if (file == FILE_GONE) {
            result = SOURCE_GONE;
        } else if (file != FILE_OK) {
            result = SOURCE_NOTHING;
        } else if (!text_read(kind, document, buffer_span(&text))) {
            *why = "no_manual_page";
            result = SOURCE_NOTHING;
        }
    }
    if (result == SOURCE_OK && document->word_count == 0) {
        *why = "empty";
        result = SOURCE_NOTHING;
    }
    if (kind == KIND_MAN) {
        man_title_set(document, path);
    } else if (document->title.size == 0) {
        document_set_title(document, span_from_text(base_name(path)));
    }
    buffer_deinit(&text);
    return result;
}
