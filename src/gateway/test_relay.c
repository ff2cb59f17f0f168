#include "codec/codec.h"
#include "relay_int.h"
#include "sys/sys.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* The rules of the relay, with packets written here, on loopback: its many addresses are as many hosts. The
 * whole, with real peers behind NATs, is in the test of the program. */

#define SLOTS 4
#define QUIET_MS 60
#define PATIENCE_MS 2000

static uint8_t       key_a[32] = { 1 }, key_b[32] = { 2 }, stranger_key[32] = { 3 };
static uint16_t      base;
static struct relay *relay;

static int open_world(void **state)
{
    (void)state;
    base                   = (uint16_t)(20000 + getpid() % 20000);
    struct relay_options o = { .address = "0.0.0.0", .port_base = base, .slots = SLOTS };
    return relay_open(&o, &relay).code != ERR_NONE;
}

static int close_world(void **state)
{
    (void)state;
    relay_close(relay);
    return 0;
}

static int host_at(const char *address, bool is_b, uint32_t slot)
{
    int                fd   = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in from = { .sin_family = AF_INET },
                       to   = { .sin_family = AF_INET, .sin_port = htons((uint16_t)(base + 2 * slot + is_b)) };
    assert_int_equal(inet_pton(AF_INET, address, &from.sin_addr), 1);
    assert_int_equal(inet_pton(AF_INET, "127.0.0.1", &to.sin_addr), 1);
    assert_int_equal(bind(fd, (void *)&from, sizeof from), 0);
    assert_int_equal(connect(fd, (void *)&to, sizeof to), 0);
    return fd;
}

/* A handshake as WireGuard's, as far as anybody but its receiver can tell. */
static void initiation(uint8_t out[PACKET_INITIATION_BYTES], uint32_t sender, const uint8_t receiver_key[32])
{
    uint8_t mac1_key[32];
    memset(out, 0x5a, PACKET_INITIATION_BYTES);
    memset(out, 0, 4);
    out[0] = 1;
    memcpy(out + 4, &sender, 4);
    packet_mac1_key(receiver_key, mac1_key);
    packet_mac1(mac1_key, out, PACKET_INITIATION_BYTES - 32, out + PACKET_INITIATION_BYTES - 32);
}

static size_t data(uint8_t out[64], uint32_t receiver)
{
    memset(out, 0x77, 64);
    memset(out, 0, 4);
    out[0] = 4;
    memcpy(out + 4, &receiver, 4);
    return 64;
}

static bool comes(int fd, int wait_ms, uint8_t first_byte)
{
    uint8_t       room[2048];
    struct pollfd p = { .fd = fd, .events = POLLIN };
    if (poll(&p, 1, wait_ms) != 1) return false;
    ssize_t got = recv(fd, room, sizeof room, 0);
    return got > 0 && room[0] == first_byte;
}

static void pair_open_with(uint32_t slot, const char *seen_a, const char *seen_b)
{
    struct timespec step  = { .tv_nsec = 1000000 };
    uint64_t        pairs = relay_counts(relay).pairs;
    assert_int_equal(relay_set_pair(relay, slot, key_a, key_b).code, ERR_NONE);
    relay_set_seen(relay, slot, false, seen_a);
    relay_set_seen(relay, slot, true, seen_b);
    for (int i = 0; i < 1000 && relay_counts(relay).pairs == pairs; i++) nanosleep(&step, NULL);
    assert_int_equal(relay_counts(relay).pairs, pairs + 1);
    nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL); /* the notes left after it */
}

static void pair_end(uint32_t slot)
{
    struct timespec step  = { .tv_nsec = 1000000 };
    uint64_t        pairs = relay_counts(relay).pairs;
    relay_drop_pair(relay, slot);
    for (int i = 0; i < 1000 && relay_counts(relay).pairs == pairs; i++) nanosleep(&step, NULL);
    assert_int_equal(relay_counts(relay).pairs, pairs - 1);
}

static void let(int fd, const uint8_t *bytes, size_t count)
{
    assert_int_equal(send(fd, bytes, count, 0), count);
}

/* Both sides known, with these indices. */
static void shake_hands(int a, int b, uint32_t index_a, uint32_t index_b)
{
    uint8_t packet[PACKET_INITIATION_BYTES];
    initiation(packet, index_a, key_b);
    let(a, packet, sizeof packet);
    assert_false(comes(b, QUIET_MS, 1)); /* b is not known yet */
    initiation(packet, index_b, key_a);
    let(b, packet, sizeof packet);
    assert_true(comes(a, PATIENCE_MS, 1));
    initiation(packet, index_a, key_b);
    let(a, packet, sizeof packet);
    assert_true(comes(b, PATIENCE_MS, 1));
}

