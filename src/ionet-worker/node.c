#include "site.h"

#include "sys/log.h"
#include "sys/sys.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NODE_GRACE_MS 1000 /* between SIGTERM and SIGKILL */

/* ---- its life ---------------------------------------------------------------------------------------- */

struct node *node_of(struct site *s, struct worker_ref ref)
{
    const struct worker_node *w = worker_find(s->worker, ref);
    if (!w) return NULL;
    uint32_t     slot = (uint32_t)(w - s->worker->nodes);
    struct node *n    = s->nodes[slot];
    if (n) return worker_ref_eq(n->ref, ref) ? n : NULL;

    n = calloc(1, sizeof *n);
    check(n);
    *n             = (struct node){ .site = s, .slot = slot, .ref = ref };
    s->nodes[slot] = n;
    return n;
}

const struct assignment *node_assignment(const struct node *n)
{
    return &n->site->worker->nodes[n->slot].assignment;
}

void node_hold(struct node *n)
{
    n->holds++;
}

/* Frees what is over: cleaned or left, and awaited by nobody. */
static void node_settle(struct node *n)
{
    if (n->holds || n->wg || !(n->is_clean || n->leaving)) return;
    n->site->nodes[n->slot] = NULL;
    recipe_free(n->recipe);
    free(n->recipe_room);
    free(n);
}

static void clean_on(struct node *n);

void node_release(struct node *n)
{
    check(n->holds > 0);
    n->holds--;
    if (n->cleaning && !n->leaving)
        clean_on(n);
    else
        node_settle(n);
}

bool node_is_over(const struct node *n)
{
    return n->cleaning || n->leaving;
}

/* ---- what is left of it from a worker before this one ------------------------------------------------ */

static void tell_found(struct node *n, bool mesh, bool container, const char *why)
{
    static char         log_end[CONTAINER_LOG_END_BYTES];
    struct worker_input in = {
        .kind = IN_FOUND, .ref = n->ref, .found_mesh = mesh, .found_container = container
    };
    if (!container) container_log_end(n->site->runtime, n->ref.node, log_end);
    in.text    = str_from(why);
    in.log_end = str_from(container ? "" : log_end);
    n->finding = false;
    log_info("node.found", LOG_ID("node", n->ref.node), LOG_I64("mesh", mesh), LOG_I64("container", container));
    site_step(n->site, &in);
}

static bool is_listed(struct node *n)
{
    struct container_found found[RUNTIME_NODES_MAX];
    uint32_t               count = container_list(n->site->runtime, found, RUNTIME_NODES_MAX);
    for (uint32_t i = 0; i < count; i++)
        if (id_eq(found[i].node.id, n->ref.node.id) && found[i].incarnation == n->ref.incarnation) return true;
    return false;
}

static void wg_start(struct node *n);

void node_find_left(struct node *n)
{
    n->finding = true;
    if (!is_listed(n) || !netns_is_there(n->site->runtime, n->ref.node)) {
        tell_found(n, false, false, "");
        return;
    }
    (void)recipe_load(n).code; /* without it, what there is is found to be ended */
    wg_start(n);
}

static void find_container(struct node *n, bool mesh)
{
    if (!n->recipe) {
        tell_found(n, false, false, "its recipe is no longer in the state folder");
        return;
    }
    struct err e = container_adopt(n->site->runtime, n->ref.node, n->ref.incarnation, &node_container_calls, n,
                                   &n->container);
    if (e.code || !mesh) tell_found(n, mesh, false, e.code ? e.why : "its mesh device ended");
}

/* ---- its mesh device --------------------------------------------------------------------------------- */

/* Letters enough that two nodes never share one, few enough for an interface. */
void node_mesh_name(struct node_id node, char out[WG_NAME_TEXT])
{
    char        letters[ID_TEXT];
    struct text id = TEXT_IN(letters), name = { out, 0, WG_NAME_TEXT, false };
    id_write(node.id, &id);
    text_add(&name, STR("iw"));
    text_add(&name, (struct str){ letters, WG_NAME_TEXT - 3 });
    text_z(&name);
}

