/* table.h: records by id, in memory that was sized at the start. Rows never move, so a pointer to one is
 * good until that row is removed. Rows are found by a `struct id` inside them; a row whose id is none is
 * free. */
#ifndef BASE_TABLE_H
#define BASE_TABLE_H

#include "arena.h"
#include "map.h"

struct table {
    char      *rows;
    uint32_t   stride;
    uint32_t   id_offset;
    uint32_t   most;
    uint32_t   used; /* rows ever used: what an iteration walks */
    uint32_t   live;
    uint32_t  *free; /* places given back, a stack */
    uint32_t   free_count;
    struct map map;
};

size_t table_bytes(uint32_t most, uint32_t stride); /* what table_init takes from the arena, at most */
void   table_init(struct table *t, struct arena *a, uint32_t most, uint32_t stride, uint32_t id_offset);

void *table_find(const struct table *t, struct id id); /* null if it is not there */
void *table_add(struct table *t, struct id id); /* zeroed but for its id; null when full; the id is new */
void  table_unlink(struct table *t, void *row); /* no longer found, but its content stays until */
void  table_drop(struct table *t, void *row);   /* its place is given back */

/* for (struct x *x = NULL; (x = table_next(t, x));): all live rows, in the order of their places. */
void *table_next(const struct table *t, const void *row);

uint32_t table_place(const struct table *t, const void *row);
void    *table_at(const struct table *t, uint32_t place); /* below `used`; its id tells whether it is live */

#endif
