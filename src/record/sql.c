#include "record.h"

/* Every name is quoted: a field may well be called "from". Names hold no quote (name_is_sound). */
static void add_name(struct text *out, const char *name)
{
    text_add_char(out, '"');
    text_add(out, str_from(name));
    text_add_char(out, '"');
}

static void add_child_name(struct text *out, const struct record_type *type, const struct field *f)
{
    text_add_char(out, '"');
    text_add(out, str_from(type->plural));
    text_add_char(out, '_');
    text_add(out, str_from(f->name));
    text_add_char(out, '"');
}

static const char *column_type(const struct field *f)
{
    switch (f->kind) {
    case FIELD_KIND_ID:
    case FIELD_KIND_TEXT:
    case FIELD_KIND_LINES:
    case FIELD_KIND_ENUM: return "TEXT";
    case FIELD_KIND_U32:
    case FIELD_KIND_U64:
    case FIELD_KIND_I64:
    case FIELD_KIND_SET:
    case FIELD_KIND_BOOL: return "INTEGER";
    case FIELD_KIND_BYTES: return "BLOB";
    case FIELD_KIND_LIST:
    case FIELD_KIND_COUNT: break;
    }
    check_failed("the field has a column", __FILE__, __LINE__);
    return "";
}

/* "name" TYPE NOT NULL. The id of nothing is null, so a column of ids may be. */
static void add_column(struct text *out, const struct field *f)
{
    add_name(out, f->name);
    text_add_char(out, ' ');
    text_add(out, str_from(column_type(f)));
    if ((f->flags & KEY) != 0)
        text_add(out, STR(" PRIMARY KEY NOT NULL"));
    else if (f->kind != FIELD_KIND_ID)
        text_add(out, STR(" NOT NULL"));
}

static void add_columns(struct text *out, const struct record_type *type)
{
    bool first = true;
    for (uint32_t i = 0; i < type->field_count; i++) {
        const struct field *f = &type->fields[i];
        if (!field_has_column(f)) continue;
        if (!first) text_add(out, STR(", "));
        first = false;
        add_column(out, f);
    }
}

static uint32_t add_column_names(struct text *out, const struct record_type *type)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < type->field_count; i++) {
        const struct field *f = &type->fields[i];
        if (!field_has_column(f)) continue;
        if (count++) text_add(out, STR(", "));
        add_name(out, f->name);
    }
    return count;
}

static void add_parameters(struct text *out, uint32_t count)
{
    text_add(out, STR(" VALUES ("));
    for (uint32_t i = 1; i <= count; i++) {
        text_add(out, i > 1 ? STR(", ?") : STR("?"));
        text_add_u64(out, i);
    }
    text_add_char(out, ')');
}

void record_sql_create(const struct record_type *type, struct text *out)
{
    const struct field *key = record_key(type);
    text_add(out, STR("CREATE TABLE "));
    add_name(out, type->plural);
    text_add(out, STR(" ("));
    add_columns(out, type);
    text_add(out, STR(") STRICT;\n"));
    for (uint32_t i = 0; i < type->field_count; i++) {
        const struct field *f = &type->fields[i];
        if (f->kind != FIELD_KIND_LIST || (f->flags & STORED) == 0) continue;
        text_add(out, STR("CREATE TABLE "));
        add_child_name(out, type, f);
        text_add(out, STR(" (\"parent\" "));
        text_add(out, str_from(column_type(key)));
        text_add(out, STR(" NOT NULL, \"at\" INTEGER NOT NULL, "));
        add_columns(out, f->item);
        text_add(out, STR(", PRIMARY KEY (\"parent\", \"at\")) STRICT;\n"));
    }
}

static void add_update(struct text *out, const struct record_type *type)
{
    bool first = true;
    for (uint32_t i = 1; i < type->field_count; i++) {
        const struct field *f = &type->fields[i];
        if (!field_has_column(f)) continue;
        text_add(out, first ? STR(" DO UPDATE SET ") : STR(", "));
        first = false;
        add_name(out, f->name);
        text_add(out, STR(" = excluded."));
        add_name(out, f->name);
    }
    if (first) text_add(out, STR(" DO NOTHING"));
}

void record_sql_upsert(const struct record_type *type, struct text *out)
{
    text_add(out, STR("INSERT INTO "));
    add_name(out, type->plural);
    text_add(out, STR(" ("));
    uint32_t count = add_column_names(out, type);
    text_add_char(out, ')');
    add_parameters(out, count);
    text_add(out, STR(" ON CONFLICT ("));
    add_name(out, record_key(type)->name);
    text_add_char(out, ')');
    add_update(out, type);
}

void record_sql_rows(const struct record_type *type, struct text *out)
{
    text_add(out, STR("SELECT "));
    (void)add_column_names(out, type);
    text_add(out, STR(" FROM "));
    add_name(out, type->plural);
}

void record_sql_select(const struct record_type *type, struct text *out)
{
    record_sql_rows(type, out);
    text_add(out, STR(" ORDER BY "));
    add_name(out, record_key(type)->name);
}

void record_sql_delete(const struct record_type *type, struct text *out)
{
    text_add(out, STR("DELETE FROM "));
    add_name(out, type->plural);
    text_add(out, STR(" WHERE "));
    add_name(out, record_key(type)->name);
    text_add(out, STR(" = ?1"));
}

void record_sql_child_insert(const struct record_type *type, const struct field *f, struct text *out)
{
    text_add(out, STR("INSERT INTO "));
    add_child_name(out, type, f);
    text_add(out, STR(" (\"parent\", \"at\", "));
    uint32_t count = add_column_names(out, f->item);
    text_add_char(out, ')');
    add_parameters(out, count + 2);
}

void record_sql_child_select(const struct record_type *type, const struct field *f, struct text *out)
{
    text_add(out, STR("SELECT "));
    (void)add_column_names(out, f->item);
    text_add(out, STR(" FROM "));
    add_child_name(out, type, f);
    text_add(out, STR(" WHERE \"parent\" = ?1 ORDER BY \"at\""));
}

void record_sql_child_delete(const struct record_type *type, const struct field *f, struct text *out)
{
    text_add(out, STR("DELETE FROM "));
    add_child_name(out, type, f);
    text_add(out, STR(" WHERE \"parent\" = ?1"));
}
