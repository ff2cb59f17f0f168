#include "codec/codec.h"
#include "gateway/gateway.h"
#include "link/link.h"
#include "link/ticket.h"
#include "sys/sys.h"

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

/* The real program in a small internet of namespaces: the network (this process, speaking the link) at
 * 198.51.100.1, the gateway at .2, and two hosts with real wireguard-go, each behind a symmetric NAT. One story,
 * told in order: each test goes on where the one before ended. Needs root, nft and wg. */

#define WIREGUARD_GO "build/tools/bin/wireguard-go"
#define NETWORK "198.51.100.1"
#define GATEWAY "198.51.100.2"
#define DOMAIN "test.internal"
#define RELAY_PORT 52000
#define PATIENCE_MS 10000
#define PROTOCOL "ionet-bytes"

struct host {
    char           wg[16]; /* its interface */
    uint8_t        secret[32];
    uint8_t        key[32];
    struct node_id node;
    char           seen_a[MESH_ENDPOINT_TEXT], seen_b[MESH_ENDPOINT_TEXT];
    pid_t          wireguard;
};

static char               folder[64], prefix[14], program[512], token_text[320];
static struct net        *net;
static struct net_pin     pin;
static struct net_server *server;
static struct sign_key    network_key;
static struct public_key  network_public;
static struct cluster_id  cluster = { { { 1, 2, 3 } } };
static struct host        a, b;
static pid_t              gateway_pid;

static struct {
    struct net_socket *socket;
    struct link_hello  hello;
    uint8_t            nonce[32];
    bool               is_up, was_refused;
    struct gw_up       up;
    struct gw_count    count;
    unsigned           hellos;
} far;

/* ---- the small internet ------------------------------------------------------------------------------------------ */

static int shell(const char *format, ...)
{
    char    command[1024];
    va_list list;
    va_start(list, format);
    vsnprintf(command, sizeof command, format, list);
    va_end(list);
    return system(command);
}

/* A router that gives each flow a port of its own, and lets in nothing that nobody inside has asked for. */
static int router(char letter, int number)
{
    const char *p = prefix;
    char        c = letter;
    return shell("set -e; ip -n %s-r%c link add wan type veth peer name p%c netns %s-net; ip -n %s-net link "
                 "set p%c master br0 up; "
                 "ip -n %s-r%c addr add 198.51.100.%d/24 dev wan; ip -n %s-r%c link set wan up; "
                 "ip -n %s-r%c link add lan type veth peer name eth0 netns %s-%c; ip -n %s-r%c addr add "
                 "192.168.9.1/24 dev lan; "
                 "ip -n %s-r%c link set lan up; ip -n %s-%c addr add 192.168.9.2/24 dev eth0; ip -n %s-%c link "
                 "set eth0 up; "
                 "ip -n %s-%c route add default via 192.168.9.1",
                 p, c, c, p, p, c, p, c, number, p, c, p, c, p, c, p, c, p, c, p, c, p, c, p, c) ||
           shell("ip netns exec %s-r%c sysctl -qw net.ipv4.ip_forward=1 && ip netns exec %s-r%c nft -f - <<X\n"
                 "table ip t {\n chain post { type nat hook postrouting priority 100; oifname \"wan\" "
                 "masquerade random,fully-random; }\n"
                 " chain in { type filter hook input priority 0; policy drop; ct state established,related "
                 "accept; }\n"
                 " chain through { type filter hook forward priority 0; policy drop; ct state "
                 "established,related accept; "
                 "iifname \"lan\" oifname \"wan\" accept; }\n}\nX\n",
                 p, c, p, c);
}

