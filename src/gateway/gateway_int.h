/* gateway_int.h: the parts of a gateway and what they share.
 *
 *   uplink.c   the link to ionetd: frames in, places and counts out
 *   keep.c     what must survive a restart
 *   probe.c    whether nodes that are alone serve
 *   gateway.c  makes the parts, hands each frame to the part that it is for, ends them in order */
#ifndef GATEWAY_GATEWAY_INT_H
#define GATEWAY_GATEWAY_INT_H

#include "door_int.h"
#include "gateway.h"
#include "link/link.h"
#include "meet_int.h"
#include "pass_int.h"
#include "probe_int.h"
#include "relay_int.h"

#include <uv.h>

#define GATEWAY_PATH_TEXT 512

struct keep { /* saves at most one at a time, on the pool */
    struct gateway   *gateway;
    struct net_timer *timer; /* set: something has changed */
    uv_work_t         work;
    bool              working;
    bool              again;   /* once it has worked: what changed meanwhile, and no timer will */
    struct text       content; /* being written; on the heap */
    struct err        err;
};

struct uplink {
    struct net_socket *socket;
    struct net_timer  *timer;
    struct net_timer  *count_timer;
    bool               welcome;
    uint64_t           gone_ms; /* since when; 0: it is up, or was never tried */
    struct gw_count    counted;
};

struct gateway {
    struct net            *net;
    struct gateway_options o;
    void (*on_over)(void *ctx, struct err why);
    void *ctx;

    int               lock;
    char              host[128]; /* of ionetd */
    uint16_t          port;
    struct net_pin    pin;
    char              secret[64]; /* of the join token, until it was used */
    struct sign_key   key;
    struct public_key public_key;
    uint8_t           meet_secrets[2][WG_KEY_BYTES];
    char              boot_id[33];
    uint8_t           instance[16];
    char              cert_path[GATEWAY_PATH_TEXT];
    char              key_path[GATEWAY_PATH_TEXT];
    char              device_dir[GATEWAY_PATH_TEXT];
    char              csr_pem[4096];

    struct link_welcome known; /* id none: not enrolled yet */
    char                domain[128];
    struct pass         pass;
    struct relay       *relay;
    struct meet        *meet;
    struct door        *door;
    struct probes      *probes;
    struct uplink       uplink;
    struct keep         keep;
    bool                stopping, meet_is_over, over;
    struct err          why;
};

must_check struct err gateway_path(const struct gateway *g, const char *name, char out[GATEWAY_PATH_TEXT]);
/* A frame of ionetd's, or one that was kept (`restoring`). */
void gateway_take(struct gateway *g, enum link_kind kind, const union link_message *m, bool restoring);
void gateway_fail(struct gateway *g, struct err why);
void gateway_try_end(struct gateway *g); /* a part is over: perhaps that was the last */

void uplink_open(struct gateway *g);
void uplink_send_seen(struct gateway *g);
void uplink_send_probed(struct gateway *g);
void uplink_close(struct gateway *g);

must_check struct err keep_load_network(struct gateway *g); /* ERR_MISSING: never was in one */
must_check struct err keep_save_network(struct gateway *g);
void                  keep_load(struct gateway *g); /* hands the frames that were kept to gateway_take */
void                  keep_changed(struct gateway *g);
bool                  keep_is_idle(const struct gateway *g); /* nothing is being written */
void                  keep_finish(struct gateway *g); /* what was not written yet, before it is idle again */

#endif
