#include "json.h"

#include "codec/codec.h"

#include <jansson.h>
#include <string.h>

#define PATH_MAX_BYTES 96

/* Where in the document the reader is, and what it may do there. */
struct reader {
    enum json_mode     mode;
    struct text        path;
    struct json_fault *fault;
};

static const json_t *node_of(struct json_value v)
{
    return v.node;
}

static bool is_printable(char c)
{
    return c >= ' ' && c <= '~';
}

/* Names and words come from outside: only what prints, and not much of it. */
static void add_printable(struct text *t, struct str s)
{
    size_t most = 48;
    for (size_t i = 0; i < s.len && i < most; i++) text_add_char(t, is_printable(s.ptr[i]) ? s.ptr[i] : '?');
    if (s.len > most) text_add(t, STR("..."));
}

static struct text detail_of(struct json_fault *fault)
{
    return (struct text){ fault->detail, 0, sizeof fault->detail, false };
}

/* "path.name: " and whatever the caller adds; of the object itself "path: ", of the root nothing. */
static struct text detail_at(struct reader *r, struct str name)
{
    struct text t = detail_of(r->fault);
    text_add(&t, text_str(&r->path));
    if (name.len == 0 && t.len > 0) t.len--; /* the dot */
    add_printable(&t, name);
    if (t.len > 0) text_add(&t, STR(": "));
    return t;
}

static struct err refuse(struct reader *r, struct str name, struct str reason, const char *why)
{
    struct text t = detail_at(r, name);
    text_add(&t, reason);
    text_z(&t);
    return (struct err){ ERR_INVALID, why };
}

static struct str name_of(const struct field *f)
{
    return str_from(f->name);
}

/* Braces and brackets outside of strings. Counted before the parser sees them, for it recurses. */
static bool is_too_deep(struct str text)
{
    uint32_t depth     = 0;
    bool     in_string = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == '{' || c == '[') && ++depth > JSON_DEPTH_MAX)
            return true;
        else if (!in_string && (c == '}' || c == ']') && depth > 0)
            depth--;
    }
    return false;
}

static struct err parse_failed(const json_error_t *error, struct json_fault *fault)
{
    struct text t = detail_of(fault);
    text_add(&t, STR("line "));
    text_add_i64(&t, error->line);
    text_add(&t, STR(", column "));
    text_add_i64(&t, error->column);
    text_add(&t, STR(": "));
    for (const char *c = error->text; *c; c++) text_add_char(&t, is_printable(*c) ? *c : '?');
    text_z(&t);
    return json_error_code(error) == json_error_duplicate_key ? ERR(INVALID, "a key stands twice in an object")
                                                              : ERR(INVALID, "the text is not JSON");
}

struct err json_parse(struct str text, struct json_doc *out, struct json_fault *fault)
{
    fault->detail[0] = 0;
    if (text.len > JSON_BYTES_MAX) return ERR(LIMIT, "the JSON is too large");
    if (is_too_deep(text)) return ERR(INVALID, "the JSON has too many levels");

    json_error_t error;
    json_t      *root = json_loadb(text.ptr ? text.ptr : "", text.len, JSON_REJECT_DUPLICATES, &error);
    if (!root) return parse_failed(&error, fault);
    *out = (struct json_doc){ { root } };
    return OK;
}

void json_free(struct json_doc *doc)
{
    json_decref((json_t *)(uintptr_t)doc->root.node);
    *doc = (struct json_doc){ { NULL } };
}

bool json_is_there(struct json_value v)
{
    return v.node != NULL;
}

struct json_value json_member(struct json_value object, const char *name)
{
    return (struct json_value){ json_object_get(node_of(object), name) };
}

uint32_t json_count(struct json_value array)
{
    return (uint32_t)json_array_size(node_of(array));
}

struct json_value json_at(struct json_value array, uint32_t index)
{
    return (struct json_value){ json_array_get(node_of(array), index) };
}

struct str json_as_str(struct json_value v)
{
    if (!json_is_string(node_of(v))) return STR("");
    return (struct str){ json_string_value(node_of(v)), json_string_length(node_of(v)) };
}

