/* store_int.h: the store as a map from a record's name to the bytes of its stored fields. What is put is seen by
 * nobody else until store_commit; store_abort forgets it. */
#ifndef SIM_STORE_INT_H
#define SIM_STORE_INT_H

#include "record/record.h"

#define STORE_ROW_BYTES_MAX 8192

struct store_row {
    const struct record_type *type; /* null: free */
    uint8_t                   name[16];
    uint8_t                  *bytes, *next; /* committed, and put since; null: there is none */
    uint32_t                  len, next_len;
    bool                      is_dirty;
};

struct store {
    struct store_row *rows;
    uint32_t          mask, used;
    uint32_t         *dirty; /* places */
    uint32_t          dirty_count, dirty_room;
};

void store_open(struct store *s);
void store_close(struct store *s);
void store_put(struct store *s, const struct record_type *type, const void *record);
void store_delete(struct store *s, const struct record_type *type, const void *record);
void store_commit(struct store *s);
void store_abort(struct store *s);

/* Begin with null, end with null; in no order. With `newest` also what was not committed. */
const struct store_row *store_next(const struct store *s, const struct store_row *after,
                                   const struct record_type *type, bool newest);
/* The committed row of what has that id, or null. */
const struct store_row *store_find(const struct store *s, const struct record_type *type, struct id id);
/* The row of that record, committed or put since; null if there is none. */
const struct store_row *store_newest(const struct store *s, const struct record_type *type, const void *record);

uint32_t store_pack(const struct record_type *type, const void *record, uint8_t out[STORE_ROW_BYTES_MAX]);
void     store_unpack(const struct record_type *type, const uint8_t *bytes, void *record);

#endif
