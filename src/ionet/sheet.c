#include "sheet_int.h"

#include "human_int.h"

#include <stdlib.h>
#include <string.h>

#define INSTANT_MS_LEAST 1000000000000 /* in 2001; no length of time is that long */

void sheet_init(struct sheet *s, unsigned columns)
{
    check(columns > 0 && columns <= SHEET_COLUMNS_MAX);
    *s = (struct sheet){ .columns = columns };
}

void sheet_free(struct sheet *s)
{
    for (size_t i = 0; i < s->count; i++) free(s->cells[i]);
    free(s->cells);
    *s = (struct sheet){ 0 };
}

void sheet_add(struct sheet *s, struct str cell)
{
    if (s->count == s->room) {
        s->room  = s->room ? s->room * 2 : 64;
        s->cells = realloc(s->cells, s->room * sizeof *s->cells);
        check(s->cells != NULL);
    }
    char *copy = strndup(cell.ptr ? cell.ptr : "", cell.len);
    check(copy != NULL);
    s->cells[s->count++] = copy;
}

void sheet_add_i64(struct sheet *s, int64_t n)
{
    char        room[24];
    struct text t = TEXT_IN(room);
    text_add_i64(&t, n);
    sheet_add(s, text_str(&t));
}

void sheet_add_usdc(struct sheet *s, int64_t micros)
{
    char        room[40];
    struct text t = TEXT_IN(room);
    human_usdc_write((struct money){ micros }, &t);
    sheet_add(s, text_str(&t));
}

void sheet_add_duration(struct sheet *s, int64_t ms)
{
    char        room[40];
    struct text t = TEXT_IN(room);
    human_duration_write((struct span){ ms }, &t);
    sheet_add(s, text_str(&t));
}

void sheet_add_instant(struct sheet *s, int64_t ms)
{
    char        room[40];
    struct text t = TEXT_IN(room);
    human_instant_write((struct instant){ ms }, &t);
    sheet_add(s, text_str(&t));
}

/* Letters, not bytes: all but the continuation bytes of UTF-8. */
static size_t width_of(const char *cell)
{
    size_t n = 0;
    for (; *cell; cell++) n += ((unsigned char)*cell & 0xc0) != 0x80;
    return n;
}

static bool is_figure(const char *cell)
{
    return *cell && strspn(cell, "0123456789.-") == strlen(cell);
}

void sheet_print(const struct sheet *s, FILE *to)
{
    size_t widths[SHEET_COLUMNS_MAX] = { 0 };
    bool   right[SHEET_COLUMNS_MAX];
    for (unsigned k = 0; k < s->columns; k++) right[k] = s->count > s->columns;

    for (size_t i = 0; i < s->count; i++) {
        unsigned k = (unsigned)(i % s->columns);
        size_t   w = width_of(s->cells[i]);
        if (w > widths[k]) widths[k] = w;
        if (i >= s->columns && *s->cells[i] && !is_figure(s->cells[i])) right[k] = false;
    }
    for (size_t i = 0; i < s->count; i++) {
        unsigned k    = (unsigned)(i % s->columns);
        bool     last = k + 1 == s->columns;
        int      pad  = (int)(widths[k] - width_of(s->cells[i]));
        if (right[k])
            fprintf(to, "%*s%s", pad, "", s->cells[i]);
        else
            fprintf(to, "%s%*s", s->cells[i], last ? 0 : pad, "");
        fputs(last ? "\n" : "  ", to);
    }
}

static struct str without(struct str s, struct str ending)
{
    if (!str_ends(s, ending)) return s;
    return (struct str){ s.ptr, s.len - ending.len };
}

static void heading_write(const struct field *f, struct text *t)
{
    struct str name = str_from(f->name);
    struct str unit = STR("");
    if (str_ends(name, STR("_micros_per_hour")))
        unit = STR(" USDC/H");
    else if (str_ends(name, STR("_micros")))
        unit = STR(" USDC");
    name =
        without(without(without(without(name, STR("_per_hour")), STR("_micros")), STR("_ms")), STR("_bytes"));

    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        text_add_char(t, c == '_' ? ' ' : (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c));
    }
    text_add(t, unit);
}

