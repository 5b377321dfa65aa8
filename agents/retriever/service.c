#include "agents/retriever/service.h"

#include "agents/retriever/search.h"
#include "common/check.h"

#include <time.h>

#define SOURCES_LIMIT_MAX 1000
#define SOURCES_LIMIT_DEFAULT 100

static const char search_schema[] =
    "{\"type\":\"object\",\"required\":[\"query\"],\"additionalProperties\":false,\"properties\":{"
    "\"query\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":2000,"
    "\"description\":\"a question or some words; no operators\"},"
    "\"limit\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":50,\"default\":8,"
    "\"description\":\"how many hits\"},"
    "\"source\":{\"type\":\"string\",\"maxLength\":4096,"
    "\"description\":\"search only sources whose path begins so\"}}}";

static const char passage_schema[] =
    "{\"type\":\"object\",\"required\":[\"passage\"],\"additionalProperties\":false,"
    "\"properties\":{\"passage\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":64,"
    "\"description\":\"the id of a hit\"}}}";

static const char sources_schema[] =
    "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
    "\"limit\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000,\"default\":100},"
    "\"after\":{\"type\":\"string\",\"maxLength\":4096,"
    "\"description\":\"the `next` of the page before\"}}}";

static uint64_t clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static size_t limit_get(const json_t *args, size_t default_limit, size_t max)
{
    const json_t *limit = json_object_get(args, "limit");
    /* The schema takes 8.0 for an integer, as JSON Schema has it. */
    double value = limit == NULL ? (double)default_limit : json_number_value(limit);

    return value < 1 ? 1 : value > (double)max ? max : (size_t)value;
}

static void fail_index(struct sluice_task *task, int rc)
{
    struct sluice_error error = {.code = "index_error",
                                 .message = sqlite3_errstr(rc),
                                 .retryable = true};

    sluice_fail(task, &error);
}

/* What search, passage and their results have in common. */
static json_t *hit_to_json(const struct hit *hit)
{
    json_t *value = json_pack(
        "{s:s, s:s, s:s, s:s, s:I, s:I, s:s}", "passage", hit->id, "source", hit->source, "title",
        hit->title, "kind", kind_name(hit->kind), "line_start", (json_int_t)hit->line_start,
        "line_end", (json_int_t)hit->line_end, "text", hit->text);

    CHECK(value != NULL); /* everything in the index is UTF-8, but for names of files */
    json_object_set_new(value, "page", hit->page > 0 ? json_integer(hit->page) : json_null());
    return value;
}

/* ---- retriever.search ------------------------------------------------------------------ */

struct search_work {
    struct index *index;
    struct search search;
    int rc;
};

static void search_work(void *arg)
{
    struct search_work *work = arg;

    work->rc = search_run(work->index, &work->search);
}

static json_t *search_to_json(const struct search *search, const json_t *query, uint64_t took_ms)
{
    json_t *hits = json_array();
    json_t *value;

    for (size_t i = 0; i < search->hit_count; i++) {
        json_t *hit = hit_to_json(&search->hits[i]);

        json_object_set_new(hit, "score", json_real(search->hits[i].score));
        json_array_append_new(hits, hit);
    }
    value = json_pack("{s:O, s:I, s:I, s:o}", "query", query, "took_ms", (json_int_t)took_ms,
                      "total", (json_int_t)search->total, "hits", hits);
    CHECK(value != NULL);
    return value;
}

static void handle_search(struct sluice_task *task, void *arg)
{
    json_t *args = sluice_task_args(task);
    json_t *query = json_object_get(args, "query");
    uint64_t start_ms = clock_ms();
    struct search_work work = {
        .index = arg,
        .search = {
            .query = span_of(json_string_value(query), json_string_length(query)),
            .limit = limit_get(args, SEARCH_LIMIT_DEFAULT, SEARCH_LIMIT_MAX),
            .prefix = json_string_value(json_object_get(args, "source")),
            .per_source = SEARCH_PER_SOURCE,
        },
    };
    int rc = sluice_work(sluice_task_peer(task), search_work, &work);

    if (rc != 0) {
        sluice_failf(task, "index_error", "the search could not be run");
    } else if (work.rc != SQLITE_OK) {
        fail_index(task, work.rc);
    } else {
        sluice_done_json(task, search_to_json(&work.search, query, clock_ms() - start_ms));
    }
    search_deinit(&work.search);
}

