#include "relay_int.h"

#include "place_int.h"
#include "sys/log.h"
#include "sys/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/udp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH 16           /* coalesced reads a turn of a socket */
#define PACKET_BYTES 65536 /* up to 64 of them in one, where the kernel coalesces */
#define SOCKET_BYTES (4 << 20)
#define EVENTS_A_TURN 64
#define TICK_MS 5000
#define KEEP_MS 500
#define KEEP_BYTES_MAX (2u * RELAY_SLOTS_MAX * RELAY_KNOWN_LINE)
#define BURST_MS 250
#define BURST_BYTES_LEAST (512u << 10)

_Static_assert(sizeof(union place) == RELAY_PLACE_BYTES, "a place is kept whole");

struct side {
    int  fd;
    bool is_known;
    bool was_known; /* and has been heard since: another place of its is believed for what it was given */
    bool has_seen;
    union place  place;        /* where its packets come from, and the other's go to */
    uint8_t      seen[16];     /* address only, IPv4 mapped */
    uint8_t      mac1_key[32]; /* of handshakes to it */
    uint32_t     given[RELAY_GIVEN_MAX];
    uint32_t     given_at;
    uint64_t     heard_ms;
    uint64_t     strangers_second;
    uint32_t     strangers;
    struct pair *pair;
};

struct pair {
    struct side side[2];
    bool        has_ports; /* else they are tried for again */
    uint64_t    tokens;    /* bytes it may send now */
    uint64_t    tokens_ms;
};

enum note_kind { NOTE_SET, NOTE_DROP, NOTE_SEEN, NOTE_END };

struct note {
    struct note   *next;
    enum note_kind kind;
    uint32_t       slot;
    uint8_t        keys[2][MESH_KEY_BYTES];
    bool           is_b;
    bool           has_seen;
    uint8_t        seen[16];
};

struct batch {
    struct mmsghdr in[BATCH];
    struct mmsghdr out[BATCH];
    struct iovec   in_at[BATCH];
    struct iovec   out_at[BATCH];
    union place    from[BATCH];
    char           in_control[BATCH][CMSG_SPACE(sizeof(int))] __attribute__((aligned(16)));
    char           out_control[BATCH][CMSG_SPACE(sizeof(uint16_t))] __attribute__((aligned(16)));
    uint8_t        bytes[BATCH][PACKET_BYTES];
};

struct relay {
    struct relay_options o;
    union place          listen;
    pthread_t            thread;
    int                  epoll;
    int                  wake;
    pthread_mutex_t      lock; /* of the notes */
    struct note         *notes;
    struct note        **notes_end;
    struct pair        **pairs; /* by slot; the thread's alone */
    struct batch        *batch;
    struct relay_known  *kept; /* of an earlier run, by 2 slot + side; used up as pairs are set */
    char                *keep_path;
    bool                 changed; /* what is known is not what was kept */
    uint64_t             saved_ms;
    atomic_uint_fast64_t bytes, strangers, slow, live, failed;
};

/* ---- who may ------------------------------------------------------------------------------------------------ */

static bool is_at(const union place *p, const uint8_t address[16])
{
    uint8_t own[16];
    place_address(p, own);
    return memcmp(own, address, sizeof own) == 0;
}

static bool was_given(const struct side *s, uint32_t index)
{
    uint32_t count = s->given_at < RELAY_GIVEN_MAX ? s->given_at : RELAY_GIVEN_MAX;
    for (uint32_t i = 0; i < count; i++)
        if (s->given[i] == index) return true;
    return false;
}

/* True if it is new. */
static bool remember_given(struct side *s, uint32_t index)
{
    if (was_given(s, index)) return false;
    s->given[s->given_at++ % RELAY_GIVEN_MAX] = index;
    return true;
}

