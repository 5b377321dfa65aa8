#include "agents/analysis/service.h"

#include "agents/analysis/compare.h"
#include "agents/analysis/extract.h"
#include "agents/analysis/report.h"
#include "agents/analysis/summarize.h"

/* Two at once keep a second core busy; the rest waits at the broker, where
 * another analysis process can have it. */
#define CREDIT 2

typedef json_t *run_fn(const json_t *args, struct fault *fault);

/* One request on its way through the thread pool. */
struct request {
    run_fn *run;
    const json_t *args; /* of the task, which outlives the work */
    struct fault fault;
    json_t *answer;
};

static void request_work(void *arg)
{
    struct request *request = arg;

    request->answer = request->run(request->args, &request->fault);
}

static void handle(struct sluice_task *task, void *arg)
{
    run_fn *const *run = arg;
    struct request request = {.run = *run, .args = sluice_task_args(task)};
    int status;

    if (request.args == NULL) {
        sluice_failf(task, "bad_arguments", "the payload is no MessagePack map");
        return;
    }
    status = sluice_work(sluice_task_peer(task), request_work, &request);
    if (request.answer != NULL) {
        sluice_done_json(task, request.answer);
    } else if (status != 0) {
        sluice_failf(task, "cancelled", "stopped before it was done");
    } else {
        sluice_failf(task, "bad_arguments", "%s", request.fault.message);
    }
}

#define PASSAGE_SCHEMA                                                                             \
    "{\"type\":\"object\",\"required\":[\"text\"],\"properties\":{\"ref\":{\"type\":\"string\"},"  \
    "\"text\":{\"type\":\"string\"},\"source\":{\"type\":\"string\"},"                             \
    "\"title\":{\"type\":[\"string\",\"null\"]},"                                                  \
    "\"line_start\":{\"type\":[\"integer\",\"null\"]},"                                            \
    "\"line_end\":{\"type\":[\"integer\",\"null\"]},"                                              \
    "\"page\":{\"type\":[\"integer\",\"null\"]}}}"
#define PASSAGES_SCHEMA "{\"type\":\"array\",\"maxItems\":200,\"items\":" PASSAGE_SCHEMA "}"
#define LIMIT_SCHEMA "{\"type\":\"integer\",\"minimum\":1,\"maximum\":50}"

static const struct {
    const char *name;
    run_fn *run;
    const char *about;
    const char *schema;
} services[] = {
    {"analysis.extract", extract_run,
     "Finds the sentences of the given passages that answer a question, ranked, each with where "
     "it stands.",
     "{\"type\":\"object\",\"required\":[\"question\",\"passages\"],\"properties\":{"
     "\"question\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":2000},"
     "\"passages\":" PASSAGES_SCHEMA ",\"limit\":" LIMIT_SCHEMA "}}"},
    {"analysis.summarize", summarize_run,
     "Picks the sentences that stand for a text or for passages, in their order; with a question, "
     "those near it.",
     "{\"type\":\"object\",\"properties\":{\"passages\":" PASSAGES_SCHEMA ","
     "\"text\":{\"type\":\"string\"},\"question\":{\"type\":\"string\",\"maxLength\":2000},"
     "\"sentences\":" LIMIT_SCHEMA "},"
     "\"anyOf\":[{\"required\":[\"passages\"]},{\"required\":[\"text\"]}]}"},
    {"analysis.compare", compare_run,
     "Says how alike texts are, which terms they share, and which set each apart.",
     "{\"type\":\"object\",\"required\":[\"items\"],\"properties\":{\"items\":{\"type\":\"array\","
     "\"minItems\":2,\"maxItems\":10,\"items\":{\"type\":\"object\","
     "\"required\":[\"name\",\"text\"],\"properties\":{\"name\":{\"type\":\"string\"},"
     "\"text\":{\"type\":\"string\"}}}}}}"},
    {"analysis.report", report_run,
     "Weighs extracted sentences and writes an answer with claims and numbered citations; says "
     "what was not found.",
     "{\"type\":\"object\",\"required\":[\"question\",\"sections\"],\"properties\":{"
     "\"question\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":2000},"
     "\"sections\":{\"type\":\"array\",\"maxItems\":16,\"items\":{\"type\":\"object\","
     "\"required\":[\"question\",\"sentences\"],\"properties\":{"
     "\"question\":{\"type\":\"string\"},\"missing\":{\"type\":\"array\"},"
     "\"sentences\":{\"type\":\"array\",\"maxItems\":50,\"items\":{\"type\":\"object\"}}}}},"
     "\"facts\":{\"type\":\"array\",\"maxItems\":32,\"items\":{\"type\":\"object\"}},"
     "\"limit\":" LIMIT_SCHEMA "}}"},
};

int service_offer_all(struct sluice *sluice)
{
    size_t i;

    for (i = 0; i < sizeof services / sizeof services[0]; i++) {
        int status = sluice_serve(sluice, &(struct sluice_service){
                                              .name = services[i].name,
                                              .handler = handle,
                                              .arg = (void *)&services[i].run,
                                              .credit = CREDIT,
                                              .schema = services[i].schema,
                                              .about = services[i].about,
                                              .version = sluice_version(),
                                          });

        if (status != 0) {
            return status;
        }
    }
    return 0;
}
