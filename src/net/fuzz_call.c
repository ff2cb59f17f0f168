/* fuzz_call.c: what a server answers to a client: to a call, to a WebSocket's handshake and to that of raw bytes. Each ends
 * exactly once, whatever comes. The first byte says which it is. */
#include "base/fuzz.h"
#include "loop_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <unistd.h>

#define TURNS_MAX 200000
#define NEVER_MS (1ull << 40)

static struct net       *net;
static struct net_target target = { .host = "127.0.0.1", .plain = true, .timeout_ms = 60000 };
static int               listener;
static unsigned          ended, heads;

static void on_never(void *ctx)
{
    (void)ctx;
}

static void listen_once(void)
{
    static struct net_timer *timer;
    struct sockaddr_in       at   = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t                size = sizeof at;
    if (net) return;
    check(net_open(&net).code == ERR_NONE);
    check(net_timer_start(net, NEVER_MS, NEVER_MS, on_never, NULL, &timer).code == ERR_NONE);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    check(listener >= 0 && bind(listener, (struct sockaddr *)&at, size) == 0 && listen(listener, 16) == 0);
    check(getsockname(listener, (struct sockaddr *)&at, &size) == 0);
    target.port = ntohs(at.sin_port);
}

static void on_head(void *ctx, unsigned status, struct str content_type)
{
    (void)ctx;
    check(status >= 100 && status <= 999 && content_type.len <= NET_HEAD_BYTES_MAX);
    check(++heads == 1 && !ended);
}

static void on_body(void *ctx, struct str bytes)
{
    (void)ctx;
    check(heads == 1 && !ended && bytes.len);
}

static void on_done(void *ctx, struct err e)
{
    (void)ctx;
    check(e.code || heads == 1);
    ended++;
}

static void on_close(void *ctx, const char *why)
{
    (void)ctx;
    check(why != NULL);
    ended++;
}

static void on_text(void *ctx, struct net_socket *s, struct str message)
{
    (void)ctx;
    (void)!net_socket_send(s, message).code;
}

static void on_raw_open(void *ctx, struct net_raw *r)
{
    (void)ctx;
    net_raw_send(r, STR("hello"));
}

static void on_raw_end(void *ctx, struct net_raw *r)
{
    (void)ctx;
    net_raw_end(r);
}

static struct err begin(unsigned what)
{
    static const struct net_call_calls   call = { .on_head = on_head, .on_body = on_body, .on_done = on_done };
    static const struct net_socket_calls socket = { .on_text = on_text, .on_close = on_close };
    static const struct net_raw_calls    raw    = { .on_open  = on_raw_open,
                                                    .on_end   = on_raw_end,
                                                    .on_close = on_close };
    struct net_call                     *c;
    struct net_socket                   *s;
    struct net_raw                      *r;
    switch (what) {
    case 0: return net_call(net, &target, STR("GET"), STR("/"), NULL, 0, STR(""), &call, NULL, &c);
    case 1: return net_call(net, &target, STR("HEAD"), STR("/"), NULL, 0, STR(""), &call, NULL, &c);
    case 2: return net_socket_connect(net, &target, STR("/"), &socket, NULL, &s);
    default: return net_raw_connect(net, &target, STR("/"), STR("bytes"), NULL, 0, &raw, NULL, &r);
    }
}

/* What the client says is dropped. */
static void turn(int server)
{
    char heard[4096];
    uv_run(net_uv_loop(net), UV_RUN_NOWAIT);
    while (server >= 0 && recv(server, heard, sizeof heard, MSG_DONTWAIT) > 0) continue;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct linger at_once = { .l_onoff = 1 }; /* no port is to wait after its use */
    struct str                 in      = fuzz_all(data, size);
    unsigned                   what    = fuzz_u8(&in) % 4;
    int                        server  = -1;
    listen_once();
    ended = heads = 0;
    check(begin(what).code == ERR_NONE);
    for (int i = 0; server < 0 && i < TURNS_MAX; i++) {
        turn(-1);
        server = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        check(server >= 0 || errno == EAGAIN);
    }
    check(server >= 0 && setsockopt(server, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
    turn(server);
    for (int i = 0; in.len && !ended && i < TURNS_MAX; i++) {
        size_t  half = i == 0 ? (in.len + 1) / 2 : in.len;
        ssize_t sent = send(server, in.ptr, half, MSG_NOSIGNAL);
        turn(server);
        if (sent < 0 && errno != EAGAIN) break;
        if (sent > 0) in = str_skip(in, (size_t)sent);
    }
    (void)shutdown(server, SHUT_WR);
    for (int i = 0; !ended && i < 1000; i++) turn(server);
    close(server);
    for (int i = 0; (!ended || !ring_is_empty(&net->conns)) && i < TURNS_MAX; i++) turn(-1);
    check(ended == 1 && ring_is_empty(&net->conns));
    return 0;
}
