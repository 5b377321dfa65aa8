/* store_path: the files that a database is, and putting a whole one in its place. */
#ifndef SLUICE_BROKER_SHELL_STORE_PATH_H
#define SLUICE_BROKER_SHELL_STORE_PATH_H

#include <stdbool.h>

#define STORE_PATH_MAX 512                       /* of a store, with its NUL */
#define STORE_PATH_LONG_MAX (STORE_PATH_MAX + 40) /* with what we put behind it */

/* True: `path` is written as `store` is, or as a file that SQLite keeps beside it. */
bool store_path_is_of(const char *path, const char *store);

/* Removes a database and what SQLite has beside it; what is not there is no fault. */
void store_path_remove(const char *path);

/* Removes its log. */
void store_path_remove_log(const char *path);

/* True: a log stands beside `path`, which SQLite would take for that of whatever is at `path`. */
bool store_path_has_log(const char *path);

/* Syncs the folder that `path` is in. False: errno says why. */
bool store_path_sync(const char *path);

/* `from`, closed and synced, becomes `path`, where nothing may be, or an empty file. False: errno
 * says why, and `from` is where it was. */
bool store_path_publish(const char *from, const char *path);

#endif