/* Our own address on the way to `place` ("address:port"): where a neighbour behind the same router finds us. */
static struct str address_towards(const char *place, char room[INET6_ADDRSTRLEN])
{
    struct sockaddr_in there = { .sin_family = AF_INET }, here;
    socklen_t          size  = sizeof here;
    struct str         host, port;
    uint64_t           number;
    char               text[MESH_ENDPOINT_TEXT];
    if (!str_split(str_from(place), ':', &host, &port) || str_to_u64(port, &number).code) return STR("");
    if (str_copy(host, text, sizeof text).code || inet_pton(AF_INET, text, &there.sin_addr) != 1)
        return STR("");
    there.sin_port = htons((uint16_t)number);

    scoped_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&there, sizeof there) < 0) return STR("");
    if (getsockname(fd, (struct sockaddr *)&here, &size) < 0) return STR("");
    return str_from(inet_ntop(AF_INET, &here.sin_addr, room, INET6_ADDRSTRLEN));
}

static void inside_write(const struct node *n, char out[MESH_ENDPOINT_TEXT])
{
    const struct assignment *a = node_assignment(n);
    char                     room[INET6_ADDRSTRLEN];
    struct text              t    = { out, 0, MESH_ENDPOINT_TEXT, false };
    struct str               host = a->meets_count ? address_towards(a->meets[0].endpoint_a, room) : STR("");
    out[0]                        = 0;
    if (!host.len) return;
    text_add(&t, host);
    text_add_char(&t, ':');
    text_add_u64(&t, n->mesh_port);
    text_z(&t);
}

static void tell_mesh(struct node *n, struct err e)
{
    char                inside[MESH_ENDPOINT_TEXT] = "";
    struct worker_input in = { .kind = IN_MESH, .ref = n->ref, .err = e, .inside = inside };
    if (!e.code) inside_write(n, inside);
    memcpy(in.key, n->mesh_key, sizeof in.key);
    site_step(n->site, &in);
}

void node_tell_inside(struct node *n)
{
    char                inside[MESH_ENDPOINT_TEXT];
    struct worker_input in = { .kind = IN_INSIDE, .ref = n->ref, .inside = inside };
    if (!n->mesh_port || node_is_over(n)) return;
    inside_write(n, inside);
    if (inside[0]) site_step(n->site, &in); /* else there is no way out just now */
}

static void on_wg_ready(void *ctx, struct wg_device *d, uint16_t port, bool adopted)
{
    struct node *n = ctx;
    (void)d;
    if (node_is_over(n)) return;
    n->mesh_port = port;
    log_info("mesh.ready", LOG_ID("node", n->ref.node), LOG_I64("port", port), LOG_I64("adopted", adopted));
    if (n->finding)
        find_container(n, adopted);
    else
        tell_mesh(n, OK);
}

static void on_wg_over(void *ctx, struct err why)
{
    struct node *n = ctx;
    struct site *s = n->site;
    n->wg          = NULL;
    if (n->leaving) {
        node_settle(n);
        site_stop(s);
    } else if (n->cleaning) {
        clean_on(n);
    } else {
        log_warn("mesh.over", LOG_ID("node", n->ref.node), LOG_ERR(why));
        if (n->finding)
            find_container(n, false);
        else
            tell_mesh(n, why.code ? why : ERR(IO, "its mesh device ended"));
    }
}

