#include "broker/shell/store_check.h"

#define WITHOUT_ROW                                                                                \
    " FROM payload WHERE NOT EXISTS (SELECT 1 FROM task WHERE task.key = payload.key)"             \
    " AND NOT EXISTS (SELECT 1 FROM damaged WHERE damaged.key = payload.key)"

bool store_check_figures(struct store_file *file, struct store_figures *figures,
                         struct problem *problem)
{
    const struct {
        const char *sql;
        uint64_t *to;
    } questions[] = {
        {"SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
         &figures->bytes},
        {"SELECT freelist_count * page_size FROM pragma_freelist_count, pragma_page_size",
         &figures->free_bytes},
        {"SELECT count(*) FROM payload", &figures->large},
        {"SELECT coalesce(sum(length(body)), 0) FROM payload", &figures->large_bytes},
        {"SELECT count(*) FROM damaged", &figures->set_aside},
        {"SELECT coalesce(sum(length(task) + length(attempts) + length(checkpoint)"
         " + length(outcome)), 0) FROM damaged", &figures->set_aside_bytes},
        {"SELECT count(*)" WITHOUT_ROW, &figures->orphans},
        {"SELECT coalesce(sum(length(body)), 0)" WITHOUT_ROW, &figures->orphan_bytes},
    };
    int64_t number;

    *figures = (struct store_figures){.log_bytes = store_file_log_bytes(file)};
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
        if (!store_file_ask(file, questions[i].sql, &number)) {
            problem_set(problem, "cannot read the store %s: %s", file->path, file->why);
            return false;
        }
        *questions[i].to = (uint64_t)number;
    }
    return true;
}

bool store_check_pages(struct store_file *file, void (*say)(void *context, const char *sentence),
                       void *context, struct problem *problem)
{
    sqlite3_stmt *statement = store_file_prepare(file, "PRAGMA integrity_check(100)");
    int code = SQLITE_ERROR;

    while (statement != NULL && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        const char *sentence = (const char *)sqlite3_column_text(statement, 0);

        if (sentence != NULL && strcmp(sentence, "ok") != 0) {
            say(context, sentence);
        }
    }
    if (statement != NULL && store_file_is_damage(code)) {
        say(context, sqlite3_errmsg(file->db));
        code = SQLITE_DONE;
    } else if (statement != NULL && code != SQLITE_DONE) {
        store_file_judge(file, code, "checking");
    }
    sqlite3_finalize(statement);
    if (code != SQLITE_DONE) {
        problem_set(problem, "cannot check the store %s: %s", file->path, file->why);
    }
    return code == SQLITE_DONE;
}
