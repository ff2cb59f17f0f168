/* links.c: the connections between the network's program and the others, and what is under way on them. What may be lost by
 * the protocol is lost one by one; the rest comes in its order, or ends with its link. */
#include "sim_int.h"

#include <stdlib.h>
#include <string.h>

#define LINK_SILENT_MS 3000 /* an end that says nothing for so long is taken for gone */

struct letter *letter_new(enum input_kind kind, const void *body, size_t size)
{
    struct letter *l = malloc(sizeof *l + size);
    check(l);
    l->in   = (struct input){ .kind = kind };
    l->size = size;
    if (!size) return l;
    memcpy(l->body, body, size);
    if (kind == INPUT_OBSERVED) l->in.observed = (const struct observed *)l->body;
    if (kind == INPUT_WITNESSED) l->in.witnessed = (const struct witnessed *)l->body;
    if (kind == INPUT_REACHED) l->in.reached = (const struct mesh_reached *)l->body;
    if (kind == INPUT_SILENT) l->in.silent = (const struct mesh_silent *)l->body;
    return l;
}

static struct letter *letter_copy(const struct letter *l)
{
    struct letter *copy = letter_new(l->in.kind, l->body, l->size);
    if (!l->size) copy->in = l->in;
    copy->in.session = l->in.session;
    copy->in.subject = l->in.subject;
    return copy;
}

struct parcel *parcel_new(enum parcel_kind kind, const void *body, size_t size)
{
    struct parcel *p = malloc(sizeof *p + size);
    check(p);
    *p = (struct parcel){ .kind = kind };
    if (size) memcpy(p->body, body, size);
    return p;
}

/* ---- links ---------------------------------------------------------------------------------------------------------- */

struct link *link_find(struct sim *s, uint64_t session)
{
    struct link *l = &s->control.links[session % LINKS_MAX];
    return session && l->session == session ? l : NULL;
}

struct link *link_open(struct sim *s, enum end_kind end, uint32_t who)
{
    struct control *c = &s->control;
    for (uint32_t tries = 0; tries < LINKS_MAX; tries++) {
        uint64_t     session = ++c->links_made;
        struct link *l       = &c->links[session % LINKS_MAX];
        if (l->session) continue;
        *l = (struct link){ .session = session, .end = end, .who = who, .is_open = true };
        return l;
    }
    return NULL;
}

void link_drop(struct sim *s, uint64_t session, int64_t wait_ms)
{
    if (session && link_find(s, session)) later(s, wait_ms, EVENT_LINK_GONE, 0, session, NULL);
}

/* The network hears of it only if it had let it in. */
void link_gone(struct sim *s, uint64_t session)
{
    struct link *l = link_find(s, session);
    if (!l) return;
    struct letter *letter = letter_new(INPUT_LINK_DOWN, NULL, 0);
    letter->in.session    = session;
    letter->in.subject    = l->id;
    l->is_open            = false;
    if (!l->is_welcome) { /* once asked it is given back with the network's word */
        free(letter);
        if (!l->is_asked) *l = (struct link){ 0 };
        return;
    }
    *l = (struct link){ 0 };
    control_take(s, letter);
}

/* ---- what is under way --------------------------------------------------------------------------------------------------- */

static bool is_cut(const struct sim *s, const struct link *l)
{
    return l->end == END_GATE ? s->gates[l->who].cut_network : s->machines[l->who].cut_network;
}

static int64_t delay(struct sim *s, int64_t *last_ms, bool keeps_order)
{
    int64_t at = s->now_ms + 1 + (int64_t)below(s, (uint64_t)(s->is_faulty ? s->plan.delay_ms : 10));
    if (keeps_order) {
        if (at < *last_ms) at = *last_ms;
        *last_ms = at;
    }
    return at - s->now_ms;
}

void link_send_up(struct sim *s, uint64_t session, struct letter *l, bool may_be_lost)
{
    struct link *link = link_find(s, session);
    s->sum->messages++;
    if (!link || !link->is_open || is_cut(s, link) || (may_be_lost && strikes(s, s->plan.loss, 1000))) {
        s->sum->messages_lost++;
        free(l);
        return;
    }
    l->in.session = session;
    if (may_be_lost && strikes(s, s->plan.repeat, 1000))
        later(s, delay(s, &link->up_at_ms, false), EVENT_LETTER, 0, s->control.run, letter_copy(l));
    bool keeps_order = !may_be_lost || !strikes(s, s->plan.repeat, 1000);
    later(s, delay(s, &link->up_at_ms, keeps_order), EVENT_LETTER, 0, s->control.run, l);
}

void link_send_down(struct sim *s, struct link *l, struct parcel *p, bool may_be_lost)
{
    s->sum->messages++;
    p->session = l->session;
    if (is_cut(s, l) && p->kind == PARCEL_CLOSED) { /* its silence says the same */
        later(s, LINK_SILENT_MS, EVENT_PARCEL, 0, (uint64_t)l->end << 32 | l->who, p);
        return;
    }
    if (is_cut(s, l) || (may_be_lost && strikes(s, s->plan.loss, 1000))) {
        s->sum->messages_lost++;
        free(p);
        return;
    }
    bool keeps_order = !may_be_lost || !strikes(s, s->plan.repeat, 1000);
    later(s, delay(s, &l->down_at_ms, keeps_order), EVENT_PARCEL, 0, (uint64_t)l->end << 32 | l->who, p);
}