static void wg_start(struct node *n)
{
    static const struct wg_calls calls = { .on_ready = on_wg_ready, .on_over = on_wg_over };
    const struct site           *s     = n->site;
    struct wg_options o = { .listen_port = s->config.mesh_port ? (uint16_t)(s->config.mesh_port + n->slot) : 0,
                            .mtu         = MESH_MTU,
                            .prefix_bits = MESH_PREFIX_BITS };
    char name[WG_NAME_TEXT], address[MESH_ADDRESS_TEXT], netns[RUNTIME_PATH_TEXT], dir[SITE_PATH_TEXT];
    site_mesh_dir(s, dir);
    node_mesh_name(n->ref.node, name);
    mesh_address(node_assignment(n)->index, address);
    netns_path(s->runtime, n->ref.node, netns);
    o.kind       = strcmp(s->config.mesh_device, "kernel") == 0 ? WG_KERNEL : WG_USERSPACE;
    o.program    = s->config.wireguard_go;
    o.dir        = dir;
    o.name       = name;
    o.address    = address;
    o.netns      = netns;
    struct err e = state_mesh_key(s, n->ref.node, o.secret); /* from here it goes to the device alone */
    mesh_key_public(o.secret, n->mesh_key);
    if (!e.code) e = wg_make(s->net, &o, &calls, n, &n->wg);
    explicit_bzero(o.secret, sizeof o.secret);
    if (!e.code) return;
    n->wg = NULL;
    if (n->finding)
        find_container(n, false);
    else
        tell_mesh(n, e);
}

static void on_netns_made(void *ctx, struct err e)
{
    struct node *n = ctx;
    if (!node_is_over(n)) {
        if (e.code)
            tell_mesh(n, e);
        else
            wg_start(n);
    }
    node_release(n);
}

void node_make_mesh(struct node *n)
{
    struct netns_sysctl sysctls[NETNS_SYSCTLS_MAX];
    static char         names[NETNS_SYSCTLS_MAX][128];
    size_t              count = 0;
    for (unsigned i = 0; i < n->recipe->sysctls_count && count < NETNS_SYSCTLS_MAX; i++) {
        struct str name, value;
        if (!str_split(str_from(n->recipe->sysctls[i]), '=', &name, &value)) continue;
        if (str_starts(name, STR("net."))) name = str_skip(name, 4);
        if (str_copy(name, names[count], sizeof names[count]).code) continue;
        sysctls[count] = (struct netns_sysctl){ names[count], value.ptr };
        count++;
    }
    node_hold(n);
    struct err e = netns_make(n->site->runtime, n->ref.node, sysctls, count, on_netns_made, n);
    if (e.code) on_netns_made(n, e);
}

/* ---- its peers --------------------------------------------------------------------------------------- */

/* Refused by the device only if what we were told is malformed: then the peer is silent, and that is
 * reported. */
static void on_peers_set(void *ctx, struct err e)
{
    struct node *n = ctx;
    if (e.code && !node_is_over(n)) log_warn("mesh.peer", LOG_ID("node", n->ref.node), LOG_ERR(e));
    node_release(n);
}

static void set_peers(struct node *n, const struct wg_peer *peers, size_t count)
{
    if (!n->wg || !count) return;
    node_hold(n);
    struct err e = wg_set_peers(n->wg, peers, count, on_peers_set, n);
    if (e.code) on_peers_set(n, e);
}

void node_set_meets(struct node *n)
{
    const struct assignment *a = node_assignment(n);
    struct wg_peer           peers[2 * MESH_MEETS_MAX];
    size_t                   count = 0;
    for (uint32_t i = 0; i < a->meets_count; i++) {
        const struct mesh_meet *m = &a->meets[i];
        for (int b = 0; b < 2; b++) {
            struct wg_peer *p = &peers[count++];
            *p = (struct wg_peer){ .keepalive_s = SITE_KEEPALIVE_S, .insist_ms = SITE_MEET_INSIST_MS };
            memcpy(p->key, b ? m->key_b : m->key_a, WG_KEY_BYTES);
            memcpy(p->endpoint, b ? m->endpoint_b : m->endpoint_a, sizeof p->endpoint);
        }
    }
    set_peers(n, peers, count);
}