static int enter_internet(void)
{
    static const char *const spaces[] = { "net", "ra", "rb", "a", "b" };
    char                     path[96];
    for (size_t i = 0; i < countof(spaces); i++)
        if (shell("ip netns add %s-%s && ip -n %s-%s link set lo up", prefix, spaces[i], prefix, spaces[i]))
            return -1;
    if (shell("ip -n %s-net link add br0 type bridge && ip -n %s-net link set br0 up && ip -n %s-net addr "
              "add " NETWORK "/24 dev br0 && ip -n %s-net addr add " GATEWAY "/24 dev br0",
              prefix, prefix, prefix, prefix) ||
        router('a', 11) || router('b', 12))
        return -1;
    snprintf(path, sizeof path, "/var/run/netns/%s-net", prefix);
    scoped_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 || setns(fd, CLONE_NEWNET) < 0 ? -1 : 0;
}

/* ---- the network's side of the link ---------------------------------------------------------------------------------- */

static void send_frame(enum link_kind kind, const void *message)
{
    static char room[NET_FRAME_BYTES_MAX];
    struct text t = TEXT_IN(room);
    link_write(kind, message, &t);
    assert_false(t.full);
    assert_int_equal(net_socket_send(far.socket, text_str(&t)).code, ERR_NONE);
}

static void on_proof(const struct link_proof *p)
{
    struct public_key   who;
    struct signature    s;
    struct link_welcome w = { .epoch = 1, .id = { { 7 } } };
    memcpy(who.bytes, far.hello.public_key, sizeof who.bytes);
    memcpy(s.bytes, p->signature, sizeof s.bytes);
    far.was_refused = !link_is_proven(who, far.nonce, s);
    memcpy(w.signing_key, network_public.bytes, sizeof w.signing_key);
    if (!far.was_refused) send_frame(LINK_WELCOME, &w);
}

static void on_up(const struct gw_up *up)
{
    static const char *const hosts[] = { ("*." DOMAIN), DOMAIN, GATEWAY };
    struct gw_config         c       = { .domain = DOMAIN };
    far.up                           = *up;
    assert_int_equal(net_authority_sign(folder, str_from(up->csr_pem), hosts, countof(hosts), 90, c.chain_pem,
                                        sizeof c.chain_pem)
                         .code,
                     ERR_NONE);
    send_frame(LINK_GW_CONFIG, &c);
    far.is_up = true;
}

static void on_seen(const struct gw_seen *seen)
{
    for (uint32_t i = 0; i < seen->places_count; i++) {
        struct host *h = id_eq(seen->places[i].node.id, a.node.id) ? &a : &b;
        memcpy(h->seen_a, seen->places[i].seen_a, sizeof h->seen_a);
        memcpy(h->seen_b, seen->places[i].seen_b, sizeof h->seen_b);
    }
}

static void on_text(void *ctx, struct net_socket *s, struct str text)
{
    static union link_message m;
    enum link_kind            kind;
    struct link_challenge     c;
    (void)ctx, (void)s;
    assert_int_equal(link_read(text, &kind, &m).code, ERR_NONE);
    switch ((int)kind) {
    case LINK_HELLO:
        far.hello = m.hello;
        far.hellos++;
        sys_random(far.nonce, sizeof far.nonce);
        memcpy(c.nonce, far.nonce, sizeof c.nonce);
        send_frame(LINK_CHALLENGE, &c);
        break;
    case LINK_PROOF: on_proof(&m.proof); break;
    case LINK_GW_UP: on_up(&m.gw_up); break;
    case LINK_GW_SEEN: on_seen(&m.gw_seen); break;
    case LINK_GW_COUNT: far.count = m.gw_count; break;
    default: fail_msg("a gateway sends no %d", kind);
    }
}

static void on_link_close(void *ctx, const char *why)
{
    (void)ctx, (void)why;
    far.socket = NULL;
    far.is_up  = false;
}

static void on_upgrade(void *ctx, struct net_request *r)
{
    static const struct net_socket_calls calls = { NULL, on_text, on_link_close, LINK_PING_MS, LINK_SILENT_MS };
    assert_true(str_eq(net_request_path(r), STR(LINK_PATH)));
    far.socket = net_socket_accept(r, &calls, ctx);
}

