/* fuzz_h1.c: a client's bytes to an HTTP/1.1 server, in pieces. A request that reaches a handler has a plain path and at
 * most one host; upgrades become WebSockets. The first byte says how large the pieces are, and whether heads are asked
 * for first. */
#include "base/fuzz.h"
#include "with_wire_int.h"

static void on_text(void *ctx, struct net_socket *s, struct str message)
{
    (void)ctx;
    check(message.len <= NET_FRAME_BYTES_MAX);
    (void)!net_socket_send(s, message).code;
}

static void on_close(void *ctx, const char *why)
{
    (void)ctx, (void)why;
}

static void on_upgrade(void *ctx, struct net_request *r)
{
    static const struct net_socket_calls calls = { .on_text = on_text, .on_close = on_close };
    (void)net_socket_accept(r, &calls, ctx);
}

static bool on_first_head(void *ctx, struct net_request *r)
{
    (void)ctx;
    check(net_request_path(r).len > 0 && net_request_body(r).len == 0);
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str                in      = fuzz_all(data, size);
    uint8_t                   how     = fuzz_u8(&in);
    static const size_t       piece[] = { 65536, 1, 2, 7, 64, 300, 1000, 4000 };
    struct net_server_options o = { .on_request = wire_on_request, .on_upgrade = on_upgrade, .body_max = 2000 };
    if (how & 8) o.on_first_head = on_first_head;
    wire_serve(h1_open, &o, in, piece[how % 8]);
    return 0;
}