struct err json_as_i64(struct json_value v, int64_t *out)
{
    const json_t *node = node_of(v);
    double        real = json_is_real(node) ? json_real_value(node) : 0; /* some write 1.0 for 1 */
    if (real > (double)JSON_INT_MAX || real < (double)-JSON_INT_MAX || (double)(int64_t)real != real)
        return ERR(INVALID, "a number has a fraction or is beyond 2^53");
    if (!json_is_integer(node) && !json_is_real(node)) return ERR(INVALID, "a number was expected");
    int64_t n = json_is_real(node) ? (int64_t)real : json_integer_value(node);
    if (n > JSON_INT_MAX || n < -JSON_INT_MAX) return ERR(INVALID, "a number is beyond 2^53");
    *out = n;
    return OK;
}

/* ---- one field -------------------------------------------------------------------------------------- */

static struct err read_number(struct reader *r, const struct field *f, struct json_value v, void *record)
{
    int64_t    n = 0;
    struct err e = json_as_i64(v, &n);
    if (!e.code) e = field_set_i64(f, record, n);
    if (!e.code) return OK;

    struct text t = detail_at(r, name_of(f));
    text_add(&t, STR("a whole number from "));
    text_add_i64(&t, f->least);
    text_add(&t, STR(" to "));
    text_add_i64(&t, f->most);
    text_z(&t);
    return e;
}

static struct err read_text(struct reader *r, const struct field *f, struct json_value v, void *record)
{
    if (!json_is_string(node_of(v))) return refuse(r, name_of(f), STR("a text"), "a text was expected");
    struct err e = field_set_str(f, record, json_as_str(v));
    if (!e.code) return OK;

    struct text t = detail_at(r, name_of(f));
    text_add_i64(&t, f->least);
    text_add(&t, STR(" to "));
    text_add_i64(&t, f->most);
    text_add(&t, STR(" bytes of UTF-8 without control characters"));
    text_z(&t);
    return e;
}

static struct err read_word(struct reader *r, const struct field *f, struct json_value v, void *record)
{
    if (json_is_string(node_of(v)) && !field_set_str(f, record, json_as_str(v)).code) return OK;

    struct text t = detail_at(r, name_of(f));
    text_add(&t, STR("one of"));
    for (int64_t i = 0; i <= f->most; i++) {
        if (!f->names[i]) continue;
        text_add_char(&t, ' ');
        text_add(&t, str_from(f->names[i]));
    }
    text_z(&t);
    return ERR(INVALID, "the word is none of those allowed");
}

/* The bit of a word; 0 if it is none of the set's. */
static int64_t bit_of(const struct field *f, struct str word)
{
    for (uint32_t i = 0; f->most >> i; i++)
        if (str_eq(word, str_from(f->names[i]))) return (int64_t)1 << i;
    return 0;
}

static struct err read_set(struct reader *r, const struct field *f, struct json_value v, void *record)
{
    int64_t bits = 0;
    bool    fine = json_is_array(node_of(v));
    for (uint32_t i = 0; fine && i < json_count(v); i++) {
        int64_t bit = bit_of(f, json_as_str(json_at(v, i)));
        fine        = bit != 0 && (bits & bit) == 0;
        bits |= bit;
    }
    if (fine && bits >= f->least) return field_set_i64(f, record, bits);

    struct text t = detail_at(r, name_of(f));
    text_add(&t, f->least ? STR("a list of some of") : STR("a list of"));
    for (uint32_t i = 0; f->most >> i; i++) {
        text_add_char(&t, ' ');
        text_add(&t, str_from(f->names[i]));
    }
    text_z(&t);
    return ERR(INVALID, "a list of other words was expected");
}

static struct err read_id(struct reader *r, const struct field *f, struct json_value v, void *record)
{
    struct id id    = { { 0 } };
    bool      none  = json_is_null(node_of(v)) && (f->flags & KEY) == 0;
    bool      valid = none || (!id_read(json_as_str(v), &id).code && !id_is_none(id)); /* that is null */
    if (!valid) return refuse(r, name_of(f), STR("an id of 16 letters"), "an id was expected");
    return field_set_id(f, record, id);
}

static struct err read_bytes(struct reader *r, const struct field *f, struct json_value v, void *record)
{
    if (!hex_read(json_as_str(v), (uint8_t *)record + f->offset, f->size).code) return OK;

    struct text t = detail_at(r, name_of(f));
    text_add_u64(&t, 2 * (uint64_t)f->size);
    text_add(&t, STR(" lower-case hex digits"));
    text_z(&t);
    return ERR(INVALID, "bytes in hex were expected");
}

static struct err read_object(struct reader *r, const json_t *object, const struct record_type *type,
                              void *record);

