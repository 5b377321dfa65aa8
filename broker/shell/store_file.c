#include "broker/shell/store_file.h"

#include "common/check.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define MODE 0600                   /* payloads are nobody else's business */
#define APPLICATION_ID 0x736c7563   /* "sluc"; see sqlite3's PRAGMA application_id */
#define KEYS_RESERVED (1ULL << 20)  /* at once: one write for so many tasks */
#define VALUE_BYTES_MAX (PAYLOAD_BYTES_MAX + 4 * BATCH_BYTES_MAX)

static_assert(VALUE_BYTES_MAX > 4 * STORE_PART_MAX, "a row of four parts is within the bound");

/* What brings a database of version i to version i + 1; the first makes it. */
static const char *const migrations[STORE_SCHEMA_VERSION] = {
    "CREATE TABLE task (key INTEGER PRIMARY KEY, task BLOB, attempts BLOB, checkpoint BLOB,"
    " outcome BLOB);"
    "CREATE TABLE payload (key INTEGER, part INTEGER, body BLOB, PRIMARY KEY (key, part))"
    " WITHOUT ROWID;"
    "CREATE TABLE damaged (key INTEGER PRIMARY KEY, why TEXT, found_unix_ms INTEGER, task BLOB,"
    " attempts BLOB, checkpoint BLOB, outcome BLOB);"
    "CREATE TABLE reserved (one INTEGER PRIMARY KEY, below BLOB);"};

static const char *const statements[STORE_STATEMENT_COUNT] = {
    [STORE_BEGIN] = "BEGIN IMMEDIATE",
    [STORE_COMMIT] = "COMMIT",
    [STORE_INSERT] = "INSERT INTO task VALUES (?1, ?2, ?3, ?4, ?5)",
    [STORE_UPDATE] = "UPDATE task SET attempts = coalesce(?3, attempts),"
                     " checkpoint = coalesce(?4, checkpoint), outcome = coalesce(?5, outcome)"
                     " WHERE key = ?1 AND ?2 IS NULL",
    [STORE_DELETE] = "DELETE FROM task WHERE key = ?1",
    [STORE_PUT_LARGE] = "INSERT OR REPLACE INTO payload VALUES (?1, ?2, ?3)",
    [STORE_DELETE_LARGE] = "DELETE FROM payload WHERE key = ?1",
    [STORE_GET_LARGE] = "SELECT body FROM payload WHERE key = ?1 AND part = ?2",
    [STORE_RESERVE] = "INSERT OR REPLACE INTO reserved VALUES (1, ?1)",
};

/* ---- results ------------------------------------------------------------------------- */

/* errno of the last call that failed for the log, or for the database. SQLite's own
 * sqlite3_system_errno says nothing after a COMMIT. */
static int last_error(struct store_file *file, bool of_log)
{
    sqlite3_file *log = NULL;
    int error = 0;

    if (!of_log) {
        sqlite3_file_control(file->db, "main", SQLITE_FCNTL_LAST_ERRNO, &error);
        return error;
    }
    sqlite3_file_control(file->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
    if (log != NULL && log->pMethods != NULL) {
        log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &error);
    }
    return error;
}

/* A bound on the size of files, or a quota, is as a full disk. */
static bool no_room(int code, int error)
{
    return (code & 0xff) == SQLITE_FULL ||
           (code == SQLITE_IOERR_WRITE && (error == ENOSPC || error == EDQUOT || error == EFBIG));
}

/* `of_log`: it is the log that was written to. */
static enum store_file_result judge(struct store_file *file, int code, const char *doing,
                                    bool of_log)
{
    int error;
    bool full;

    if (code == SQLITE_OK) {
        return STORE_FILE_OK;
    }
    error = last_error(file, of_log);
    full = no_room(code, error);
    snprintf(file->why, sizeof file->why, "%s: %s (SQLite's %d, errno %d)", doing,
             full ? "no room" : sqlite3_errmsg(file->db), code, error);
    return full ? STORE_FILE_FULL : STORE_FILE_FAILED;
}

enum store_file_result store_file_judge(struct store_file *file, int code, const char *doing)
{
    return judge(file, code, doing, true);
}

