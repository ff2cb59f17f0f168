/* test_world_int.h: what the tests of this program share: the real program, started on loopback with a state folder of
 * its own (the test binary runs it when it is started with IONETD_TEST set), clients that call it over TLS, and links
 * of devices and gateways that sign with keys of theirs. */
#ifndef IONETD_TEST_WORLD_INT_H
#define IONETD_TEST_WORLD_INT_H

#include "codec/codec.h"
#include "ionetd_int.h"
#include "link/ticket.h"
#include "recipe/secret.h"
#include "run.h"
#include "sys/sys.h"
#include "json/json.h"

#include <fcntl.h>
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

#define WORLD_PATIENCE_MS 20000
#define WORLD_SAID_MAX (1u << 20)
#define WORLD_IMAGE \
    "registry.test:5000/web@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

struct world {
    struct net     *net;
    char            dir[64];
    char            log[96];
    pid_t           pid;
    struct net_pin  pin;
    uint16_t        port;
    struct sign_key operator_key;
    char            operator_text[64];
    char            extra[64]; /* one more flag for the program; "" for none */
    /* the last answer */
    unsigned   status;
    char      *said;
    size_t     said_len;
    bool       done;
    struct err err;
};

#define unused_ok __attribute__((unused))

/* ---- the program -------------------------------------------------------------------------------------------------- */

/* From main: true when this process is the program and not the test. */
unused_ok static bool world_is_program(int argc, char **argv, int *status)
{
    if (!getenv("IONETD_TEST")) return false;
    *status = ionetd_run(argc, argv);
    return true;
}

static const char world_recipe[] =
    "name: web\ntitle: A web server\nabout: For tests.\nimage: web\nunit: machine\nnodes_max: 4\ncpus_min: 1\n"
    "memory_min_mib: 64\nshm_percent: 10\nuser: { name: user, uid: 20001, gid: 20001, home: /home/user }\n"
    "secrets: [token]\nhead:\n  command: [/bin/serve, head]\nworker:\n  command: [/bin/serve, \"${head}\"]\n"
    "witness:\n  command: [/bin/alive]\n  on: any\n  every_ms: 1000\n  grace_ms: 5000\n  through: pages\n"
    "services:\n  - { name: pages, title: Pages, port: 8080, on: head, protocol: http, path: /,\n"
    "      env: [\"PAGES=http://${address}/?${secret.token}\"] }\n"
    "  - { name: inner, title: Inside, port: 8081, on: worker, protocol: tcp }\n"
    "loss:\n  witness_ms: 4000\n  link_ms: 4000\nready:\n  timeout_ms: 60000\n";

static inline void world_write(const struct world *w, const char *name, const char *content)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s", w->dir, name);
    assert_int_equal(sys_write_file(path, str_from(content), 0600).code, ERR_NONE);
}

static inline bool world_log_has(const struct world *w, const char *words, char *after, size_t size)
{
    static char room[1 << 20];
    size_t      len = 0;
    if (sys_read_file(w->log, room, sizeof room - 1, &len).code) return false;
    room[len]      = 0;
    const char *at = strstr(room, words);
    if (at && after) snprintf(after, size, "%s", at + strlen(words));
    return at != NULL;
}

static inline void world_take_ready(struct world *w)
{
    char after[256];
    for (int k = 0; k < WORLD_PATIENCE_MS / 10; k++) {
        if (world_log_has(w, "pin=", after, sizeof after)) break;
        assert_int_equal(waitpid(w->pid, NULL, WNOHANG), 0);
        usleep(10000);
    }
    assert_true(world_log_has(w, " port=", after, sizeof after));
    w->port = (uint16_t)atoi(after);
    assert_true(world_log_has(w, " pin=", after, sizeof after));
    assert_int_equal(hex_read((struct str){ after, 64 }, w->pin.sha256, 32).code, ERR_NONE);
}

