#include "loop_int.h"

#include <stdlib.h>
#include <string.h>

#define BYTES_LEAST 512

void *loop_alloc(size_t bytes)
{
    void *p = calloc(1, bytes);
    check(p != NULL);
    return p;
}

void ring_init(struct ring *r)
{
    r->next = r->prev = r;
}

bool ring_is_empty(const struct ring *r)
{
    return r->next == r;
}

void ring_push(struct ring *head, struct ring *r)
{
    r->prev          = head->prev;
    r->next          = head;
    head->prev->next = r;
    head->prev       = r;
}

void ring_remove(struct ring *r)
{
    r->prev->next = r->next;
    r->next->prev = r->prev;
    ring_init(r);
}

static void bytes_grow(struct bytes *b, size_t need)
{
    if (b->start + need <= b->cap) return;
    if (b->start && b->len) memmove(b->ptr, b->ptr + b->start, b->len);
    b->start = 0;
    if (need <= b->cap) return;

    size_t cap = b->cap ? b->cap : BYTES_LEAST;
    while (cap < need) cap *= 2;
    b->ptr = realloc(b->ptr, cap);
    check(b->ptr != NULL);
    b->cap = cap;
}

void bytes_add(struct bytes *b, struct str s)
{
    if (s.len == 0) return;
    bytes_grow(b, b->len + s.len);
    memcpy(b->ptr + b->start + b->len, s.ptr, s.len);
    b->len += s.len;
}

void bytes_drop(struct bytes *b, size_t count)
{
    check(count <= b->len);
    b->start += count;
    b->len -= count;
    if (b->len == 0) bytes_free(b);
}

void bytes_free(struct bytes *b)
{
    free(b->ptr);
    *b = (struct bytes){ 0 };
}

struct str bytes_str(const struct bytes *b)
{
    return b->len ? (struct str){ b->ptr + b->start, b->len } : STR("");
}
