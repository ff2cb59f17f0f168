#include "store_int.h"

#include <string.h>

#define APPLICATION_ID 0x696f6e65 /* "ione": this file is a store of ours */

static void finalize(sqlite3_stmt **s)
{
    sqlite3_finalize(*s);
}
#define scoped_statement __attribute__((cleanup(finalize)))

static void close_database(sqlite3 **db)
{
    sqlite3_close(*db);
}
#define scoped_database __attribute__((cleanup(close_database)))

static struct err complain(sqlite3 *db, struct text *complaint, struct err e)
{
    text_add(complaint, str_from(sqlite3_errmsg(db)));
    return e;
}

static struct err execute(sqlite3 *db, const char *sql, struct text *complaint)
{
    struct err e = store_err(sqlite3_exec(db, sql, NULL, NULL, NULL));
    return e.code ? complain(db, complaint, e) : OK;
}

static struct err ask_i64(sqlite3 *db, const char *sql, int64_t *out)
{
    scoped_statement sqlite3_stmt *s = NULL;
    TRY(store_err(sqlite3_prepare_v2(db, sql, -1, &s, NULL)));
    int code = sqlite3_step(s);
    if (code != SQLITE_ROW)
        return code == SQLITE_DONE ? ERR(CORRUPT, "the store has no version") : store_err(code);
    *out = sqlite3_column_int64(s, 0);
    return OK;
}

static struct err create_tables(sqlite3 *db, const struct store_options *o, struct text *complaint)
{
    char room[STORE_SQL_MAX];
    for (uint32_t i = 0; i < o->type_count; i++) {
        struct text sql = TEXT_IN(room);
        record_sql_create(o->types[i], &sql);
        const char *ended = text_z(&sql);
        check(!sql.full);
        TRY(execute(db, ended, complaint));
    }
    return OK;
}

static struct err set_version(sqlite3 *db, uint32_t version, struct text *complaint)
{
    char        room[128];
    struct text sql = TEXT_IN(room);
    text_add(&sql, STR("DELETE FROM schema; INSERT INTO schema (version) VALUES ("));
    text_add_u64(&sql, version);
    text_add_char(&sql, ')');
    return execute(db, text_z(&sql), complaint);
}

static struct err create_all(sqlite3 *db, const struct store_options *o, struct text *complaint)
{
    char        room[64];
    struct text sql = TEXT_IN(room);
    text_add(&sql, STR("PRAGMA application_id = "));
    text_add_u64(&sql, APPLICATION_ID);
    TRY(execute(db, text_z(&sql), complaint));
    TRY(execute(db, "CREATE TABLE schema (version INTEGER NOT NULL) STRICT", complaint));
    TRY(create_tables(db, o, complaint));
    return set_version(db, o->migration_count, complaint);
}

static struct err migrate(sqlite3 *db, const struct store_options *o, uint32_t from, struct text *complaint)
{
    for (uint32_t i = from; i < o->migration_count; i++) TRY(execute(db, o->migrations[i], complaint));
    return from < o->migration_count ? set_version(db, o->migration_count, complaint) : OK;
}

/* ---- are these the tables of today's types? ---------------------------------------------------------- */

/* Columns by name: a migration adds them at the end, wherever the type has them. */
#define COLUMNS_SQL                                                                                      \
    "SELECT t.name || '.' || c.name || ' ' || c.type || iif(c.\"notnull\", ' not null', '') || ' key ' " \
    "|| c.pk "                                                                                           \
    "FROM sqlite_master t, pragma_table_info(t.name) c "                                                 \
    "WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND t.name <> 'schema' ORDER BY 1"

static struct str next_column(sqlite3_stmt *s, int *code)
{
    *code = sqlite3_step(s);
    if (*code != SQLITE_ROW) return STR("");
    return str_from((const char *)sqlite3_column_text(s, 0));
}

static struct err compare_columns(sqlite3 *db, sqlite3 *model, struct text *complaint)
{
    scoped_statement sqlite3_stmt *is = NULL, *should = NULL;
    TRY(store_err(sqlite3_prepare_v2(db, COLUMNS_SQL, -1, &is, NULL)));
    TRY(store_err(sqlite3_prepare_v2(model, COLUMNS_SQL, -1, &should, NULL)));
    for (;;) {
        int        is_code, should_code;
        struct str has = next_column(is, &is_code), wants = next_column(should, &should_code);
        TRY(store_err(is_code));
        TRY(store_err(should_code));
        if (is_code == SQLITE_DONE && should_code == SQLITE_DONE) return OK;
        if (is_code == should_code && str_eq(has, wants)) continue;
        text_add(complaint, STR("the store has \""));
        text_add(complaint, has);
        text_add(complaint, STR("\" where the program has \""));
        text_add(complaint, wants);
        text_add_char(complaint, '"');
        return ERR(CORRUPT, "the store's tables are not those of this program");
    }
}

static struct err check_tables(sqlite3 *db, const struct store_options *o, struct text *complaint)
{
    scoped_database sqlite3 *model = NULL;
    TRY(store_err(sqlite3_open(":memory:", &model)));
    TRY(create_tables(model, o, complaint));
    return compare_columns(db, model, complaint);
}

/* ---- opening ------------------------------------------------------------------------------------------ */

static struct err open_existing(sqlite3 *db, const struct store_options *o, struct text *complaint)
{
    int64_t application = 0, version = 0;
    TRY(ask_i64(db, "PRAGMA application_id", &application));
    if (application != APPLICATION_ID) return ERR(CORRUPT, "the file is no store of this program");
    TRY(ask_i64(db, "SELECT version FROM schema", &version));
    if (version < 0) return ERR(CORRUPT, "the store has no version");
    if (version > o->migration_count)
        return ERR(CONFLICT, "the store was written by a newer version of this program");
    return migrate(db, o, (uint32_t)version, complaint);
}

static struct err make_or_migrate(sqlite3 *db, const struct store_options *o, struct text *complaint)
{
    int64_t tables = 0;
    TRY(ask_i64(db, "SELECT count(*) FROM sqlite_master", &tables));
    return tables == 0 ? create_all(db, o, complaint) : open_existing(db, o, complaint);
}

struct err schema_open(sqlite3 *db, const struct store_options *o, struct text *complaint)
{
    TRY(execute(db, "BEGIN IMMEDIATE", complaint));
    struct err e = make_or_migrate(db, o, complaint);
    if (!e.code) e = check_tables(db, o, complaint);
    for (uint32_t i = 0; !e.code && i < o->index_count; i++) e = execute(db, o->indexes[i], complaint);
    if (!e.code) return execute(db, "COMMIT", complaint);
    (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return e;
}

struct err store_check_migrations(const struct store_options *o, const char *old_schema, uint32_t first,
                                  struct text *complaint)
{
    scoped_database sqlite3 *db = NULL;
    TRY(store_err(sqlite3_open(":memory:", &db)));
    TRY(execute(db, old_schema, complaint));
    TRY(execute(db, "CREATE TABLE schema (version INTEGER NOT NULL) STRICT", complaint));
    TRY(migrate(db, o, first, complaint));
    return check_tables(db, o, complaint);
}