/* A keepalive that is turned on goes out at once. */
void node_poke_meets(struct node *n)
{
    const struct assignment *a = node_assignment(n);
    struct wg_peer           peers[4 * MESH_MEETS_MAX];
    size_t                   count = 0;
    for (uint32_t i = 0; i < 4 * a->meets_count; i++) {
        const struct mesh_meet *m = &a->meets[i / 4];
        struct wg_peer         *p = &peers[count++];
        *p                        = (struct wg_peer){ .keepalive_s = i % 2 ? SITE_KEEPALIVE_S : 0 };
        memcpy(p->key, i % 4 < 2 ? m->key_a : m->key_b, WG_KEY_BYTES);
    }
    log_debug("mesh.poke", LOG_ID("node", n->ref.node));
    set_peers(n, peers, count);
}

void node_set_peer(struct node *n, const struct mesh_peer *peer, bool gone)
{
    struct wg_peer p = { .gone = gone, .keepalive_s = SITE_KEEPALIVE_S, .insist_ms = SITE_PEER_INSIST_MS };
    memcpy(p.key, peer->key, WG_KEY_BYTES);
    memcpy(p.endpoint, peer->endpoint, sizeof p.endpoint);
    memcpy(p.address, peer->address, sizeof peer->address);
    if (!gone)
        log_debug("mesh.peer", LOG_ID("node", n->ref.node), LOG_TEXT("address", p.address),
                  LOG_TEXT("endpoint", p.endpoint), LOG_TEXT("via", mesh_via_names[peer->via]));
    set_peers(n, &p, 1);
}

/* Where it is sent to stays. */
void node_poke_peer(struct node *n, const struct mesh_peer *peer)
{
    struct wg_peer twice[2] = { { .keepalive_s = 0 }, { .keepalive_s = SITE_KEEPALIVE_S } };
    for (int i = 0; i < 2; i++) {
        memcpy(twice[i].key, peer->key, WG_KEY_BYTES);
        memcpy(twice[i].address, peer->address, sizeof peer->address);
    }
    set_peers(n, twice, 2);
}

/* Its session goes along. */
void node_move_peer(struct node *n, const struct mesh_peer *peer)
{
    struct wg_peer p = { .keepalive_s = SITE_KEEPALIVE_S };
    memcpy(p.key, peer->key, WG_KEY_BYTES);
    memcpy(p.endpoint, peer->endpoint, sizeof p.endpoint);
    memcpy(p.address, peer->address, sizeof peer->address);
    set_peers(n, &p, 1);
}

static void on_peers_read(void *ctx, struct err e, const struct wg_seen *seen, size_t count)
{
    struct node             *n    = ctx;
    struct worker_input      in   = { .kind = IN_PEERS, .ref = n->ref, .err = e };
    uint64_t                 wall = (uint64_t)sys_wall_now().ms, boot = sys_boot_now_ms();
    struct worker_peer_seen *peers = calloc(count + 1, sizeof *peers);
    check(peers);
    for (size_t i = 0; i < count; i++) {
        memcpy(peers[i].key, seen[i].key, MESH_KEY_BYTES);
        memcpy(peers[i].endpoint, seen[i].endpoint, sizeof peers[i].endpoint);
        peers[i].rx_bytes = seen[i].rx_bytes;
        peers[i].tx_bytes = seen[i].tx_bytes;
        uint64_t age_ms   = wall > seen[i].handshake_ms ? wall - seen[i].handshake_ms : 0;
        if (seen[i].handshake_ms) peers[i].handshake_ms = age_ms < boot ? boot - age_ms : 1;
    }
    in.peers       = peers;
    in.peers_count = (uint32_t)count;
    if (!node_is_over(n)) site_step(n->site, &in);
    free(peers);
    node_release(n);
}

void node_read_peers(struct node *n)
{
    if (!n->wg) return;
    node_hold(n);
    wg_read_peers(n->wg, on_peers_read, n);
}

/* ---- its container ----------------------------------------------------------------------------------- */

