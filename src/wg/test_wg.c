#include "crypto/crypto.h"
#include "sys/sys.h"
#include "wg_int.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* Real wireguard-go, real namespaces; needs root. All names carry our process's number. */

#define PROGRAM "build/tools/bin/wireguard-go"
#define PATIENCE_MS 15000

struct watch {
    struct wg_device *device;
    bool              ready, adopted, over, answered;
    uint16_t          port;
    struct err        why;
    size_t            peers;
    struct wg_seen    first;
};

static char        folder[64], space_a[64], space_b[64], path_a[96], path_b[96];
static struct net *net;

static int shell(const char *format, ...)
{
    char    command[1024];
    va_list list;
    va_start(list, format);
    vsnprintf(command, sizeof command, format, list);
    va_end(list);
    return system(command);
}

static int open_world(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/ionet-wg-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(space_a, sizeof space_a, "iw%ld-a", (long)getpid());
    snprintf(space_b, sizeof space_b, "iw%ld-b", (long)getpid());
    snprintf(path_a, sizeof path_a, "/var/run/netns/%s", space_a);
    snprintf(path_b, sizeof path_b, "/var/run/netns/%s", space_b);
    if (shell("ip netns add %s && ip netns add %s", space_a, space_b)) return -1;
    return net_open(&net).code != ERR_NONE;
}

static int close_world(void **state)
{
    (void)state;
    net_close(net);
    shell("ip netns del %s; ip netns del %s", space_a, space_b);
    return sys_remove_tree(folder).code != ERR_NONE;
}

/* ---- waiting: the loop runs until something happened ------------------------------------------------ */

static void turn_until(const bool *happened)
{
    uint64_t by_ms = net_now_ms(net) + PATIENCE_MS;
    while (!*happened && net_now_ms(net) < by_ms) uv_run(net_uv_loop(net), UV_RUN_ONCE);
    assert_true(*happened);
}

static void on_ready(void *ctx, struct wg_device *d, uint16_t port, bool adopted)
{
    struct watch *w = ctx;
    w->device       = d;
    w->port         = port;
    w->adopted      = adopted;
    w->ready        = true;
}

static void on_over(void *ctx, struct err why)
{
    struct watch *w = ctx;
    w->why          = why;
    w->over         = true;
}

static void on_done(void *ctx, struct err e)
{
    struct watch *w = ctx;
    w->why          = e;
    w->answered     = true;
}

static void on_seen(void *ctx, struct err e, const struct wg_seen *peers, size_t count)
{
    struct watch *w = ctx;
    w->why          = e;
    w->peers        = count;
    w->first        = count ? peers[0] : (struct wg_seen){ 0 };
    w->answered     = true;
}

static const struct wg_calls calls = { .on_ready = on_ready, .on_over = on_over };

static struct wg_options options(const char *suffix, const char *address, const char *netns, uint8_t seed)
{
    static char       names[4][WG_NAME_TEXT];
    static unsigned   at;
    char             *name = names[at++ % countof(names)];
    struct wg_options o    = { .program     = PROGRAM,
                               .dir         = folder,
                               .name        = name,
                               .mtu         = 1420,
                               .address     = address,
                               .netns       = netns,
                               .prefix_bits = 16 };
    snprintf(name, WG_NAME_TEXT, "iw%ld%s", (long)getpid(), suffix);
    memset(o.secret, seed, sizeof o.secret);
    return o;
}

static void make(const struct wg_options *o, struct watch *w)
{
    struct wg_device *d;
    *w = (struct watch){ 0 };
    assert_int_equal(wg_make(net, o, &calls, w, &d).code, ERR_NONE);
    w->device = d;
}

static void await_ready(struct watch *w)
{
    turn_until(&w->ready);
    assert_false(w->over);
}

static void remove_device(struct watch *w)
{
    wg_remove(w->device);
    turn_until(&w->over);
    assert_int_equal(w->why.code, ERR_NONE);
}

static void read_peers(struct watch *w)
{
    w->answered = false;
    wg_read_peers(w->device, on_seen, w);
    turn_until(&w->answered);
    assert_int_equal(w->why.code, ERR_NONE);
}