static struct err read_item(struct reader *r, const struct field *f, struct json_value v, uint32_t index,
                            void *record)
{
    void *item;
    if (field_push(f, record, &item).code) {
        struct text t = detail_at(r, name_of(f));
        text_add(&t, STR("at most "));
        text_add_i64(&t, f->most);
        text_z(&t);
        return ERR(LIMIT, "a list is too long");
    }
    struct text outer = r->path;
    text_add(&r->path, name_of(f));
    text_add_char(&r->path, '[');
    text_add_u64(&r->path, index);
    text_add(&r->path, STR("]."));
    TRY(read_object(r, node_of(v), f->item, item));
    r->path = outer;
    return OK;
}

static struct err read_list(struct reader *r, const struct field *f, struct json_value v, void *record)
{
    if (!json_is_array(node_of(v))) return refuse(r, name_of(f), STR("a list"), "a list was expected");
    memset((char *)record + f->count_offset, 0, sizeof(uint32_t)); /* it replaces what was there */
    for (uint32_t i = 0; i < json_count(v); i++) TRY(read_item(r, f, json_at(v, i), i, record));
    return OK;
}

static struct err read_field(struct reader *r, const struct field *f, struct json_value v, void *record)
{
    int64_t yes = json_is_true(node_of(v));
    switch (f->kind) {
    case FIELD_KIND_ID: return read_id(r, f, v, record);
    case FIELD_KIND_TEXT:
    case FIELD_KIND_LINES: return read_text(r, f, v, record);
    case FIELD_KIND_U32:
    case FIELD_KIND_U64:
    case FIELD_KIND_I64: return read_number(r, f, v, record);
    case FIELD_KIND_BOOL:
        if (!json_is_boolean(node_of(v)))
            return refuse(r, name_of(f), STR("true or false"), "a bool was expected");
        return field_set_i64(f, record, yes);
    case FIELD_KIND_ENUM: return read_word(r, f, v, record);
    case FIELD_KIND_SET: return read_set(r, f, v, record);
    case FIELD_KIND_BYTES: return read_bytes(r, f, v, record);
    case FIELD_KIND_LIST: return read_list(r, f, v, record);
    case FIELD_KIND_COUNT: break;
    }
    return ERR(INVALID, "a field of no kind");
}

/* ---- one object -------------------------------------------------------------------------------------- */

/* May a document of this mode set the field, and must it? */
static bool may_set(enum json_mode mode, const struct field *f)
{
    return mode != JSON_REQUEST || (f->flags & WRITABLE) != 0;
}

static bool must_set(enum json_mode mode, const struct field *f)
{
    return mode != JSON_VIEW && (f->flags & OPTIONAL) == 0 && may_set(mode, f);
}

static struct err refuse_strangers(struct reader *r, const json_t *object, const struct record_type *type)
{
    const char *name;
    json_t     *value;
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        const struct field *f = record_field(type, str_from(name));
        if (!f) return refuse(r, str_from(name), STR("there is no such field"), "a field is unknown");
        if (!may_set(r->mode, f))
            return refuse(r, str_from(name), STR("is not yours to set"), "a field can't be set");
    }
    return OK;
}

static struct err read_object(struct reader *r, const json_t *object, const struct record_type *type,
                              void *record)
{
    if (!json_is_object(object)) return refuse(r, STR(""), STR("an object"), "an object was expected");
    if (r->mode == JSON_REQUEST || r->mode == JSON_WHOLE) TRY(refuse_strangers(r, object, type));

    for (uint32_t i = 0; i < type->field_count; i++) {
        const struct field *f = &type->fields[i];
        struct json_value   v = { json_object_get(object, f->name) };
        if (!may_set(r->mode, f)) continue;
        if (!json_is_there(v) && must_set(r->mode, f))
            return refuse(r, name_of(f), STR("is missing"), "a field is missing");
        if (json_is_there(v)) TRY(read_field(r, f, v, record));
    }
    return OK;
}

struct err json_read_value(struct json_value v, const struct record_type *type, enum json_mode mode,
                           void *record, struct json_fault *fault)
{
    char          room[PATH_MAX_BYTES];
    struct reader r  = { mode, TEXT_IN(room), fault };
    fault->detail[0] = 0;
    return read_object(&r, node_of(v), type, record);
}

struct err json_read(struct str text, const struct record_type *type, enum json_mode mode, void *record,
                     struct json_fault *fault)
{
    scoped_json struct json_doc doc = { { NULL } };
    TRY(json_parse(text, &doc, fault));
    return json_read_value(doc.root, type, mode, record, fault);
}