static void a_mac_is_that_of_the_published_cipher(void **state)
{
    (void)state;
    /* RFC 7693's keyed form with 16 bytes of output, as Python's hashlib.blake2s(b"abc", key=bytes(range(32)),
     * digest_size=16) gives it; the key of key_a is blake2s(b"mac1----" + key_a). */
    uint8_t key[32], mac[16], want[16], want_key[32];
    for (uint8_t i = 0; i < 32; i++) key[i] = i;
    packet_mac1(key, (const uint8_t *)"abc", 3, mac);
    assert_int_equal(hex_read(STR("61ba5f165c194692e09d12520cc4c74a"), want, 16).code, ERR_NONE);
    assert_memory_equal(mac, want, 16);
    packet_mac1_key(key_a, key);
    assert_int_equal(
        hex_read(STR("9801867f11f0fe21befdbabdeab85443d94d765c80155883497e8e7c409cec9b"), want_key, 32).code,
        ERR_NONE);
    assert_memory_equal(key, want_key, 32);
}

static void a_packet_is_told_by_its_shape(void **state)
{
    (void)state;
    uint8_t p[200] = { 1 };
    assert_int_equal(packet_kind(p, 148), PACKET_INITIATION);
    assert_int_equal(packet_kind(p, 147), PACKET_NONE);
    p[0] = 2;
    assert_int_equal(packet_kind(p, 92), PACKET_RESPONSE);
    assert_int_equal(packet_kind(p, 148), PACKET_NONE);
    p[0] = 3;
    assert_int_equal(packet_kind(p, 64), PACKET_COOKIE);
    p[0] = 4;
    assert_int_equal(packet_kind(p, 32), PACKET_DATA);
    assert_int_equal(packet_kind(p, 31), PACKET_NONE);
    p[2] = 1;
    assert_int_equal(packet_kind(p, 64), PACKET_NONE);
    p[2] = 0;
    for (unsigned type = 0; type < 256; type++) {
        p[0] = (uint8_t)type;
        if (type != 4) assert_int_equal(packet_kind(p, 200), PACKET_NONE);
    }
}

static void a_pair_that_shook_hands_is_carried_both_ways(void **state)
{
    (void)state;
    uint8_t packet[64];
    pair_open_with(0, "127.0.0.2:1", "127.0.0.3:1");
    int a = host_at("127.0.0.2", false, 0), b = host_at("127.0.0.3", true, 0);
    shake_hands(a, b, 11, 22);
    /* What was sent is counted a little after it went. */
    nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
    uint64_t before = relay_counts(relay).bytes;
    let(a, packet, data(packet, 22));
    assert_true(comes(b, PATIENCE_MS, 4));
    let(b, packet, data(packet, 11));
    assert_true(comes(a, PATIENCE_MS, 4));
    nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
    assert_int_equal(relay_counts(relay).bytes, before + 128);
    close(a);
    close(b);
    pair_end(0);
}

static void a_stranger_gets_nothing_through(void **state)
{
    (void)state;
    uint8_t hello[PACKET_INITIATION_BYTES], packet[64];
    pair_open_with(1, "127.0.0.2:1", "127.0.0.3:1");
    int a = host_at("127.0.0.2", false, 1), b = host_at("127.0.0.3", true, 1),
        far = host_at("127.0.0.9", false, 1), near = host_at("127.0.0.2", false, 1);
    shake_hands(a, b, 11, 22);
    uint64_t refused = relay_counts(relay).strangers;

    initiation(hello, 33, key_b); /* the right key, from a wrong address */
    let(far, hello, sizeof hello);
    assert_false(comes(b, QUIET_MS, 1));
    initiation(hello, 33, stranger_key); /* the right address, for another key */
    let(near, hello, sizeof hello);
    assert_false(comes(b, QUIET_MS, 1));
    initiation(hello, 33, key_b);
    hello[140] ^= 1; /* mac2 is not for us */
    hello[30] ^= 1;  /* this is */
    let(near, hello, sizeof hello);
    assert_false(comes(b, QUIET_MS, 1));
    let(near, packet, data(packet, 23)); /* an index that b never gave */
    assert_false(comes(b, QUIET_MS, 4));
    let(a, (const uint8_t *)"GET / HTTP/1.1\r\n\r\nanything but WireGuard", 40);
    assert_false(comes(b, QUIET_MS, 'G'));
    assert_int_equal(relay_counts(relay).strangers, refused + 5);

    let(a, packet, data(packet, 22)); /* and the pair goes on */
    assert_true(comes(b, PATIENCE_MS, 4));
    close(a);
    close(b);
    close(far);
    close(near);
    pair_end(1);
}

