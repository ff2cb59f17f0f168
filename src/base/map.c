#include "map.h"

#include <string.h>

uint32_t map_slots_for(uint32_t most)
{
    check(most < (1u << 30));
    uint32_t slots = 8;
    while (slots / 4 * 3 < most) slots *= 2;
    return slots;
}

void map_init(struct map *m, uint32_t *slots, uint32_t count, const void *table, size_t stride, size_t offset)
{
    check((count & (count - 1)) == 0);
    *m = (struct map){ slots, count - 1, table, stride, offset };
}

static struct id id_at(const struct map *m, uint32_t slot)
{
    struct id id;
    memcpy(&id, (const char *)m->table + (size_t)(m->slots[slot] - 1) * m->stride + m->offset, sizeof id);
    return id;
}

static uint32_t home_of(const struct map *m, struct id id)
{
    return (uint32_t)id_hash(id) & m->mask;
}

/* The slot that holds id, or the free one where it would go. */
static uint32_t slot_of(const struct map *m, struct id id)
{
    uint32_t slot = home_of(m, id);
    while (m->slots[slot] && !id_eq(id_at(m, slot), id)) slot = (slot + 1) & m->mask;
    return slot;
}

uint32_t map_find(const struct map *m, struct id id)
{
    return m->slots[slot_of(m, id)] - 1; /* 0 - 1 is MAP_NONE */
}

void map_put(struct map *m, uint32_t place)
{
    struct id id;
    memcpy(&id, (const char *)m->table + (size_t)place * m->stride + m->offset, sizeof id);
    uint32_t slot = slot_of(m, id);
    check(m->slots[slot] == 0);
    m->slots[slot] = place + 1;
}

/* Closes the gap by moving back what had been pushed past it (Knuth, volume 3, 6.4, algorithm R), so no
 * tombstones are needed. */
void map_remove(struct map *m, struct id id)
{
    uint32_t gap = slot_of(m, id);
    check(m->slots[gap] != 0);
    for (uint32_t next = (gap + 1) & m->mask; m->slots[next]; next = (next + 1) & m->mask) {
        uint32_t home = home_of(m, id_at(m, next));
        if (((next - home) & m->mask) < ((next - gap) & m->mask)) continue;
        m->slots[gap] = m->slots[next];
        gap           = next;
    }
    m->slots[gap] = 0;
}