static void on_request(void *ctx, struct net_request *r)
{
    (void)ctx;
    net_reply(r, 404, NULL, 0, STR(""));
}

static void network_open(uint16_t port)
{
    char cert[96], key[96];
    snprintf(cert, sizeof cert, "%s/network.crt", folder);
    snprintf(key, sizeof key, "%s/network.key", folder);
    struct net_server_options o = { .address    = NETWORK,
                                    .port       = port,
                                    .cert_path  = cert,
                                    .key_path   = key,
                                    .on_request = on_request,
                                    .on_upgrade = on_upgrade };
    assert_int_equal(net_listen(net, &o, &server).code, ERR_NONE);
}

/* ---- time ------------------------------------------------------------------------------------------------------------ */

static void on_pulse(void *ctx)
{
    (void)ctx;
}

static uint64_t now_ms(void)
{
    return net_now_ms(net);
}

#define turn_until(condition)                                                            \
    do {                                                                                 \
        uint64_t by_ms_ = now_ms() + PATIENCE_MS;                                        \
        while (!(condition) && now_ms() < by_ms_) uv_run(net_uv_loop(net), UV_RUN_ONCE); \
        assert_true(condition);                                                          \
    } while (0)

/* A child's end, while the loop turns. */
static int run_and_turn(const char *format, ...)
{
    char    command[1024];
    int     status;
    va_list list;
    va_start(list, format);
    vsnprintf(command, sizeof command, format, list);
    va_end(list);
    pid_t pid = fork();
    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    while (waitpid(pid, &status, WNOHANG) == 0) uv_run(net_uv_loop(net), UV_RUN_ONCE);
    return status;
}

/* ---- the program ------------------------------------------------------------------------------------------------------- */

static void gateway_start(const char *token)
{
    char state[96], log[96], device[24];
    snprintf(state, sizeof state, "%s/state", folder);
    snprintf(log, sizeof log, "%s/gateway.log", folder);
    snprintf(device, sizeof device, "%s-m", prefix);
    gateway_pid = fork();
    if (gateway_pid) return;
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(fd, 2);
    execl(program, program, "--state_dir", state, "--host", GATEWAY, "--listen", GATEWAY, "--wireguard_go",
          WIREGUARD_GO, "--device_name", device, "--relay_slots", "16", token ? "--token" : "--log_level",
          token ? token : "info", (char *)NULL);
    _exit(127);
}

static int gateway_end(int signal)
{
    int status;
    kill(gateway_pid, signal);
    while (waitpid(gateway_pid, &status, WNOHANG) == 0) uv_run(net_uv_loop(net), UV_RUN_ONCE);
    gateway_pid = 0;
    return status;
}

static bool log_has(const char *text)
{
    return shell("grep -q -- '%s' %s/gateway.log", text, folder) == 0;
}