static inline void world_spawn(struct world *w)
{
    char state[96], recipes[96];
    snprintf(state, sizeof state, "%s/state", w->dir);
    snprintf(recipes, sizeof recipes, "%s/recipes", w->dir);
    snprintf(w->log, sizeof w->log, "%s/log", w->dir);
    unlink(w->log);
    w->pid = fork();
    assert_true(w->pid >= 0);
    if (w->pid == 0) {
        int fd = open(w->log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        dup2(fd, STDERR_FILENO);
        setenv("IONETD_TEST", "1", 1);
        execl("/proc/self/exe", "ionetd", "--state_dir", state, "--host", "127.0.0.1", "--listen", "127.0.0.1",
              "--port", "0", "--limits", "small", "--recipes_dir", recipes, "--image", "web=" WORLD_IMAGE,
              "--operator", w->operator_text, "--sign_ins_per_address", "1000", "--requests_per_account",
              "1000000", "--requests_per_address", "1000000", "--stranger_us_per_s", "1000000", "--sandbox",
              "strict", w->extra[0] ? w->extra : NULL, NULL);
        _exit(127);
    }
}

static inline void world_start(struct world *w)
{
    world_spawn(w);
    world_take_ready(w);
}

/* Its exit status; -1 when a signal ended it. */
static inline int world_wait(struct world *w)
{
    int status = 0;
    assert_int_equal(waitpid(w->pid, &status, 0), w->pid);
    w->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline int world_stop(struct world *w, int signal)
{
    kill(w->pid, signal);
    return world_wait(w);
}

static inline void key_of(uint8_t fill, struct sign_key *key, char base58[64])
{
    uint8_t           seed[32];
    struct public_key half;
    struct text       t = { base58, 0, 64, false };
    memset(seed, fill, sizeof seed);
    sign_key_from_seed(seed, key, &half);
    base58_write(half.bytes, sizeof half.bytes, &t);
    (void)text_z(&t);
}

#define OPERATOR_FILL 0x0f

unused_ok static int world_make(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    snprintf(w->dir, sizeof w->dir, "%s/ionetd-test-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(w->dir));
    w->said = malloc(WORLD_SAID_MAX);
    char recipes[96];
    snprintf(recipes, sizeof recipes, "%s/recipes", w->dir);
    assert_int_equal(sys_make_dirs(recipes, 0700).code, ERR_NONE);
    world_write(w, "recipes/web.yaml", world_recipe);
    key_of(OPERATOR_FILL, &w->operator_key, w->operator_text);
    assert_int_equal(net_open(&w->net).code, ERR_NONE);
    signal(SIGPIPE, SIG_IGN);
    world_start(w);
    *state = w;
    return 0;
}

unused_ok static int world_end(void **state)
{
    struct world *w = *state;
    if (w->pid) world_stop(w, SIGTERM);
    net_stop(w->net);
    net_run(w->net);
    net_close(w->net);
    assert_int_equal(sys_remove_tree(w->dir).code, ERR_NONE);
    free(w->said);
    free(w);
    return 0;
}

/* ---- waiting --------------------------------------------------------------------------------------------------------- */

static inline void on_world_timer(void *ctx)
{
    (void)ctx; /* it only keeps the loop turning */
}

/* Runs the loop until the condition holds; gives up, and says false, after so long. */
#define world_until(w, condition, patience_ms)                                                                \
    do {                                                                                                      \
        struct net_timer *world_timer_;                                                                       \
        uint64_t          world_end_ = net_now_ms((w)->net) + (patience_ms);                                  \
        assert_int_equal(net_timer_start((w)->net, 20, 20, on_world_timer, NULL, &world_timer_).code,         \
                         ERR_NONE);                                                                           \
        while (!(condition) && net_now_ms((w)->net) < world_end_) uv_run(net_uv_loop((w)->net), UV_RUN_ONCE); \
        net_timer_stop(world_timer_);                                                                         \
    } while (0)
#define world_wait_for(w, condition)                  \
    do {                                              \
        world_until(w, condition, WORLD_PATIENCE_MS); \
        assert_true(condition);                       \
    } while (0)

/* ---- calling --------------------------------------------------------------------------------------------------------- */

static inline void on_call_head(void *ctx, unsigned status, struct str type)
{
    struct world *w = ctx;
    w->status       = status;
    (void)type;
}

static inline void on_call_body(void *ctx, struct str bytes)
{
    struct world *w = ctx;
    assert_true(w->said_len + bytes.len < WORLD_SAID_MAX);
    memcpy(w->said + w->said_len, bytes.ptr, bytes.len);
    w->said_len += bytes.len;
    w->said[w->said_len] = 0;
}

static inline void on_call_done(void *ctx, struct err e)
{
    struct world *w = ctx;
    w->err          = e;
    w->done         = true;
}

static inline struct net_target world_target(const struct world *w)
{
    return (struct net_target){ .host = "127.0.0.1", .port = w->port, .pin = &w->pin };
}

/* Status of the answer; 0 if there was none. Its body is in w->said. */
static inline unsigned call(struct world *w, const char *method, const char *path, const char *key,
                            struct str body)
{
    static const struct net_call_calls calls = { on_call_head, on_call_body, on_call_done };
    char                               bearer[128];
    struct net_call                   *c;
    struct net_target                  t = world_target(w);
    snprintf(bearer, sizeof bearer, "Bearer %s", key ? key : "");
    struct net_header header = { STR("authorization"), str_from(bearer) };
    w->status                = 0;
    w->said_len              = 0;
    w->said[0]               = 0;
    w->done                  = false;
    assert_int_equal(
        net_call(w->net, &t, str_from(method), str_from(path), &header, key ? 1 : 0, body, &calls, w, &c).code,
        ERR_NONE);
    world_wait_for(w, w->done);
    return w->err.code ? 0 : w->status;
}

static inline unsigned get(struct world *w, const char *path, const char *key)
{
    return call(w, "GET", path, key, STR(""));
}

__attribute__((format(printf, 4, 5))) static inline unsigned post(struct world *w, const char *path,
                                                                  const char *key, const char *format, ...)
{
    char    body[2048];
    va_list list;
    va_start(list, format);
    vsnprintf(body, sizeof body, format, list);
    va_end(list);
    return call(w, "POST", path, key, str_from(body));
}

/* A call that the test does not wait for: an answer that never ends, or comes late. */
struct stream {
    unsigned status; /* 0: none came yet */
    char     type[32];
    char     said[65536];
    size_t   len;
    bool     over;
};

static inline void on_stream_head(void *ctx, unsigned status, struct str type)
{
    struct stream *s = ctx;
    s->status        = status;
    assert_int_equal(str_copy(type, s->type, sizeof s->type).code, ERR_NONE);
}

static inline void on_stream_body(void *ctx, struct str bytes)
{
    struct stream *s = ctx;
    assert_true(s->len + bytes.len < sizeof s->said);
    memcpy(s->said + s->len, bytes.ptr, bytes.len);
    s->len += bytes.len;
    s->said[s->len] = 0;
}

static inline void on_stream_done(void *ctx, struct err e)
{
    struct stream *s = ctx;
    s->over          = true;
    (void)e;
}

static inline struct net_call *stream_open(struct stream *s, struct world *w, const char *path, const char *key)
{
    static const struct net_call_calls calls = { on_stream_head, on_stream_body, on_stream_done };
    char                               bearer[128];
    struct net_call                   *c;
    struct net_target                  t = world_target(w);
    snprintf(bearer, sizeof bearer, "Bearer %s", key);
    struct net_header header = { STR("authorization"), str_from(bearer) };
    *s                       = (struct stream){ .len = 0 };
    assert_int_equal(net_call(w->net, &t, STR("GET"), str_from(path), &header, 1, STR(""), &calls, s, &c).code,
                     ERR_NONE);
    return c;
}

/* A text or number of the last answer, as text; "" if it is not there. One after another into a few rooms. */
static inline const char *said(struct world *w, const char *name)
{
    static char       rooms[8][1024];
    static int        next;
    char             *room = rooms[next++ % 8];
    struct json_doc   doc  = { { NULL } };
    struct json_fault fault;
    int64_t           n;
    room[0] = 0;
    if (json_parse((struct str){ w->said, w->said_len }, &doc, &fault).code) return room;
    struct json_value v = json_member(doc.root, name);
    struct str        s = json_as_str(v);
    if (s.len)
        snprintf(room, 1024, "%.*s", (int)s.len, s.ptr);
    else if (!json_as_i64(v, &n).code)
        snprintf(room, 1024, "%lld", (long long)n);
    json_free(&doc);
    return room;
}

static inline int64_t said_number(struct world *w, const char *name)
{
    return strtoll(said(w, name), NULL, 10);
}

#define assert_said(w, name, value) assert_string_equal(said(w, name), value)
#define assert_detail(w, words) assert_non_null(strstr(said(w, "detail"), words))

/* ---- signing in --------------------------------------------------------------------------------------------------------- */

static inline void sign_message(const struct sign_key *key, const char *message, char hex[129])
{
    struct signature s = sign_text(key, str_from(message));
    struct text      t = { hex, 0, 129, false };
    text_add_hex(&t, s.bytes, sizeof s.bytes);
    (void)text_z(&t);
}

/* Signs in with the key of that fill; `more` are further members of the request. Gives the bearer key. */
static inline void sign_in(struct world *w, uint8_t fill, const char *more, char key[64])
{
    struct sign_key pair;
    char            who[64], signature[129], nonce[64];
    key_of(fill, &pair, who);
    assert_int_equal(post(w, "/v1/session/nonce", NULL, "{\"public_key\":\"%s\"}", who), 200);
    snprintf(nonce, sizeof nonce, "%s", said(w, "nonce"));
    sign_message(&pair, said(w, "message"), signature);
    assert_int_equal(post(w, "/v1/session", NULL,
                          "{\"public_key\":\"%s\",\"nonce\":\"%s\",\"signature\":\"%s\"%s}", who, nonce,
                          signature, more),
                     201);
    snprintf(key, 64, "%s", said(w, "key"));
    assert_true(str_starts(str_from(key), STR("ionet_")));
}

/* ---- links ------------------------------------------------------------------------------------------------------------------ */

struct machine {
    struct world       *world;
    struct net_socket  *socket;
    struct sign_key     key;
    struct link_hello   hello;
    bool                lie;   /* sign with another key than hello says */
    const char         *first; /* said instead of hello; "": nothing */
    bool                open, closed;
    char                why[160];
    struct link_welcome welcome;
    struct desired      desired;
    uint32_t            desired_count;
    struct gw_config    config;
    struct gw_meet      meet;
    struct gw_relay     relay;
    struct gw_probe     probe;
    struct gw_revoke    revoke;
    uint32_t            config_count, meet_count, relay_count, probe_count, revoke_count;
    struct mesh_peer    peers[8]; /* by the maps that came */
    uint32_t            peers_count, maps_count;
};

static inline void machine_send(struct machine *m, enum link_kind kind, const void *message)
{
    static char room[NET_FRAME_BYTES_MAX];
    struct text t = TEXT_IN(room);
    link_write(kind, message, &t);
    assert_false(t.full);
    assert_int_equal(net_socket_send(m->socket, text_str(&t)).code, ERR_NONE);
}

static inline void machine_prove(struct machine *m, const struct link_challenge *c)
{
    struct link_proof proof;
    struct sign_key   other;
    char              room[64];
    key_of(0xee, &other, room);
    struct signature s = link_prove(m->lie ? &other : &m->key, c->nonce);
    memcpy(proof.signature, s.bytes, sizeof proof.signature);
    machine_send(m, LINK_PROOF, &proof);
}

static inline void machine_take_map(struct machine *m, const struct mesh_map *map)
{
    m->maps_count++;
    if (map->reset) m->peers_count = 0;
    for (uint32_t k = 0; k < map->gone_count; k++)
        for (uint32_t j = 0; j < m->peers_count; j++)
            if (memcmp(m->peers[j].key, map->gone[k].key, 32) == 0) m->peers[j] = m->peers[--m->peers_count];
    for (uint32_t k = 0; k < map->peers_count; k++) {
        uint32_t at = 0;
        while (at < m->peers_count && memcmp(m->peers[at].key, map->peers[k].key, 32) != 0) at++;
        assert_true(at < countof(m->peers));
        m->peers[at] = map->peers[k];
        if (at == m->peers_count) m->peers_count++;
    }
}

static inline void on_machine_text(void *ctx, struct net_socket *s, struct str text)
{
    static union link_message u;
    struct machine           *m = ctx;
    enum link_kind            kind;
    (void)s;
    assert_int_equal(link_read(text, &kind, &u).code, ERR_NONE);
    if (kind == LINK_CHALLENGE) machine_prove(m, &u.challenge);
    if (kind == LINK_WELCOME) m->welcome = u.welcome, m->open = true;
    if (kind == LINK_DESIRED) m->desired = u.desired, m->desired_count++;
    if (kind == LINK_MESH_MAP) machine_take_map(m, &u.mesh_map);
    if (kind == LINK_GW_CONFIG) m->config = u.gw_config, m->config_count++;
    if (kind == LINK_GW_MEET) m->meet = u.gw_meet, m->meet_count++;
    if (kind == LINK_GW_RELAY) m->relay = u.gw_relay, m->relay_count++;
    if (kind == LINK_GW_PROBE) m->probe = u.gw_probe, m->probe_count++;
    if (kind == LINK_GW_REVOKE) m->revoke = u.gw_revoke, m->revoke_count++;
}

static inline void on_machine_open(void *ctx, struct net_socket *s)
{
    struct machine *m = ctx;
    m->socket         = s;
    if (!m->first)
        machine_send(m, LINK_HELLO, &m->hello);
    else if (m->first[0])
        assert_int_equal(net_socket_send(s, str_from(m->first)).code, ERR_NONE);
}

static inline void on_machine_close(void *ctx, const char *why)
{
    struct machine *m = ctx;
    m->closed         = true;
    m->open           = false;
    m->socket         = NULL;
    snprintf(m->why, sizeof m->why, "%s", why);
}

/* Dials with the key of that fill; `token` is a join token or null. */
static inline void machine_dial(struct machine *m, struct world *w, enum link_who who, uint8_t fill,
                                const char *token)
{
    static const struct net_socket_calls calls = { on_machine_open, on_machine_text, on_machine_close,
                                                   LINK_PING_MS, 0 };
    struct net_target                    t     = world_target(w);
    struct net_socket                   *s;
    struct join_token                    join;
    struct public_key                    half;
    uint8_t                              seed[32];
    *m = (struct machine){ .world = w, .lie = m->lie, .first = m->first };
    memset(seed, fill, sizeof seed);
    sign_key_from_seed(seed, &m->key, &half);
    m->hello.who      = who;
    m->hello.protocol = LINK_PROTOCOL;
    memcpy(m->hello.program, "test", 5);
    memcpy(m->hello.public_key, half.bytes, 32);
    snprintf(m->hello.boot_id, sizeof m->hello.boot_id, "%032x", fill); /* a machine each */
    memset(m->hello.instance, fill, 16);
    snprintf(m->hello.name, sizeof m->hello.name, "machine-%02x", fill);
    if (token) {
        assert_int_equal(join_token_read(str_from(token), &join).code, ERR_NONE);
        assert_int_equal(join.port, w->port);
        assert_memory_equal(join.pin, w->pin.sha256, 32);
        memcpy(m->hello.token, join.secret, sizeof join.secret);
    }
    assert_int_equal(net_socket_connect(w->net, &t, STR(LINK_PATH), &calls, m, &s).code, ERR_NONE);
}

static inline void machine_join(struct machine *m, struct world *w, enum link_who who, uint8_t fill,
                                const char *token)
{
    machine_dial(m, w, who, fill, token);
    world_wait_for(w, m->open || m->closed);
    if (m->closed) fail_msg("the link was closed: %s", m->why);
}

static inline void machine_leave(struct machine *m)
{
    if (m->socket) net_socket_close(m->socket, 1000, STR("bye"));
    world_wait_for(m->world, m->closed);
}

/* A report of a device that holds the image and is what it is. */
static inline struct observed machine_report(const struct machine *m)
{
    struct observed o = {
        .epoch = m->desired.epoch, .version = m->desired.version, .images_count = 1, .specs_count = 1
    };
    memcpy(o.images[0].image, WORLD_IMAGE, sizeof WORLD_IMAGE);
    o.has_specs             = true;
    o.specs[0].cpus         = 4;
    o.specs[0].memory_bytes = (uint64_t)8 << 30;
    o.specs[0].disk_bytes   = (uint64_t)100 << 30;
    memcpy(o.specs[0].arch, "x86_64", 7);
    return o;
}

/* ---- whole scenes -------------------------------------------------------------------------------------------------------------- */

static inline void make_token(struct world *w, const char *key, const char *who, const char *more,
                              char token[320])
{
    assert_int_equal(post(w, "/v1/join-tokens", key, "{\"for\":\"%s\"%s}", who, more), 201);
    snprintf(token, 320, "%s", said(w, "token"));
}

/* A device of that account, linked and ready. */
static inline void device_ready(struct machine *m, struct world *w, const char *key, uint8_t fill)
{
    char token[320];
    make_token(w, key, "device", ",\"ask_micros_per_hour\":3600000", token);
    machine_join(m, w, LINK_DEVICE, fill, token);
    world_wait_for(w, m->desired_count > 0);
    struct observed o = machine_report(m);
    machine_send(m, LINK_OBSERVED, &o);
    char        path[64], id[ID_TEXT + 1];
    struct text t = TEXT_IN(id);
    id_write(m->welcome.id, &t);
    snprintf(path, sizeof path, "/v1/devices/%s", text_z(&t));
    for (int k = 0; k < 200; k++) {
        assert_int_equal(get(w, path, key), 200);
        if (strcmp(said(w, "state"), "ready") == 0) return;
        world_until(w, false, 20);
    }
    fail_msg("the device does not get ready: %s", w->said);
}

static inline void gateway_say_up(struct machine *m, struct gw_up *up, uint8_t fill)
{
    char path[96];
    snprintf(path, sizeof path, "%s/gateway-%02x.key", m->world->dir, fill);
    assert_int_equal(net_request_make(path, up->csr_pem, sizeof up->csr_pem).code, ERR_NONE);
    memset(up->meets[0].key_a, 1, 32);
    memset(up->meets[0].key_b, 2, 32);
    memcpy(up->meets[0].endpoint_a, "127.0.0.1:51820", 16);
    memcpy(up->meets[0].endpoint_b, "127.0.0.1:51821", 16);
    memcpy(up->relay_host, "127.0.0.1", 10);
    memcpy(up->tunnel, "127.0.0.1:4443", 15);
    machine_send(m, LINK_GW_UP, up);
    world_wait_for(m->world, m->config_count && m->meet_count && m->relay_count);
}

static inline void gateway_ready(struct machine *m, struct world *w, const char *operator_key, uint8_t fill)
{
    char         token[320];
    struct gw_up up = { .meets_count = 1, .relay_port_base = 40000, .relay_slots = 16 };
    make_token(w, operator_key, "gateway", "", token);
    machine_join(m, w, LINK_GATEWAY, fill, token);
    gateway_say_up(m, &up, fill);
}

#endif