static bool interface_is_there(const char *space, const char *name)
{
    return (space ? shell("ip -n %s link show %s >/dev/null 2>&1", space, name)
                  : shell("ip link show %s >/dev/null 2>&1", name)) == 0;
}

static bool socket_is_there(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "/var/run/wireguard/%s.sock", name);
    return access(path, F_OK) == 0;
}

static size_t files_in_folder(void)
{
    size_t count = 0;
    DIR   *d     = opendir(folder);
    for (struct dirent *e; (e = readdir(d));) count += e->d_name[0] != '.';
    closedir(d);
    return count;
}

static void set_peer(struct watch *w, const struct wg_options *other, uint16_t port, const char *address,
                     uint16_t keepalive_s)
{
    struct wg_peer p = { .keepalive_s = keepalive_s };
    mesh_key_public(other->secret, p.key);
    if (port) snprintf(p.endpoint, sizeof p.endpoint, "127.0.0.1:%u", port);
    snprintf(p.address, sizeof p.address, "%s", address);
    w->answered = false;
    assert_int_equal(wg_set_peers(w->device, &p, 1, on_done, w).code, ERR_NONE);
    turn_until(&w->answered);
    assert_int_equal(w->why.code, ERR_NONE);
}

/* ---- devices ---------------------------------------------------------------------------------------------- */

static void a_device_is_made_in_its_namespace_and_leaves_nothing(void **state)
{
    (void)state;
    struct watch      w;
    struct wg_options o = options("m", "10.99.0.1", path_a, 1);
    make(&o, &w);
    await_ready(&w);
    assert_int_not_equal(w.port, 0);
    assert_false(w.adopted);
    assert_true(interface_is_there(space_a, o.name));
    assert_false(interface_is_there(NULL, o.name));
    assert_int_equal(shell("ip -n %s addr show %s | grep -q '10.99.0.1/16'", space_a, o.name), 0);
    assert_int_equal(shell("ip -n %s link show %s | grep -q 'mtu 1420'", space_a, o.name), 0);
    assert_true(socket_is_there(o.name));

    remove_device(&w);
    assert_false(interface_is_there(space_a, o.name));
    assert_false(socket_is_there(o.name));
    assert_int_equal(files_in_folder(), 0);
}

static void two_devices_find_each_other_and_carry_bytes(void **state)
{
    (void)state;
    struct watch      a, b;
    struct wg_options oa = options("a", "10.99.0.1", path_a, 1), ob = options("b", "10.99.0.2", path_b, 2);
    uint64_t          from_ms = net_now_ms(net);
    make(&oa, &a);
    make(&ob, &b);
    await_ready(&a);
    await_ready(&b);
    printf("two devices were ready after %llu ms\n", (unsigned long long)(net_now_ms(net) - from_ms));
    set_peer(&b, &oa, 0, "10.99.0.1", 0); /* b learns where a is from a's first packet */
    set_peer(&a, &ob, b.port, "10.99.0.2", 0);
    assert_int_equal(shell("ip netns exec %s ping -qc1 -W4 10.99.0.2 >/dev/null", space_a), 0);
    printf("and had carried a packet after %llu ms\n", (unsigned long long)(net_now_ms(net) - from_ms));

    read_peers(&b);
    char place[WG_PLACE_TEXT];
    snprintf(place, sizeof place, "127.0.0.1:%u", a.port);
    assert_int_equal(b.peers, 1);
    assert_string_equal(b.first.endpoint, place);
    assert_true(b.first.rx_bytes > 0 && b.first.tx_bytes > 0);
    assert_true(b.first.handshake_ms + 60000 > (uint64_t)sys_wall_now().ms);

    struct wg_peer gone = { .gone = true };
    memcpy(gone.key, b.first.key, sizeof gone.key);
    assert_int_equal(wg_set_peers(b.device, &gone, 1, NULL, NULL).code, ERR_NONE);
    read_peers(&b);
    assert_int_equal(b.peers, 0);
    assert_int_not_equal(shell("ip netns exec %s ping -qc1 -W1 10.99.0.2 >/dev/null", space_a), 0);
    remove_device(&a);
    remove_device(&b);
}

