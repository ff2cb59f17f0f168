/* arena.h: memory that is given back all at once. It borrows one block and keeps no other; what it hands
 * out is zeroed and aligned for anything. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "str.h"

struct arena {
    char  *ptr;
    size_t used;
    size_t size;
    bool   is_zero; /* the block came zeroed: pages nobody uses stay untouched */
};

#define ARENA_IN(memory, bytes) ((struct arena){ (memory), 0, (bytes), false })
#define ARENA_IN_ZEROS(memory, bytes) ((struct arena){ (memory), 0, (bytes), true })

void      *arena_take(struct arena *a, size_t bytes); /* null when there is no more */
struct str arena_copy(struct arena *a, struct str s); /* zero-ended; ptr null when there is no more */

#endif
