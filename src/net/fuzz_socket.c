/* fuzz_socket.c: a client's WebSocket frames, after his handshake. What is told is whole and UTF-8 of at most a frame's
 * size. The first byte says how large the pieces are. */
#include "base/fuzz.h"
#include "with_wire_int.h"

#define HANDSHAKE                                                                \
    "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n" \
    "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
#define SENT_MAX 16384

static bool is_utf8(struct str s)
{
    /* Controls are fine in a message: read in pieces between them. */
    size_t from = 0;
    for (size_t i = 0; i <= s.len; i++) {
        bool is_control = i < s.len && ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f);
        bool is_c1 =
            i + 1 < s.len && s.ptr[i] == '\xc2' && (unsigned char)s.ptr[i + 1] < 0xa0 && s.ptr[i + 1] < 0;
        if (i < s.len && !is_control && !is_c1) continue;
        if (!str_is_utf8((struct str){ s.ptr + from, i - from })) return false;
        i += is_c1;
        from = i + 1;
    }
    return true;
}

static void on_text(void *ctx, struct net_socket *s, struct str message)
{
    (void)ctx;
    check(message.len <= NET_FRAME_BYTES_MAX && is_utf8(message));
    if (message.len == 3) net_socket_close(s, 1000, STR("enough"));
    (void)!net_socket_send(s, message).code;
}

static void on_close(void *ctx, const char *why)
{
    (void)ctx;
    check(why != NULL);
}

static void on_upgrade(void *ctx, struct net_request *r)
{
    static const struct net_socket_calls calls = { .on_text = on_text, .on_close = on_close };
    check(net_socket_accept(r, &calls, ctx) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t       piece[] = { 65536, 163, 165, 60 };
    static char               room[SENT_MAX];
    struct net_server_options o = { .on_request = wire_on_request, .on_upgrade = on_upgrade, .body_max = 2000 };
    struct text               sent = TEXT_IN(room);
    struct str                in   = fuzz_all(data, size);
    uint8_t                   how  = fuzz_u8(&in);
    text_add(&sent, STR(HANDSHAKE));
    text_add(&sent, in);
    if (!sent.full) wire_serve(h1_open, &o, text_str(&sent), piece[how % 4]);
    return 0;
}
