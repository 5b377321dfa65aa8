/* serve_fetch: tool.fetch: a web page as text, from public addresses only. */
#include "agents/tool/page.h"
#include "agents/tool/service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FETCH_BYTES_DEFAULT 1048576
#define FETCH_BYTES_MAX 4194304 /* times the credit, and some for decoding, is our memory */
#define FETCH_TIMEOUT_MS_DEFAULT 15000
#define FETCH_REDIRECTS_MAX 5
#define FETCH_CREDIT 16

static const char schema[] =
    "{\"$schema\": \"https://json-schema.org/draft/2020-12/schema\","
    " \"type\": \"object\", \"required\": [\"url\"], \"additionalProperties\": false,"
    " \"properties\": {"
    "  \"url\": {\"type\": \"string\", \"minLength\": 8, \"maxLength\": 8192,"
    "            \"pattern\": \"^[hH][tT][tT][pP][sS]?://[^\\\\s/?#]\","
    "            \"description\": \"http or https address\"},"
    "  \"max_bytes\": {\"type\": \"integer\", \"minimum\": 1, \"maximum\": 4194304,"
    "            \"default\": 1048576, \"description\": \"of the page, and of its text\"},"
    "  \"timeout_ms\": {\"type\": \"integer\", \"minimum\": 1, \"maximum\": 120000,"
    "            \"default\": 15000, \"description\": \"for all of it, redirects included\"}}}";

static const char about[] =
    "Fetches a web page (http or https, public addresses) and returns its title and its readable "
    "text. Any status is a result; text longer than max_bytes is cut and marked truncated.";

static uint64_t uint_arg(json_t *args, const char *name, uint64_t otherwise)
{
    json_t *value = json_object_get(args, name);

    return value ? (uint64_t)json_number_value(value) : otherwise;
}

/* What the page says, made readable off the loop: a page may be megabytes. */
struct reading {
    const struct sluice_http_response *response;
    size_t bytes_max;
    struct html_text text;
    bool read;
};

static void read_page(void *arg)
{
    struct reading *reading = arg;
    const struct sluice_http_response *response = reading->response;

    reading->read = page_read(response->content_type, response->body, response->size,
                              response->truncated, reading->bytes_max, &reading->text);
}

/* A header is bytes of any kind; JSON wants UTF-8. */
static json_t *text_value(const char *text)
{
    json_t *value = text ? json_string(text) : NULL;

    return value ? value : json_string("");
}

static void answer(struct sluice_task *task, const struct sluice_http_response *response,
                   size_t bytes_max)
{
    struct reading reading = {.response = response, .bytes_max = bytes_max};
    int rc = sluice_work(sluice_task_peer(task), read_page, &reading);

    if (rc != 0 || !reading.read) {
        if (reading.read) {
            free(reading.text.text);
        }
        sluice_failf(task, rc == -ECANCELED ? "cancelled" : "no_memory", "%s",
                     strerror(rc ? -rc : ENOMEM));
        return;
    }
    sluice_done_json(task, json_pack("{s:o, s:I, s:o, s:o, s:s%, s:b, s:I}", "url",
                                     text_value(response->url), "status",
                                     (json_int_t)response->status, "content_type",
                                     text_value(response->content_type), "title",
                                     text_value(reading.text.title), "text", reading.text.text,
                                     reading.text.size, "truncated",
                                     response->truncated || reading.text.truncated, "bytes",
                                     (json_int_t)response->size));
    free(reading.text.text);
}

/* What is worth another try: no name, no connection, one that broke. Not an address that is
 * refused, nor a page that is slower than the caller's patience. */
static const struct failure {
    int rc;
    const char *code;
    bool retryable;
} failures[] = {
    {-EACCES, "address_refused", false},
    {-ELOOP, "too_many_redirects", false},
    {-ETIMEDOUT, "fetch_timeout", false},
    {-EINVAL, "bad_url", false},
    {-EPROTO, "bad_answer", false},
    {-ECANCELED, "cancelled", false},
    {-ENOMEM, "no_memory", true},
    {0, "fetch_failed", true}, /* any other */
};

static void refuse(struct sluice_task *task, int rc, const struct sluice_http_response *response)
{
    const struct failure *failure = failures;
    struct sluice_error error;

    while (failure->rc != 0 && failure->rc != rc) {
        failure++;
    }
    error = (struct sluice_error){.code = failure->code,
                                  .message = response->error,
                                  .retryable = failure->retryable};
    sluice_fail(task, &error);
}

static void fetch(struct sluice_task *task, void *arg)
{
    const struct tool_options *options = arg;
    json_t *args = sluice_task_args(task);
    uint64_t left_ms = sluice_task_left_ms(task);
    struct sluice_http_request request = {
        .timeout_ms = uint_arg(args, "timeout_ms", FETCH_TIMEOUT_MS_DEFAULT),
        .bytes_max = uint_arg(args, "max_bytes", FETCH_BYTES_DEFAULT),
        .redirects_max = FETCH_REDIRECTS_MAX,
        .allow_private = options->allow_private,
    };
    struct sluice_http_response response;
    int rc;

    if (!argument_text(task, "url", &request.url)) {
        return;
    }
    if (left_ms < request.timeout_ms) {
        request.timeout_ms = left_ms > 0 ? left_ms : 1;
    }
    rc = sluice_http(sluice_task_peer(task), &request, &response);
    if (rc == 0) {
        answer(task, &response, request.bytes_max);
    } else {
        refuse(task, rc, &response);
    }
    sluice_http_response_deinit(&response);
}

int serve_fetch(struct sluice *sluice, const struct tool_options *options)
{
    struct sluice_service service = {
        .name = "tool.fetch",
        .handler = fetch,
        .arg = (void *)(uintptr_t)options, /* only read */
        .credit = FETCH_CREDIT,
        .schema = schema,
        .about = about,
        .version = "1",
    };

    return sluice_serve(sluice, &service);
}
