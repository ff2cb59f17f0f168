/* store_int.h: the parts of a store and who does what: batch.c keeps what changed, rows.c moves records into
 * rows and back, schema.c makes the tables and brings them forward, store.c holds it all together. */
#ifndef STORE_STORE_INT_H
#define STORE_STORE_INT_H

#include "store.h"

#include <pthread.h>
#include <sqlite3.h>

#define STORE_SQL_MAX 8192

/* ---- what changed in a turn (batch.c) --------------------------------------------------------------- */

struct change {
    uint32_t type; /* place among the store's types */
    bool     is_deletion;
    size_t   at; /* of the record's copy in the batch's bytes */
};

struct batch {
    struct change *changes;
    uint32_t       count, room;
    char          *bytes;
    size_t         bytes_used, bytes_room;
    uint32_t      *slots; /* hash table: place in changes + 1, or 0 */
    uint32_t       slot_count;
};

/* A deletion keeps the record too, for its key. */
must_check struct err batch_put(struct batch *b, const struct record_type *const *types, uint32_t type,
                                const void *record, bool is_deletion);
void                  batch_clear(struct batch *b); /* keeps its memory for the next turn */
void                  batch_free(struct batch *b);

/* ---- records and rows (rows.c) ----------------------------------------------------------------------- */

struct list_statements {
    const struct field *field;
    sqlite3_stmt       *insert, *select, *delete;
};

struct type_statements {
    sqlite3_stmt          *upsert, *select, *delete;
    struct list_statements lists[RECORD_FIELDS_MAX];
    uint32_t               list_count;
};

must_check struct err rows_prepare(sqlite3 *db, const struct record_type *type, struct type_statements *out);
void                  rows_finish(struct type_statements *s);
must_check struct err rows_put(const struct type_statements *s, const struct record_type *type,
                               const void *record);
must_check struct err rows_delete(const struct type_statements *s, const struct record_type *type,
                                  const void *record);
must_check struct err rows_bind_id(sqlite3_stmt *s, int at, struct id id);
/* The row that the statement stands at, its columns in field order. Lists stay as they are. */
must_check struct err rows_read(sqlite3_stmt *s, const struct record_type *type, void *record,
                                struct text *complaint);
must_check struct err rows_load(const struct type_statements *s, const struct record_type *type,
                                store_each each, void *context, struct text *complaint);

/* ---- the tables (schema.c) --------------------------------------------------------------------------- */

must_check struct err schema_open(sqlite3 *db, const struct store_options *o, struct text *complaint);

struct err store_err(int sqlite_code); /* OK for what is no error */
/* A statement without rows; it ends ready for its next use, whatever became of it. */
must_check struct err store_run(sqlite3_stmt *s);

#endif
