#include "json.h"

struct json_out json_begin(struct text *out)
{
    return (struct json_out){ .text = out };
}

/* A comma before every value but the first at its depth; none between a key and its value. */
static void before_value(struct json_out *w)
{
    if (w->keyed) {
        w->keyed = false;
        return;
    }
    if (w->filled & 1u << w->depth) text_add_char(w->text, ',');
    w->filled |= 1u << w->depth;
}

static void open_level(struct json_out *w, char bracket)
{
    before_value(w);
    text_add_char(w->text, bracket);
    w->depth++;
    check(w->depth < 32);
    w->filled &= ~(1u << w->depth);
}

static void close_level(struct json_out *w, char bracket)
{
    check(w->depth > 0 && !w->keyed);
    text_add_char(w->text, bracket);
    w->depth--;
}

void json_open_object(struct json_out *w)
{
    open_level(w, '{');
}

void json_close_object(struct json_out *w)
{
    close_level(w, '}');
}

void json_open_array(struct json_out *w)
{
    open_level(w, '[');
}

void json_close_array(struct json_out *w)
{
    close_level(w, ']');
}

static void add_escaped(struct text *t, char c)
{
    static const char digits[] = "0123456789abcdef";
    char              six[]    = { '\\', 'u', '0', '0', digits[(uint8_t)c >> 4], digits[c & 15] };
    switch (c) {
    case '"': text_add(t, STR("\\\"")); return;
    case '\\': text_add(t, STR("\\\\")); return;
    case '\n': text_add(t, STR("\\n")); return;
    case '\r': text_add(t, STR("\\r")); return;
    case '\t': text_add(t, STR("\\t")); return;
    default: text_add(t, (struct str){ six, sizeof six }); return;
    }
}

static void add_string(struct text *t, struct str s)
{
    size_t start = 0;
    text_add_char(t, '"');
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if ((uint8_t)c >= 0x20 && c != '"' && c != '\\') continue;
        text_add(t, (struct str){ s.ptr + start, i - start });
        add_escaped(t, c);
        start = i + 1;
    }
    text_add(t, str_skip(s, start));
    text_add_char(t, '"');
}

void json_key(struct json_out *w, const char *name)
{
    check(!w->keyed && w->depth > 0);
    before_value(w);
    add_string(w->text, str_from(name));
    text_add_char(w->text, ':');
    w->keyed = true;
}

void json_str(struct json_out *w, struct str s)
{
    before_value(w);
    add_string(w->text, s);
}

void json_i64(struct json_out *w, int64_t n)
{
    check(n >= -JSON_INT_MAX && n <= JSON_INT_MAX);
    before_value(w);
    text_add_i64(w->text, n);
}

void json_bool(struct json_out *w, bool yes)
{
    before_value(w);
    text_add(w->text, yes ? STR("true") : STR("false"));
}

void json_none(struct json_out *w)
{
    before_value(w);
    text_add(w->text, STR("null"));
}

void json_id(struct json_out *w, struct id id)
{
    if (id_is_none(id)) {
        json_none(w);
        return;
    }
    before_value(w);
    text_add_char(w->text, '"');
    id_write(id, w->text);
    text_add_char(w->text, '"');
}

void json_bytes(struct json_out *w, const uint8_t *bytes, size_t count)
{
    before_value(w);
    text_add_char(w->text, '"');
    text_add_hex(w->text, bytes, count);
    text_add_char(w->text, '"');
}

void json_raw(struct json_out *w, struct str json)
{
    before_value(w);
    text_add(w->text, json);
}

static void write_list(struct json_out *w, const struct field *f, const void *record, enum field_seen viewer)
{
    json_open_array(w);
    for (uint32_t i = 0; i < field_count(f, record); i++)
        json_record(w, f->item, field_item(f, record, i), viewer);
    json_close_array(w);
}

static void write_set(struct json_out *w, const struct field *f, const void *record)
{
    int64_t bits = field_i64(f, record);
    json_open_array(w);
    for (uint32_t i = 0; f->most >> i; i++)
        if (bits >> i & 1) json_str(w, str_from(f->names[i]));
    json_close_array(w);
}

static void write_field(struct json_out *w, const struct field *f, const void *record, enum field_seen viewer)
{
    switch (f->kind) {
    case FIELD_KIND_ID: json_id(w, field_id(f, record)); return;
    case FIELD_KIND_TEXT:
    case FIELD_KIND_LINES:
    case FIELD_KIND_ENUM: json_str(w, field_str(f, record)); return;
    case FIELD_KIND_U32:
    case FIELD_KIND_U64:
    case FIELD_KIND_I64: json_i64(w, field_i64(f, record)); return;
    case FIELD_KIND_BOOL: json_bool(w, field_i64(f, record) != 0); return;
    case FIELD_KIND_SET: write_set(w, f, record); return;
    case FIELD_KIND_BYTES: json_bytes(w, field_bytes(f, record), f->size); return;
    case FIELD_KIND_LIST: write_list(w, f, record, viewer); return;
    case FIELD_KIND_COUNT: break;
    }
    check_failed("a field has a kind", __FILE__, __LINE__);
}

void json_fields(struct json_out *w, const struct record_type *type, const void *record, enum field_seen viewer)
{
    for (uint32_t i = 0; i < type->field_count; i++) {
        const struct field *f = &type->fields[i];
        if (!field_is_visible(f, viewer)) continue;
        json_key(w, f->name);
        write_field(w, f, record, viewer);
    }
}

void json_record(struct json_out *w, const struct record_type *type, const void *record, enum field_seen viewer)
{
    json_open_object(w);
    json_fields(w, type, record, viewer);
    json_close_object(w);
}

void json_write(const struct record_type *type, const void *record, enum field_seen viewer, struct text *out)
{
    struct json_out w = json_begin(out);
    json_record(&w, type, record, viewer);
}

void json_write_kind(const char *kind, const struct record_type *type, const void *record,
                     enum field_seen viewer, struct text *out)
{
    struct json_out w = json_begin(out);
    json_open_object(&w);
    json_key(&w, "kind");
    json_str(&w, str_from(kind));
    json_fields(&w, type, record, viewer);
    json_close_object(&w);
}
