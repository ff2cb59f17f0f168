#include "table.h"

#include <string.h>

static struct id *id_of(const struct table *t, const void *row)
{
    return (struct id *)(uintptr_t)((const char *)row + t->id_offset);
}

static char *row_at(const struct table *t, uint32_t place)
{
    return t->rows + (size_t)place * t->stride;
}

size_t table_bytes(uint32_t most, uint32_t stride)
{
    return (size_t)most * stride + ((size_t)most + map_slots_for(most)) * sizeof(uint32_t) + 64;
}

void table_init(struct table *t, struct arena *a, uint32_t most, uint32_t stride, uint32_t id_offset)
{
    uint32_t slot_count = map_slots_for(most);
    *t                  = (struct table){ .stride = stride, .id_offset = id_offset, .most = most };
    t->rows             = arena_take(a, (size_t)most * stride);
    t->free             = arena_take(a, most * sizeof(uint32_t));
    uint32_t *slots     = arena_take(a, slot_count * sizeof(uint32_t));
    check(t->rows && t->free && slots);
    map_init(&t->map, slots, slot_count, t->rows, stride, id_offset);
}

void *table_find(const struct table *t, struct id id)
{
    if (id_is_none(id)) return NULL;
    uint32_t place = map_find(&t->map, id);
    return place == MAP_NONE ? NULL : row_at(t, place);
}

void *table_add(struct table *t, struct id id)
{
    check(!id_is_none(id));
    if (t->live == t->most) return NULL;
    uint32_t place = t->free_count ? t->free[--t->free_count] : t->used++;
    void    *row   = memset(row_at(t, place), 0, t->stride);
    *id_of(t, row) = id;
    map_put(&t->map, place);
    t->live++;
    return row;
}

void table_unlink(struct table *t, void *row)
{
    map_remove(&t->map, *id_of(t, row));
}

void table_drop(struct table *t, void *row)
{
    *id_of(t, row)           = (struct id){ { 0 } };
    t->free[t->free_count++] = table_place(t, row);
    t->live--;
}

void *table_next(const struct table *t, const void *row)
{
    for (uint32_t place = row ? table_place(t, row) + 1 : 0; place < t->used; place++)
        if (!id_is_none(*id_of(t, row_at(t, place)))) return row_at(t, place);
    return NULL;
}

uint32_t table_place(const struct table *t, const void *row)
{
    return (uint32_t)((size_t)((const char *)row - t->rows) / t->stride);
}

void *table_at(const struct table *t, uint32_t place)
{
    check(place < t->used);
    return row_at(t, place);
}