/* A supplier can send from any address (IP_TRANSPARENT; his tenant can't): what comes through a peer's tunnel is his own
 * address's, or is not heard. */
static void a_peer_speaks_for_its_own_address_alone(void **state)
{
    (void)state;
    struct watch      a, b;
    struct wg_options oa = options("a", "10.99.0.1", path_a, 1), ob = options("b", "10.99.0.2", path_b, 2);
    make(&oa, &a);
    make(&ob, &b);
    await_ready(&a);
    await_ready(&b);
    set_peer(&b, &oa, 0, "10.99.0.1", 0);
    set_peer(&a, &ob, b.port, "10.99.0.2", 0);
    assert_int_equal(shell("ip netns exec %s ping -qc1 -W4 10.99.0.2 >/dev/null", space_a), 0);
    assert_int_equal(
        shell(
            "ip netns exec %s python3 -c 'import socket, sys; s = socket.socket(2, 2); s.bind((\"10.99.0.2\", "
            "700)); s.settimeout(10)\nwhile True:\n  data, who = s.recvfrom(9); print(who[0], flush=True)\n"
            "  if data == b\"last\": break' >%s/heard & sleep 0.5",
            space_b, folder),
        0);
    static const char *const from[] = { "10.99.0.9", "10.99.0.2", "192.168.0.1", "10.99.0.1" };
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(
            shell(
                "ip netns exec %s python3 -c 'import socket; s = socket.socket(2, 2); s.setsockopt(0, 19, 1); "
                "s.bind((\"%s\", 0)); s.sendto(b\"%s\", (\"10.99.0.2\", 700))'",
                space_a, from[i], i == 3 ? "last" : "x"),
            0);
    assert_int_equal(shell("for i in $(seq 50); do test -s %s/heard && break; sleep 0.1; done; "
                           "test \"$(cat %s/heard)\" = 10.99.0.1; code=$?; rm %s/heard; exit $code",
                           folder, folder, folder),
                     0);
    remove_device(&a);
    remove_device(&b);
}

static void an_address_moves_to_another_peer(void **state)
{
    (void)state;
    struct watch      a, b, c;
    struct wg_options oa = options("a", "10.99.0.1", path_a, 1), ob = options("b", "10.99.0.2", path_b, 2),
                      oc = options("c", "10.99.0.2", NULL, 3);
    make(&oa, &a);
    make(&ob, &b);
    oc.address = NULL; /* it holds the key and nothing behind it */
    make(&oc, &c);
    await_ready(&a);
    await_ready(&b);
    await_ready(&c);
    set_peer(&b, &oa, 0, "10.99.0.1", 0);
    set_peer(&a, &oc, c.port, "10.99.0.2", 0);
    assert_int_not_equal(shell("ip netns exec %s ping -qc1 -W1 10.99.0.2 >/dev/null", space_a), 0);
    set_peer(&a, &ob, b.port, "10.99.0.2", 0);
    assert_int_equal(shell("ip netns exec %s ping -qc1 -W4 10.99.0.2 >/dev/null", space_a), 0);
    remove_device(&a);
    remove_device(&b);
    remove_device(&c);
}

static void a_handshake_that_came_too_early_is_soon_begun_anew(void **state)
{
    (void)state;
    struct watch      a, b;
    struct wg_options oa = options("a", "10.99.0.1", path_a, 1), ob = options("b", "10.99.0.2", path_b, 2);
    make(&oa, &a);
    make(&ob, &b);
    await_ready(&a);
    await_ready(&b);
    struct wg_peer p = { .address = "10.99.0.2", .keepalive_s = 25, .insist_ms = 100 };
    mesh_key_public(ob.secret, p.key);
    snprintf(p.endpoint, sizeof p.endpoint, "127.0.0.1:%u", b.port);
    assert_int_equal(wg_set_peers(a.device, &p, 1, NULL, NULL).code, ERR_NONE);
    for (int i = 0; i < 5; i++) read_peers(&a); /* b does not know a: nothing comes back */
    assert_int_equal(a.first.handshake_ms, 0);
    uint64_t from_ms = net_now_ms(net);
    set_peer(&b, &oa, 0, "10.99.0.1", 0);
    while (!a.first.handshake_ms && net_now_ms(net) - from_ms < 3000) read_peers(&a);
    assert_int_not_equal(a.first.handshake_ms, 0);
    printf("a handshake too early came to its end %llu ms later\n",
           (unsigned long long)(net_now_ms(net) - from_ms));
    assert_int_equal(shell("ip netns exec %s ping -qc1 -W1 10.99.0.2 >/dev/null", space_a), 0);
    remove_device(&a);
    remove_device(&b);
}

