#include "codec/codec.h"
#include "wg_int.h"

#include <stdlib.h>
#include <string.h>

/* wireguard-go's configuration protocol: lines of key=value, an empty line at the end of each operation and of
 * each answer (wireguard.com/xplatform). Keys are hex. */

#define SET_FIRST_BYTES 256
#define SET_PEER_BYTES 320 /* the longest peer: key, endpoint, keepalive, address */

static struct text room_for(size_t bytes)
{
    return (struct text){ .ptr = wg_alloc(bytes), .cap = bytes };
}

static void add_hex_line(struct text *t, struct str key, const uint8_t bytes[WG_KEY_BYTES])
{
    text_add(t, key);
    text_add_hex(t, bytes, WG_KEY_BYTES);
    text_add_char(t, '\n');
}

static void add_number_line(struct text *t, struct str key, uint64_t number)
{
    text_add(t, key);
    text_add_u64(t, number);
    text_add_char(t, '\n');
}

struct text uapi_set_first(const struct wg_options *o)
{
    struct text t = room_for(SET_FIRST_BYTES);
    text_add(&t, STR("set=1\n"));
    add_hex_line(&t, STR("private_key="), o->secret);
    add_number_line(&t, STR("listen_port="), o->listen_port);
    text_add(&t, STR("replace_peers=true\n\n"));
    check(!t.full);
    return t;
}

static void add_peer(struct text *t, const struct wg_peer *p)
{
    add_hex_line(t, STR("public_key="), p->key);
    if (p->gone) {
        text_add(t, STR("remove=true\n"));
        return;
    }
    if (p->endpoint[0]) {
        text_add(t, STR("endpoint="));
        text_add(t, str_from(p->endpoint));
        text_add_char(t, '\n');
    }
    text_add(t, STR("replace_allowed_ips=true\n"));
    if (p->address[0]) {
        text_add(t, STR("allowed_ip="));
        text_add(t, str_from(p->address));
        text_add(t, strchr(p->address, ':') ? STR("/128\n") : STR("/32\n"));
    }
    /* Last: it sends at once, and should know where to. */
    add_number_line(t, STR("persistent_keepalive_interval="), p->keepalive_s);
}

struct text uapi_set_peers(const struct wg_peer *peers, size_t count)
{
    struct text t = room_for(count * SET_PEER_BYTES + 16);
    text_add(&t, STR("set=1\n"));
    for (size_t i = 0; i < count; i++) add_peer(&t, &peers[i]);
    text_add_char(&t, '\n');
    check(!t.full);
    return t;
}

size_t uapi_answer_end(struct str bytes, size_t looked_at)
{
    if (looked_at) looked_at--; /* the first half of the end may have come before */
    if (bytes.len < looked_at + 2) return 0;
    const char *end = memmem(bytes.ptr + looked_at, bytes.len - looked_at, "\n\n", 2);
    return end ? (size_t)(end - bytes.ptr) + 2 : 0;
}

static struct err read_peer_line(struct wg_seen *p, struct str key, struct str value)
{
    uint64_t n;
    if (str_eq(key, STR("endpoint"))) return str_copy(value, p->endpoint, sizeof p->endpoint);
    if (str_eq(key, STR("rx_bytes"))) return str_to_u64(value, &p->rx_bytes);
    if (str_eq(key, STR("tx_bytes"))) return str_to_u64(value, &p->tx_bytes);
    if (str_eq(key, STR("last_handshake_time_sec"))) {
        TRY(str_to_u64(value, &n));
        if (n > UINT32_MAX) return ERR(CORRUPT, "a handshake's time can't be right");
        p->handshake_ms += n * 1000;
    } else if (str_eq(key, STR("last_handshake_time_nsec"))) {
        TRY(str_to_u64(value, &n));
        p->handshake_ms += n / 1000000;
    }
    return OK; /* what else a peer has is of no interest here */
}

static struct err read_device_line(struct wg_answer *out, struct str key, struct str value, uint64_t *failed)
{
    if (str_eq(key, STR("errno"))) {
        if (!str_starts(value, STR("-"))) return str_to_u64(value, failed);
        *failed = 1;
    }
    if (str_eq(key, STR("listen_port"))) {
        uint64_t port;
        TRY(str_to_u64(value, &port));
        if (port > UINT16_MAX) return ERR(CORRUPT, "a port can't be right");
        out->listen_port = (uint16_t)port;
    }
    return OK;
}

struct err uapi_read(struct str answer, struct wg_answer *out)
{
    struct wg_seen *peer   = NULL;
    uint64_t        failed = 0;
    struct str      line, key, value;
    while (answer.len) {
        str_split(answer, '\n', &line, &answer);
        if (!line.len) break;
        if (!str_split(line, '=', &key, &value)) return ERR(CORRUPT, "wireguard-go says what is no line");
        if (str_eq(key, STR("public_key"))) {
            peer = answer_push(out);
            if (!peer) return ERR(LIMIT, "a device has too many peers");
            TRY(hex_read(value, peer->key, WG_KEY_BYTES));
        } else if (peer && !str_eq(key, STR("errno"))) {
            TRY(read_peer_line(peer, key, value));
        } else {
            TRY(read_device_line(out, key, value, &failed));
        }
    }
    return failed ? ERR(IO, "wireguard-go refused what it was told") : OK;
}

struct wg_seen *answer_push(struct wg_answer *a)
{
    if (a->count == WG_PEERS_MAX) return NULL;
    if (a->count == a->cap) {
        a->cap   = a->cap ? a->cap * 2 : 16;
        a->peers = realloc(a->peers, a->cap * sizeof *a->peers);
        check(a->peers);
    }
    struct wg_seen *p = &a->peers[a->count++];
    memset(p, 0, sizeof *p);
    return p;
}

void answer_free(struct wg_answer *a)
{
    free(a->peers);
    *a = (struct wg_answer){ 0 };
}