static void on_container_started(void *ctx)
{
    struct node *n    = ctx;
    n->container_runs = true;
    if (n->cleaning) container_stop(n->container, NODE_GRACE_MS);
    if (node_is_over(n)) return;
    log_info("node.runs", LOG_ID("node", n->ref.node), LOG_I64("adopted", n->finding));
    if (!n->finding) {
        site_tell(n->site, IN_CONTAINER, n->ref, OK);
        return;
    }
    node_let_out(n, false);
    tell_found(n, true, true, "");
    node_tell_inside(n); /* the worker before this one may have ended long ago */
}

static void on_container_ended(void *ctx, const struct container_end *end)
{
    struct node *n    = ctx;
    n->container_runs = false;
    n->witness = n->copy = NULL;
    if (n->leaving) return;
    if (n->cleaning) {
        clean_on(n);
        return;
    }
    log_info("node.ended", LOG_ID("node", n->ref.node), LOG_TEXT("why", end->why));
    if (n->finding) {
        tell_found(n, true, false, end->why);
        return;
    }
    static char         log_end[CONTAINER_LOG_END_BYTES];
    struct worker_input in = { .kind = IN_CONTAINER, .ref = n->ref, .err = ERR(IO, "its container ended") };
    container_log_end(n->site->runtime, n->ref.node, log_end);
    in.text    = str_from(end->why);
    in.log_end = str_from(log_end);
    site_step(n->site, &in);
}

const struct container_calls node_container_calls = { on_container_started, on_container_ended };

void node_read_used(struct node *n)
{
    struct machine_usage u;
    uint64_t             now = sys_boot_now_ms();
    if (!n->container_runs || node_is_over(n) || machine_node_usage(n->site->runtime, n->ref.node, &u).code)
        return;

    struct worker_input in = { .kind = IN_USED, .ref = n->ref, .memory_bytes = u.memory_bytes };
    if (n->cpu_at_ms && now > n->cpu_at_ms && u.cpu_us >= n->cpu_us)
        in.cpu_milli = (uint32_t)((u.cpu_us - n->cpu_us) / (now - n->cpu_at_ms));
    n->cpu_us    = u.cpu_us;
    n->cpu_at_ms = now;
    site_step(n->site, &in);
}

/* ---- its end ----------------------------------------------------------------------------------------- */

static void on_cleaned(void *ctx, struct err e)
{
    struct node      *n   = ctx;
    struct site      *s   = n->site;
    struct worker_ref ref = n->ref;
    n->holds--;
    if (!e.code) e = state_wipe_mesh_key(s, ref.node);
    n->cleaning = false;
    n->is_clean = !e.code;
    if (e.code)
        log_warn("node.clean", LOG_ID("node", ref.node), LOG_ERR(e));
    else
        log_info("node.clean", LOG_ID("node", ref.node));
    bool left = n->leaving;
    node_settle(n);
    if (!left) site_tell(s, IN_CLEANED, ref, e);
}

/* When container and mesh device have ended, all that remains. Called again as each does. */
static void clean_on(struct node *n)
{
    if (n->container_runs || n->wg || n->holds) return;
    struct runtime *r = n->site->runtime;
    n->container      = NULL;
    node_hold(n);
    struct err e = container_clean(r, n->ref.node, on_cleaned, n);
    if (e.code) on_cleaned(n, e);
}

static void let_go(struct node *n)
{
    tunnels_cut(n);
    tries_end(n);
    node_stop_witness(n);
    node_stop_copy(n);
    if (n->recipe_call) net_call_cancel(n->recipe_call);
    n->recipe_call = NULL;
}

void node_clean(struct node *n)
{
    if (node_is_over(n)) return;
    n->cleaning = true;
    let_go(n);
    node_hold(n);
    if (n->container_runs) container_stop(n->container, NODE_GRACE_MS);
    if (n->wg) wg_remove(n->wg);
    node_release(n);
}

void node_leave(struct node *n)
{
    if (n->leaving) return;
    n->leaving = true;
    let_go(n);
    node_hold(n);
    if (n->wg && !n->cleaning) wg_leave(n->wg);
    node_release(n);
}