static bool may_be_looked_at(struct side *s, uint64_t now_ms)
{
    if (s->strangers_second != now_ms / 1000) {
        s->strangers_second = now_ms / 1000;
        s->strangers        = 0;
    }
    return s->strangers++ < RELAY_STRANGERS_PER_SECOND;
}

/* A packet from a place that is not known yet. */
static bool is_welcome(struct side *s, const struct side *other, const union place *from, const uint8_t *bytes,
                       enum packet_kind kind, uint64_t now_ms)
{
    if (!s->has_seen || !is_at(from, s->seen) || !may_be_looked_at(s, now_ms)) return false;
    if (packet_mac1_is_right(kind, bytes, other->mac1_key)) return true;
    return s->was_known && kind == PACKET_DATA && was_given(other, packet_receiver(kind, bytes));
}

/* Every segment must look like WireGuard; handshakes tell which indices their sender gives out. */
static bool read_segments(struct relay *r, struct side *s, const struct side *other, const uint8_t *bytes,
                          size_t count, size_t segment)
{
    for (size_t at = 0; at < count; at += segment) {
        size_t           left = count - at < segment ? count - at : segment;
        enum packet_kind kind = packet_kind(bytes + at, left);
        if (kind == PACKET_NONE) return false;
        if ((kind == PACKET_INITIATION || kind == PACKET_RESPONSE) &&
            packet_mac1_is_right(kind, bytes + at, other->mac1_key) &&
            remember_given(s, packet_sender(bytes + at)))
            r->changed = true;
    }
    return true;
}

static bool spend(const struct relay *r, struct pair *p, size_t bytes, uint64_t now_ms)
{
    if (!r->o.pair_mbit_per_s) return true;
    uint64_t bytes_per_ms = r->o.pair_mbit_per_s * 125ull;
    uint64_t most = bytes_per_ms * BURST_MS > BURST_BYTES_LEAST ? bytes_per_ms * BURST_MS : BURST_BYTES_LEAST;
    p->tokens += (now_ms - p->tokens_ms) * bytes_per_ms;
    p->tokens_ms = now_ms;
    if (p->tokens > most) p->tokens = most;
    if (p->tokens < bytes) return false;
    p->tokens -= bytes;
    return true;
}

/* ---- forwarding ----------------------------------------------------------------------------------------- */

/* How long each packet is of those that the kernel has joined into one; all of it if it is one. */
static size_t segment_of(struct msghdr *m, size_t count)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        int size;
        if (c->cmsg_level != SOL_UDP || c->cmsg_type != UDP_GRO) continue;
        memcpy(&size, CMSG_DATA(c), sizeof size);
        if (size > 0) return (size_t)size;
    }
    return count;
}

static void out_put(struct batch *b, size_t at, size_t from, size_t count, size_t segment, struct side *to)
{
    b->out_at[at]    = (struct iovec){ b->bytes[from], count };
    struct msghdr *m = &b->out[at].msg_hdr;
    *m               = (struct msghdr){ .msg_name    = &to->place,
                                        .msg_namelen = place_size(&to->place),
                                        .msg_iov     = &b->out_at[at],
                                        .msg_iovlen  = 1 };
    if (segment >= count) return;
    m->msg_control       = b->out_control[at];
    m->msg_controllen    = sizeof b->out_control[at];
    struct cmsghdr *c    = CMSG_FIRSTHDR(m);
    uint16_t        size = (uint16_t)segment;
    c->cmsg_level        = SOL_UDP;
    c->cmsg_type         = UDP_SEGMENT;
    c->cmsg_len          = CMSG_LEN(sizeof size);
    memcpy(CMSG_DATA(c), &size, sizeof size);
}

