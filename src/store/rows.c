#include "store_int.h"

#include <string.h>

#define SCRATCH_MAX ((size_t)1 << 20) /* the largest record that is loaded */

/* ---- statements --------------------------------------------------------------------------------------- */

static struct err prepare(sqlite3 *db, struct text *sql, sqlite3_stmt **out)
{
    check(!sql->full);
    int code = sqlite3_prepare_v3(db, sql->ptr, (int)sql->len, SQLITE_PREPARE_PERSISTENT, out, NULL);
    sql->len = 0;
    return store_err(code);
}

static struct err prepare_list(sqlite3 *db, const struct record_type *type, struct list_statements *l)
{
    char        room[STORE_SQL_MAX];
    struct text sql = TEXT_IN(room);
    record_sql_child_insert(type, l->field, &sql);
    TRY(prepare(db, &sql, &l->insert));
    record_sql_child_select(type, l->field, &sql);
    TRY(prepare(db, &sql, &l->select));
    record_sql_child_delete(type, l->field, &sql);
    return prepare(db, &sql, &l->delete);
}

struct err rows_prepare(sqlite3 *db, const struct record_type *type, struct type_statements *out)
{
    char        room[STORE_SQL_MAX];
    struct text sql = TEXT_IN(room);
    record_sql_upsert(type, &sql);
    TRY(prepare(db, &sql, &out->upsert));
    record_sql_select(type, &sql);
    TRY(prepare(db, &sql, &out->select));
    record_sql_delete(type, &sql);
    TRY(prepare(db, &sql, &out->delete));
    for (uint32_t i = 0; i < type->field_count; i++) {
        const struct field *f = &type->fields[i];
        if (f->kind != FIELD_KIND_LIST || (f->flags & STORED) == 0) continue;
        struct list_statements *l = &out->lists[out->list_count++];
        l->field                  = f;
        TRY(prepare_list(db, type, l));
    }
    return OK;
}

void rows_finish(struct type_statements *s)
{
    sqlite3_finalize(s->upsert);
    sqlite3_finalize(s->select);
    sqlite3_finalize(s->delete);
    for (uint32_t i = 0; i < s->list_count; i++) {
        sqlite3_finalize(s->lists[i].insert);
        sqlite3_finalize(s->lists[i].select);
        sqlite3_finalize(s->lists[i].delete);
    }
    *s = (struct type_statements){ 0 };
}

/* ---- record to row ------------------------------------------------------------------------------------ */

static int bind_id(sqlite3_stmt *s, int at, struct id id)
{
    char        room[ID_TEXT];
    struct text t = TEXT_IN(room);
    if (id_is_none(id)) return sqlite3_bind_null(s, at);
    id_write(id, &t);
    return sqlite3_bind_text(s, at, room, ID_TEXT, SQLITE_TRANSIENT);
}

struct err rows_bind_id(sqlite3_stmt *s, int at, struct id id)
{
    return store_err(bind_id(s, at, id));
}

static int bind_field(sqlite3_stmt *s, int at, const struct field *f, const void *record)
{
    struct str text;
    switch (f->kind) {
    case FIELD_KIND_ID: return bind_id(s, at, field_id(f, record));
    case FIELD_KIND_TEXT:
    case FIELD_KIND_LINES:
    case FIELD_KIND_ENUM:
        text = field_str(f, record);
        return sqlite3_bind_text(s, at, text.ptr, (int)text.len, SQLITE_STATIC);
    case FIELD_KIND_U32:
    case FIELD_KIND_U64:
    case FIELD_KIND_I64:
    case FIELD_KIND_SET:
    case FIELD_KIND_BOOL: return sqlite3_bind_int64(s, at, field_i64(f, record));
    case FIELD_KIND_BYTES: return sqlite3_bind_blob(s, at, field_bytes(f, record), (int)f->size, SQLITE_STATIC);
    case FIELD_KIND_LIST:
    case FIELD_KIND_COUNT: break;
    }
    return SQLITE_MISUSE;
}

static struct err bind_record(sqlite3_stmt *s, int at, const struct record_type *type, const void *record)
{
    for (uint32_t i = 0; i < type->field_count; i++)
        if (field_has_column(&type->fields[i])) TRY(store_err(bind_field(s, at++, &type->fields[i], record)));
    return OK;
}

static struct err bind_key(sqlite3_stmt *s, const struct record_type *type, const void *record)
{
    return store_err(bind_field(s, 1, record_key(type), record));
}

static struct err delete_list(const struct list_statements *l, const struct record_type *type,
                              const void *record)
{
    TRY(bind_key(l->delete, type, record));
    return store_run(l->delete);
}

