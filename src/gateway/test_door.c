#include "door_int.h"
#include "sys/sys.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

/* The door with real TLS on loopback: workers and forwards by our client, browsers by OpenSSL's alone, on a thread. */

#define DOMAIN "test.internal"
#define PATIENCE_MS 6000
#define JOIN_MS 400

static char              folder[64];
static struct net       *net;
static struct net_pin    pin;
static struct pass      *pass;
static struct door      *door;
static struct sign_key   network_key, other_key;
static struct cluster_id cluster = { { { 1, 2, 3 } } }, other_cluster = { { { 9, 9, 9 } } };
static struct node_id    head = { { { 10 } } }, second = { { { 20 } } };

static void on_pulse(void *ctx)
{
    (void)ctx;
}

static int open_world(void **state)
{
    (void)state;
    static const char *const hosts[] = { ("*." DOMAIN), DOMAIN, "127.0.0.1" };
    static char              cert[96], key[96];
    const uint8_t            seeds[3][32] = { { 1 }, { 2 }, { 3 } };
    struct public_key        network_public, other_public;
    signal(SIGPIPE, SIG_IGN); /* net_run would, but here the loop is turned by hand */
    snprintf(folder, sizeof folder, "/tmp/ionet-door-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(cert, sizeof cert, "%s/gateway.crt", folder);
    snprintf(key, sizeof key, "%s/gateway.key", folder);
    if (net_authority_open(folder, &pin).code || net_authority_issue(folder, "gateway", hosts, 3, 90).code)
        return -1;
    sign_key_from_seed(seeds[0], &network_key, &network_public);
    sign_key_from_seed(seeds[1], &other_key, &other_public);
    pass = calloc(1, sizeof *pass);
    pass_init(pass, seeds[2], (struct instant){ sys_wall_now().ms - 1000 });
    pass_set_signer(pass, network_public.bytes);
    if (net_open(&net).code || net_timer_start(net, 5, 5, on_pulse, NULL, NULL).code) return -1;
    struct door_options o = {
        .net = net, .pass = pass, .listen = "127.0.0.1", .cert_path = cert, .key_path = key, .join_ms = JOIN_MS
    };
    door_init(&o, &door);
    return door_open(door, DOMAIN).code != ERR_NONE;
}

static int close_world(void **state)
{
    (void)state;
    door_close(door);
    net_close(net);
    door_free(door);
    free(pass);
    return sys_remove_tree(folder).code != ERR_NONE;
}

/* ---- tickets --------------------------------------------------------------------------------------------------- */

static struct ticket ticket_for(enum ticket_kind kind, const char *service)
{
    struct ticket t = {
        .kind = kind, .cluster = cluster, .expires = { sys_wall_now().ms + TICKET_VALID_MS }, .user = "somebody"
    };
    sys_random(&t.serial, sizeof t.serial);
    snprintf(t.service, sizeof t.service, "%s", service);
    if (kind == TICKET_TUNNEL) t.node = head;
    return t;
}

static const char *written(const struct ticket *t, const struct sign_key *key)
{
    static char rooms[8][TICKET_TEXT_MAX];
    static int  at;
    struct text out = { .ptr = rooms[at++ % 8], .cap = TICKET_TEXT_MAX };
    assert_int_equal(ticket_write(t, key, &out).code, ERR_NONE);
    return text_z(&out);
}

/* ---- a connection of ours -------------------------------------------------------------------------------------- */

struct end {
    struct net_raw *raw;
    bool            open, over, ended;
    char            why[64];
    char            got[4096];
    size_t          got_len;
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
    assert_true(e->got_len + bytes.len < sizeof e->got);
    memcpy(e->got + e->got_len, bytes.ptr, bytes.len);
    e->got_len += bytes.len;
    e->got[e->got_len] = 0;
}

static void end_on_end(void *ctx, struct net_raw *r)
{
    struct end *e = ctx;
    e->ended      = true;
    net_raw_end(r);
}

static void end_on_close(void *ctx, const char *why)
{
    struct end *e = ctx;
    e->over       = true;
    e->raw        = NULL;
    snprintf(e->why, sizeof e->why, "%s", why);
}

static void dial_as(struct end *e, const char *path, const char *ticket, const char *name)
{
    static const struct net_raw_calls calls = { end_on_open, end_on_bytes, NULL, end_on_end, end_on_close };
    char                              bearer[TICKET_TEXT_MAX + 8];
    struct net_target                 target = {
                        .host = "127.0.0.1", .port = door_port(door), .pin = &pin, .server_name = name
    };
    snprintf(bearer, sizeof bearer, "Bearer %s", ticket);
    struct net_header header = { STR("authorization"), str_from(bearer) };
    *e                       = (struct end){ 0 };
    assert_int_equal(
        net_raw_connect(net, &target, str_from(path), STR(DOOR_PROTOCOL), &header, 1, &calls, e, &e->raw).code,
        ERR_NONE);
}

static void turn_until(const bool *happened)
{
    uint64_t by_ms = net_now_ms(net) + PATIENCE_MS;
    while (!*happened && net_now_ms(net) < by_ms) uv_run(net_uv_loop(net), UV_RUN_ONCE);
    assert_true(*happened);
}

static void turn_until_got(struct end *e, const char *text)
{
    uint64_t by_ms = net_now_ms(net) + PATIENCE_MS;
    while (!strstr(e->got, text) && net_now_ms(net) < by_ms) uv_run(net_uv_loop(net), UV_RUN_ONCE);
    assert_non_null(strstr(e->got, text));
}

static void turn_ms(uint64_t ms)
{
    uint64_t by_ms = net_now_ms(net) + ms;
    while (net_now_ms(net) < by_ms) uv_run(net_uv_loop(net), UV_RUN_ONCE);
}

static void tunnel_by(struct end *e, const struct ticket *t)
{
    dial_as(e, "/.ionet/tunnel", written(t, &network_key), NULL);
    turn_until(&e->open);
}

static void tunnel_open(struct end *e)
{
    struct ticket t = ticket_for(TICKET_TUNNEL, "head");
    tunnel_by(e, &t);
}

static void join_start(struct end *e)
{
    struct ticket t = ticket_for(TICKET_JOIN, "dashboard");
    dial_as(e, "/.ionet/join?service=dashboard", written(&t, &network_key), NULL);
}

static void say(struct end *e, const char *text)
{
    net_raw_send(e->raw, str_from(text));
}

static void end_close(struct end *e)
{
    if (e->raw) net_raw_close(e->raw);
    turn_until(&e->over);
}

static void refused_as(const char *path, const char *ticket, const char *name, const char *status)
{
    struct end e;
    dial_as(&e, path, ticket, name);
    turn_until(&e.over);
    assert_false(e.open);
    assert_string_equal(e.why, status);
}

static void nothing_is_left(void)
{
    turn_ms(30);
    assert_int_equal(door_counts(door).live, 0);
    assert_int_equal(door_counts(door).tunnels, 0);
}

/* ---- joins ------------------------------------------------------------------------------------------------------- */

static void a_join_is_carried_both_ways_until_both_have_ended(void **state)
{
    (void)state;
    struct end         worker, user;
    struct door_counts before = door_counts(door);
    tunnel_open(&worker);
    join_start(&user);
    turn_until_got(&worker, "\n");
    assert_string_equal(worker.got,
                        "{\"service\":\"dashboard\",\"user\":\"somebody\",\"client\":\"127.0.0.1\"}\n");
    assert_false(user.open); /* it is told of the tunnel only when the worker has said ok */
    say(&worker, "ok\nHello");
    turn_until_got(&user, "Hello");
    assert_true(user.open);
    say(&user, "question");
    turn_until_got(&worker, "question");
    say(&worker, "answer");
    turn_until_got(&user, "answer");
    net_raw_end(user.raw);
    turn_until(&worker.ended);
    turn_until(&worker.over);
    turn_until(&user.over);
    nothing_is_left();
    struct door_counts after = door_counts(door);
    assert_int_equal(after.joins, before.joins + 1);
    assert_true(after.joined_bytes >= before.joined_bytes + strlen("questionanswer"));
}

static void a_join_waits_for_a_tunnel(void **state)
{
    (void)state;
    struct end worker, user;
    join_start(&user);
    turn_ms(100);
    assert_int_equal(door_counts(door).live, 1);
    tunnel_open(&worker);
    turn_until_got(&worker, "\n");
    say(&worker, "o");
    turn_ms(20);
    say(&worker, "k\n");
    turn_until(&user.open);
    end_close(&user);
    turn_until(&worker.over);
    nothing_is_left();
}

static void a_join_that_nobody_takes_is_refused_in_time(void **state)
{
    (void)state;
    struct end worker, user;
    join_start(&user);
    turn_until(&user.over);
    assert_string_equal(user.why, "status 503");
    tunnel_open(&worker); /* and one that a worker does not answer */
    join_start(&user);
    turn_until(&user.over);
    assert_string_equal(user.why, "status 503");
    turn_until(&worker.over);
    nothing_is_left();
}

static void a_user_who_leaves_takes_his_tunnel_with_him(void **state)
{
    (void)state;
    struct end worker, user;
    join_start(&user);
    turn_ms(50);
    end_close(&user);
    nothing_is_left();
    tunnel_open(&worker);
    join_start(&user);
    turn_until_got(&worker, "\n");
    end_close(&user);
    turn_until(&worker.over);
    nothing_is_left();
}

static void what_one_worker_refuses_another_may_have(void **state)
{
    (void)state;
    struct end    a, b, user;
    struct ticket t = ticket_for(TICKET_TUNNEL, ""), u = t;
    u.node = second;
    tunnel_by(&a, &t);
    tunnel_by(&b, &u);
    join_start(&user);
    turn_until_got(&b, "\n"); /* the one that dialled last */
    say(&b, "no there is no such service on this node\n");
    turn_until_got(&a, "\n");
    say(&a, "ok\n");
    turn_until(&user.open);
    end_close(&user);
    turn_until(&a.over);
    turn_until(&b.over);

    tunnel_by(&a, &t);
    join_start(&user);
    turn_until_got(&a, "\n");
    say(&a, "no it has not started\n");
    turn_until(&user.over);
    assert_string_equal(user.why, "status 502");
    turn_until(&a.over);
    nothing_is_left();
}

static void a_join_without_a_node_goes_to_the_head_that_dialled_last(void **state)
{
    (void)state;
    struct end    old_head, new_head, worker, user;
    struct ticket t = ticket_for(TICKET_TUNNEL, "head"), other = t, w = ticket_for(TICKET_TUNNEL, "");
    struct ticket j = ticket_for(TICKET_JOIN, "dashboard");
    other.node      = second;
    w.node          = (struct node_id){ { { 30 } } };
    tunnel_by(&old_head, &t);
    tunnel_by(&new_head, &other);
    tunnel_by(&worker, &w);
    join_start(&user);
    turn_until_got(&new_head, "\n");
    end_close(&user);

    j.node = w.node; /* by name */
    dial_as(&user, "/.ionet/join?service=dashboard", written(&j, &network_key), NULL);
    turn_until_got(&worker, "\n");
    end_close(&user);
    turn_until(&worker.over);

    char        text[ID_TEXT + 1], path[128];
    struct text id = TEXT_IN(text);
    id_write(w.node.id, &id);
    snprintf(path, sizeof path, "/.ionet/join?service=dashboard&node=%s", text_z(&id));
    j.node = head;
    refused_as(path, written(&j, &network_key), NULL, "status 403");
    j.node = (struct node_id){ { { 40 } } }; /* one that is not here */
    refused_as("/.ionet/join?service=dashboard", written(&j, &network_key), NULL, "status 503");
    end_close(&old_head);
    nothing_is_left();
}

static void a_node_keeps_few_tunnels_waiting(void **state)
{
    (void)state;
    struct end    many[GATEWAY_TUNNELS_A_NODE_MAX];
    struct ticket t = ticket_for(TICKET_TUNNEL, "head");
    for (size_t i = 0; i < countof(many); i++) tunnel_by(&many[i], &t);
    refused_as("/.ionet/tunnel", written(&t, &network_key), NULL, "status 429");
    for (size_t i = 0; i < countof(many); i++) end_close(&many[i]);
    nothing_is_left();
}

static void a_tunnel_that_speaks_unasked_is_cut(void **state)
{
    (void)state;
    struct end worker;
    tunnel_open(&worker);
    say(&worker, "ok\n");
    turn_until(&worker.over);
    nothing_is_left();
}

/* ---- refusals ------------------------------------------------------------------------------------------------------ */

static void a_join_needs_the_networks_ticket_for_that_very_service(void **state)
{
    (void)state;
    const char   *path = "/.ionet/join?service=dashboard";
    struct ticket good = ticket_for(TICKET_JOIN, "dashboard"), t = good;
    char          name[128], id_room[ID_TEXT + 1];
    struct text   id = TEXT_IN(id_room);
    refused_as(path, "", NULL, "status 403");
    refused_as(path, "nonsense", NULL, "status 403");
    refused_as(path, written(&good, &other_key), NULL, "status 403");
    refused_as("/.ionet/join?service=notebook", written(&good, &network_key), NULL, "status 403");
    refused_as("/.ionet/join", written(&good, &network_key), NULL, "status 403");
    t.expires.ms = sys_wall_now().ms - 1;
    refused_as(path, written(&t, &network_key), NULL, "status 401");
    t      = good;
    t.kind = TICKET_TUNNEL;
    refused_as(path, written(&t, &network_key), NULL, "status 403");
    t.kind = TICKET_ONCE;
    refused_as(path, written(&t, &network_key), NULL, "status 403");
    id_write(other_cluster.id, &id);
    snprintf(name, sizeof name, "dashboard--%s." DOMAIN, text_z(&id));
    refused_as(path, written(&good, &network_key), name, "status 403");
    char changed[TICKET_TEXT_MAX];
    snprintf(changed, sizeof changed, "%s", written(&good, &network_key));
    for (size_t i = 0; i < strlen(changed); i += 7) {
        char was   = changed[i];
        changed[i] = was == 'A' ? 'B' : 'A';
        struct ticket out;
        struct wish   w = { .service = STR("dashboard") };
        assert_int_not_equal(pass_join(pass, str_from(changed), &w, sys_wall_now(), &out).code, ERR_NONE);
        changed[i] = was;
    }
    refused_as("/.ionet/other", written(&good, &network_key), NULL, "status 404");
    nothing_is_left();
}

static void a_tunnel_needs_a_nodes_ticket(void **state)
{
    (void)state;
    struct ticket t = ticket_for(TICKET_TUNNEL, "head");
    refused_as("/.ionet/tunnel", written(&t, &other_key), NULL, "status 403");
    t.node = (struct node_id){ 0 };
    refused_as("/.ionet/tunnel", written(&t, &network_key), NULL, "status 403");
    t            = ticket_for(TICKET_TUNNEL, "head");
    t.expires.ms = sys_wall_now().ms - 1;
    refused_as("/.ionet/tunnel", written(&t, &network_key), NULL, "status 401");
    t = ticket_for(TICKET_JOIN, "dashboard");
    refused_as("/.ionet/tunnel", written(&t, &network_key), NULL, "status 403");
    nothing_is_left();
}

static void a_revocation_cuts_what_is_joined_what_waits_and_what_comes(void **state)
{
    (void)state;
    struct end        joined, user, idle, waiting, stranger;
    struct cluster_id kept = cluster;
    struct ticket     t = ticket_for(TICKET_TUNNEL, "head"), j = ticket_for(TICKET_JOIN, "dashboard");
    const char       *tunnel_text, *join_text;
    cluster     = (struct cluster_id){ { { 77 } } };
    t.cluster   = cluster;
    j.cluster   = cluster;
    t.node      = (struct node_id){ { { 50 } } };
    tunnel_text = written(&t, &network_key);
    join_text   = written(&j, &network_key);
    tunnel_by(&joined, &t);
    dial_as(&user, "/.ionet/join?service=dashboard", join_text, NULL);
    turn_until_got(&joined, "\n");
    dial_as(&waiting, "/.ionet/join?service=dashboard", join_text, NULL);
    turn_ms(30);
    say(&joined, "ok\n");
    turn_until(&user.open);
    cluster = kept;
    tunnel_open(&stranger); /* of another cluster */
    t.node                  = (struct node_id){ { { 51 } } };
    struct ticket elsewhere = t;
    elsewhere.cluster       = (struct cluster_id){ { { 77 } } };
    turn_ms(10);

    pass_revoke(pass, elsewhere.cluster);
    door_revoke(door, elsewhere.cluster);
    turn_until(&user.over);
    turn_until(&joined.over);
    turn_until(&waiting.over);
    assert_string_equal(waiting.why, "status 403");
    refused_as("/.ionet/join?service=dashboard", join_text, NULL, "status 403");
    refused_as("/.ionet/tunnel", tunnel_text, NULL, "status 403");
    assert_false(stranger.over);
    end_close(&stranger);

    t.cluster = (struct cluster_id){ { { 78 } } };
    tunnel_by(&idle, &t);
    door_revoke(door, t.cluster);
    turn_until(&idle.over);
    nothing_is_left();
}

/* ---- browsers ---------------------------------------------------------------------------------------------------------- */

struct visit {
    char        name[128]; /* asked of TLS */
    char        request[2048];
    char        answer[8192];
    atomic_bool done;
};

static void *visit_run(void *ctx)
{
    struct visit      *v  = ctx;
    SSL_CTX           *c  = SSL_CTX_new(TLS_client_method());
    SSL               *s  = SSL_new(c);
    struct sockaddr_in to = { .sin_family      = AF_INET,
                              .sin_port        = htons(door_port(door)),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int                fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), len = 0, got;
    struct timeval     patience = { .tv_sec = PATIENCE_MS /
                                              1000 }; /* a connection that is not closed fails, it does not hang */
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (void *)&to, sizeof to) == 0 && SSL_set_fd(s, fd) && SSL_set_tlsext_host_name(s, v->name) &&
        SSL_connect(s) == 1 && SSL_write(s, v->request, (int)strlen(v->request)) > 0) {
        while ((got = SSL_read(s, v->answer + len, (int)sizeof v->answer - 1 - len)) > 0) len += got;
    }
    SSL_free(s);
    SSL_CTX_free(c);
    close(fd);
    v->done = true;
    return NULL;
}

