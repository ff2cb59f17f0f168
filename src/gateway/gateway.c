#include "gateway_int.h"

#include "place_int.h"
#include "sys/log.h"
#include "sys/secret.h"
#include "sys/sys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct err gateway_path(const struct gateway *g, const char *name, char out[GATEWAY_PATH_TEXT])
{
    int n = snprintf(out, GATEWAY_PATH_TEXT, "%s/%s", g->o.state_dir, name);
    return n > 0 && n < GATEWAY_PATH_TEXT ? OK : ERR(LIMIT, "the path of the state folder is too long");
}

/* ---- frames ------------------------------------------------------------------------------------------------------ */

static void take_welcome(struct gateway *g, const struct link_welcome *w)
{
    g->known = *w;
    pass_set_signer(&g->pass, w->signing_key);
}

static void take_config(struct gateway *g, const struct gw_config *c, bool restoring)
{
    struct err e = OK;
    memcpy(g->domain, c->domain, sizeof g->domain);
    if (!restoring) e = sys_write_file(g->cert_path, str_from(c->chain_pem), 0600);
    if (!e.code) e = door_open(g->door, g->domain);
    if (!e.code) return;
    log_error("door.open", LOG_ERR(e));
    if (!restoring) gateway_fail(g, e); /* what was kept may be spoilt: ionetd tells again */
}

static void take_revoke(struct gateway *g, const struct gw_revoke *r, bool restoring)
{
    uplink_send_probed(g); /* for the last time of those that end */
    for (uint32_t i = 0; i < r->clusters_count; i++) {
        struct cluster_id cluster = r->clusters[i].cluster;
        if (!restoring) log_info("revoke", LOG_ID("cluster", cluster));
        pass_revoke(&g->pass, cluster);
        probes_revoke(g->probes, cluster);
        door_revoke(g->door, cluster);
    }
    for (uint32_t i = 0; i < r->nodes_count; i++) {
        struct node_id node = r->nodes[i].node;
        if (!restoring) log_info("revoke", LOG_ID("node", node));
        pass_revoke_node(&g->pass, node);
        door_revoke_node(g->door, node);
    }
}

void gateway_take(struct gateway *g, enum link_kind kind, const union link_message *m, bool restoring)
{
    switch ((int)kind) {
    case LINK_WELCOME: take_welcome(g, &m->welcome); break;
    case LINK_GW_CONFIG: take_config(g, &m->gw_config, restoring); break;
    case LINK_GW_MEET: meet_take_meet(g->meet, &m->gw_meet); break;
    case LINK_GW_RELAY: meet_take_relay(g->meet, &m->gw_relay); break;
    case LINK_GW_PROBE: probes_take(g->probes, &m->gw_probe); break;
    case LINK_GW_REVOKE: take_revoke(g, &m->gw_revoke, restoring); break;
    case LINK_GW_SEEN:
        if (restoring) meet_restore_seen(g->meet, &m->gw_seen);
        break;
    default: return; /* is for others */
    }
    if (!restoring) keep_changed(g);
}

/* ---- its parts' ends --------------------------------------------------------------------------------------------- */

void gateway_try_end(struct gateway *g)
{
    if (!g->stopping || g->over || !g->meet_is_over || g->uplink.socket || !keep_is_idle(g)) return;
    g->over = true;
    relay_close(g->relay);
    g->relay = NULL;
    g->on_over(g->ctx, g->why);
}

static void on_seen(void *ctx)
{
    uplink_send_seen(ctx);
}

static void on_counted(void *ctx)
{
    uplink_send_probed(ctx);
}

static void on_ready(void *ctx)
{
    (void)ctx;
    log_info("ready");
}

static void on_meet_over(void *ctx, struct err e)
{
    struct gateway *g = ctx;
    g->meet_is_over   = true;
    if (e.code) gateway_fail(g, e);
    gateway_try_end(g);
}

void gateway_fail(struct gateway *g, struct err why)
{
    if (!g->why.code) g->why = why;
    gateway_stop(g);
}