bool store_file_is_damage(int code)
{
    code &= 0xff;
    return code == SQLITE_CORRUPT || code == SQLITE_NOTADB || code == SQLITE_TOOBIG;
}

int store_file_run(sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);

    sqlite3_reset(statement);
    return code == SQLITE_DONE || code == SQLITE_ROW ? SQLITE_OK : code;
}

int store_file_execute(struct store_file *file, const char *sql)
{
    return sqlite3_exec(file->db, sql, NULL, NULL, NULL);
}

sqlite3_stmt *store_file_prepare(struct store_file *file, const char *sql)
{
    sqlite3_stmt *statement = NULL;

    store_file_judge(file, sqlite3_prepare_v2(file->db, sql, -1, &statement, NULL), "preparing");
    return statement;
}

bool store_file_ask(struct store_file *file, const char *sql, int64_t *number)
{
    sqlite3_stmt *statement = store_file_prepare(file, sql);
    int code;

    if (statement == NULL) {
        return false;
    }
    code = sqlite3_step(statement);
    *number = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    if (code != SQLITE_ROW) {
        store_file_judge(file, code, "reading");
    }
    sqlite3_finalize(statement);
    return code == SQLITE_ROW;
}

int store_file_quick_check(struct store_file *file)
{
    sqlite3_stmt *statement = store_file_prepare(file, "PRAGMA quick_check(1)");
    const char *said;
    int code;

    if (statement == NULL) {
        return sqlite3_errcode(file->db);
    }
    code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        said = (const char *)sqlite3_column_text(statement, 0);
        code = said != NULL && strcmp(said, "ok") == 0 ? SQLITE_OK : SQLITE_CORRUPT;
    }
    sqlite3_finalize(statement);
    return code;
}

/* ---- opening ------------------------------------------------------------------------- */

/* Makes an empty file with our mode. One that is there is not touched: closing it again would
 * let go of the locks that another connection of this process has. */
static bool make_file(const char *path, struct problem *problem)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, MODE);

    if (fd >= 0) {
        close(fd);
    } else if (errno != EEXIST) {
        problem_set(problem, "cannot make the store %s: %s", path, strerror(errno));
        return false;
    }
    return true;
}

/* Not what may be written there, but whether anything can. */
static bool disk_is_read_only(const char *path)
{
    struct statvfs disk;

    return statvfs(path, &disk) == 0 && (disk.f_flag & ST_RDONLY) != 0;
}

static void explain(const struct store_file *file, int code, struct problem *problem)
{
    const char *said = file->db != NULL ? sqlite3_errmsg(file->db) : sqlite3_errstr(code);
    int error = file->db != NULL ? sqlite3_system_errno(file->db) : 0;

    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        problem_set(problem, "the store %s is in use: stop the broker that has it, or %s",
                    file->path, file->reading ? "name a backup of it"
                                              : "give this one a store of its own");
        break;
    case SQLITE_NOTADB:
        problem_set(problem, "%s is no store, or its beginning is damaged: move it away, or "
                    "restore it", file->path);
        break;
    case SQLITE_CORRUPT:
        problem_set(problem, "the store %s is too damaged to be opened (%s): move it away and "
                    "restore it, or begin with a new one", file->path, said);
        break;
    case SQLITE_READONLY:
    case SQLITE_PERM:
        if (disk_is_read_only(file->path)) {
            problem_set(problem, "the store %s is on a file system that is read-only: %s",
                        file->path, file->reading ? "copy it, and its -wal if there is one, to "
                                                    "another, and name that"
                                                  : "a broker must write to it");
            break;
        }
        problem_set(problem, "the store %s cannot be %s: the broker's user must own it, and its "
                    "folder", file->path, file->reading ? "locked" : "written to");
        break;
    case SQLITE_FULL:
        problem_set(problem, "there is no room for the store %s", file->path);
        break;
    case SQLITE_CANTOPEN:
        problem_set(problem, "cannot open the store %s: %s", file->path,
                    error != 0 ? strerror(error) : said);
        break;
    default:
        problem_set(problem, "cannot open the store %s: %s (SQLite's %d, errno %d)", file->path,
                    said, code, error);
    }
}