static void name_of(const char *service, char out[128])
{
    char        id_room[ID_TEXT + 1];
    struct text id = TEXT_IN(id_room);
    id_write(cluster.id, &id);
    snprintf(out, 128, "%s--%s." DOMAIN, service, text_z(&id));
}

/* Sends it, and answers as the worker would if a tunnel is given. */
static void visit(struct visit *v, const char *sni, const char *host, const char *path, const char *headers,
                  struct end *worker)
{
    pthread_t thread;
    uint64_t  by_ms = net_now_ms(net) + PATIENCE_MS;
    bool      said  = false;
    memset(v, 0, sizeof *v);
    snprintf(v->name, sizeof v->name, "%s", sni);
    snprintf(v->request, sizeof v->request, "GET %s HTTP/1.1\r\nHost: %s\r\nX-Own:  as it is \r\n%s\r\n", path,
             host, headers);
    assert_int_equal(pthread_create(&thread, NULL, visit_run, v), 0);
    while (!v->done && net_now_ms(net) < by_ms) {
        uv_run(net_uv_loop(net), UV_RUN_ONCE);
        if (!worker || said || !strstr(worker->got, "\n")) continue;
        said = true;
        say(worker, "ok\n");
        turn_until_got(worker, "\r\n\r\n");
        say(worker, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell");
        net_raw_end(worker->raw);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void starts(const struct visit *v, const char *with)
{
    if (strncmp(v->answer, with, strlen(with)) != 0) print_message("%s\n", v->answer);
    assert_int_equal(strncmp(v->answer, with, strlen(with)), 0);
}

static void cookie_from(const struct visit *v, char out[TICKET_TEXT_MAX + 32])
{
    const char *at  = strstr(v->answer, "set-cookie: ");
    const char *end = at ? strstr(at, "; ") : NULL;
    assert_non_null(end);
    assert_non_null(strstr(end, "; Path=/; Secure; HttpOnly; SameSite=Lax\r\n"));
    snprintf(out, TICKET_TEXT_MAX + 32, "%.*s", (int)(end - at - 12), at + 12);
}

static void a_browser_comes_with_a_ticket_once_and_then_with_its_cookie(void **state)
{
    (void)state;
    struct visit  v;
    struct end    worker;
    struct ticket once = ticket_for(TICKET_ONCE, "dashboard"), t = ticket_for(TICKET_JOIN, "dashboard");
    char          name[128], notebook[128], path[TICKET_TEXT_MAX + 64], cookie[TICKET_TEXT_MAX + 32],
        header[TICKET_TEXT_MAX + 64];
    name_of("dashboard", name);
    name_of("notebook", notebook);
    const char *ticket = written(&once, &network_key);
    snprintf(path, sizeof path, "/tree?a=1&ionet-ticket=%s&b=2", ticket);
    visit(&v, notebook, notebook, path, "", NULL);
    starts(&v, "HTTP/1.1 403");
    visit(&v, name, name, path, "", NULL);
    starts(&v, "HTTP/1.1 303");
    assert_non_null(strstr(v.answer, "location: /tree?a=1&b=2\r\n"));
    cookie_from(&v, cookie);
    visit(&v, name, name, path, "", NULL);
    starts(&v, "HTTP/1.1 403");

    tunnel_open(&worker);
    snprintf(header, sizeof header, "Cookie: x=y; %s\r\n", cookie);
    visit(&v, name, name, "/tree?a=1", header, &worker);
    starts(&v, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell");
    /* The worker got the head as the browser sent it, to the byte. */
    assert_non_null(strstr(worker.got, v.request));
    turn_until(&worker.over);

    visit(&v, notebook, notebook, "/", header, NULL);
    starts(&v, "HTTP/1.1 403");
    visit(&v, name, notebook, "/", header, NULL);
    starts(&v, "HTTP/1.1 421");
    visit(&v, name, name, "/", "", NULL);
    starts(&v, "HTTP/1.1 403");
    visit(&v, "127.0.0.1", "127.0.0.1", "/", header, NULL);
    starts(&v, "HTTP/1.1 404");
    /* A cookie is a statement of this gateway's; as a bearer, or one that the network signed, it is none. */
    snprintf(header, sizeof header, "Authorization: Bearer %s\r\n", cookie + strlen(DOOR_COOKIE "="));
    visit(&v, name, name, "/", header, NULL);
    starts(&v, "HTTP/1.1 403");
    snprintf(header, sizeof header, "Cookie: " DOOR_COOKIE "=%s\r\n", written(&t, &network_key));
    visit(&v, name, name, "/", header, NULL);
    starts(&v, "HTTP/1.1 403");

    tunnel_open(&worker);
    snprintf(header, sizeof header, "Authorization: Bearer %s\r\n", written(&t, &network_key));
    visit(&v, name, name, "/", header, &worker);
    starts(&v, "HTTP/1.1 200");
    turn_until(&worker.over);
    visit(&v, name, name, "/", header, NULL); /* no tunnel: the gateway's own answer, on the same connection */
    starts(&v, "HTTP/1.1 503");
    nothing_is_left();
}

static void a_ticket_for_a_first_visit_is_young_and_leads_nowhere_else(void **state)
{
    (void)state;
    struct visit  v;
    struct ticket t = ticket_for(TICKET_ONCE, "dashboard");
    char          name[128], path[TICKET_TEXT_MAX + 64];
    name_of("dashboard", name);
    t.expires.ms = sys_wall_now().ms + TICKET_VALID_MS - PASS_ONCE_MS;
    snprintf(path, sizeof path, "/?ionet-ticket=%s", written(&t, &network_key));
    visit(&v, name, name, path, "", NULL);
    starts(&v, "HTTP/1.1 401");
    pass->started = (struct instant){ sys_wall_now().ms - 1000 };
    t.expires.ms  = sys_wall_now().ms + TICKET_VALID_MS - 2000; /* made before this gateway was started */
    snprintf(path, sizeof path, "/?ionet-ticket=%s", written(&t, &network_key));
    visit(&v, name, name, path, "", NULL);
    starts(&v, "HTTP/1.1 401");
    t = ticket_for(TICKET_ONCE, "dashboard");
    snprintf(path, sizeof path, "//evil.example/?ionet-ticket=%s", written(&t, &network_key));
    visit(&v, name, name, path, "", NULL);
    starts(&v, "HTTP/1.1 303");
    assert_non_null(strstr(v.answer, "location: /evil.example/\r\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_join_is_carried_both_ways_until_both_have_ended),
        cmocka_unit_test(a_join_waits_for_a_tunnel),
        cmocka_unit_test(a_join_that_nobody_takes_is_refused_in_time),
        cmocka_unit_test(a_user_who_leaves_takes_his_tunnel_with_him),
        cmocka_unit_test(what_one_worker_refuses_another_may_have),
        cmocka_unit_test(a_join_without_a_node_goes_to_the_head_that_dialled_last),
        cmocka_unit_test(a_node_keeps_few_tunnels_waiting),
        cmocka_unit_test(a_tunnel_that_speaks_unasked_is_cut),
        cmocka_unit_test(a_join_needs_the_networks_ticket_for_that_very_service),
        cmocka_unit_test(a_tunnel_needs_a_nodes_ticket),
        cmocka_unit_test(a_revocation_cuts_what_is_joined_what_waits_and_what_comes),
        cmocka_unit_test(a_browser_comes_with_a_ticket_once_and_then_with_its_cookie),
        cmocka_unit_test(a_ticket_for_a_first_visit_is_young_and_leads_nowhere_else),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