static int open_world(void **state)
{
    (void)state;
    const uint8_t            seed[32] = { 1 };
    static const char *const hosts[]  = { NETWORK };
    struct text              token    = TEXT_IN(token_text);
    struct join_token        t        = { .host = NETWORK };
    signal(SIGPIPE, SIG_IGN);
    snprintf(folder, sizeof folder, "/tmp/ionet-gateway-XXXXXX");
    snprintf(prefix, sizeof prefix, "ig%ld", (long)getpid());
    if (!mkdtemp(folder) || enter_internet()) return -1;
    if (net_authority_open(folder, &pin).code || net_authority_issue(folder, "network", hosts, 1, 90).code)
        return -1;
    sign_key_from_seed(seed, &network_key, &network_public);
    if (net_open(&net).code || net_timer_start(net, 5, 5, on_pulse, NULL, NULL).code) return -1;
    network_open(0);
    t.port = net_server_port(server);
    memcpy(t.pin, pin.sha256, sizeof t.pin);
    snprintf(t.secret, sizeof t.secret, "%s", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    join_token_write(&t, &token);
    text_z(&token);
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    if (gateway_pid > 0) gateway_end(SIGTERM);
    if (a.wireguard > 0) kill(a.wireguard, SIGTERM);
    if (b.wireguard > 0) kill(b.wireguard, SIGTERM);
    if (a.wireguard > 0) waitpid(a.wireguard, NULL, 0);
    if (b.wireguard > 0) waitpid(b.wireguard, NULL, 0);
    net_close(net);
    shell("for n in net ra rb a b; do ip netns del %s-$n; done", prefix);
    return sys_remove_tree(folder).code != ERR_NONE;
}

/* ---- hosts --------------------------------------------------------------------------------------------------------------- */

static const char *base64_of(const uint8_t bytes[32])
{
    static char rooms[8][BASE64_KEY_TEXT + 1];
    static int  at;
    struct text t = { .ptr = rooms[at++ % 8], .cap = BASE64_KEY_TEXT + 1 };
    base64_write(bytes, 32, &t);
    return text_z(&t);
}

static void host_make(struct host *h, char letter, uint8_t number)
{
    char space[32], name[16];
    snprintf(h->wg, sizeof h->wg, "%s%c", prefix, letter);
    snprintf(space, sizeof space, "%s-%c", prefix, letter);
    snprintf(name, sizeof name, "%s", h->wg);
    memset(h->secret, 0x40 + number, 32);
    mesh_key_public(h->secret, h->key);
    h->node.id.bytes[0] = number;
    h->wireguard        = fork();
    if (h->wireguard == 0) {
        setenv("WG_PROCESS_FOREGROUND", "1", 1);
        setenv("LOG_LEVEL", "silent", 1);
        execlp("ip", "ip", "netns", "exec", space, WIREGUARD_GO, name, (char *)NULL);
        _exit(127);
    }
    assert_int_equal(
        shell("for i in $(seq 200); do [ -S /var/run/wireguard/%s.sock ] && break; sleep 0.02; done; "
              "echo %s | wg set %s private-key /dev/stdin && ip -n %s addr add 10.99.0.%u/16 dev %s && ip -n "
              "%s link set %s mtu 1420 up",
              h->wg, base64_of(h->secret), h->wg, space, number, h->wg, space, h->wg),
        0);
}

static void host_meet(const struct host *h)
{
    assert_int_equal(
        shell(
            "wg set %s peer %s endpoint %s persistent-keepalive 15 peer %s endpoint %s persistent-keepalive 15",
            h->wg, base64_of(far.up.meets[0].key_a), far.up.meets[0].endpoint_a,
            base64_of(far.up.meets[0].key_b), far.up.meets[0].endpoint_b),
        0);
}

/* ---- connections of a worker's and a user's ---------------------------------------------------------------------------- */

struct end {
    struct net_raw *raw;
    bool            open, over;
    char            why[64];
    uint64_t        got_bytes;
    char            got[512];
};

static void end_on_open(void *ctx, struct net_raw *r)
{
    (void)r;
    ((struct end *)ctx)->open = true;
}

static void end_on_bytes(void *ctx, struct net_raw *r, struct str bytes)
{
    struct end *e = ctx;
    (void)r;
    if (e->got_bytes < sizeof e->got - 1) {
        size_t room = sizeof e->got - 1 - e->got_bytes;
        memcpy(e->got + e->got_bytes, bytes.ptr, bytes.len < room ? bytes.len : room);
    }
    e->got_bytes += bytes.len;
}

static void end_on_close(void *ctx, const char *why)
{
    struct end *e = ctx;
    e->over       = true;
    e->raw        = NULL;
    snprintf(e->why, sizeof e->why, "%s", why);
}

static void dial(struct end *e, const char *path, enum ticket_kind kind, const char *service)
{
    static const struct net_raw_calls calls = { end_on_open, end_on_bytes, NULL, NULL, end_on_close };
    char                              room[TICKET_TEXT_MAX + 16];
    struct text                       bearer = TEXT_IN(room);
    struct ticket                     t      = {
                                 .kind = kind, .cluster = cluster, .expires = { sys_wall_now().ms + TICKET_VALID_MS }, .user = "somebody"
    };
    struct net_target target = { .host = GATEWAY, .port = 443, .pin = &pin };
    sys_random(&t.serial, sizeof t.serial);
    snprintf(t.service, sizeof t.service, "%s", service);
    if (kind == TICKET_TUNNEL) t.node = a.node;
    text_add(&bearer, STR("Bearer "));
    assert_int_equal(ticket_write(&t, &network_key, &bearer).code, ERR_NONE);
    struct net_header header = { STR("authorization"), text_str(&bearer) };
    *e                       = (struct end){ 0 };
    assert_int_equal(
        net_raw_connect(net, &target, str_from(path), STR(PROTOCOL), &header, 1, &calls, e, &e->raw).code,
        ERR_NONE);
}

static void join_up(struct end *worker, struct end *user)
{
    dial(worker, "/.ionet/tunnel", TICKET_TUNNEL, "head");
    turn_until(worker->open || worker->over);
    assert_true(worker->open);
    dial(user, "/.ionet/join?service=dashboard", TICKET_JOIN, "dashboard");
    turn_until(strchr(worker->got, '\n'));
    net_raw_send(worker->raw, STR("ok\n"));
    turn_until(user->open || user->over);
    assert_true(user->open);
}

/* ---- the story --------------------------------------------------------------------------------------------------------- */

static void a_gateway_enrols_with_its_token_and_says_where_it_is(void **state)
{
    (void)state;
    gateway_start(token_text);
    turn_until(far.is_up);
    assert_false(far.was_refused);
    assert_int_equal(far.hello.who, LINK_GATEWAY);
    assert_string_equal(far.hello.token, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    assert_string_equal(far.up.meets[0].endpoint_a, GATEWAY ":51820");
    assert_string_equal(far.up.meets[0].endpoint_b, GATEWAY ":51821");
    assert_string_equal(far.up.relay_host, GATEWAY);
    assert_int_equal(far.up.relay_port_base, RELAY_PORT);
    assert_int_equal(far.up.relay_slots, 16);
    assert_string_equal(far.up.tunnel, GATEWAY ":443");
    turn_until(log_has(" ready"));
}

static void it_sees_where_its_nodes_are_and_that_their_routers_are_symmetric(void **state)
{
    (void)state;
    struct gw_meet meet = { .reset = true, .nodes_count = 2 };
    host_make(&a, 'a', 1);
    host_make(&b, 'b', 2);
    memcpy(meet.nodes[0].key, a.key, 32);
    memcpy(meet.nodes[1].key, b.key, 32);
    meet.nodes[0].node = a.node;
    meet.nodes[1].node = b.node;
    send_frame(LINK_GW_MEET, &meet);
    turn_until(shell("wg show %s-m-a peers | grep -q . && wg show %s-m-b peers | grep -q .", prefix, prefix) ==
               0);
    host_meet(&a);
    host_meet(&b);
    uint64_t from_ms = now_ms();
    turn_until(a.seen_a[0] && a.seen_b[0] && b.seen_a[0] && b.seen_b[0]);
    printf("both were seen on both ports %llu ms after they were told\n",
           (unsigned long long)(now_ms() - from_ms));
    assert_memory_equal(a.seen_a, "198.51.100.11:", 14);
    assert_memory_equal(b.seen_a, "198.51.100.12:", 14);
    assert_string_not_equal(a.seen_a, a.seen_b);
    assert_string_not_equal(b.seen_a, b.seen_b);
}

static void it_relays_a_pair_that_can_not_reach_each_other(void **state)
{
    (void)state;
    struct gw_relay relay = { .reset = true, .pairs_count = 1, .pairs = { { .slot = 3 } } };
    /* Each by the other's own outside place: no router lets it in. */
    assert_int_equal(shell("wg set %s peer %s endpoint %s allowed-ips 10.99.0.2/32 persistent-keepalive 15",
                           a.wg, base64_of(b.key), b.seen_a),
                     0);
    assert_int_equal(shell("wg set %s peer %s endpoint %s allowed-ips 10.99.0.1/32 persistent-keepalive 15",
                           b.wg, base64_of(a.key), a.seen_a),
                     0);
    assert_int_not_equal(run_and_turn("ip netns exec %s-a ping -qc1 -W1 10.99.0.2 >/dev/null", prefix), 0);

    memcpy(relay.pairs[0].key_a, a.key, 32);
    memcpy(relay.pairs[0].key_b, b.key, 32);
    send_frame(LINK_GW_RELAY, &relay);
    assert_int_equal(run_and_turn("wg set %s peer %s remove; wg set %s peer %s remove; "
                                  "wg set %s peer %s endpoint " GATEWAY
                                  ":%d allowed-ips 10.99.0.2/32 persistent-keepalive 15; sleep 0.05; "
                                  "wg set %s peer %s endpoint " GATEWAY
                                  ":%d allowed-ips 10.99.0.1/32 persistent-keepalive 15",
                                  a.wg, base64_of(b.key), b.wg, base64_of(a.key), a.wg, base64_of(b.key),
                                  RELAY_PORT + 6, b.wg, base64_of(a.key), RELAY_PORT + 7),
                     0);
    uint64_t from_ms = now_ms();
    assert_int_equal(run_and_turn("ip netns exec %s-a ping -qc1 -W8 10.99.0.2 >/dev/null", prefix), 0);
    printf("the first packet was back by the relay after %llu ms\n", (unsigned long long)(now_ms() - from_ms));
    assert_int_equal(run_and_turn("ip netns exec %s-b ping -qc1 -W2 -s1300 10.99.0.1 >/dev/null", prefix), 0);
}

static void users_are_joined_to_tunnels(void **state)
{
    (void)state;
    enum { MIB = 64 };
    static char block[1 << 20];
    struct end  worker, user;
    join_up(&worker, &user);
    uint64_t from_ms = now_ms(), line = worker.got_bytes, sent = 0;
    while (user.got_bytes < (uint64_t)MIB << 20) {
        if (sent < MIB && net_raw_waiting(worker.raw) < sizeof block) {
            net_raw_send(worker.raw, (struct str){ block, sizeof block });
            sent++;
        }
        uv_run(net_uv_loop(net), UV_RUN_ONCE);
        assert_true(now_ms() - from_ms < 30000);
    }
    printf("%d MiB went through a join in %llu ms\n", MIB, (unsigned long long)(now_ms() - from_ms));
    net_raw_send(user.raw, STR("thanks"));
    turn_until(worker.got_bytes == line + 6);
    net_raw_close(user.raw);
    turn_until(worker.over && user.over);
}

static void it_restarts_without_the_network_and_serves_as_before(void **state)
{
    (void)state;
    struct end worker, user;
    turn_until(shell("grep -q gw_relay %s/state/told && sleep 0.7", folder) == 0); /* it saves a little later */
    uint16_t port = net_server_port(server);
    net_server_close(server);
    gateway_end(SIGKILL);
    assert_int_not_equal(run_and_turn("ip netns exec %s-a ping -qc1 -W1 10.99.0.2 >/dev/null", prefix), 0);

    shell(": > %s/gateway.log", folder);
    gateway_start(NULL);
    turn_until(log_has("meet.ready.*adopted=1"));
    uint64_t from_ms = now_ms(); /* their sessions go on: no handshake is needed */
    assert_int_equal(run_and_turn("ip netns exec %s-a ping -qc1 -W4 10.99.0.2 >/dev/null", prefix), 0);
    printf("the pair was back %llu ms after the restart\n", (unsigned long long)(now_ms() - from_ms));
    join_up(&worker, &user);
    net_raw_close(user.raw);
    turn_until(worker.over && user.over);

    a.seen_a[0] = b.seen_a[0] = 0;
    network_open(port);
    turn_until(far.is_up);
    assert_string_equal(far.hello.token, "");
    turn_until(a.seen_a[0] && b.seen_a[0]); /* it tells anew what it sees */
}

static void a_revoked_cluster_is_cut_and_stays_out_after_a_restart(void **state)
{
    (void)state;
    struct end       worker, user;
    struct gw_revoke r = { .clusters_count = 1, .clusters = { { cluster } } };
    join_up(&worker, &user);
    send_frame(LINK_GW_REVOKE, &r);
    turn_until(worker.over && user.over);
    dial(&user, "/.ionet/join?service=dashboard", TICKET_JOIN, "dashboard");
    turn_until(user.over);
    assert_string_equal(user.why, "status 403");
    turn_until(shell("grep -q gw_revoke %s/state/told", folder) == 0);
    gateway_end(SIGKILL);
    shell(": > %s/gateway.log", folder);
    far.is_up = false;
    gateway_start(NULL);
    turn_until(log_has("door.open"));
    dial(&user, "/.ionet/join?service=dashboard", TICKET_JOIN, "dashboard");
    turn_until(user.over);
    assert_string_equal(user.why, "status 403");
}

static void it_leaves_nothing_when_it_is_told_to_end(void **state)
{
    (void)state;
    turn_until(far.is_up && log_has(" ready"));
    int status = gateway_end(SIGTERM);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_not_equal(shell("ip link show %s-m-a >/dev/null 2>&1", prefix), 0);
    assert_int_not_equal(shell("ls /var/run/wireguard | grep -q '^%s-m-'", prefix), 0);
    assert_int_not_equal(shell("ls %s/state/devices | grep -q .", folder), 0);
}

static void what_can_not_work_is_said_at_once(void **state)
{
    (void)state;
    assert_int_equal(shell("%s --check --state_dir %s/state --host " GATEWAY " --wireguard_go " WIREGUARD_GO
                           " | grep -qx ok",
                           program, folder),
                     0);
    assert_int_equal(shell("%s --check --state_dir %s/other --host " GATEWAY
                           " 2>&1 | grep -q 'a join token is needed'",
                           program, folder),
                     0);
    assert_int_equal(shell("%s --check --state_dir %s/state --host " GATEWAY
                           " --relay_port 65000 2>&1 | grep -q 'do not fit'",
                           program, folder),
                     0);
    assert_int_equal(
        shell("%s --port 70000 2>&1 | grep -q -- '--port: the number is out of its range'", program), 0);
    assert_int_equal(shell("printf 'host = 1.2.3.4\\nprot=1\\n' > %s/c && %s --config %s/c 2>&1 | grep -q "
                           "'c:2: there is no such option'",
                           folder, program, folder),
                     0);
    assert_int_equal(shell("%s --help | grep -q relay_slots", program), 0);
}

/* The program that was built beside this test. */
static int find_program(const char *self)
{
    const char *end = strstr(self, "/test/");
    return end ? snprintf(program, sizeof program, "%.*s/bin/ionet-gateway", (int)(end - self), self) <
                     (int)sizeof program
               : 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gateway_enrols_with_its_token_and_says_where_it_is),
        cmocka_unit_test(it_sees_where_its_nodes_are_and_that_their_routers_are_symmetric),
        cmocka_unit_test(it_relays_a_pair_that_can_not_reach_each_other),
        cmocka_unit_test(users_are_joined_to_tunnels),
        cmocka_unit_test(it_restarts_without_the_network_and_serves_as_before),
        cmocka_unit_test(a_revoked_cluster_is_cut_and_stays_out_after_a_restart),
        cmocka_unit_test(it_leaves_nothing_when_it_is_told_to_end),
        cmocka_unit_test(what_can_not_work_is_said_at_once),
    };
    if (argc != 1 || !find_program(argv[0])) return 1;
    return cmocka_run_group_tests(tests, open_world, close_world);
}
