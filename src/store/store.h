/* store.h: records kept in SQLite, one transaction a turn.
 *
 * The loop puts changed records into the running batch (they are copied; of several puts of one key the last
 * one counts), hands the batch to the store's own thread with store_commit, and is woken when it is durable
 * or has failed. What was told durable survives the death of process and machine; of a turn all or nothing.
 * After a failed commit, and after any error here while serving, the store refuses everything: end the
 * process and open it again.
 *
 * The tables are made from the record types; an older store is brought forward by numbered migrations, a
 * newer one refused. One process at a time: a lock file beside the store (PATH.lock) is held. Readers with a
 * connection of their own (read-only) may look at any time: the journal is a WAL. A tool that holds the file
 * for a moment, a backup say, delays a commit and does not fail it.
 *
 * All functions belong to one thread, the loop's. Only `wake` is called on the store's thread. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/str.h"
#include "record/record.h"

#define STORE_TYPES_MAX 32
#define STORE_CHANGES_MAX (1u << 18) /* puts and deletes of different keys in one turn */
#define STORE_PATH_MAX 480

struct store;

typedef void (*store_waker)(void *context);
typedef void (*store_done)(void *context, struct err result);
typedef struct err (*store_each)(void *context, const void *record);

struct store_options {
    const char                      *path;
    const struct record_type *const *types; /* sound, each with a key; borrowed for good */
    uint32_t                         type_count;
    /* migrations[n] brings version n to n + 1; the version of today's tables is migration_count. */
    const char *const *migrations;
    uint32_t           migration_count;
    /* CREATE INDEX IF NOT EXISTS …: made when the store is opened; what reader.h asks by. */
    const char *const *indexes;
    uint32_t           index_count;
    store_waker        wake; /* from the store's thread: have the loop call store_finish */
    void              *wake_context;
};

/* Checks the file (PRAGMA quick_check), its version and its tables against the types. `complaint` says more
 * than the error where there is more to say. */
must_check struct err store_open(const struct store_options *options, struct store **out,
                                 struct text *complaint);
void                  store_close(struct store *s); /* waits for a running commit; null is fine */

/* Every record of a type with its lists, by key, checked against its table. Before the first put. */
must_check struct err store_load(struct store *s, const struct record_type *type, store_each each,
                                 void *context, struct text *complaint);

/* Into the running batch. The record's key must be set. */
must_check struct err store_put(struct store *s, const struct record_type *type, const void *record);
must_check struct err store_delete(struct store *s, const struct record_type *type,
                                   const void *record); /* by its key */

/* Hands the batch over; one commit runs at a time. `done` is called from store_finish, with the result. */
must_check struct err store_commit(struct store *s, store_done done, void *context);
bool                  store_is_busy(const struct store *s); /* a commit runs, or waits for store_finish */
void                  store_finish(struct store *s);        /* does nothing while it still runs */

/* The same here and now, for tools and tests. No other commit may be running. */
must_check struct err store_commit_now(struct store *s);

/* Do migrations[first] … lead from the tables of `old_schema` (SQL; version `first`) to those of today's
 * types? For a test beside the types. */
must_check struct err store_check_migrations(const struct store_options *options, const char *old_schema,
                                             uint32_t first, struct text *complaint);

#endif
