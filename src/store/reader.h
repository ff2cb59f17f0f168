/* reader.h: a second, read-only look at a store, for lists too long for memory. It sees what is committed. One
 * thread at a time. */
#ifndef STORE_READER_H
#define STORE_READER_H

#include "store.h"

struct store_reader;

struct store_query {
    const struct record_type *type;   /* keyed by a number, without lists */
    const char *const        *fields; /* ids; a row counts if any of them is any of these */
    size_t                    field_count;
    const struct id          *ids;
    size_t                    id_count;
    uint64_t                  before; /* keys below this; UINT64_MAX: from the newest */
    uint32_t                  limit;
};

#define STORE_QUERY_FIELDS_MAX 4
#define STORE_QUERY_IDS_MAX 4

/* An index for such queries is made by who opens the store: see store_options. */
must_check struct err store_reader_open(const char *path, struct store_reader **out);
void                  store_reader_close(struct store_reader *r); /* null is fine */

/* Rows, newest key first. `each` may stop it by an error, which is then the result. */
must_check struct err store_read(struct store_reader *r, const struct store_query *q, store_each each,
                                 void *context);

#endif
