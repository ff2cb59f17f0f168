#include "wg_int.h"

#include <stdlib.h>
#include <string.h>

#define INSIST_TICK_MS 50
#define INSISTS_MAX 256 /* of so many peers some have answered soon, and make room */

/* A device begins a handshake by itself once in 5 s and there is no way to ask for another; but a peer that is
 * removed and made again knows nothing of the first. */

static void drop(struct wg_insist **at)
{
    struct wg_insist *i = *at;
    *at                 = i->next;
    free(i);
}

static void begin_anew(struct wg_device *d, struct wg_insist *i, uint64_t now_ms)
{
    struct wg_peer *pair = wg_alloc(2 * sizeof *pair);
    memcpy(pair[0].key, i->peer.key, sizeof pair[0].key);
    pair[0].gone = true;
    pair[1]      = i->peer;
    i->wait_ms *= 2;
    i->again_ms = now_ms + i->wait_ms;
    wg_ask(d, (struct wg_ask){ .peers = pair, .count = 2 });
}

static bool has_answered(const struct wg_insist *i, const struct wg_seen *peers, size_t count)
{
    for (size_t at = 0; at < count; at++)
        if (memcmp(peers[at].key, i->peer.key, WG_KEY_BYTES) == 0) return peers[at].handshake_ms > 0;
    return true; /* it is no peer any more */
}

static void on_read(void *ctx, struct err e, const struct wg_seen *peers, size_t count)
{
    struct wg_device *d      = ctx;
    uint64_t          now_ms = net_now_ms(d->net);
    d->insist_reading        = false;
    if (e.code) return;
    for (struct wg_insist **at = &d->insists; *at;) {
        if (has_answered(*at, peers, count) || now_ms >= (*at)->until_ms) {
            drop(at);
            continue;
        }
        if (now_ms >= (*at)->again_ms) begin_anew(d, *at, now_ms);
        at = &(*at)->next;
    }
}

static void on_tick(void *ctx)
{
    struct wg_device *d      = ctx;
    uint64_t          now_ms = net_now_ms(d->net);
    bool              due    = false;
    if (!d->insists) {
        net_timer_stop(d->insist_timer);
        d->insist_timer = NULL;
        return;
    }
    for (struct wg_insist *i = d->insists; i; i = i->next) due = due || now_ms >= i->again_ms;
    if (!due || d->insist_reading || d->state != WG_READY) return;
    d->insist_reading = true;
    wg_read_peers(d, on_read, d);
}

void insist_take(struct wg_device *d, const struct wg_peer *peers, size_t count)
{
    uint64_t now_ms = net_now_ms(d->net);
    size_t   held   = 0;
    for (struct wg_insist *i = d->insists; i; i = i->next) held++;
    for (size_t p = 0; p < count; p++) {
        for (struct wg_insist **at = &d->insists; *at; at = &(*at)->next) {
            if (memcmp((*at)->peer.key, peers[p].key, WG_KEY_BYTES) != 0) continue;
            drop(at);
            held--;
            break;
        }
        if (peers[p].gone || !peers[p].insist_ms || !peers[p].keepalive_s || held == INSISTS_MAX) continue;
        held++;
        struct wg_insist *i = wg_alloc(sizeof *i);
        *i                  = (struct wg_insist){ .next     = d->insists,
                                                  .peer     = peers[p],
                                                  .wait_ms  = peers[p].insist_ms,
                                                  .again_ms = now_ms + peers[p].insist_ms,
                                                  .until_ms = now_ms + WG_INSIST_MS };
        d->insists          = i;
    }
    /* Refused only by a loop that stops; then nobody waits for a handshake either. */
    if (d->insists && !d->insist_timer &&
        net_timer_start(d->net, INSIST_TICK_MS, INSIST_TICK_MS, on_tick, d, &d->insist_timer).code)
        d->insist_timer = NULL;
}

void insist_free(struct wg_device *d)
{
    net_timer_stop(d->insist_timer);
    while (d->insists) drop(&d->insists);
}