/* ---- retriever.passage ------------------------------------------------------------------ */

struct passage_work {
    struct index *index;
    const char *id;
    struct passage_view view;
    int rc;
};

static void passage_work(void *arg)
{
    struct passage_work *work = arg;

    work->rc = search_passage(work->index, work->id, &work->view);
}

static void handle_passage(struct sluice_task *task, void *arg)
{
    struct passage_work work = {
        .index = arg,
        .id = json_string_value(json_object_get(sluice_task_args(task), "passage")),
    };
    int rc = sluice_work(sluice_task_peer(task), passage_work, &work);

    if (rc != 0) {
        sluice_failf(task, "index_error", "the passage could not be read");
    } else if (work.rc == SQLITE_NOTFOUND) {
        sluice_failf(task, "not_found",
                     "no passage %s: its source has changed or is gone; search again", work.id);
    } else if (work.rc != SQLITE_OK) {
        fail_index(task, work.rc);
    } else {
        json_t *value = hit_to_json(&work.view.hit);

        json_object_set_new(value, "before", json_string(work.view.before));
        json_object_set_new(value, "after", json_string(work.view.after));
        sluice_done_json(task, value);
    }
    passage_view_deinit(&work.view);
}

/* ---- retriever.sources ------------------------------------------------------------------- */

struct sources_work {
    struct index *index;
    const char *after;
    size_t limit;
    struct source_list list;
    int rc;
};

static void sources_work(void *arg)
{
    struct sources_work *work = arg;

    work->rc = search_sources(work->index, work->after, work->limit, &work->list);
}

static json_t *sources_to_json(const struct source_list *list)
{
    json_t *rows = json_array();
    json_t *value;

    for (size_t i = 0; i < list->count; i++) {
        const struct source_row *row = &list->rows[i];
        json_t *entry = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I}", "source", row->path, "kind",
                                  kind_name(row->kind), "title", row->title, "passages",
                                  (json_int_t)row->passages, "bytes", (json_int_t)row->bytes,
                                  "modified_ms", (json_int_t)row->modified_ms);

        CHECK(entry != NULL);
        json_array_append_new(rows, entry);
    }
    value = json_pack("{s:o, s:I}", "sources", rows, "total", (json_int_t)list->total);
    CHECK(value != NULL);
    if (list->more) {
        json_object_set_new(value, "next", json_string(list->rows[list->count - 1].path));
    }
    return value;
}

static void handle_sources(struct sluice_task *task, void *arg)
{
    json_t *args = sluice_task_args(task);
    struct sources_work work = {
        .index = arg,
        .after = json_string_value(json_object_get(args, "after")),
        .limit = limit_get(args, SOURCES_LIMIT_DEFAULT, SOURCES_LIMIT_MAX),
    };
    int rc = sluice_work(sluice_task_peer(task), sources_work, &work);

    if (rc != 0) {
        sluice_failf(task, "index_error", "the sources could not be listed");
    } else if (work.rc != SQLITE_OK) {
        fail_index(task, work.rc);
    } else {
        sluice_done_json(task, sources_to_json(&work.list));
    }
    source_list_deinit(&work.list);
}

/* ------------------------------------------------------------------------------------------- */

int service_offer(struct sluice *sluice, struct index *index)
{
    const struct sluice_service services[] = {
        {.name = "retriever.search",
         .handler = handle_search,
         .schema = search_schema,
         .about = "Finds passages of the indexed documents that answer a question, best first, "
                  "each with its file and lines or page."},
        {.name = "retriever.passage",
         .handler = handle_passage,
         .schema = passage_schema,
         .about = "One passage by the id that a search gave it, with the text before and after."},
        {.name = "retriever.sources",
         .handler = handle_sources,
         .schema = sources_schema,
         .about = "The indexed documents: path, kind, title, passages, size, time of change."},
    };

    for (size_t i = 0; i < sizeof services / sizeof services[0]; i++) {
        struct sluice_service service = services[i];
        int rc;

        service.arg = index;
        service.credit = 2 * INDEX_READERS; /* as many as search at once, and as many that wait */
        service.version = SLUICE_VERSION;
        rc = sluice_serve(sluice, &service);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}
