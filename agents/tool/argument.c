#include "agents/tool/service.h"
#include "common/json.h"

bool argument_text(struct sluice_task *task, const char *name, const char **text)
{
    const json_t *given = json_object_get(sluice_task_args(task), name);

    if (given == NULL) {
        return true;
    }
    *text = json_text(given);
    if (*text == NULL) {
        sluice_failf(task, "bad_arguments", "/%s: must have no NUL", name);
    }
    return *text != NULL;
}