static void nobody_is_known_before_the_meeting_point_saw_him(void **state)
{
    (void)state;
    uint8_t hello[PACKET_INITIATION_BYTES];
    pair_open_with(2, "", "127.0.0.3:1");
    int a = host_at("127.0.0.2", false, 2), b = host_at("127.0.0.3", true, 2);
    initiation(hello, 22, key_a);
    let(b, hello, sizeof hello);
    initiation(hello, 11, key_b);
    let(a, hello, sizeof hello);
    assert_false(comes(b, QUIET_MS, 1));
    relay_set_seen(relay, 2, false, "127.0.0.2:9");
    nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
    let(a, hello, sizeof hello);
    assert_true(comes(b, PATIENCE_MS, 1));

    relay_set_seen(relay, 2, false, "127.0.0.8:9"); /* it has moved */
    nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
    let(a, hello, sizeof hello);
    assert_false(comes(b, QUIET_MS, 1));
    close(a);
    close(b);
    pair_end(2);
}

static void another_port_of_the_same_address_is_believed_for_an_index_given_out(void **state)
{
    (void)state;
    uint8_t packet[64];
    pair_open_with(3, "127.0.0.2:1", "127.0.0.3:1");
    int a = host_at("127.0.0.2", false, 3), b = host_at("127.0.0.3", true, 3),
        moved = host_at("127.0.0.2", false, 3);
    shake_hands(a, b, 11, 22);
    let(moved, packet, data(packet, 22));
    assert_true(comes(b, PATIENCE_MS, 4));
    let(b, packet, data(packet, 11));
    assert_true(comes(moved, PATIENCE_MS, 4));
    assert_false(comes(a, QUIET_MS, 4));
    close(a);
    close(b);
    close(moved);
    pair_end(3);
}

static void a_node_that_moved_goes_on_with_its_session_where_it_is_seen_now(void **state)
{
    (void)state;
    uint8_t packet[64];
    pair_open_with(3, "127.0.0.2:1", "127.0.0.3:1");
    int a = host_at("127.0.0.2", false, 3), b = host_at("127.0.0.3", true, 3),
        moved = host_at("127.0.0.8", false, 3);
    shake_hands(a, b, 11, 22);
    let(moved, packet, data(packet, 22));
    assert_false(comes(b, QUIET_MS, 4)); /* not before it was seen there */
    relay_set_seen(relay, 3, false, "127.0.0.8:9");
    nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
    let(b, packet, data(packet, 11));
    assert_false(comes(a, QUIET_MS, 4)); /* nothing goes to where it was */
    let(moved, packet, data(packet, 23));
    assert_false(comes(b, QUIET_MS, 4));
    let(moved, packet, data(packet, 22));
    assert_true(comes(b, PATIENCE_MS, 4));
    let(b, packet, data(packet, 11));
    assert_true(comes(moved, PATIENCE_MS, 4));
    close(a);
    close(b);
    close(moved);
    pair_end(3);
}

static void a_slot_is_used_again_with_other_keys(void **state)
{
    (void)state;
    uint8_t hello[PACKET_INITIATION_BYTES];
    pair_open_with(0, "127.0.0.2:1", "127.0.0.3:1");
    relay_drop_pair(relay, 0);
    assert_int_equal(relay_set_pair(relay, 0, stranger_key, key_b).code, ERR_NONE);
    relay_set_seen(relay, 0, false, "127.0.0.2:1");
    relay_set_seen(relay, 0, true, "127.0.0.3:1");
    nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
    int a = host_at("127.0.0.2", false, 0), b = host_at("127.0.0.3", true, 0);
    initiation(hello, 11, key_b);
    let(a, hello, sizeof hello);
    initiation(hello, 22, key_a);
    let(b, hello, sizeof hello);
    assert_false(comes(a, QUIET_MS, 1));
    initiation(hello, 22, stranger_key);
    let(b, hello, sizeof hello);
    assert_true(comes(a, PATIENCE_MS, 1));
    close(a);
    close(b);
    pair_end(0);
    assert_int_equal(relay_set_pair(relay, SLOTS, key_a, key_b).code, ERR_INVALID);
}

static void a_pair_whose_port_is_taken_is_served_once_it_is_free(void **state)
{
    (void)state;
    struct timespec    step  = { .tv_nsec = 1000000 };
    int                taken = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at    = { .sin_family = AF_INET, .sin_port = htons(base) };
    assert_int_equal(bind(taken, (void *)&at, sizeof at), 0);
    assert_int_equal(relay_set_pair(relay, 0, key_a, key_b).code, ERR_NONE);
    relay_set_seen(relay, 0, false, "127.0.0.2:1");
    relay_set_seen(relay, 0, true, "127.0.0.3:1");
    for (int i = 0; i < PATIENCE_MS && !relay_counts(relay).failed; i++) nanosleep(&step, NULL);
    assert_int_equal(relay_counts(relay).failed, 1);
    assert_int_equal(relay_counts(relay).pairs, 0);
    close(taken);
    for (int i = 0; i < 4 * PATIENCE_MS && relay_counts(relay).failed; i++) nanosleep(&step, NULL);
    assert_int_equal(relay_counts(relay).failed, 0);
    int a = host_at("127.0.0.2", false, 0), b = host_at("127.0.0.3", true, 0);
    shake_hands(a, b, 11, 22);
    close(a);
    close(b);
    pair_end(0);
}