static void number_write(struct str name, int64_t n, struct text *t)
{
    if (str_ends(name, STR("_micros")) || str_ends(name, STR("_micros_per_hour")))
        human_usdc_write((struct money){ n }, t);
    else if (str_ends(name, STR("_ms")) && n >= INSTANT_MS_LEAST)
        human_instant_write((struct instant){ n }, t);
    else if (str_ends(name, STR("_ms")) && !n)
        text_add_char(t, '-');
    else if (str_ends(name, STR("_ms")))
        human_duration_write((struct span){ n }, t);
    else if (str_ends(name, STR("_bytes")))
        human_bytes_write((uint64_t)n, t);
    else
        text_add_i64(t, n);
}

static void words_write(const struct field *f, uint64_t set, struct text *t)
{
    for (size_t i = 0; set; i++, set >>= 1) {
        if (!(set & 1)) continue;
        text_add(t, str_from(f->names[i]));
        if (set > 1) text_add_char(t, ',');
    }
}

static void field_write(const struct field *f, const void *record, struct text *t)
{
    switch (f->kind) {
    case FIELD_KIND_ID:
        if (id_is_none(field_id(f, record)))
            text_add_char(t, '-');
        else
            id_write(field_id(f, record), t);
        return;
    case FIELD_KIND_TEXT:
    case FIELD_KIND_LINES:
    case FIELD_KIND_ENUM: text_add(t, field_str(f, record)); return;
    case FIELD_KIND_BOOL: text_add(t, field_i64(f, record) ? STR("yes") : STR("no")); return;
    case FIELD_KIND_BYTES: text_add_hex(t, field_bytes(f, record), f->size); return;
    case FIELD_KIND_SET: words_write(f, (uint64_t)field_i64(f, record), t); return;
    case FIELD_KIND_LIST: text_add_u64(t, field_count(f, record)); return;
    case FIELD_KIND_U32:
    case FIELD_KIND_U64:
    case FIELD_KIND_I64: number_write(str_from(f->name), field_i64(f, record), t); return;
    case FIELD_KIND_COUNT: break;
    }
    check_failed("a field has a kind", __FILE__, __LINE__);
}

static unsigned column_count(const struct record_type *type)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < type->field_count; i++) n += (type->fields[i].flags & COLUMN) != 0;
    return n;
}

struct err sheet_items(struct json_value items, const struct record_type *type, void *record,
                       sheet_amend *amend, FILE *to)
{
    scoped_sheet struct sheet s;
    sheet_init(&s, column_count(type));
    for (uint32_t i = 0; i < type->field_count; i++) {
        char        room[SHEET_CELL_MAX];
        struct text t = TEXT_IN(room);
        if (!(type->fields[i].flags & COLUMN)) continue;
        heading_write(&type->fields[i], &t);
        sheet_add(&s, text_str(&t));
    }
    for (uint32_t at = 0; at < json_count(items); at++) {
        struct json_fault fault;
        memset(record, 0, type->size);
        TRY(json_read_value(json_at(items, at), type, JSON_VIEW, record, &fault));
        if (amend) amend(json_at(items, at), record);
        for (uint32_t i = 0; i < type->field_count; i++) {
            char        room[SHEET_CELL_MAX];
            struct text t = TEXT_IN(room);
            if (!(type->fields[i].flags & COLUMN)) continue;
            field_write(&type->fields[i], record, &t);
            sheet_add(&s, text_str(&t));
        }
    }
    sheet_print(&s, to);
    return OK;
}

static bool is_zero(const struct field *f, const void *record)
{
    const char *at = (const char *)record + f->offset;
    for (uint32_t i = 0; i < f->size; i++)
        if (at[i]) return false;
    return true;
}

void sheet_record(const struct record_type *type, const void *record, FILE *to)
{
    for (uint32_t i = 0; i < type->field_count; i++) {
        const struct field *f = &type->fields[i];
        char                heading[64], room[4096];
        struct text         h = TEXT_IN(heading), t = TEXT_IN(room);
        if (f->kind != FIELD_KIND_ENUM && is_zero(f, record)) continue;
        heading_write(f, &h);
        field_write(f, record, &t);
        fprintf(to, f->kind == FIELD_KIND_LINES ? "%s\n%s\n" : "%-20s %s\n", text_z(&h), text_z(&t));
    }
}
