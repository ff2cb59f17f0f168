#include "json.h"

/* Whom a schema is for: who reads what we write, or who writes what we read. */
struct audience {
    bool            is_request;
    enum field_seen viewer;
};

static bool is_shown(struct audience a, const struct field *f)
{
    return a.is_request ? (f->flags & WRITABLE) != 0 : field_is_visible(f, a.viewer);
}

/* All that may be shown is always written; a request may leave out what is optional. */
static bool is_required(struct audience a, const struct field *f)
{
    return !a.is_request || (f->flags & OPTIONAL) == 0;
}

static void put_str(struct json_out *w, const char *key, const char *value)
{
    json_key(w, key);
    json_str(w, str_from(value));
}

static void put_i64(struct json_out *w, const char *key, int64_t value)
{
    json_key(w, key);
    json_i64(w, value);
}

static void put_id_type(struct json_out *w, const struct field *f)
{
    if ((f->flags & KEY) != 0) {
        put_str(w, "type", "string");
    } else {
        json_key(w, "type");
        json_raw(w, STR("[\"string\",\"null\"]"));
    }
    put_str(w, "pattern", "^(?!0{16}$)[0-9a-hjkmnp-tv-z]{16}$");
}

static void put_number_type(struct json_out *w, const struct field *f)
{
    put_str(w, "type", "integer");
    put_i64(w, "minimum", f->least);
    put_i64(w, "maximum", f->most);
}

/* Our limits count bytes, JSON Schema characters: a maximum in bytes is one in characters too. What a request may hold
 * is said exactly where it can be: ASCII of that many bytes, or any text of a quarter as many characters. */
static void put_text_type(struct json_out *w, const struct field *f, struct audience a)
{
    char        room[128];
    struct text pattern = TEXT_IN(room);
    put_str(w, "type", "string");
    if (f->least > 0) put_i64(w, "minLength", 1);
    put_i64(w, "maxLength", f->most);
    if (!a.is_request || f->kind == FIELD_KIND_LINES) return;
    text_add(&pattern, STR("^([ -~]*|[^\\x00-\\x1f\\x7f-\\x9f]{0,"));
    text_add_u64(&pattern, (uint64_t)f->most / 4);
    text_add(&pattern, STR("})$"));
    put_str(w, "pattern", text_z(&pattern));
}

static void put_set_type(struct json_out *w, const struct field *f)
{
    put_str(w, "type", "array");
    json_key(w, "uniqueItems");
    json_bool(w, true);
    if (f->least > 0) put_i64(w, "minItems", 1);
    json_key(w, "items");
    json_open_object(w);
    put_str(w, "type", "string");
    json_key(w, "enum");
    json_open_array(w);
    for (uint32_t i = 0; f->most >> i; i++) json_str(w, str_from(f->names[i]));
    json_close_array(w);
    json_close_object(w);
}

static void put_word_type(struct json_out *w, const struct field *f)
{
    put_str(w, "type", "string");
    json_key(w, "enum");
    json_open_array(w);
    for (int64_t i = 0; i <= f->most; i++)
        if (f->names[i]) json_str(w, str_from(f->names[i]));
    json_close_array(w);
}

static void put_bytes_type(struct json_out *w, const struct field *f)
{
    char        room[40];
    struct text pattern = TEXT_IN(room);
    text_add(&pattern, STR("^[0-9a-f]{"));
    text_add_u64(&pattern, 2 * (uint64_t)f->size);
    text_add(&pattern, STR("}$"));
    put_str(w, "type", "string");
    put_str(w, "pattern", text_z(&pattern));
}

static void put_record(struct json_out *w, const struct record_type *type, struct audience a);

static void put_type(struct json_out *w, const struct field *f, struct audience a)
{
    switch (f->kind) {
    case FIELD_KIND_ID: put_id_type(w, f); return;
    case FIELD_KIND_TEXT:
    case FIELD_KIND_LINES: put_text_type(w, f, a); return;
    case FIELD_KIND_U32:
    case FIELD_KIND_U64:
    case FIELD_KIND_I64: put_number_type(w, f); return;
    case FIELD_KIND_BOOL: put_str(w, "type", "boolean"); return;
    case FIELD_KIND_ENUM: put_word_type(w, f); return;
    case FIELD_KIND_SET: put_set_type(w, f); return;
    case FIELD_KIND_BYTES: put_bytes_type(w, f); return;
    case FIELD_KIND_LIST:
        put_str(w, "type", "array");
        put_i64(w, "maxItems", f->most);
        json_key(w, "items");
        put_record(w, f->item, a);
        return;
    case FIELD_KIND_COUNT: break;
    }
    check_failed("a field has a kind", __FILE__, __LINE__);
}

static void put_properties(struct json_out *w, const struct record_type *type, struct audience a)
{
    json_key(w, "properties");
    json_open_object(w);
    for (uint32_t i = 0; i < type->field_count; i++) {
        const struct field *f = &type->fields[i];
        if (!is_shown(a, f)) continue;
        json_key(w, f->name);
        json_open_object(w);
        put_type(w, f, a);
        put_str(w, "description", f->doc);
        json_close_object(w);
    }
    json_close_object(w);
}

static void put_required(struct json_out *w, const struct record_type *type, struct audience a)
{
    json_key(w, "required");
    json_open_array(w);
    for (uint32_t i = 0; i < type->field_count; i++) {
        const struct field *f = &type->fields[i];
        if (is_shown(a, f) && is_required(a, f)) json_str(w, str_from(f->name));
    }
    json_close_array(w);
}

static void put_record(struct json_out *w, const struct record_type *type, struct audience a)
{
    json_open_object(w);
    put_str(w, "type", "object");
    put_str(w, "description", type->doc);
    put_properties(w, type, a);
    put_required(w, type, a);
    json_key(w, "additionalProperties");
    json_bool(w, !a.is_request); /* a later version may show more; a request with strange fields is refused */
    json_close_object(w);
}

void json_schema(struct json_out *w, const struct record_type *type, enum field_seen viewer)
{
    put_record(w, type, (struct audience){ false, viewer });
}

void json_schema_request(struct json_out *w, const struct record_type *type)
{
    put_record(w, type, (struct audience){ true, SEEN_PUBLIC });
}
