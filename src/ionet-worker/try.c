/* Tries: whether a relayed peer can be reached without the relay. All of a node's end with it. */
#include "site.h"

#include "sys/log.h"

#include <stdlib.h>
#include <string.h>

struct
try {
    struct try      *next;
    struct node     *node;
    struct wg_probe *probe;
    uint8_t          key[MESH_KEY_BYTES];
};

static void try_free(struct try *t)
{
    struct node *n = t->node;
    for (struct try **at = &n->tries; *at; at = &(*at)->next) {
        if (*at != t) continue;
        *at = t->next;
        break;
    }
    free(t);
    node_release(n);
}

static void on_reached(void *ctx)
{
    struct try         *t  = ctx;
    struct worker_input in = { .kind = IN_REACHED, .ref = t->node->ref };
    memcpy(in.key, t->key, sizeof in.key);
    site_step(t->node->site, &in);
}

static void on_over(void *ctx)
{
    try_free(ctx);
}

/* One under way answers and asks for long enough. */
static bool is_tried(const struct node *n, const uint8_t key[MESH_KEY_BYTES])
{
    for (const struct try *t = n->tries; t; t = t->next)
        if (memcmp(t->key, key, sizeof t->key) == 0) return true;
    return false;
}

void node_try_peer(struct node *n, const struct mesh_peer *peer)
{
    static const struct wg_probe_calls calls = { on_reached, on_over };
    if (!n->wg || node_is_over(n) || is_tried(n, peer->key)) return;
    struct try *t = calloc(1, sizeof *t);
    check(t);
    *t = (struct try){ .next = n->tries, .node = n };
    memcpy(t->key, peer->key, sizeof t->key);
    n->tries = t;
    node_hold(n);
    struct err e = wg_probe(n->site->net, n->mesh_port, peer->direct, &calls, t, &t->probe);
    log_debug("mesh.try", LOG_ID("node", n->ref.node), LOG_TEXT("address", peer->address),
              LOG_TEXT("place", peer->direct));
    if (!e.code) return;
    log_warn("mesh.try", LOG_ID("node", n->ref.node), LOG_ERR(e)); /* it stays with the relay */
    try_free(t);
}

void tries_end(struct node *n)
{
    while (n->tries) {
        struct try *t = n->tries;
        wg_probe_end(t->probe);
        try_free(t);
    }
}
