/* sheet_int.h: records printed for people: a table of many, or a list of one's fields.
 *
 * What is shown comes from the field tables: a table has the fields marked COLUMN, a list all that were sent.
 * By its name a field is money (…_micros, …_micros_per_hour), a moment or a length of time (…_ms: more than
 * 10^12 ms is a moment, since 2001), memory (…_bytes), or what it is. */
#ifndef IONET_SHEET_INT_H
#define IONET_SHEET_INT_H

#include "base/str.h"
#include "record/record.h"
#include "json/json.h"

#include <stdio.h>

#define SHEET_COLUMNS_MAX 24
#define SHEET_CELL_MAX 256

struct sheet {
    char   **cells; /* row after row, the headings first */
    size_t   count, room;
    unsigned columns;
};

void sheet_init(struct sheet *s, unsigned columns);
void sheet_free(struct sheet *s);
#define scoped_sheet __attribute__((cleanup(sheet_free)))
void sheet_add(struct sheet *s, struct str cell); /* the next cell, row by row */
void sheet_add_i64(struct sheet *s, int64_t n);
void sheet_add_usdc(struct sheet *s, int64_t micros);
void sheet_add_duration(struct sheet *s, int64_t ms);
void sheet_add_instant(struct sheet *s, int64_t ms);
void sheet_print(const struct sheet *s, FILE *to); /* columns of figures to the right */

/* What an item says besides its record's fields, put into the record. */
typedef void sheet_amend(struct json_value item, void *record);

/* The items of a JSON array as a table, each read into `record` (room for one); `amend` may be null. */
must_check struct err sheet_items(struct json_value items, const struct record_type *type, void *record,
                                  sheet_amend *amend, FILE *to);
/* One record: "name  value" for each field that is not zero. */
void sheet_record(const struct record_type *type, const void *record, FILE *to);

#endif
