/* A splice whose peer's machine is gone, and one whose peer lives and does not read. Half a minute. */
#include "raw_int.h"
#include "world_int.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <netinet/tcp.h>

#define PATIENCE_MS 40000
#define BULK_BYTES 65536

struct pair {
    int      far;   /* of TCP: the peer's end */
    int      other; /* of the splice's other side */
    uint64_t over_ms;
};

static struct net *net;

static void on_over(void *ctx, uint64_t a_to_b, uint64_t b_to_a)
{
    struct pair *p = ctx;
    (void)a_to_b, (void)b_to_a;
    p->over_ms = net_now_ms(net);
}

static void tcp_pair(int out[2])
{
    struct sockaddr_in at       = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t          size     = sizeof at;
    int                listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&at, size), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &size), 0);
    assert_int_equal(listen(listener, 1), 0);
    out[0] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(out[0], (struct sockaddr *)&at, size), 0);
    out[1] = accept(listener, NULL, NULL);
    assert_true(out[1] >= 0);
    close(listener);
}

static void splice_open(struct pair *p)
{
    static const struct net_raw_calls none = { 0 };
    struct net_raw                   *a, *b;
    int                               tcp[2], local[2];
    tcp_pair(tcp);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, local), 0);
    assert_int_equal(net_raw_adopt(net, tcp[0], &none, p, &a).code, ERR_NONE);
    assert_int_equal(net_raw_adopt(net, local[0], &none, p, &b).code, ERR_NONE);
    *p = (struct pair){ .far = tcp[1], .other = local[1] };
    (void)net_splice(a, b, on_over, p);
}

/* Nothing reaches it any more, and so it acknowledges nothing. */
static void vanish(const struct pair *p)
{
    struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog  program = { 1, &nothing };
    assert_int_equal(setsockopt(p->far, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program), 0);
}

static void say_much(const struct pair *p)
{
    static char bulk[BULK_BYTES];
    while (write(p->other, bulk, sizeof bulk) > 0) uv_run(net_uv_loop(net), UV_RUN_NOWAIT);
}

static void a_peer_that_is_gone_ends_the_splice_and_one_that_does_not_read_never_does(void **state)
{
    (void)state;
    struct pair gone, idle;
    assert_int_equal(net_open(&net).code, ERR_NONE);
    splice_open(&gone);
    splice_open(&idle);
    vanish(&gone);
    assert_int_equal(write(gone.other, "x", 1), 1);
    say_much(&idle);
    uint64_t from_ms = net_now_ms(net);
    while (!gone.over_ms && net_now_ms(net) - from_ms < PATIENCE_MS) uv_run(net_uv_loop(net), UV_RUN_ONCE);
    printf("that it is gone was seen after %llu ms\n", (unsigned long long)(gone.over_ms - from_ms));
    assert_in_range(gone.over_ms - from_ms, CONN_LOST_MS, PATIENCE_MS);
    assert_int_equal(idle.over_ms, 0);

    char     bytes[BULK_BYTES];
    uint64_t got = 0; /* and it still can read */
    for (ssize_t n; got < 4 * BULK_BYTES && (n = read(idle.far, bytes, sizeof bytes)) > 0;) {
        got += (uint64_t)n;
        uv_run(net_uv_loop(net), UV_RUN_NOWAIT);
    }
    assert_true(got >= 4 * BULK_BYTES);
    close(idle.far);
    close(idle.other);
    close(gone.far);
    close(gone.other);
    while (!idle.over_ms) uv_run(net_uv_loop(net), UV_RUN_ONCE);
    net_stop(net);
    net_run(net);
    net_close(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_peer_that_is_gone_ends_the_splice_and_one_that_does_not_read_never_does),
    };
    return cmocka_run_group_tests_name("lost", tests, NULL, NULL);
}
