#include "pass_int.h"

#include <string.h>

void pass_init(struct pass *p, const uint8_t cookie_seed[32], struct instant now)
{
    memset(p, 0, sizeof *p);
    sign_key_from_seed(cookie_seed, &p->own, &p->own_public);
    p->started = now;
}

void pass_set_signer(struct pass *p, const uint8_t public_key[32])
{
    memcpy(p->signer.bytes, public_key, sizeof p->signer.bytes);
    p->has_signer = true;
}

void pass_revoke(struct pass *p, struct cluster_id cluster)
{
    if (!pass_is_revoked(p, cluster)) p->revoked[p->revoked_count++ % PASS_REVOKED_MAX] = cluster;
}

bool pass_is_revoked(const struct pass *p, struct cluster_id cluster)
{
    uint64_t count = p->revoked_count < PASS_REVOKED_MAX ? p->revoked_count : PASS_REVOKED_MAX;
    for (uint64_t i = 0; i < count; i++)
        if (id_eq(p->revoked[i].id, cluster.id)) return true;
    return false;
}

void pass_revoke_node(struct pass *p, struct node_id node)
{
    if (!pass_is_replaced(p, node)) p->replaced[p->replaced_count++ % PASS_REVOKED_MAX] = node;
}

bool pass_is_replaced(const struct pass *p, struct node_id node)
{
    uint64_t count = p->replaced_count < PASS_REVOKED_MAX ? p->replaced_count : PASS_REVOKED_MAX;
    for (uint64_t i = 0; i < count; i++)
        if (id_eq(p->replaced[i].id, node.id)) return true;
    return false;
}

static struct err read_kind(const struct pass *p, struct str text, struct public_key signer,
                            enum ticket_kind kind, struct instant now, struct ticket *out)
{
    if (!p->has_signer) return ERR(DENIED, "this gateway belongs to no network yet");
    TRY(ticket_read(text, signer, now, out));
    if (out->kind != kind) return ERR(DENIED, "the ticket is for something else");
    if (pass_is_revoked(p, out->cluster)) return ERR(DENIED, "the cluster is over");
    if (pass_is_replaced(p, out->node)) return ERR(DENIED, "the node was replaced by another");
    return OK;
}

static struct err fits(const struct ticket *t, const struct wish *w)
{
    if (!id_is_none(w->cluster.id) && !id_eq(t->cluster.id, w->cluster.id))
        return ERR(DENIED, "the ticket is for another cluster");
    if (!str_eq(str_from(t->service), w->service)) return ERR(DENIED, "the ticket is for another service");
    if (!id_is_none(w->node.id) && !id_eq(t->node.id, w->node.id))
        return ERR(DENIED, "the ticket is for another node");
    return OK;
}

struct err pass_tunnel(const struct pass *p, struct str ticket, struct instant now, struct ticket *out)
{
    TRY(read_kind(p, ticket, p->signer, TICKET_TUNNEL, now, out));
    return id_is_none(out->node.id) ? ERR(DENIED, "the ticket names no node") : OK;
}

struct err pass_join(const struct pass *p, struct str ticket, const struct wish *w, struct instant now,
                     struct ticket *out)
{
    TRY(read_kind(p, ticket, p->signer, TICKET_JOIN, now, out));
    return fits(out, w);
}

struct err pass_cookie(const struct pass *p, struct str cookie, const struct wish *w, struct instant now,
                       struct ticket *out)
{
    TRY(read_kind(p, cookie, p->own_public, TICKET_JOIN, now, out));
    return fits(out, w);
}

/* Whether it was used; if not, it is from now on. Places are used again once what they hold has expired; when
 * none has, nobody is let in rather than somebody twice. */
static struct err use(struct pass *p, struct id serial, struct instant until, struct instant now)
{
    uint64_t count = p->used_count < PASS_USED_MAX ? p->used_count : PASS_USED_MAX, place = PASS_USED_MAX;
    for (uint64_t i = 0; i < count; i++) {
        if (id_eq(p->used[i].serial, serial)) return ERR(DENIED, "the ticket was used already");
        if (!instant_before(now, p->used[i].until)) place = i;
    }
    if (place == PASS_USED_MAX) {
        if (count == PASS_USED_MAX) return ERR(LIMIT, "too many first visits: try again in a minute");
        place = p->used_count++;
    }
    p->used[place].serial = serial;
    p->used[place].until  = until;
    return OK;
}

struct err pass_once(struct pass *p, struct str text, const struct wish *w, struct instant now,
                     struct text *cookie)
{
    struct ticket t;
    TRY(read_kind(p, text, p->signer, TICKET_ONCE, now, &t));
    TRY(fits(&t, w));
    /* What an earlier run let in is not remembered, so it takes only what was made since its start. */
    struct instant made  = { t.expires.ms - TICKET_VALID_MS },
                   until = instant_add(made, (struct span){ PASS_ONCE_MS });
    if (instant_before(made, p->started) || !instant_before(now, until))
        return ERR(EXPIRED, "the ticket has expired: ask for another");
    TRY(use(p, t.serial, until, now));
    t.kind = TICKET_JOIN;
    return ticket_write(&t, &p->own, cookie);
}