static int note_wal_pages(void *context, sqlite3 *db, const char *name, int pages)
{
    struct store_file *file = context;

    file->wal_pages = pages;
    return SQLITE_OK;
}

/* Takes the lock, too: everybody else finds the database busy from now on. */
static int configure(struct store_file *file)
{
    sqlite3_extended_result_codes(file->db, 1);
    if (sqlite3_db_readonly(file->db, "main") != 0) {
        return SQLITE_READONLY; /* what may not be written is opened all the same */
    }
    sqlite3_limit(file->db, SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX);
    sqlite3_db_config(file->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(file->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    return store_file_execute(file, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA cell_size_check = ON;"
                                  "PRAGMA secure_delete = OFF; PRAGMA temp_store = MEMORY;"
                                  "PRAGMA cache_size = -65536; PRAGMA mmap_size = 0;"
                                  "SELECT count(*) FROM sqlite_schema");
}

/* Before anything is changed in it. */
static bool is_ours(struct store_file *file, int64_t *version, struct problem *problem)
{
    int64_t application, tables;

    if (!store_file_ask(file, "PRAGMA application_id", &application) ||
        !store_file_ask(file, "PRAGMA user_version", version) ||
        !store_file_ask(file, "SELECT count(*) FROM sqlite_schema", &tables)) {
        problem_set(problem, "cannot read the store %s: %s", file->path, file->why);
        return false;
    }
    if (application != APPLICATION_ID && (application != 0 || *version != 0 || tables != 0)) {
        problem_set(problem, "%s is a database of another program: move it away, or name another "
                    "file", file->path);
        return false;
    }
    if (*version < 0 || *version > STORE_SCHEMA_VERSION) {
        problem_set(problem, "the store %s has version %" PRId64 ", and this broker knows versions "
                    "up to %d: run the newer broker that made it, or name another file",
                    file->path, *version, STORE_SCHEMA_VERSION);
        return false;
    }
    return true;
}

int store_file_reserve(struct store_file *file, uint64_t below)
{
    uint8_t bytes[STORE_NUMBER_BYTES];
    sqlite3_stmt *statement = file->statements[STORE_RESERVE];

    store_number_write(below, bytes);
    sqlite3_bind_blob(statement, 1, bytes, sizeof bytes, SQLITE_TRANSIENT);
    return store_file_run(statement);
}

static int prepare_all(struct store_file *file)
{
    int code = SQLITE_OK;

    for (unsigned i = 0; code == SQLITE_OK && i < STORE_STATEMENT_COUNT; i++) {
        code = sqlite3_prepare_v3(file->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT,
                                  &file->statements[i], NULL);
    }
    return code;
}

static int migrate(struct store_file *file, int64_t version)
{
    char sql[96];
    int code = store_file_execute(file, "BEGIN IMMEDIATE");

    for (int64_t i = version; code == SQLITE_OK && i < STORE_SCHEMA_VERSION; i++) {
        code = store_file_execute(file, migrations[i]);
    }
    snprintf(sql, sizeof sql, "PRAGMA application_id = %d; PRAGMA user_version = %d;",
             APPLICATION_ID, STORE_SCHEMA_VERSION);
    code = code != SQLITE_OK ? code : store_file_execute(file, sql);
    code = code != SQLITE_OK ? code : prepare_all(file);
    if (version == 0) {
        code = code != SQLITE_OK ? code : store_file_reserve(file, 1);
    }
    return code != SQLITE_OK ? code : store_file_execute(file, "COMMIT");
}

enum store_file_result store_file_settle(struct store_file *file)
{
    return file->settled ? STORE_FILE_OK : store_file_checkpoint(file);
}

/* Also what is known without reading it all. */
static int read_standing(struct store_file *file)
{
    sqlite3_stmt *statement = store_file_prepare(file, "SELECT below FROM reserved WHERE one = 1");
    int64_t large = 1;
    int code;

    if (statement == NULL) {
        return sqlite3_errcode(file->db);
    }
    code = sqlite3_step(statement);
    file->reserved_lost =
        code != SQLITE_ROW || sqlite3_column_type(statement, 0) != SQLITE_BLOB ||
        !store_number_read(span_of(sqlite3_column_blob(statement, 0),
                                   (size_t)sqlite3_column_bytes(statement, 0)),
                           &file->reserved);
    sqlite3_finalize(statement);
    /* If this cannot be read, the check of the whole file says so. */
    store_file_ask(file, "SELECT EXISTS (SELECT 1 FROM payload)", &large);
    file->has_large = large != 0;
    return SQLITE_OK;
}

static bool has_wal(struct store_file *file)
{
    int64_t is = 0;

    store_file_ask(file, "SELECT journal_mode = 'wal' FROM pragma_journal_mode", &is);
    return is != 0;
}

static int set_up(struct store_file *file, int64_t version)
{
    int code = store_file_execute(file, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                                        "PRAGMA wal_autocheckpoint = 0;");

    sqlite3_wal_hook(file->db, note_wal_pages, file);
    if (version == STORE_SCHEMA_VERSION) {
        code = code != SQLITE_OK ? code : prepare_all(file);
    } else {
        if (code == SQLITE_OK && store_file_settle(file) != STORE_FILE_OK) {
            code = sqlite3_errcode(file->db);
        }
        code = code != SQLITE_OK ? code : migrate(file, version);
    }
    code = code != SQLITE_OK ? code : read_standing(file);
    return code == SQLITE_OK && !has_wal(file) ? SQLITE_CANTOPEN : code;
}

static bool keep_path(struct store_file *file, const char *path, struct problem *problem)
{
    char *resolved = realpath(path, NULL); /* SQLite's log is beside what a link leads to */
    size_t size;

    memset(file, 0, sizeof *file);
    size = (size_t)snprintf(file->path, sizeof file->path, "%s",
                            resolved != NULL ? resolved : path);
    free(resolved);
    if (size >= sizeof file->path) {
        problem_set(problem, "the path of the store is too long");
        return false;
    }
    return true;
}

/* With the lock. */
static int connect(struct store_file *file)
{
    int code;

    /* Nobody asks how much memory it has, and to count it takes a lock at each allocation. It is
     * refused once SQLite has begun, which does no harm. */
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    code = sqlite3_open_v2(file->path, &file->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                           NULL);
    return code != SQLITE_OK ? code : configure(file);
}

/* What SQLite has not read of the log, before it is written over. */
static int look_at_log(struct store_file *file)
{
    struct store_log *log = &file->log;
    int code = store_log_look(file->db, log);

    if (code == SQLITE_OK && !file->reading && store_log_is_damaged(log)) {
        store_log_keep(file->path, log);
    }
    if (code == SQLITE_OK && !file->reading && log->wrong_frames > 0) {
        code = store_log_mend(file->db);
        store_file_close(file, true);
        code = code != SQLITE_OK ? code : connect(file);
    }
    return code;
}

/* Connects, takes the lock, and looks whose it is. False: `problem` says why; close it. */
static bool take(struct store_file *file, int64_t *version, struct problem *problem)
{
    int code = connect(file);
    bool corrupt = (code & 0xff) == SQLITE_CORRUPT; /* the log may be the reason */

    if (code == SQLITE_OK || corrupt) {
        int of_log = look_at_log(file);

        /* If it was mended, that is of the database as it is with that. */
        code = of_log != SQLITE_OK || file->log.wrong_frames > 0 ? of_log : code;
    }
    if (code == SQLITE_OK && file->reading && (file->log.copied || corrupt)) {
        problem_set(problem, "the log of the store %s is damaged, and what can be read of it is "
                    "older than the database: start a broker with it once, which mends it",
                    file->path);
        return false;
    }
    if (code != SQLITE_OK) {
        explain(file, code, problem);
        return false;
    }
    return is_ours(file, version, problem);
}

bool store_file_open(struct store_file *file, const char *path, struct problem *problem)
{
    int64_t version;
    bool opened = false;
    int code;

    if (!keep_path(file, path, problem) || !make_file(path, problem)) {
        return false;
    }
    if (take(file, &version, problem)) {
        code = set_up(file, version);
        opened = code == SQLITE_OK;
        if (!opened) {
            explain(file, code, problem);
        }
    }
    if (!opened) {
        store_file_close(file, true);
    }
    return opened;
}

/* Of what has been taken. */
static bool set_up_to_read(struct store_file *file, int64_t version, struct problem *problem)
{
    int code;

    if (version != STORE_SCHEMA_VERSION) {
        problem_set(problem, version == 0 ? "%s is empty: no broker has had it yet"
                                          : "the store %s has version %" PRId64 ": start a broker "
                                            "with it once, which makes it one of version %d",
                    file->path, version, STORE_SCHEMA_VERSION);
        return false;
    }
    code = store_file_execute(file, "PRAGMA query_only = ON; PRAGMA wal_autocheckpoint = 0");
    code = code != SQLITE_OK ? code : prepare_all(file);
    code = code != SQLITE_OK ? code : read_standing(file);
    if (code != SQLITE_OK) {
        explain(file, code, problem);
    }
    return code == SQLITE_OK;
}

bool store_file_open_to_read(struct store_file *file, const char *path, struct problem *problem)
{
    struct stat there;
    int64_t version;

    if (!keep_path(file, path, problem)) {
        return false;
    }
    file->reading = true;
    if (stat(path, &there) != 0 || !S_ISREG(there.st_mode)) {
        problem_set(problem, "there is no store %s", path);
        return false;
    }
    if (!take(file, &version, problem) || !set_up_to_read(file, version, problem)) {
        store_file_close(file, true);
        return false;
    }
    return true;
}

void store_file_close(struct store_file *file, bool lost)
{
    for (unsigned i = 0; i < STORE_STATEMENT_COUNT; i++) {
        sqlite3_finalize(file->statements[i]);
        file->statements[i] = NULL;
    }
    /* An empty log is not worth keeping: SQLite has just made it. */
    if ((lost || file->reading) && file->db != NULL && store_file_log_bytes(file) > 0) {
        sqlite3_db_config(file->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    }
    sqlite3_close(file->db);
    file->db = NULL;
}

/* ---- writing ------------------------------------------------------------------------- */

static void bind_parts(sqlite3_stmt *statement, const struct store_change *change)
{
    sqlite3_bind_int64(statement, 1, (int64_t)change->key);
    for (int i = 0; i < STORE_PART_COUNT; i++) {
        if (change->parts[i] != NULL) {
            struct span part = store_entry_part(change->parts[i]);

            sqlite3_bind_blob64(statement, 2 + i, part.data, part.size, SQLITE_STATIC);
        } else {
            sqlite3_bind_null(statement, 2 + i);
        }
    }
}

static int put_large(struct store_file *file, const struct store_change *change)
{
    sqlite3_stmt *statement = file->statements[STORE_PUT_LARGE];
    int code = SQLITE_OK;

    for (int i = 0; code == SQLITE_OK && i < STORE_PART_COUNT; i++) {
        if (change->parts[i] != NULL && change->parts[i]->large != NULL) {
            struct span body = blob_span(change->parts[i]->large);

            sqlite3_bind_int64(statement, 1, (int64_t)change->key);
            sqlite3_bind_int(statement, 2, i);
            sqlite3_bind_blob64(statement, 3, body.data, body.size, SQLITE_STATIC);
            code = store_file_run(statement);
            file->has_large = true;
        }
    }
    return code;
}

static int insert(struct store_file *file, const struct store_change *change)
{
    sqlite3_stmt *statement = file->statements[STORE_INSERT];
    uint8_t none[STORE_PART_COUNT][STORE_NONE_BYTES];

    bind_parts(statement, change);
    for (int i = 0; i < STORE_PART_COUNT; i++) {
        if (change->parts[i] == NULL) {
            store_part_none(change->key, (enum store_part)i, none[i]);
            sqlite3_bind_blob(statement, 2 + i, none[i], STORE_NONE_BYTES, SQLITE_STATIC);
        }
    }
    return store_file_run(statement);
}

static int update(struct store_file *file, const struct store_change *change)
{
    bind_parts(file->statements[STORE_UPDATE], change);
    return store_file_run(file->statements[STORE_UPDATE]);
}

static int delete(struct store_file *file, const struct store_change *change)
{
    sqlite3_stmt *row = file->statements[STORE_DELETE];
    sqlite3_stmt *large = file->statements[STORE_DELETE_LARGE];
    int code;

    sqlite3_bind_int64(row, 1, (int64_t)change->key);
    code = store_file_run(row);
    if (code == SQLITE_OK && file->has_large) {
        sqlite3_bind_int64(large, 1, (int64_t)change->key);
        code = store_file_run(large);
    }
    return code;
}

static int write_change(struct store_file *file, const struct store_change *change)
{
    int code = SQLITE_OK;

    switch (change->kind) {
    case STORE_CHANGE_NOTHING:
        return SQLITE_OK;
    case STORE_CHANGE_INSERT:
        code = insert(file, change);
        break;
    case STORE_CHANGE_UPDATE:
        code = update(file, change);
        break;
    case STORE_CHANGE_DELETE:
        return delete(file, change);
    }
    return code != SQLITE_OK ? code : put_large(file, change);
}

/* In a transaction that has begun. */
static int write_all(struct store_file *file, const struct store_batch *batch, uint64_t reserved)
{
    int code = reserved == file->reserved ? SQLITE_OK : store_file_reserve(file, reserved);

    for (size_t i = 0; code == SQLITE_OK && i < batch->count; i++) {
        code = write_change(file, &batch->changes[i]);
    }
    return code != SQLITE_OK ? code : store_file_run(file->statements[STORE_COMMIT]);
}

enum store_file_result store_file_write(struct store_file *file, const struct store_batch *batch)
{
    uint64_t reserved = file->reserved;
    enum store_file_result result;
    int code;

    CHECK(batch->key_max <= STORE_KEY_MAX);
    if (batch->key_max >= reserved) {
        reserved = batch->key_max + KEYS_RESERVED;
    } else if (batch->writes == 0) {
        return STORE_FILE_OK;
    }
    result = store_file_settle(file);
    if (result != STORE_FILE_OK) {
        return result;
    }
    code = store_file_run(file->statements[STORE_BEGIN]);
    code = code != SQLITE_OK ? code : write_all(file, batch, reserved);
    result = store_file_judge(file, code, "writing");
    store_file_left(file, result == STORE_FILE_OK);
    if (result == STORE_FILE_OK) {
        file->reserved = reserved;
    } else if (!sqlite3_get_autocommit(file->db)) {
        code = store_file_execute(file, "ROLLBACK");
        if (code != SQLITE_OK) {
            result = STORE_FILE_FAILED;
        }
    }
    return result;
}

enum store_file_result store_file_checkpoint(struct store_file *file)
{
    int logged = 0, copied = 0;
    int mode = file->settled ? SQLITE_CHECKPOINT_PASSIVE : SQLITE_CHECKPOINT_TRUNCATE;
    int code = sqlite3_wal_checkpoint_v2(file->db, NULL, mode, &logged, &copied);
    enum store_file_result result = judge(file, code, "checkpointing", false);

    if (result == STORE_FILE_OK && logged == copied) {
        file->settled = true;
        file->wal_pages = 0;
    }
    return result;
}

void store_file_left(struct store_file *file, bool good)
{
    file->settled = file->settled && good;
}

uint64_t store_file_wal_bytes(const struct store_file *file)
{
    return (uint64_t)file->wal_pages * 4096; /* SQLite's default for pages, which we keep */
}

uint64_t store_file_log_bytes(const struct store_file *file)
{
    char log[STORE_PATH_LONG_MAX];
    struct stat there;

    snprintf(log, sizeof log, "%s-wal", file->path);
    return stat(log, &there) == 0 ? (uint64_t)there.st_size : 0;
}

uint64_t store_file_bytes(struct store_file *file)
{
    int64_t pages = 0, bytes = 0;

    store_file_ask(file, "PRAGMA page_count", &pages);
    store_file_ask(file, "PRAGMA page_size", &bytes);
    return (uint64_t)(pages * bytes);
}
