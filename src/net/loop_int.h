/* loop_int.h: what every file of this module shares: the loop, its turn, memory, growing bytes, deadlines.
 *
 * A turn is one round of the loop: events come in, callbacks write into buffers, and right before the
 * loop would sleep again all touched connections are pumped and flushed (conn_turn). So nothing that a
 * caller does to a connection calls back into the caller. */
#ifndef NET_LOOP_INT_H
#define NET_LOOP_INT_H

#include "caps_int.h"
#include "net.h"

#include <uv.h>

#define LOOP_READ_BYTES 65536
#define LOOP_PLAIN_BYTES 16384 /* the most that one TLS record carries */

/* A doubly linked ring; a ring that points to itself is empty. */
struct ring {
    struct ring *next;
    struct ring *prev;
};

void ring_init(struct ring *r);
bool ring_is_empty(const struct ring *r);
void ring_push(struct ring *head, struct ring *r); /* at the end */
void ring_remove(struct ring *r);                  /* may be in none; is empty after */

#define ring_owner(ring_ptr, type, member) ((type *)(void *)((char *)(ring_ptr)-offsetof(type, member)))

/* Bytes that grow, taken from the front. Empty ones hold no memory. */
struct bytes {
    char  *ptr;
    size_t start;
    size_t len; /* from start */
    size_t cap;
};

void       bytes_add(struct bytes *b, struct str s);
void       bytes_drop(struct bytes *b, size_t count);
void       bytes_free(struct bytes *b);
struct str bytes_str(const struct bytes *b);

/* Memory is either there or the program ends: a half-made connection helps nobody. Zeroed. */
void *loop_alloc(size_t bytes);

/* ---- deadlines: a timing wheel ------------------------------------------------------------------ */

#define WHEEL_TICK_MS 32
#define WHEEL_SLOTS 1024

struct deadline {
    struct ring ring;
    uint64_t    due_tick;
    void (*call)(struct deadline *d);
};

struct wheel {
    uv_timer_t  timer;
    uint64_t    tick; /* all before and with this one have been looked at */
    size_t      count;
    struct ring slots[WHEEL_SLOTS];
};

void deadline_init(struct deadline *d, void (*call)(struct deadline *d));
void deadline_set(struct net *n, struct deadline *d, uint64_t after_ms); /* moves it if it is set */
void deadline_clear(struct net *n, struct deadline *d);

void wheel_open(struct net *n);

/* ---- the loop ------------------------------------------------------------------------------------- */

struct net {
    uv_loop_t    loop;
    uv_prepare_t prepare;
    uv_idle_t    idle; /* runs while a turn left work for the next */
    struct wheel wheel;
    bool         stopping;
    size_t       live; /* handles and requests of ours that libuv still holds */
    struct ring  timers;
    struct ring  signals;
    struct ring  wakers;
    struct ring  conns;
    struct ring  dirty; /* connections to be pumped and flushed in this turn */
    struct ring  exchanges;
    struct ring  servers;
    struct ring  listeners;
    struct caps  caps;     /* of all servers together */
    unsigned     accepted; /* connections in this turn */
    char         input[LOOP_READ_BYTES];
    char         plain[LOOP_PLAIN_BYTES];
};

/* Each handle that libuv holds for us is counted, so that a stopping loop knows when all are gone. */
void loop_hold(struct net *n);
void loop_release(struct net *n);

#endif