static void a_device_that_was_left_is_adopted_with_its_peers(void **state)
{
    (void)state;
    struct watch      w, other;
    struct wg_options o = options("l", "10.99.0.1", path_a, 1), key = options("k", NULL, NULL, 9);
    make(&o, &w);
    await_ready(&w);
    set_peer(&w, &key, 4711, "10.99.0.9", 0);
    uint16_t port = w.port;
    wg_leave(w.device);
    turn_until(&w.over);
    assert_true(interface_is_there(space_a, o.name));

    make(&o, &w);
    await_ready(&w);
    assert_true(w.adopted);
    assert_int_equal(w.port, port);
    read_peers(&w);
    assert_int_equal(w.peers, 1);
    wg_leave(w.device);
    turn_until(&w.over);

    o.mtu = 1380; /* another device by the same name: the old one has to go */
    make(&o, &other);
    await_ready(&other);
    assert_false(other.adopted);
    read_peers(&other);
    assert_int_equal(other.peers, 0);
    remove_device(&other);
    assert_int_equal(files_in_folder(), 0);
}

static void a_killed_process_is_noticed_and_cleared_away(void **state)
{
    (void)state;
    struct watch      w;
    struct wg_memo    memo;
    struct wg_options o = options("x", "10.99.0.1", path_a, 1);
    make(&o, &w);
    await_ready(&w);
    assert_int_equal(memo_read(folder, o.name, &memo).code, ERR_NONE);
    kill(memo.pid, SIGKILL);
    turn_until(&w.over);
    assert_int_equal(w.why.code, ERR_IO);
    assert_false(interface_is_there(space_a, o.name));
    assert_false(socket_is_there(o.name));
    assert_int_equal(files_in_folder(), 0);
}

/* Its worker goes, and the device runs on. */
static void make_and_leave(const struct wg_options *o, struct watch *w, struct wg_memo *memo)
{
    make(o, w);
    await_ready(w);
    assert_int_equal(memo_read(folder, o->name, memo).code, ERR_NONE);
    wg_leave(w->device);
    turn_until(&w->over);
}

static void one_that_died_while_nobody_looked_is_made_anew(void **state)
{
    (void)state;
    struct watch      w;
    struct wg_memo    memo;
    struct wg_options o = options("y", "10.99.0.1", path_a, 1);
    make_and_leave(&o, &w, &memo);
    kill(memo.pid, SIGKILL);
    while (process_is_alive(memo.pid, memo.start_time)) usleep(1000);
    make(&o, &w);
    await_ready(&w);
    assert_false(w.adopted);
    remove_device(&w);
}

/* The signal only asks for it: each thread goes on until it hears of it. */
static void stop(pid_t pid)
{
    kill(pid, SIGSTOP);
    while (shell("cat /proc/%d/task/*/stat | grep -qv '^[0-9]* ([^)]*) T'", (int)pid) == 0) usleep(1000);
}

static void one_that_does_not_answer_is_made_anew(void **state)
{
    (void)state;
    struct watch      w;
    struct wg_memo    memo;
    struct wg_options o = options("s", "10.99.0.1", path_a, 1);
    make_and_leave(&o, &w, &memo);
    stop(memo.pid);
    make(&o, &w);
    await_ready(&w);
    assert_false(w.adopted);
    assert_false(process_is_alive(memo.pid, memo.start_time));
    remove_device(&w);
}

