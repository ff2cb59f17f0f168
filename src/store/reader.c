#include "reader.h"

#include "store_int.h"

#include <stdlib.h>
#include <string.h>

#define RECORD_MAX 4096

struct store_reader {
    sqlite3 *db;
};

struct err store_reader_open(const char *path, struct store_reader **out)
{
    struct store_reader *r = calloc(1, sizeof *r);
    if (!r) return ERR(LIMIT, "there is no memory for the store");
    struct err e = store_err(sqlite3_open_v2(path, &r->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL));
    if (e.code)
        store_reader_close(r);
    else
        *out = r;
    return e;
}

void store_reader_close(struct store_reader *r)
{
    if (!r) return;
    sqlite3_close(r->db);
    free(r);
}

/* One select for each field and id, each by its index and cut short by itself; together they are the page. */
static void add_selects(const struct store_query *q, struct text *sql)
{
    const char *key = record_key(q->type)->name;
    text_add(sql, STR("SELECT * FROM ("));
    for (size_t i = 0; i < q->field_count * q->id_count; i++) {
        if (i) text_add(sql, STR(" UNION "));
        text_add(sql, STR("SELECT * FROM ("));
        record_sql_rows(q->type, sql);
        text_add(sql, STR(" WHERE \""));
        text_add(sql, str_from(q->fields[i / q->id_count]));
        text_add(sql, STR("\" = ?"));
        text_add_u64(sql, 3 + i % q->id_count);
        text_add(sql, STR(" AND \""));
        text_add(sql, str_from(key));
        text_add(sql, STR("\" < ?1 ORDER BY \""));
        text_add(sql, str_from(key));
        text_add(sql, STR("\" DESC LIMIT ?2)"));
    }
    text_add(sql, STR(") ORDER BY \""));
    text_add(sql, str_from(key));
    text_add(sql, STR("\" DESC LIMIT ?2"));
}

static struct err bind(const struct store_query *q, sqlite3_stmt *s)
{
    int64_t before = q->before > INT64_MAX ? INT64_MAX : (int64_t)q->before;
    TRY(store_err(sqlite3_bind_int64(s, 1, before)));
    TRY(store_err(sqlite3_bind_int64(s, 2, q->limit)));
    for (size_t i = 0; i < q->id_count; i++) TRY(rows_bind_id(s, 3 + (int)i, q->ids[i]));
    return OK;
}

static struct err read_rows(const struct store_query *q, sqlite3_stmt *s, store_each each, void *context)
{
    _Alignas(max_align_t) char record[RECORD_MAX];
    char                       room[256];
    int                        code;
    while ((code = sqlite3_step(s)) == SQLITE_ROW) {
        struct text complaint = TEXT_IN(room);
        memset(record, 0, q->type->size);
        TRY(rows_read(s, q->type, record, &complaint));
        TRY(each(context, record));
    }
    return store_err(code);
}

struct err store_read(struct store_reader *r, const struct store_query *q, store_each each, void *context)
{
    char          room[STORE_SQL_MAX];
    struct text   sql = TEXT_IN(room);
    sqlite3_stmt *s   = NULL;
    check(q->type->size <= RECORD_MAX && q->field_count && q->field_count <= STORE_QUERY_FIELDS_MAX);
    check(q->id_count && q->id_count <= STORE_QUERY_IDS_MAX);
    add_selects(q, &sql);
    check(!sql.full);
    struct err e = store_err(sqlite3_prepare_v2(r->db, sql.ptr, (int)sql.len, &s, NULL));
    if (!e.code) e = bind(q, s);
    if (!e.code) e = read_rows(q, s, each, context);
    sqlite3_finalize(s);
    return e;
}