/* A device that can't split packets by itself refuses joined ones: then they go one by one. */
static bool send_apart(int fd, const struct msghdr *m)
{
    uint16_t              segment;
    const struct cmsghdr *c = CMSG_FIRSTHDR(m);
    if (!c) return false;
    memcpy(&segment, CMSG_DATA(c), sizeof segment);
    const uint8_t *bytes = m->msg_iov->iov_base;
    for (size_t at = 0; at < m->msg_iov->iov_len; at += segment) {
        size_t left = m->msg_iov->iov_len - at;
        if (sendto(fd, bytes + at, left < segment ? left : segment, 0, m->msg_name, m->msg_namelen) < 0)
            return false;
    }
    return true;
}

static void send_batch(struct relay *r, struct side *to, size_t count)
{
    struct batch *b = r->batch;
    for (size_t at = 0; at < count;) {
        int sent = sendmmsg(to->fd, &b->out[at], (unsigned)(count - at), 0);
        for (int i = 0; i < sent; i++)
            atomic_fetch_add_explicit(&r->bytes, b->out_at[at + (size_t)i].iov_len, memory_order_relaxed);
        if (sent > 0) {
            at += (size_t)sent;
            continue;
        }
        if (errno == EINTR) continue;
        bool apart = errno != EAGAIN && send_apart(to->fd, &b->out[at].msg_hdr);
        atomic_fetch_add_explicit(apart ? &r->bytes : &r->slow, b->out_at[at].iov_len, memory_order_relaxed);
        at++;
    }
}

/* Whether it goes on to the other side. */
static bool take_packet(struct relay *r, struct side *s, struct side *other, const union place *from,
                        const uint8_t *bytes, size_t count, size_t segment, uint64_t now_ms)
{
    size_t           first = count < segment ? count : segment;
    enum packet_kind kind  = packet_kind(bytes, first);
    bool             good  = kind != PACKET_NONE;
    if (good && !(s->is_known && place_eq(&s->place, from)))
        good = is_welcome(s, other, from, bytes, kind, now_ms);
    if (!good || !read_segments(r, s, other, bytes, count, segment)) {
        atomic_fetch_add_explicit(&r->strangers, 1, memory_order_relaxed);
        return false;
    }
    if (!s->is_known || !place_eq(&s->place, from)) r->changed = true;
    s->place    = *from;
    s->is_known = s->was_known = true;
    s->heard_ms                = now_ms;
    if (!other->is_known) return false;
    if (spend(r, s->pair, count, now_ms)) return true;
    atomic_fetch_add_explicit(&r->slow, count, memory_order_relaxed);
    return false;
}

static void serve(struct relay *r, struct side *s)
{
    struct batch *b     = r->batch;
    struct side  *other = &s->pair->side[s == &s->pair->side[0]];
    for (size_t i = 0; i < BATCH; i++) {
        b->in_at[i]      = (struct iovec){ b->bytes[i], PACKET_BYTES };
        b->in[i].msg_hdr = (struct msghdr){ .msg_name       = &b->from[i],
                                            .msg_namelen    = sizeof b->from[i],
                                            .msg_iov        = &b->in_at[i],
                                            .msg_iovlen     = 1,
                                            .msg_control    = b->in_control[i],
                                            .msg_controllen = sizeof b->in_control[i] };
    }
    int got = recvmmsg(s->fd, b->in, BATCH, MSG_DONTWAIT, NULL);
    if (got <= 0) return; /* what is left wakes us again */
    uint64_t now_ms = sys_boot_now_ms();
    size_t   count  = 0;
    for (size_t i = 0; i < (size_t)got; i++) {
        size_t len = b->in[i].msg_len;
        if (len == 0) continue;
        size_t segment = segment_of(&b->in[i].msg_hdr, len);
        if (take_packet(r, s, other, &b->from[i], b->bytes[i], len, segment, now_ms))
            out_put(b, count++, i, len, segment, other);
    }
    send_batch(r, other, count);
}

/* ---- what outlives us --------------------------------------------------------------------------------------- */

