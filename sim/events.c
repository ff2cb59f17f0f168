/* events.c: what is still to come, the earliest first; of two at one moment, that which was decided first. */
#include "sim_int.h"

#include <stdlib.h>

static bool comes_before(const struct event *a, const struct event *b)
{
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->order < b->order;
}

void later(struct sim *s, int64_t wait_ms, enum event_kind kind, uint32_t who, uint64_t run, void *what)
{
    struct events *e = &s->events;
    if (e->count == e->room) {
        e->room = e->room ? 2 * e->room : 1024;
        e->heap = realloc(e->heap, e->room * sizeof *e->heap);
        check(e->heap);
    }
    struct event new = { s->now_ms + (wait_ms > 0 ? wait_ms : 0), ++e->made, kind, who, run, what };
    uint32_t at      = e->count++;
    for (; at && comes_before(&new, &e->heap[(at - 1) / 2]); at = (at - 1) / 2)
        e->heap[at] = e->heap[(at - 1) / 2];
    e->heap[at] = new;
}

bool events_take(struct events *e, struct event *out)
{
    if (e->count == 0) return false;
    *out              = e->heap[0];
    struct event last = e->heap[--e->count];
    uint32_t     at   = 0;
    for (uint32_t child; (child = 2 * at + 1) < e->count; at = child) {
        if (child + 1 < e->count && comes_before(&e->heap[child + 1], &e->heap[child])) child++;
        if (!comes_before(&e->heap[child], &last)) break;
        e->heap[at] = e->heap[child];
    }
    if (e->count) e->heap[at] = last;
    return true;
}

struct event *events_next(struct events *e, struct event *after)
{
    struct event *next = after ? after + 1 : e->heap;
    return next < e->heap + e->count ? next : NULL;
}

void events_finish(struct events *e)
{
    for (uint32_t i = 0; i < e->count; i++) free(e->heap[i].what);
    free(e->heap);
    *e = (struct events){ 0 };
}