static void a_file_that_is_not_understood_is_in_nobodys_way(void **state)
{
    (void)state;
    static const char *const files[] = { "no line", "pid=none\n",
                                         "from=longer-than-any-that-was-written-by-us\n" };
    struct watch             w;
    struct wg_options        o = options("z", "10.99.0.1", path_a, 1);
    char                     path[128];
    snprintf(path, sizeof path, "%s/%s.device", folder, o.name);
    for (size_t i = 0; i < countof(files); i++) {
        assert_int_equal(sys_write_file(path, str_from(files[i]), 0600).code, ERR_NONE);
        assert_int_equal(wg_sweep(folder, NULL, NULL).code, ERR_NONE);
        assert_int_equal(files_in_folder(), 0);
    }
    assert_int_equal(sys_write_file(path, str_from(files[1]), 0600).code, ERR_NONE);
    make(&o, &w);
    await_ready(&w);
    remove_device(&w);
    assert_int_equal(files_in_folder(), 0);
}

/* An interface of another kind stands in for the kernel's: it is removed by its name. */
static void a_kernels_device_half_made_is_swept_from_where_it_is(void **state)
{
    (void)state;
    struct wg_options o = options("h", "10.99.0.1", path_a, 1);
    struct wg_memo    m = { .kind = WG_KERNEL, .from = "something" };
    snprintf(m.netns, sizeof m.netns, "%s", path_a);
    for (int moved = 0; moved < 2; moved++) {
        assert_int_equal(shell("ip tuntap add mode tun name %s", o.name), 0);
        if (moved) assert_int_equal(shell("ip link set %s netns %s", o.name, space_a), 0);
        assert_int_equal(memo_write(folder, o.name, &m).code, ERR_NONE);
        assert_int_equal(wg_sweep(folder, NULL, NULL).code, ERR_NONE);
        assert_false(interface_is_there(NULL, o.name));
        assert_false(interface_is_there(space_a, o.name));
        assert_int_equal(files_in_folder(), 0);
    }
}

static bool wants_the_first(void *ctx, struct str name)
{
    return str_eq(name, str_from(ctx));
}

static void a_sweep_removes_what_nobody_wants(void **state)
{
    (void)state;
    struct watch      a, b;
    struct wg_options oa = options("a", "10.99.0.1", path_a, 1), ob = options("b", "10.99.0.2", path_b, 2);
    make(&oa, &a);
    make(&ob, &b);
    await_ready(&a);
    await_ready(&b);
    wg_leave(a.device);
    wg_leave(b.device);
    turn_until(&a.over);
    turn_until(&b.over);
    assert_int_equal(wg_sweep(folder, wants_the_first, (void *)oa.name).code, ERR_NONE);
    assert_true(interface_is_there(space_a, oa.name));
    assert_false(interface_is_there(space_b, ob.name));
    assert_int_equal(wg_sweep(folder, NULL, NULL).code, ERR_NONE);
    assert_false(interface_is_there(space_a, oa.name));
    assert_false(socket_is_there(oa.name));
    assert_int_equal(files_in_folder(), 0);
}

static void what_can_not_be_made_says_why_and_leaves_nothing(void **state)
{
    (void)state;
    struct watch      w;
    struct wg_options o = options("n", "10.99.0.1", "/var/run/netns/there-is-none", 1);
    make(&o, &w);
    turn_until(&w.over);
    assert_int_equal(w.why.code, ERR_MISSING);
    assert_false(w.ready);
    assert_false(interface_is_there(NULL, o.name));

    o         = options("n", "10.99.0.1", path_a, 1);
    o.program = "there-is-no-wireguard";
    make(&o, &w);
    turn_until(&w.over);
    assert_int_equal(w.why.code, ERR_MISSING);
    assert_false(socket_is_there(o.name));
    assert_int_equal(files_in_folder(), 0);

    struct wg_device *none;
    o.name = "a-name-of-17-long";
    assert_int_equal(wg_make(net, &o, &calls, &w, &none).code, ERR_INVALID);
    o.name = "up/down";
    assert_int_equal(wg_make(net, &o, &calls, &w, &none).code, ERR_INVALID);
}