static void keep_load(struct relay *r)
{
    scoped_mem char   *content = malloc(KEEP_BYTES_MAX);
    size_t             len;
    struct relay_known k;
    if (!r->keep_path) return;
    check(content);
    r->kept = calloc(2 * r->o.slots, sizeof *r->kept);
    check(r->kept);
    if (sys_read_file(r->keep_path, content, KEEP_BYTES_MAX, &len).code) return; /* then sessions begin anew */
    struct str rest = { content, len }, line;
    while (rest.len) {
        str_split(rest, '\n', &line, &rest);
        if (relay_known_read(line, &k).code || k.slot >= r->o.slots) return;
        r->kept[2 * k.slot + k.is_b] = k;
    }
}

static void keep_save(struct relay *r, uint64_t now_ms)
{
    r->changed  = false;
    r->saved_ms = now_ms;
    if (!r->keep_path) return;
    uint64_t    sides = 2 * (atomic_load(&r->live) + atomic_load(&r->failed));
    struct text t     = { .cap = (sides + 1) * RELAY_KNOWN_LINE };
    t.ptr             = malloc(t.cap);
    check(t.ptr);
    for (uint32_t i = 0; i < 2 * r->o.slots; i++) {
        const struct side *s = r->pairs[i / 2] ? &r->pairs[i / 2]->side[i % 2] : NULL;
        if (!s || !s->is_known) continue;
        struct relay_known k = { .slot = i / 2, .is_b = i % 2, .given_at = s->given_at };
        memcpy(k.mac1_key, s->mac1_key, sizeof k.mac1_key);
        memcpy(k.place, &s->place, sizeof k.place);
        memcpy(k.given, s->given, sizeof k.given);
        relay_known_write(&k, &t);
    }
    check(!t.full);
    struct err e = relay_known_save(r->keep_path, text_str(&t));
    if (e.code) log_error("relay.keep", LOG_ERR(e));
    free(t.ptr);
}

static void restore(struct relay *r, struct side *s, uint32_t slot, bool is_b)
{
    struct relay_known *k = r->kept ? &r->kept[2 * slot + is_b] : NULL;
    if (k && k->given_at && memcmp(k->mac1_key, s->mac1_key, sizeof k->mac1_key) == 0) {
        memcpy(&s->place, k->place, sizeof s->place);
        memcpy(s->given, k->given, sizeof s->given);
        s->given_at = k->given_at;
        s->is_known = s->was_known = s->place.any.sa_family == r->listen.any.sa_family;
        s->heard_ms                = sys_boot_now_ms();
    }
    if (k) *k = (struct relay_known){ 0 };
}

/* ---- the thread --------------------------------------------------------------------------------------------- */

static void pair_close(struct relay *r, uint32_t slot)
{
    struct pair *p = r->pairs[slot];
    if (!p) return;
    for (int i = 0; i < 2 && p->has_ports; i++) close(p->side[i].fd); /* which takes it out of the epoll set */
    atomic_fetch_sub(p->has_ports ? &r->live : &r->failed, 1);
    free(p);
    r->pairs[slot] = NULL;
}

