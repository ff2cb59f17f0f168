#include "loop_int.h"

static uint64_t tick_now(struct net *n)
{
    return uv_now(&n->loop) / WHEEL_TICK_MS;
}

/* A slot holds what is due in this round of the wheel and what is due in later ones; the latter stay. */
static void wheel_look_at(struct net *n, uint64_t tick)
{
    struct ring *slot = &n->wheel.slots[tick % WHEEL_SLOTS];
    struct ring  due;
    ring_init(&due);
    for (struct ring *r = slot->next, *next; r != slot; r = next) {
        next = r->next;
        if (ring_owner(r, struct deadline, ring)->due_tick > tick) continue;
        ring_remove(r);
        ring_push(&due, r);
    }
    /* A callback may clear or set any deadline, also one that is due now. */
    while (!ring_is_empty(&due)) {
        struct deadline *d = ring_owner(due.next, struct deadline, ring);
        deadline_clear(n, d);
        d->call(d);
    }
}

static void wheel_on_timer(uv_timer_t *timer)
{
    struct net *n   = timer->data;
    uint64_t    now = tick_now(n);
    /* After a long sleep of the machine one round over all slots finds everything that is due. */
    if (now - n->wheel.tick > WHEEL_SLOTS) n->wheel.tick = now - WHEEL_SLOTS;
    while (n->wheel.tick < now) wheel_look_at(n, ++n->wheel.tick);
    if (n->wheel.count == 0) uv_timer_stop(timer);
}

void wheel_open(struct net *n)
{
    for (size_t i = 0; i < WHEEL_SLOTS; i++) ring_init(&n->wheel.slots[i]);
    check(uv_timer_init(&n->loop, &n->wheel.timer) == 0);
    n->wheel.timer.data = n;
    n->wheel.tick       = tick_now(n);
}

void deadline_init(struct deadline *d, void (*call)(struct deadline *d))
{
    ring_init(&d->ring);
    d->due_tick = 0;
    d->call     = call;
}

void deadline_set(struct net *n, struct deadline *d, uint64_t after_ms)
{
    deadline_clear(n, d);
    if (n->stopping) return;
    if (n->wheel.count++ == 0) {
        n->wheel.tick = tick_now(n);
        check(uv_timer_start(&n->wheel.timer, wheel_on_timer, WHEEL_TICK_MS, WHEEL_TICK_MS) == 0);
    }
    uint64_t due = tick_now(n) + after_ms / WHEEL_TICK_MS + 1;
    d->due_tick  = due > n->wheel.tick ? due : n->wheel.tick + 1;
    ring_push(&n->wheel.slots[d->due_tick % WHEEL_SLOTS], &d->ring);
}

void deadline_clear(struct net *n, struct deadline *d)
{
    if (ring_is_empty(&d->ring)) return;
    ring_remove(&d->ring);
    n->wheel.count--;
}