static struct err put_list(const struct list_statements *l, const struct record_type *type, const void *record)
{
    TRY(delete_list(l, type, record));
    for (uint32_t i = 0; i < field_count(l->field, record); i++) {
        TRY(bind_key(l->insert, type, record));
        TRY(store_err(sqlite3_bind_int64(l->insert, 2, i)));
        TRY(bind_record(l->insert, 3, l->field->item, field_item(l->field, record, i)));
        TRY(store_run(l->insert));
    }
    return OK;
}

struct err rows_put(const struct type_statements *s, const struct record_type *type, const void *record)
{
    TRY(bind_record(s->upsert, 1, type, record));
    TRY(store_run(s->upsert));
    for (uint32_t i = 0; i < s->list_count; i++) TRY(put_list(&s->lists[i], type, record));
    return OK;
}

struct err rows_delete(const struct type_statements *s, const struct record_type *type, const void *record)
{
    for (uint32_t i = 0; i < s->list_count; i++) TRY(delete_list(&s->lists[i], type, record));
    TRY(bind_key(s->delete, type, record));
    return store_run(s->delete);
}

/* ---- row to record ------------------------------------------------------------------------------------ */

static struct str column_str(sqlite3_stmt *s, int at)
{
    const char *text = (const char *)sqlite3_column_text(s, at);
    return (struct str){ text ? text : "", (size_t)sqlite3_column_bytes(s, at) };
}

static struct err read_column(sqlite3_stmt *s, int at, const struct field *f, void *record)
{
    struct id id = { { 0 } };
    switch (f->kind) {
    case FIELD_KIND_ID:
        if (sqlite3_column_type(s, at) != SQLITE_NULL) TRY(id_read(column_str(s, at), &id));
        return field_set_id(f, record, id);
    case FIELD_KIND_TEXT:
    case FIELD_KIND_LINES:
    case FIELD_KIND_ENUM: return field_set_str(f, record, column_str(s, at));
    case FIELD_KIND_U32:
    case FIELD_KIND_U64:
    case FIELD_KIND_I64:
    case FIELD_KIND_SET:
    case FIELD_KIND_BOOL: return field_set_i64(f, record, sqlite3_column_int64(s, at));
    case FIELD_KIND_BYTES:
        return field_set_bytes(f, record, sqlite3_column_blob(s, at), (size_t)sqlite3_column_bytes(s, at));
    case FIELD_KIND_LIST:
    case FIELD_KIND_COUNT: break;
    }
    return ERR(CORRUPT, "a column of no kind");
}

/* What a table holds that its type does not allow was written by someone else. */
static struct err corrupt(const struct record_type *type, const struct field *f, struct err why,
                          struct text *complaint)
{
    text_add(complaint, str_from(type->plural));
    if (f) text_add_char(complaint, '.');
    if (f) text_add(complaint, str_from(f->name));
    text_add(complaint, STR(": "));
    text_add(complaint, str_from(why.why));
    return ERR(CORRUPT, "the store holds a record that can't be right");
}

struct err rows_read(sqlite3_stmt *s, const struct record_type *type, void *record, struct text *complaint)
{
    int at = 0;
    for (uint32_t i = 0; i < type->field_count; i++) {
        const struct field *f = &type->fields[i];
        if (!field_has_column(f)) continue;
        struct err e = read_column(s, at++, f, record);
        if (e.code) return corrupt(type, f, e, complaint);
    }
    return OK;
}

static struct err read_list(const struct list_statements *l, const struct record_type *type, void *record,
                            struct text *complaint)
{
    TRY(bind_key(l->select, type, record));
    while (sqlite3_step(l->select) == SQLITE_ROW) {
        void      *item;
        struct err e = field_push(l->field, record, &item);
        if (e.code) return corrupt(type, l->field, e, complaint);
        TRY(rows_read(l->select, l->field->item, item, complaint));
    }
    return store_err(sqlite3_reset(l->select));
}

struct err rows_load(const struct type_statements *s, const struct record_type *type, store_each each,
                     void *context, struct text *complaint)
{
    static _Alignas(max_align_t) char scratch[SCRATCH_MAX]; /* the loop's alone */
    check(type->size <= sizeof scratch);
    while (sqlite3_step(s->select) == SQLITE_ROW) {
        const struct field *bad = NULL;
        memset(scratch, 0, type->size);
        TRY(rows_read(s->select, type, scratch, complaint));
        for (uint32_t i = 0; i < s->list_count; i++) TRY(read_list(&s->lists[i], type, scratch, complaint));
        struct err e = record_check(type, scratch, &bad);
        if (e.code) return corrupt(type, bad, e, complaint);
        TRY(each(context, scratch));
    }
    return store_err(sqlite3_reset(s->select));
}