static int port_open(const struct relay *r, uint32_t port)
{
    scoped_fd int fd = socket(r->listen.any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    const int   size = SOCKET_BYTES, yes = 1;
    union place at = r->listen;
    place_set_port(&at, (uint16_t)port);
    /* Each makes it faster, none is needed: an old kernel or a lesser user does without. */
    (void)!setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    (void)!setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
    (void)!setsockopt(fd, SOL_UDP, UDP_GRO, &yes, sizeof yes);
    return bind(fd, &at.any, place_size(&at)) < 0 ? -1 : sys_take_fd(&fd);
}

static void pair_listen(struct relay *r, struct pair *p, uint32_t slot)
{
    scoped_fd int a = port_open(r, r->o.port_base + 2 * slot);
    scoped_fd int b = port_open(r, r->o.port_base + 2 * slot + 1);
    if (a < 0 || b < 0) return;
    p->side[0].fd = sys_take_fd(&a);
    p->side[1].fd = sys_take_fd(&b);
    p->has_ports  = true;
    for (int i = 0; i < 2; i++) {
        struct epoll_event wanted = { .events = EPOLLIN, .data.ptr = &p->side[i] };
        check(epoll_ctl(r->epoll, EPOLL_CTL_ADD, p->side[i].fd, &wanted) == 0);
    }
    atomic_fetch_sub(&r->failed, 1);
    atomic_fetch_add(&r->live, 1);
}

static void pair_open(struct relay *r, const struct note *note)
{
    struct pair *p = calloc(1, sizeof *p);
    check(p);
    pair_close(r, note->slot);
    for (int i = 0; i < 2; i++) {
        p->side[i].pair = p;
        packet_mac1_key(note->keys[i], p->side[i].mac1_key);
        restore(r, &p->side[i], note->slot, i == 1);
    }
    r->pairs[note->slot] = p;
    atomic_fetch_add(&r->failed, 1);
    pair_listen(r, p, note->slot);
}

static void forget(struct relay *r, struct side *s)
{
    if (s->is_known) r->changed = true;
    s->is_known = false;
}

static void forget_session(struct relay *r, struct side *s)
{
    forget(r, s);
    s->was_known = false;
}

static void take_seen(struct relay *r, const struct note *note)
{
    struct pair *p = r->pairs[note->slot];
    if (!p) return;
    struct side *s = &p->side[note->is_b];
    /* It has moved: what is known of the old place is void. What an earlier run knew is not, until it is seen. */
    bool moved = note->has_seen ? !is_at(&s->place, note->seen) : s->has_seen;
    if (moved) forget(r, s);
    s->has_seen = note->has_seen;
    memcpy(s->seen, note->seen, sizeof s->seen);
}

/* True until it is to end. */
static bool take_notes(struct relay *r)
{
    uint64_t count;
    ssize_t  got = read(r->wake, &count, sizeof count);
    (void)got; /* nothing there: woken for another reason */
    pthread_mutex_lock(&r->lock);
    struct note *note = r->notes;
    r->notes          = NULL;
    r->notes_end      = &r->notes;
    pthread_mutex_unlock(&r->lock);
    bool going = true;
    while (note) {
        struct note *next = note->next;
        switch (note->kind) {
        case NOTE_SET: pair_open(r, note); break;
        case NOTE_DROP: pair_close(r, note->slot); break;
        case NOTE_SEEN: take_seen(r, note); break;
        case NOTE_END: going = false; break;
        }
        free(note);
        note = next;
    }
    return going;
}

static void tick(struct relay *r, uint64_t now_ms)
{
    for (uint32_t slot = 0; slot < r->o.slots; slot++) {
        struct pair *p = r->pairs[slot];
        for (int i = 0; p && i < 2; i++)
            if (now_ms - p->side[i].heard_ms > RELAY_IDLE_MS) forget_session(r, &p->side[i]);
        if (p && !p->has_ports) pair_listen(r, p, slot);
    }
}

static void *run(void *ctx)
{
    struct relay      *r = ctx;
    struct epoll_event events[EVENTS_A_TURN];
    uint64_t           ticked_ms = sys_boot_now_ms();
    for (bool going = true; going;) {
        int  count = epoll_wait(r->epoll, events, EVENTS_A_TURN, r->changed ? KEEP_MS : TICK_MS);
        bool noted = false;
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == r)
                noted = true;
            else
                serve(r, events[i].data.ptr);
        }
        /* After the packets: a note may close what an event points to. */
        if (noted) going = take_notes(r);
        uint64_t now_ms = sys_boot_now_ms();
        if (r->changed && (now_ms - r->saved_ms >= KEEP_MS || !going)) keep_save(r, now_ms);
        if (now_ms - ticked_ms < TICK_MS) continue;
        ticked_ms = now_ms;
        tick(r, now_ms);
    }
    for (uint32_t slot = 0; slot < r->o.slots; slot++) pair_close(r, slot);
    return NULL;
}