static void a_restart_goes_on_with_what_was_known(void **state)
{
    (void)state;
    struct relay *whole = relay;
    uint16_t      kept  = base;
    uint8_t       packet[64];
    char          path[64];
    snprintf(path, sizeof path, "/tmp/ionet-relay-%ld", (long)getpid());
    struct relay_options o = {
        .address = "0.0.0.0", .port_base = base = (uint16_t)(base + 200), .slots = SLOTS, .keep_path = path
    };
    assert_int_equal(relay_open(&o, &relay).code, ERR_NONE);
    pair_open_with(2, "127.0.0.2:1", "127.0.0.3:1");
    int a = host_at("127.0.0.2", false, 2), b = host_at("127.0.0.3", true, 2);
    shake_hands(a, b, 11, 22);
    relay_close(relay);

    assert_int_equal(relay_open(&o, &relay).code, ERR_NONE);
    pair_open_with(2, "127.0.0.2:1", "127.0.0.3:1");
    let(a, packet, data(packet, 22));
    assert_true(comes(b, PATIENCE_MS, 4));
    let(b, packet, data(packet, 11));
    assert_true(comes(a, PATIENCE_MS, 4));
    relay_close(relay);

    assert_int_equal(relay_open(&o, &relay).code,
                     ERR_NONE); /* other keys in that slot: nothing is known of them */
    assert_int_equal(relay_set_pair(relay, 2, stranger_key, key_b).code, ERR_NONE);
    relay_set_seen(relay, 2, false, "127.0.0.2:1");
    relay_set_seen(relay, 2, true, "127.0.0.3:1");
    nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
    let(a, packet, data(packet, 22));
    assert_false(comes(b, QUIET_MS, 4));
    relay_close(relay);

    /* a has moved meanwhile: nothing goes to its old place, not after another restart either. */
    const char *const seen[] = { "127.0.0.4:1", "127.0.0.2:1" };
    for (size_t i = 0; i < countof(seen); i++) {
        assert_int_equal(relay_open(&o, &relay).code, ERR_NONE);
        pair_open_with(2, seen[i], "127.0.0.3:1");
        let(b, packet, data(packet, 11));
        assert_false(comes(a, QUIET_MS, 4));
        relay_close(relay);
    }
    close(a);
    close(b);
    unlink(path);
    relay = whole;
    base  = kept;
}

static void what_a_pair_may_not_is_dropped(void **state)
{
    (void)state;
    struct relay        *whole = relay;
    uint16_t             kept  = base;
    struct relay_options o     = {
            .address = "0.0.0.0", .port_base = base = (uint16_t)(base + 100), .slots = SLOTS, .pair_mbit_per_s = 1
    };
    assert_int_equal(relay_open(&o, &relay).code, ERR_NONE);
    pair_open_with(0, "127.0.0.2:1", "127.0.0.3:1");
    int     a = host_at("127.0.0.2", false, 0), b = host_at("127.0.0.3", true, 0);
    uint8_t big[1024];
    shake_hands(a, b, 11, 22);
    data(big, 22);
    uint64_t from_ms = sys_boot_now_ms();
    for (int i = 0; i < 4000; i++) {
        let(a, big, sizeof big);
        while (comes(b, 0, 4)) {}
    }
    /* At 1 Mbit/s, after the burst, 125 bytes a millisecond. */
    uint64_t            most   = 600000 + (sys_boot_now_ms() - from_ms) * 125;
    struct relay_counts counts = relay_counts(relay);
    assert_true(counts.slow > 0);
    assert_true(counts.bytes <= most);
    close(a);
    close(b);
    relay_close(relay);
    relay = whole;
    base  = kept;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mac_is_that_of_the_published_cipher),
        cmocka_unit_test(a_packet_is_told_by_its_shape),
        cmocka_unit_test(a_pair_that_shook_hands_is_carried_both_ways),
        cmocka_unit_test(a_stranger_gets_nothing_through),
        cmocka_unit_test(nobody_is_known_before_the_meeting_point_saw_him),
        cmocka_unit_test(another_port_of_the_same_address_is_believed_for_an_index_given_out),
        cmocka_unit_test(a_node_that_moved_goes_on_with_its_session_where_it_is_seen_now),
        cmocka_unit_test(a_slot_is_used_again_with_other_keys),
        cmocka_unit_test(a_pair_whose_port_is_taken_is_served_once_it_is_free),
        cmocka_unit_test(a_restart_goes_on_with_what_was_known),
        cmocka_unit_test(what_a_pair_may_not_is_dropped),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
