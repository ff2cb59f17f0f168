/* A node's tunnels: a few wait at the gateway for a user's connection. */
#include "worker_int.h"

void worker_tunnels_take(struct worker_node *n, uint64_t now_ms, enum worker_tunnel what)
{
    if (n->step != STEP_SERVING) return;
    if ((what == TUNNEL_OPEN || what == TUNNEL_FAILED) && n->tunnels_dialing) n->tunnels_dialing--;
    if ((what == TUNNEL_TAKEN || what == TUNNEL_LOST) && n->tunnels_idle) n->tunnels_idle--;
    if (what == TUNNEL_OPEN) {
        n->tunnels_idle++;
        n->tunnels_wait_ms = 0;
    }
    if (what == TUNNEL_FAILED || what == TUNNEL_LOST) {
        bool again         = what == TUNNEL_FAILED && n->tunnels_wait_ms;
        n->tunnels_wait_ms = again ? 2 * n->tunnels_wait_ms : WORKER_TUNNEL_LEAST_MS;
        if (n->tunnels_wait_ms > WORKER_TUNNEL_MOST_MS) n->tunnels_wait_ms = WORKER_TUNNEL_MOST_MS;
        n->tunnels_retry_ms = now_ms + n->tunnels_wait_ms;
    }
}

void worker_tunnels_act(const struct worker *w, struct worker_node *n, uint64_t now_ms,
                        struct worker_actions *out)
{
    if (n->tunnels_moved) n->tunnels_moved = !worker_act(out, ACT_DROP_TUNNELS, w, n);
    if (!n->assignment.tunnel[0] || !n->assignment.ticket[0] || now_ms < n->tunnels_retry_ms) return;
    /* One finds out whether the gateway is back: all nodes' would be a storm. */
    uint32_t most = n->tunnels_wait_ms ? 1 : WORKER_TUNNELS;
    while (n->tunnels_idle + n->tunnels_dialing < WORKER_TUNNELS && n->tunnels_dialing < most) {
        if (!worker_act(out, ACT_DIAL_TUNNEL, w, n)) return;
        n->tunnels_dialing++;
    }
}
