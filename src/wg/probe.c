#include "sys/sys.h"
#include "wg_int.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A raw socket speaks with the device's port as its source, so routers take its packets for the device's, and hears a copy
 * of what comes to that port. A device drops them: no message of WireGuard begins like them. */
#define PROBE_MAGIC 0x696f6e70u /* "ionp" */
#define PROBE_ASK_MS 100
#define PROBE_LOOK_MS 20
#define PROBE_ANSWERS_MAX 64
#define PROBE_BYTES 1452 /* of a full packet of the mesh: less might pass where that does not */
#define NONCE_BYTES 16

enum word { WORD_ASK = 1, WORD_ANSWER };

struct packet {
    struct udphdr head;
    uint32_t      magic;
    uint8_t       word;
    uint8_t       zero[3];
    uint8_t       nonce[NONCE_BYTES];
    uint8_t       padding[PROBE_BYTES - 8 - NONCE_BYTES];
};
_Static_assert(sizeof(struct packet) == sizeof(struct udphdr) + PROBE_BYTES, "nothing is padded");

struct wg_probe {
    const struct wg_probe_calls *calls;
    void                        *ctx;
    struct net                  *net;
    struct net_timer            *timer;
    int                          fd;
    struct sockaddr_in           here, there;
    uint8_t                      nonce[NONCE_BYTES];
    uint64_t                     until_ms, ask_ms;
    unsigned                     answers;
    bool                         reached;
    bool                         turning, ended; /* ended in its own turn: freed after it */
};

/* ---- packets --------------------------------------------------------------------------------------------- */

static uint32_t sum_of(const void *bytes, size_t count)
{
    const uint8_t *b   = bytes;
    uint32_t       sum = 0;
    for (size_t i = 0; i + 1 < count; i += 2) sum += (uint32_t)b[i] << 8 | b[i + 1];
    return sum;
}

/* RFC 768, over the pseudo header as well. */
static uint16_t checksum(const struct wg_probe *p, const struct packet *packet)
{
    uint32_t sum = sum_of(packet, sizeof *packet) + sum_of(&p->here.sin_addr, 4) +
                   sum_of(&p->there.sin_addr, 4) + IPPROTO_UDP + (uint32_t)sizeof *packet;
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    uint16_t folded = (uint16_t)~sum;
    return htons(folded ? folded : 0xffff);
}

/* One that is not sent is one that was lost. */
static void say(const struct wg_probe *p, enum word word, const uint8_t nonce[NONCE_BYTES])
{
    struct packet packet = { .head  = { .uh_sport = p->here.sin_port,
                                        .uh_dport = p->there.sin_port,
                                        .uh_ulen  = htons(sizeof packet) },
                             .magic = htonl(PROBE_MAGIC),
                             .word  = (uint8_t)word };
    memcpy(packet.nonce, nonce, NONCE_BYTES);
    packet.head.uh_sum = checksum(p, &packet);
    (void)!send(p->fd, &packet, sizeof packet, MSG_DONTWAIT);
}

static void take(struct wg_probe *p, const uint8_t *bytes, size_t count)
{
    struct packet packet;
    size_t        head = count ? (size_t)(bytes[0] & 0xf) * 4 : 0;
    if (head < sizeof(struct iphdr) || count < head + sizeof packet) return;
    memcpy(&packet, bytes + head, sizeof packet);
    if (packet.magic != htonl(PROBE_MAGIC) || packet.head.uh_dport != p->here.sin_port ||
        packet.head.uh_sport != p->there.sin_port)
        return;
    if (packet.word == WORD_ASK && p->answers++ < PROBE_ANSWERS_MAX) say(p, WORD_ANSWER, packet.nonce);
    if (packet.word != WORD_ANSWER || memcmp(packet.nonce, p->nonce, NONCE_BYTES) != 0 || p->reached) return;
    p->reached = true;
    p->calls->on_reached(p->ctx);
}

/* ---- its life ---------------------------------------------------------------------------------------------- */

void wg_probe_end(struct wg_probe *p)
{
    p->ended = true;
    if (p->turning) return;
    net_timer_stop(p->timer);
    close(p->fd);
    free(p);
}

static void hear(struct wg_probe *p)
{
    static uint8_t room[65536];
    ssize_t        got;
    p->turning = true;
    while (!p->ended && (got = recv(p->fd, room, sizeof room, MSG_DONTWAIT)) > 0) take(p, room, (size_t)got);
    p->turning = false;
}

static void on_timer(void *ctx)
{
    struct wg_probe *p      = ctx;
    uint64_t         now_ms = net_now_ms(p->net);
    hear(p);
    if (p->ended || now_ms >= p->until_ms) {
        const struct wg_probe_calls *calls = p->ended ? NULL : p->calls;
        void                        *over  = p->ctx;
        wg_probe_end(p);
        if (calls) calls->on_over(over);
        return;
    }
    if (p->reached || now_ms < p->ask_ms) return;
    p->ask_ms = now_ms + PROBE_ASK_MS;
    say(p, WORD_ASK, p->nonce);
}

/* What is for the device would else be copied to us in full stream. */
static bool hear_only_probes(int fd, uint16_t port)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
        BPF_STMT(BPF_LD | BPF_H | BPF_IND, offsetof(struct packet, head.uh_dport)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, port, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_IND, offsetof(struct packet, magic)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PROBE_MAGIC, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    struct sock_fprog program = { countof(code), code };
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
}

static struct err place_read(const char *place, struct sockaddr_in *out)
{
    char       text[WG_PLACE_TEXT];
    struct str host, port;
    uint64_t   number;
    *out = (struct sockaddr_in){ .sin_family = AF_INET };
    if (!str_split(str_from(place), ':', &host, &port)) return ERR(INVALID, "a place has no port");
    TRY(str_copy(host, text, sizeof text));
    TRY(str_to_u64(port, &number));
    if (number == 0 || number > UINT16_MAX || inet_pton(AF_INET, text, &out->sin_addr) != 1)
        return ERR(INVALID, "a place is no IPv4 address with its port");
    out->sin_port = htons((uint16_t)number);
    return OK;
}

/* Connected, it hears that address alone, and knows which of ours is on the way there. */
static struct err open_socket(struct wg_probe *p, uint16_t port)
{
    socklen_t     size = sizeof p->here;
    scoped_fd int fd   = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);
    if (fd < 0) return ERR(DENIED, "no raw socket is to be had");
    if (!hear_only_probes(fd, port)) return ERR(IO, "a raw socket can't be told what to hear");
    if (connect(fd, (struct sockaddr *)&p->there, sizeof p->there) < 0 ||
        getsockname(fd, (struct sockaddr *)&p->here, &size) < 0)
        return ERR(IO, "there is no way to a place");
    p->here.sin_port = htons(port);
    p->fd            = sys_take_fd(&fd);
    return OK;
}

struct err wg_probe(struct net *n, uint16_t port, const char *place, const struct wg_probe_calls *calls,
                    void *ctx, struct wg_probe **out)
{
    struct wg_probe *p = wg_alloc(sizeof *p);
    *p                 = (struct wg_probe){
                        .calls = calls, .ctx = ctx, .net = n, .fd = -1, .until_ms = net_now_ms(n) + WG_PROBE_MS
    };
    sys_random(p->nonce, sizeof p->nonce);
    struct err e = place_read(place, &p->there);
    if (!e.code) e = open_socket(p, port);
    if (!e.code) e = net_timer_start(n, 0, PROBE_LOOK_MS, on_timer, p, &p->timer);
    if (e.code) {
        sys_close(&p->fd);
        free(p);
        return e;
    }
    *out = p;
    return OK;
}