static void asks_wait_until_it_is_ready_and_texts_are_checked_before(void **state)
{
    (void)state;
    struct watch      w;
    struct wg_options o = options("q", "10.99.0.1", path_a, 1);
    struct wg_peer    p = { .key = { 9 }, .endpoint = "127.0.0.1:4711", .address = "10.99.0.9" };
    make(&o, &w);
    assert_int_equal(wg_set_peers(w.device, &p, 1, NULL, NULL).code, ERR_NONE);
    read_peers(&w);
    assert_true(w.ready);
    assert_int_equal(w.peers, 1);
    assert_string_equal(w.first.endpoint, "127.0.0.1:4711");

    static const char *const bad_places[] = { "127.0.0.1", "127.0.0.1:0",   "127.0.0.1:70000",       "host:1",
                                              "::1:5",     "[127.0.0.1]:5", "1.1.1.1:5\nremove=true" };
    for (size_t i = 0; i < countof(bad_places); i++) {
        snprintf(p.endpoint, sizeof p.endpoint, "%s", bad_places[i]);
        assert_int_equal(wg_set_peers(w.device, &p, 1, NULL, NULL).code, ERR_INVALID);
    }
    snprintf(p.endpoint, sizeof p.endpoint, "[2001:db8::1]:5");
    assert_int_equal(wg_set_peers(w.device, &p, 1, NULL, NULL).code, ERR_NONE);
    snprintf(p.address, sizeof p.address, "10.99.0.9/8");
    assert_int_equal(wg_set_peers(w.device, &p, 1, NULL, NULL).code, ERR_INVALID);
    remove_device(&w);
}

static void two_thousand_peers_are_taken_and_told(void **state)
{
    (void)state;
    enum { MANY = 2500 };
    struct watch      w;
    struct wg_options o     = options("p", "10.99.0.1", path_a, 1);
    struct wg_peer   *peers = wg_alloc(MANY * sizeof *peers);
    make(&o, &w);
    await_ready(&w);
    for (unsigned i = 0; i < MANY; i++) {
        memcpy(peers[i].key, &i, sizeof i);
        peers[i].key[31] = 1;
        snprintf(peers[i].endpoint, sizeof peers[i].endpoint, "127.0.0.1:%u", 1000 + i);
        snprintf(peers[i].address, sizeof peers[i].address, "10.99.%u.%u", 1 + i / 250, i % 250);
    }
    uint64_t from_ms = net_now_ms(net);
    assert_int_equal(wg_set_peers(w.device, peers, MANY, NULL, NULL).code, ERR_NONE);
    read_peers(&w);
    printf("%d peers were set and read in %llu ms\n", MANY, (unsigned long long)(net_now_ms(net) - from_ms));
    assert_int_equal(w.peers, MANY);
    from_ms = net_now_ms(net); /* as a worker does now and then while they are peers */
    read_peers(&w);
    printf("and read again in %llu ms\n", (unsigned long long)(net_now_ms(net) - from_ms));
    assert_int_equal(w.peers, MANY);
    free(peers);
    remove_device(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_is_made_in_its_namespace_and_leaves_nothing),
        cmocka_unit_test(two_devices_find_each_other_and_carry_bytes),
        cmocka_unit_test(a_peer_speaks_for_its_own_address_alone),
        cmocka_unit_test(an_address_moves_to_another_peer),
        cmocka_unit_test(a_handshake_that_came_too_early_is_soon_begun_anew),
        cmocka_unit_test(a_device_that_was_left_is_adopted_with_its_peers),
        cmocka_unit_test(a_killed_process_is_noticed_and_cleared_away),
        cmocka_unit_test(one_that_died_while_nobody_looked_is_made_anew),
        cmocka_unit_test(one_that_does_not_answer_is_made_anew),
        cmocka_unit_test(a_file_that_is_not_understood_is_in_nobodys_way),
        cmocka_unit_test(a_kernels_device_half_made_is_swept_from_where_it_is),
        cmocka_unit_test(a_sweep_removes_what_nobody_wants),
        cmocka_unit_test(what_can_not_be_made_says_why_and_leaves_nothing),
        cmocka_unit_test(asks_wait_until_it_is_ready_and_texts_are_checked_before),
        cmocka_unit_test(two_thousand_peers_are_taken_and_told),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