void gateway_stop(struct gateway *g)
{
    if (g->stopping) return;
    keep_finish(g);
    g->stopping = true;
    uplink_close(g);
    probes_stop(g->probes);
    door_close(g->door);
    meet_stop(g->meet);
    gateway_try_end(g);
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static struct err read_token(struct gateway *g)
{
    struct join_token t;
    struct err        e = keep_load_network(g);
    if (e.code && e.code != ERR_MISSING) return e;
    if (!g->o.token || !g->o.token[0])
        return e.code ? ERR(MISSING, "a join token is needed the first time") : OK;

    TRY(join_token_read(str_from(g->o.token), &t));
    memcpy(g->host, t.host, sizeof g->host);
    memcpy(g->secret, t.secret, sizeof g->secret);
    memcpy(g->pin.sha256, t.pin, sizeof g->pin.sha256);
    g->port = t.port;
    explicit_bzero(&t, sizeof t);
    return keep_save_network(g);
}

static struct err read_secret(struct gateway *g, const char *name, uint8_t out[32])
{
    char path[GATEWAY_PATH_TEXT];
    TRY(gateway_path(g, name, path));
    return sys_secret_file(path, out);
}

static struct err open_state(struct gateway *g)
{
    char    path[GATEWAY_PATH_TEXT];
    uint8_t seed[32];
    TRY(sys_make_dirs(g->o.state_dir, 0700));
    TRY(gateway_path(g, "lock", path));
    TRY(sys_lock_file(path, &g->lock));
    TRY(read_token(g));
    TRY(gateway_path(g, "gateway.crt", g->cert_path));
    TRY(gateway_path(g, "gateway.key", g->key_path));
    TRY(gateway_path(g, "devices", g->device_dir));
    TRY(read_secret(g, "meet-a.key", g->meet_secrets[0]));
    TRY(read_secret(g, "meet-b.key", g->meet_secrets[1]));
    TRY(read_secret(g, "device.key", seed));
    sign_key_from_seed(seed, &g->key, &g->public_key);
    TRY(read_secret(g, "cookie.key", seed));
    pass_init(&g->pass, seed, sys_wall_now());
    explicit_bzero(seed, sizeof seed);
    return net_request_make(g->key_path, g->csr_pem, sizeof g->csr_pem);
}

static struct err open_parts(struct gateway *g)
{
    static const struct meet_calls calls = { .on_seen  = on_seen,
                                             .on_ready = on_ready,
                                             .on_over  = on_meet_over };
    char                           keep_path[GATEWAY_PATH_TEXT];
    struct relay_options           relay = { .address         = g->o.listen,
                                             .port_base       = g->o.relay_port_base,
                                             .slots           = g->o.relay_slots,
                                             .pair_mbit_per_s = g->o.relay_pair_mbit,
                                             .keep_path       = keep_path };
    struct door_options            door  = { .net       = g->net,
                                             .pass      = &g->pass,
                                             .listen    = g->o.listen,
                                             .port      = g->o.port,
                                             .cert_path = g->cert_path,
                                             .key_path  = g->key_path,
                                             .joins     = { GATEWAY_JOIN_MS, DOOR_JOINS_A_CLUSTER_MAX,
                                                            DOOR_JOINS_A_USER_MAX } };
    struct meet_options            meet  = { .net     = g->net,
                                             .kind    = g->o.mesh_device,
                                             .program = g->o.wireguard_go,
                                             .dir     = g->device_dir,
                                             .name    = g->o.device_name,
                                             .secrets = { g->meet_secrets[0], g->meet_secrets[1] },
                                             .ports   = { g->o.meet_port_a, g->o.meet_port_b },
                                             .slots   = g->o.relay_slots };
    TRY(gateway_path(g, "relay", keep_path));
    TRY(relay_open(&relay, &g->relay));
    meet.relay = g->relay;
    door_init(&door, &g->door);

    struct probes_options probes = { .net        = g->net,
                                     .joins      = door_joins(g->door),
                                     .domain     = g->domain,
                                     .every_ms   = GATEWAY_PROBE_MS,
                                     .answer_ms  = GATEWAY_PROBE_ANSWER_MS,
                                     .on_counted = on_counted,
                                     .ctx        = g };
    TRY(probes_open(&probes, &g->probes));
    return meet_open(&meet, &calls, g, &g->meet);
}

static struct err check_options(const struct gateway_options *o)
{
    if (strlen(o->device_name) > WG_NAME_TEXT - 3) return ERR(INVALID, "the interfaces' name is too long");
    if (strlen(o->host) + sizeof "[]:65535" > MESH_ENDPOINT_TEXT) return ERR(INVALID, "the host is too long");
    union place place;
    if (place_read(o->listen, 0, &place).code) return ERR(INVALID, "the address to listen at is not numeric");
    if (place_read(o->host, 0, &place).code) return ERR(INVALID, "the host is not a numeric address");
    if (!o->meet_port_a || !o->meet_port_b || o->meet_port_a == o->meet_port_b)
        return ERR(INVALID, "the meeting points need two ports");
    return OK;
}

struct err gateway_open(struct net *n, const struct gateway_options      *o,
                        void (*on_over)(void *ctx, struct err why), void *ctx, struct gateway **out)
{
    TRY(check_options(o));
    struct gateway *g;
    TRY(secret_alloc(sizeof *g, &g));
    g->net          = n;
    g->o            = *o;
    g->on_over      = on_over;
    g->ctx          = ctx;
    g->lock         = -1;
    g->keep.gateway = g;
    sys_random(g->instance, sizeof g->instance);
    struct err e = sys_boot_id(g->boot_id);
    if (!e.code) e = open_state(g);
    if (!e.code) e = open_parts(g);
    if (e.code) {
        gateway_free(g);
        return e;
    }
    *out = g;
    keep_load(g);
    if (!g->stopping) meet_start(g->meet);
    if (!g->stopping) uplink_open(g);
    return OK;
}

void gateway_free(struct gateway *g)
{
    if (!g) return;
    relay_close(g->relay);
    meet_free(g->meet);
    probes_free(g->probes);
    door_free(g->door);
    sys_close(&g->lock);
    secret_free(g);
}

struct err gateway_check(const struct gateway_options *o)
{
    struct join_token t;
    struct gateway    g = { .o = *o };
    TRY(check_options(o));
    if (o->relay_slots == 0 || o->relay_slots > RELAY_SLOTS_MAX ||
        o->relay_port_base + 2 * o->relay_slots > UINT16_MAX + 1u)
        return ERR(INVALID, "the relay's slots do not fit in its ports");
    if (o->token && o->token[0]) TRY(join_token_read(str_from(o->token), &t));
    struct err e = keep_load_network(&g);
    if (e.code == ERR_MISSING && (!o->token || !o->token[0]))
        return ERR(MISSING, "a join token is needed the first time");
    if (e.code && e.code != ERR_MISSING) return e;
    if (o->mesh_device == WG_USERSPACE && o->wireguard_go && access(o->wireguard_go, X_OK) < 0)
        return ERR(MISSING, "wireguard-go is not there");
    return OK;
}