/* ---- what the other thread asks --------------------------------------------------------------------------- */

static struct note *note_new(enum note_kind kind, uint32_t slot)
{
    struct note *note = calloc(1, sizeof *note);
    check(note);
    note->kind = kind;
    note->slot = slot;
    return note;
}

static void leave(struct relay *r, struct note *note)
{
    const uint64_t one = 1;
    pthread_mutex_lock(&r->lock);
    *r->notes_end = note;
    r->notes_end  = &note->next;
    pthread_mutex_unlock(&r->lock);
    check(write(r->wake, &one, sizeof one) == sizeof one);
}

struct err relay_set_pair(struct relay *r, uint32_t slot, const uint8_t key_a[MESH_KEY_BYTES],
                          const uint8_t key_b[MESH_KEY_BYTES])
{
    if (slot >= r->o.slots) return ERR(INVALID, "the relay has no such slot");
    struct note *note = note_new(NOTE_SET, slot);
    memcpy(note->keys[0], key_a, MESH_KEY_BYTES);
    memcpy(note->keys[1], key_b, MESH_KEY_BYTES);
    leave(r, note);
    return OK;
}

void relay_drop_pair(struct relay *r, uint32_t slot)
{
    if (slot < r->o.slots) leave(r, note_new(NOTE_DROP, slot));
}

void relay_set_seen(struct relay *r, uint32_t slot, bool is_b, const char *seen)
{
    if (slot >= r->o.slots) return;
    struct note *note = note_new(NOTE_SEEN, slot);
    note->is_b        = is_b;
    note->has_seen    = place_read_address(seen, note->seen);
    leave(r, note);
}

struct relay_counts relay_counts(struct relay *r)
{
    return (struct relay_counts){ .bytes     = atomic_load(&r->bytes),
                                  .strangers = atomic_load(&r->strangers),
                                  .slow      = atomic_load(&r->slow),
                                  .pairs     = atomic_load(&r->live),
                                  .failed    = atomic_load(&r->failed) };
}

struct err relay_open(const struct relay_options *o, struct relay **out)
{
    if (o->slots == 0 || o->slots > RELAY_SLOTS_MAX || o->port_base + 2 * o->slots > UINT16_MAX + 1u)
        return ERR(INVALID, "the relay's slots do not fit in its ports");
    struct relay *r = calloc(1, sizeof *r);
    check(r);
    r->o         = *o;
    r->o.address = r->o.keep_path = NULL;
    r->keep_path                  = o->keep_path ? strdup(o->keep_path) : NULL;
    struct err e                  = place_read(o->address, 0, &r->listen);
    if (e.code) {
        free(r->keep_path);
        free(r);
        return e;
    }
    keep_load(r);
    r->pairs                 = calloc(o->slots, sizeof *r->pairs);
    r->batch                 = calloc(1, sizeof *r->batch);
    r->epoll                 = epoll_create1(EPOLL_CLOEXEC);
    r->wake                  = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r->notes_end             = &r->notes;
    struct epoll_event woken = { .events = EPOLLIN, .data.ptr = r };
    check(r->pairs && r->batch && r->epoll >= 0 && r->wake >= 0 && pthread_mutex_init(&r->lock, NULL) == 0 &&
          epoll_ctl(r->epoll, EPOLL_CTL_ADD, r->wake, &woken) == 0 &&
          pthread_create(&r->thread, NULL, run, r) == 0);
    *out = r;
    return OK;
}

void relay_close(struct relay *r)
{
    if (!r) return;
    leave(r, note_new(NOTE_END, 0));
    check(pthread_join(r->thread, NULL) == 0);
    close(r->epoll);
    close(r->wake);
    pthread_mutex_destroy(&r->lock);
    free(r->pairs);
    free(r->batch);
    free(r->kept);
    free(r->keep_path);
    free(r);
}
