#include "arena.h"

#include <string.h>

#define ARENA_ALIGN 16

void *arena_take(struct arena *a, size_t bytes)
{
    size_t start = (a->used + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
    if (start > a->size || bytes > a->size - start) return NULL;
    a->used = start + bytes;
    return a->is_zero ? a->ptr + start : memset(a->ptr + start, 0, bytes);
}

struct str arena_copy(struct arena *a, struct str s)
{
    char *copy = s.len < SIZE_MAX ? arena_take(a, s.len + 1) : NULL;
    if (!copy) return (struct str){ NULL, 0 };
    if (s.len) memcpy(copy, s.ptr, s.len);
    return (struct str){ copy, s.len };
}
