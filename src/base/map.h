/* map.h: from an id to the place of its record in a table.
 *
 * Open addressing with linear probing over memory that the caller gives; at most three quarters are
 * used. The map keeps no keys: it asks the table for the id at a place, so a record's id must stay where
 * it is while it is in the map. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "id.h"

#define MAP_NONE UINT32_MAX

struct map {
    uint32_t   *slots; /* place + 1, or 0 */
    uint32_t    mask;  /* slots - 1, slots a power of two */
    const void *table;
    size_t      stride; /* bytes from one record to the next */
    size_t      offset; /* of the id in a record */
};

/* Slots needed for `most` records: a power of two, a third more at least. */
uint32_t map_slots_for(uint32_t most);

/* `slots` holds map_slots_for(most) numbers, all zero. */
void map_init(struct map *m, uint32_t *slots, uint32_t count, const void *table, size_t stride, size_t offset);

uint32_t map_find(const struct map *m, struct id id); /* MAP_NONE if it is not there */
void     map_put(struct map *m, uint32_t place);      /* the record's id must not be there yet */
void     map_remove(struct map *m, struct id id);     /* must be there */

#endif
