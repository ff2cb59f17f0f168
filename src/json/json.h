/* json.h: records ⇄ JSON, by their field tables, and the objects around them.
 *
 * Reading is strict: a duplicate key, a wrong type, a number beyond ± (2^53 - 1) or with a fraction that is not zero, more than
 * JSON_DEPTH_MAX levels or JSON_BYTES_MAX bytes are refused, always. The error's `why` is static; the fault
 * beside it names the place ("gpus[3].memory_mib: 1 to 16777216") and is fit to be shown to who sent it.
 *
 * Writing goes straight into a struct text, compact, fields in the table's order; a field that the viewer
 * may not see is left out. Ids are strings or null, bytes lower-case hex, enums their words.
 *
 * A parsed document lives on the heap until json_free; values and strings borrow from it. */
#ifndef JSON_JSON_H
#define JSON_JSON_H

#include "base/str.h"
#include "record/record.h"

#define JSON_INT_MAX RECORD_INT_MAX
#define JSON_DEPTH_MAX 8
#define JSON_BYTES_MAX ((size_t)1 << 20)

struct json_fault {
    char detail[192]; /* zero-ended, printable; "" if nothing is to be added */
};

/* ---- reading -------------------------------------------------------------------------------------- */

/* A place in a document. Missing (node null) is a value too: what is asked of it is missing as well. */
struct json_value {
    const void *node;
};

struct json_doc {
    struct json_value root;
};

enum json_mode {
    JSON_REQUEST, /* what a user sends: WRITABLE fields only, no unknown ones, those not OPTIONAL needed */
    JSON_WHOLE,   /* a whole record: any field, no unknown ones, those not OPTIONAL needed */
    JSON_PEER,    /* a link message: unknown fields are skipped (a newer peer), those not OPTIONAL needed */
    JSON_VIEW,    /* what a client is shown: unknown fields are skipped, any may be missing (redacted) */
};

must_check struct err json_parse(struct str text, struct json_doc *out, struct json_fault *fault);
void                  json_free(struct json_doc *doc); /* also of a zeroed one */
#define scoped_json __attribute__((cleanup(json_free)))

bool              json_is_there(struct json_value v);
struct json_value json_member(struct json_value object, const char *name); /* missing if no object or member */
uint32_t          json_count(struct json_value array);                     /* 0 if it is no array */
struct json_value json_at(struct json_value array, uint32_t index);        /* missing if there are fewer */
struct str        json_as_str(struct json_value v);                        /* "" if it is no string */
must_check struct err json_as_i64(struct json_value v,
                                  int64_t          *out); /* a whole number, not beyond JSON_INT_MAX */

/* An object's fields into *record. Fields that are missing keep what the record held; after an error its
 * content is unspecified. */
must_check struct err json_read_value(struct json_value v, const struct record_type *type, enum json_mode mode,
                                      void *record, struct json_fault *fault);

/* json_parse and json_read_value in one. */
must_check struct err json_read(struct str text, const struct record_type *type, enum json_mode mode,
                                void *record, struct json_fault *fault);

/* ---- writing -------------------------------------------------------------------------------------- */

/* Writes values and puts the commas; keys and closings are the caller's to get right (checked). */
struct json_out {
    struct text *text;
    uint32_t     depth;
    uint32_t     filled; /* bit d: something was written at depth d */
    bool         keyed;  /* a key waits for its value */
};

struct json_out json_begin(struct text *out);
void            json_open_object(struct json_out *w);
void            json_close_object(struct json_out *w);
void            json_open_array(struct json_out *w);
void            json_close_array(struct json_out *w);
void            json_key(struct json_out *w, const char *name);
void            json_str(struct json_out *w, struct str s); /* UTF-8; control characters escaped */
void            json_i64(struct json_out *w, int64_t n);    /* check()s that it is within JSON_INT_MAX */
void            json_bool(struct json_out *w, bool yes);
void            json_none(struct json_out *w);
void            json_id(struct json_out *w, struct id id);                          /* none: null */
void            json_bytes(struct json_out *w, const uint8_t *bytes, size_t count); /* hex */
void            json_raw(struct json_out *w, struct str json); /* one whole value, as it is */

/* The record as an object; json_fields only its members, into an object that is open. */
void json_record(struct json_out *w, const struct record_type *type, const void *record,
                 enum field_seen viewer);
void json_fields(struct json_out *w, const struct record_type *type, const void *record,
                 enum field_seen viewer);

/* One record alone. */
void json_write(const struct record_type *type, const void *record, enum field_seen viewer, struct text *out);
/* {"kind":KIND, …the record's fields} */
void json_write_kind(const char *kind, const struct record_type *type, const void *record,
                     enum field_seen viewer, struct text *out);

/* ---- OpenAPI 3.1 ---------------------------------------------------------------------------------- */

/* The schema of what json_record writes for this viewer; json_schema_request: of what JSON_REQUEST reads. */
void json_schema(struct json_out *w, const struct record_type *type, enum field_seen viewer);
void json_schema_request(struct json_out *w, const struct record_type *type);

#endif
