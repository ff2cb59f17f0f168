#include "test_world_int.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

/* Browsers come by a TLS client that shares nothing with ours, on a thread of its own. */

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
    /* All of these a browser would read as another host's. */
    static const char *const elsewhere[] = { "//", "/\\", "///", "/\t/", "/\\\t/" };
    for (size_t i = 0; i < countof(elsewhere); i++) {
        t = ticket_for(TICKET_ONCE, "dashboard");
        snprintf(path, sizeof path, "%sevil.example/?ionet-ticket=%s", elsewhere[i], written(&t, &network_key));
        visit(&v, name, name, path, "", NULL);
        if (strncmp(v.answer, "HTTP/1.1 400", 12) == 0) continue; /* no address at all: as good */
        starts(&v, "HTTP/1.1 303");
        assert_non_null(strstr(v.answer, "location: /evil.example/\r\n"));
    }
}

/* What a service behind could read in another way than the gateway did, with a ticket that would let it in. Nothing of it
 * reaches a worker: the tunnel that waits is still unused at the end. */
static void a_head_with_two_meanings_is_joined_to_nobody(void **state)
{
    static const char *const headers[] = {
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, gzip\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Content-Length: 3\r\nContent-Length: 4\r\n",
        "Content-Length: +3\r\n",
        "X: a\r\n b\r\n",
        "X: a\n",
        "X: a\rb\r\n",
        "X\x01: a\r\n",
        "Host: another.test\r\n",
    };
    struct visit  v;
    struct end    worker;
    struct ticket t = ticket_for(TICKET_JOIN, "dashboard");
    char          name[128], with[TICKET_TEXT_MAX + 256];
    (void)state;
    name_of("dashboard", name);
    tunnel_open(&worker);
    for (size_t i = 0; i < countof(headers); i++) {
        snprintf(with, sizeof with, "Authorization: Bearer %s\r\n%s", written(&t, &network_key), headers[i]);
        visit(&v, name, name, "/", with, NULL);
        if (strncmp(v.answer, "HTTP/1.1 400", 12) != 0) print_message("header %zu\n", i);
        starts(&v, "HTTP/1.1 400");
        assert_int_equal(strlen(worker.got), 0);
    }
    snprintf(with, sizeof with, "Authorization: Bearer %s\r\n", written(&t, &network_key));
    visit(&v, name, name, "http://another.test/", with, NULL); /* another host's whole address */
    starts(&v, "HTTP/1.1 400");
    visit(&v, name, name, "/", with, &worker);
    starts(&v, "HTTP/1.1 200");
    turn_until(&worker.over);
    nothing_is_left();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_browser_comes_with_a_ticket_once_and_then_with_its_cookie),
        cmocka_unit_test(a_ticket_for_a_first_visit_is_young_and_leads_nowhere_else),
        cmocka_unit_test(a_head_with_two_meanings_is_joined_to_nobody),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
