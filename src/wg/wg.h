/* wg.h: WireGuard devices: made, led and removed, on the loop of net.h.
 *
 * A device is made in the network namespace of the caller, where its UDP socket stays for good; then it may be
 * moved into another one, which sees the interface and nothing of the socket. Two kinds do the same: wireguard-go,
 * one process a device, spoken to through its socket (the text protocol of wireguard.com/xplatform), and the
 * kernel's, spoken to by `wg`.
 *
 * Everything that may take time is asked for here and answered by a callback, in the order it was asked. A
 * device ends in one of three ways, and on_over is then the last call, after which it is freed:
 *   wg_remove   the caller wants it gone: interface, process, socket and files go
 *   wg_leave    the caller ends, the device lives on; wg_make with the same name and folder adopts it
 *   by itself   the process died or could not be made; what was left of it has been removed
 * Before net_stop each device must have been removed or left, and its on_over awaited.
 *
 * DIR holds for each device NAME.device (its process, whether it was made whole, from what) and NAME.log
 * (wireguard-go's errors). */
#ifndef WG_WG_H
#define WG_WG_H

#include "base/err.h"
#include "base/str.h"
#include "net/net.h"

#define WG_NAME_TEXT 16 /* 15 letters, as the kernel has it, zero-ended */
#define WG_KEY_BYTES 32
#define WG_PLACE_TEXT 56   /* "203.0.113.7:51820" or "[2001:db8::1]:51820", zero-ended */
#define WG_ADDRESS_TEXT 48 /* "10.99.0.1" or IPv6, zero-ended */
#define WG_PEERS_MAX 65536
#define WG_PEERS_A_CALL 4096
#define WG_INSIST_MS 30000
#define WG_PROBE_MS 2000
#define WG_MTU_LEAST 1280
#define WG_MAKE_MS 5000   /* a device that is not made so long after what was in its way is gone is given up */
#define WG_ANSWER_MS 5000 /* a device that does not answer for so long is given up */

enum wg_kind { WG_USERSPACE, WG_KERNEL, WG_KIND_COUNT };
extern const char *const wg_kind_names[WG_KIND_COUNT]; /* "wireguard-go", "kernel" */

struct wg_options {
    enum wg_kind kind;
    const char  *program; /* wireguard-go's path, or a name that PATH knows; null: "wireguard-go" */
    const char  *dir;     /* for the files above; is made if it is not there */
    const char  *name;    /* of the interface, up to 15 letters */
    uint8_t      secret[WG_KEY_BYTES];
    uint16_t     listen_port; /* 0: any */
    uint32_t     mtu;
    const char  *address;     /* the interface's own, "10.99.0.1"; null: none */
    uint32_t     prefix_bits; /* of its network, which is then routed here */
    const char  *netns;       /* path of the namespace to move into; null: it stays */
};

/* What a peer is to be from now on. */
struct wg_peer {
    uint8_t key[WG_KEY_BYTES];
    bool    gone;                    /* remove it; the rest is not looked at */
    char    endpoint[WG_PLACE_TEXT]; /* ""; leaves it as it is */
    char    address
        [WG_ADDRESS_TEXT]; /* the one allowed address, taken from whoever had it; "": may carry nothing */
    uint16_t keepalive_s;  /* 0: none */
    /* WireGuard repeats a handshake that got no answer only after 5 s. When the other side learns of us at about the same
     * time, that is long: until the first answer the handshake is begun anew after so long, then twice as long, and so
     * on, for WG_INSIST_MS in all, for up to 256 peers at once. Needs a keepalive, which begins it. 0: WireGuard's way. */
    uint16_t insist_ms;
};

/* What a peer is, as the device knows it. */
struct wg_seen {
    uint8_t  key[WG_KEY_BYTES];
    char     endpoint[WG_PLACE_TEXT]; /* "" while unknown */
    uint64_t handshake_ms;            /* when the last one was completed, ms since 1970; 0: never */
    uint64_t rx_bytes;
    uint64_t tx_bytes;
};

struct wg_device;

struct wg_calls {
    /* It is up, in its namespace, and answers. adopted: it lived already, with its peers. */
    void (*on_ready)(void *ctx, struct wg_device *d, uint16_t listen_port, bool adopted);
    void (*on_over)(void *ctx, struct err why); /* exactly once, last; OK after wg_remove and wg_leave */
};

typedef void (*wg_on_done)(void *ctx, struct err e);
typedef void (*wg_on_seen)(void *ctx, struct err e, const struct wg_seen *peers, size_t count); /* borrowed */

/* Makes it, or adopts the one of that name in that folder, if it was made whole. The options are copied. */
must_check struct err wg_make(struct net *n, const struct wg_options *o, const struct wg_calls *calls,
                              void *ctx, struct wg_device **out);
void                  wg_remove(struct wg_device *d);
void                  wg_leave(struct wg_device *d);

/* Both may be asked from wg_make on; they wait until it is ready. Each is answered later, with an error if the
 * device ends before. The peers, up to WG_PEERS_A_CALL, are copied; `done` may be null. ERR_INVALID at once, and no
 * answer, if a text is no endpoint or no address. */
must_check struct err wg_set_peers(struct wg_device *d, const struct wg_peer *peers, size_t count,
                                   wg_on_done done, void *ctx);
void                  wg_read_peers(struct wg_device *d, wg_on_seen call, void *ctx);

/* Whether packets of full size get from that port of ours, which is a device's, to that place and back, past all routers.
 * It is asked beside the device, whose session with that place or another is not disturbed. The other side must do the same
 * at about the same time: both let out, and answer. on_reached: at most once; the other side's questions are answered until
 * WG_PROBE_MS are over. on_over is the last call. It needs the right to raw sockets, and speaks IPv4 alone. */
struct wg_probe;
struct wg_probe_calls {
    void (*on_reached)(void *ctx);
    void (*on_over)(void *ctx);
};
must_check struct err wg_probe(struct net *n, uint16_t port, const char *place,
                               const struct wg_probe_calls *calls, void *ctx, struct wg_probe **out);
void                  wg_probe_end(struct wg_probe *p); /* at once; no call follows */

/* For a worker's start: removes every device of DIR that `wanted` does not want (null: all of them), before any is
 * made. Blocks up to a second for each that does not end by itself. */
must_check struct err wg_sweep(const char *dir, bool (*wanted)(void *ctx, struct str name), void *ctx);

#endif
