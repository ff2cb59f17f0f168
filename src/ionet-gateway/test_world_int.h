/* test_world_int.h: a small internet of namespaces, in which the real program runs: the network (the test's process,
 * speaking the link) at 198.51.100.1, the gateway at .2, and two hosts with real wireguard-go, each behind a symmetric
 * NAT; and connections of workers and users by our own client. Needs root, nft and wg. */
#ifndef IONET_GATEWAY_TEST_WORLD_INT_H
#define IONET_GATEWAY_TEST_WORLD_INT_H

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
    struct gw_answered answered; /* the last that it said of a probed node */
    unsigned           hellos;
} far;

/* ---- the small internet ------------------------------------------------------------------------------------------ */

static inline int shell(const char *format, ...)
{
    char    command[1024];
    va_list list;
    va_start(list, format);
    vsnprintf(command, sizeof command, format, list);
    va_end(list);
    return system(command);
}

/* A router that gives each flow a port of its own, and lets in nothing that nobody inside has asked for. */
static inline int router(char letter, int number)
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

static inline int enter_internet(void)
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

static inline void send_frame(enum link_kind kind, const void *message)
{
    static char room[NET_FRAME_BYTES_MAX];
    struct text t = TEXT_IN(room);
    link_write(kind, message, &t);
    assert_false(t.full);
    assert_int_equal(net_socket_send(far.socket, text_str(&t)).code, ERR_NONE);
}

static inline void on_proof(const struct link_proof *p)
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

static inline void on_up(const struct gw_up *up)
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

static inline void on_seen(const struct gw_seen *seen)
{
    for (uint32_t i = 0; i < seen->places_count; i++) {
        struct host *h = id_eq(seen->places[i].node.id, a.node.id) ? &a : &b;
        memcpy(h->seen_a, seen->places[i].seen_a, sizeof h->seen_a);
        memcpy(h->seen_b, seen->places[i].seen_b, sizeof h->seen_b);
    }
}

static inline void on_text(void *ctx, struct net_socket *s, struct str text)
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
    case LINK_GW_PROBED: far.answered = m.gw_probed.nodes[0]; break;
    case LINK_GW_COUNT: far.count = m.gw_count; break;
    default: fail_msg("a gateway sends no %d", kind);
    }
}

static inline void on_link_close(void *ctx, const char *why)
{
    (void)ctx, (void)why;
    far.socket = NULL;
    far.is_up  = false;
}

static inline void on_upgrade(void *ctx, struct net_request *r)
{
    static const struct net_socket_calls calls = { NULL, on_text, on_link_close, LINK_PING_MS, LINK_SILENT_MS };
    assert_true(str_eq(net_request_path(r), STR(LINK_PATH)));
    far.socket = net_socket_accept(r, &calls, ctx);
}

static inline void on_request(void *ctx, struct net_request *r)
{
    (void)ctx;
    net_reply(r, 404, NULL, 0, STR(""));
}

static inline void network_open(uint16_t port)
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

static inline void on_pulse(void *ctx)
{
    (void)ctx;
}

static inline uint64_t now_ms(void)
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
static inline int run_and_turn(const char *format, ...)
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

static inline void gateway_start(const char *token)
{
    char state[96], log[96], device[24], wireguard_go[96];
    snprintf(state, sizeof state, "%s/state", folder);
    snprintf(log, sizeof log, "%s/gateway.log", folder);
    snprintf(wireguard_go, sizeof wireguard_go, "%s/wireguard-go", folder);
    snprintf(device, sizeof device, "%s-m", prefix);
    gateway_pid = fork();
    if (gateway_pid) return;
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(fd, 2);
    execl(program, program, "--sandbox", "strict", "--state_dir", state, "--host", GATEWAY, "--listen", GATEWAY,
          "--wireguard_go", wireguard_go, "--device_name", device, "--relay_slots", "16",
          token ? "--token" : "--log_level", token ? token : "info", (char *)NULL);
    _exit(127);
}

static inline int gateway_end(int signal)
{
    int status;
    kill(gateway_pid, signal);
    while (waitpid(gateway_pid, &status, WNOHANG) == 0) uv_run(net_uv_loop(net), UV_RUN_ONCE);
    gateway_pid = 0;
    return status;
}

static inline bool log_has(const char *text)
{
    return shell("grep -q -- '%s' %s/gateway.log", text, folder) == 0;
}

static inline int open_world(void **state)
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
    if (shell("ln -s $(readlink -f " WIREGUARD_GO ") %s/wireguard-go", folder)) return -1;
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

static inline int close_world(void **state)
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

static inline const char *base64_of(const uint8_t bytes[32])
{
    static char rooms[8][BASE64_KEY_TEXT + 1];
    static int  at;
    struct text t = { .ptr = rooms[at++ % 8], .cap = BASE64_KEY_TEXT + 1 };
    base64_write(bytes, 32, &t);
    return text_z(&t);
}

static inline void host_make(struct host *h, char letter, uint8_t number)
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

static inline void host_meet(const struct host *h)
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

static inline void end_on_open(void *ctx, struct net_raw *r)
{
    (void)r;
    ((struct end *)ctx)->open = true;
}

static inline void end_on_bytes(void *ctx, struct net_raw *r, struct str bytes)
{
    struct end *e = ctx;
    (void)r;
    if (e->got_bytes < sizeof e->got - 1) {
        size_t room = sizeof e->got - 1 - e->got_bytes;
        memcpy(e->got + e->got_bytes, bytes.ptr, bytes.len < room ? bytes.len : room);
    }
    e->got_bytes += bytes.len;
}

static inline void end_on_close(void *ctx, const char *why)
{
    struct end *e = ctx;
    e->over       = true;
    e->raw        = NULL;
    snprintf(e->why, sizeof e->why, "%s", why);
}

static inline void dial(struct end *e, const char *path, enum ticket_kind kind, const char *service)
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
    if (kind == TICKET_TUNNEL) t.node = service[0] ? a.node : b.node; /* a is the head */
    text_add(&bearer, STR("Bearer "));
    assert_int_equal(ticket_write(&t, &network_key, &bearer).code, ERR_NONE);
    struct net_header header = { STR("authorization"), text_str(&bearer) };
    *e                       = (struct end){ 0 };
    assert_int_equal(
        net_raw_connect(net, &target, str_from(path), STR(PROTOCOL), &header, 1, &calls, e, &e->raw).code,
        ERR_NONE);
}

static inline void join_up(struct end *worker, struct end *user)
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

/* The program that was built beside this test. */
static inline int find_program(const char *self)
{
    const char *end = strstr(self, "/test/");
    return end ? snprintf(program, sizeof program, "%.*s/bin/ionet-gateway", (int)(end - self), self) <
                     (int)sizeof program
               : 0;
}

#endif
