#include "store_int.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CHANGES 256
#define FIRST_BYTES 65536
#define ALIGNMENT 16

static struct err no_memory(void)
{
    return ERR(LIMIT, "there is no memory for the changes of this turn");
}

/* Keys are ids (hashes already) or numbers; the type is mixed in. */
static uint64_t key_hash(const struct record_type *type, uint32_t place, const void *record)
{
    const struct field *key = record_key(type);
    uint64_t h = key->kind == FIELD_KIND_ID ? id_hash(field_id(key, record)) : (uint64_t)field_i64(key, record);
    h ^= place;
    h *= 0x9e3779b97f4a7c15u;
    return h ^ h >> 32;
}

static bool key_eq(const struct record_type *type, const void *a, const void *b)
{
    const struct field *key = record_key(type);
    if (key->kind == FIELD_KIND_ID) return id_eq(field_id(key, a), field_id(key, b));
    return field_i64(key, a) == field_i64(key, b);
}

/* The slot of the change with this key, or the empty one where it belongs. */
static uint32_t slot_find(const struct batch *b, const struct record_type *const *types, uint32_t type,
                          const void *record)
{
    uint32_t mask = b->slot_count - 1;
    uint32_t slot = (uint32_t)key_hash(types[type], type, record) & mask;
    for (;; slot = (slot + 1) & mask) {
        if (b->slots[slot] == 0) return slot;
        const struct change *c = &b->changes[b->slots[slot] - 1];
        if (c->type == type && key_eq(types[type], b->bytes + c->at, record)) return slot;
    }
}

static struct err grow_changes(struct batch *b, const struct record_type *const *types)
{
    if (b->count < b->room || b->room >= STORE_CHANGES_MAX) return OK;
    uint32_t       room    = b->room ? b->room * 2 : FIRST_CHANGES;
    struct change *changes = realloc(b->changes, room * sizeof *changes);
    if (!changes) return no_memory();
    b->changes      = changes;
    uint32_t *slots = calloc((size_t)room * 2, sizeof *slots);
    if (!slots) return no_memory();
    free(b->slots);
    b->slots      = slots;
    b->slot_count = room * 2;
    b->room       = room;
    for (uint32_t i = 0; i < b->count; i++) {
        const struct change *c                                   = &b->changes[i];
        b->slots[slot_find(b, types, c->type, b->bytes + c->at)] = i + 1;
    }
    return OK;
}

static struct err grow_bytes(struct batch *b, size_t need)
{
    size_t room = b->bytes_room ? b->bytes_room : FIRST_BYTES;
    while (room - b->bytes_used < need) room *= 2;
    if (room == b->bytes_room) return OK;
    char *bytes = realloc(b->bytes, room);
    if (!bytes) return no_memory();
    b->bytes      = bytes;
    b->bytes_room = room;
    return OK;
}

struct err batch_put(struct batch *b, const struct record_type *const *types, uint32_t type, const void *record,
                     bool is_deletion)
{
    size_t size = (types[type]->size + (size_t)ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    TRY(grow_changes(b, types));
    TRY(grow_bytes(b, size));

    uint32_t slot = slot_find(b, types, type, record);
    if (b->slots[slot] == 0) {
        if (b->count == STORE_CHANGES_MAX) return ERR(LIMIT, "a turn changes too many records");
        b->changes[b->count++] = (struct change){ type, false, b->bytes_used };
        b->slots[slot]         = b->count;
        b->bytes_used += size;
    }
    struct change *c = &b->changes[b->slots[slot] - 1];
    c->is_deletion   = is_deletion;
    memcpy(b->bytes + c->at, record, types[type]->size);
    return OK;
}

void batch_clear(struct batch *b)
{
    if (b->count) memset(b->slots, 0, b->slot_count * sizeof *b->slots);
    b->count      = 0;
    b->bytes_used = 0;
}

void batch_free(struct batch *b)
{
    free(b->changes);
    free(b->bytes);
    free(b->slots);
    *b = (struct batch){ 0 };
}
