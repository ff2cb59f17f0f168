#include "gateway_int.h"
#include "sys/secret.h"
#include "sys/sys.h"

#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What a gateway was told outlives it: its parts without interfaces and without a network. */

#define PATIENCE_MS 6000
#define POOL_THREADS 4 /* libuv's, unless it is told otherwise */

static char            folder[64];
static struct net     *net;
static struct gateway *gateway;
static bool            is_over;

static void on_over(void *ctx, struct err why)
{
    (void)ctx, (void)why;
    is_over = true;
}

static void on_meet_over(void *ctx, struct err why)
{
    (void)why;
    ((struct gateway *)ctx)->meet_is_over = true;
}

static void on_seen(void *ctx)
{
    (void)ctx;
}

static int open_world(void **state)
{
    (void)state;
    static const struct meet_calls calls    = { .on_seen = on_seen, .on_over = on_meet_over };
    const uint8_t                  seed[32] = { 1 };
    struct relay_options           relay    = { .address = "127.0.0.1", .port_base = 40000, .slots = 1 };
    struct meet_options            meet     = { .slots = 1 };
    struct door_options            door     = { .listen = "127.0.0.1" };
    snprintf(folder, sizeof folder, "/tmp/ionet-keep-XXXXXX");
    if (!mkdtemp(folder) || net_open(&net).code) return -1;
    if (secret_alloc(sizeof *gateway, &gateway).code) return -1;
    gateway->net          = net;
    gateway->o.state_dir  = folder;
    gateway->on_over      = on_over;
    gateway->lock         = -1;
    gateway->keep.gateway = gateway;
    is_over               = false;
    if (gateway_path(gateway, "gateway.crt", gateway->cert_path).code) return -1;
    if (gateway_path(gateway, "gateway.key", gateway->key_path).code) return -1;
    pass_init(&gateway->pass, seed, sys_wall_now());
    if (relay_open(&relay, &gateway->relay).code) return -1;
    door.net       = net;
    door.pass      = &gateway->pass;
    door.cert_path = gateway->cert_path;
    door.key_path  = gateway->key_path;
    door_init(&door, &gateway->door);
    struct probes_options probes = {
        .net = net, .joins = door_joins(gateway->door), .domain = gateway->domain, .every_ms = GATEWAY_PROBE_MS
    };
    if (probes_open(&probes, &gateway->probes).code) return -1;
    meet.net   = net;
    meet.relay = gateway->relay;
    return meet_open(&meet, &calls, gateway, &gateway->meet).code != ERR_NONE;
}

static int close_world(void **state)
{
    (void)state;
    gateway_stop(gateway);
    probes_stop(gateway->probes); /* is_kept_revoked may have made some after the end */
    net_close(net);
    gateway_free(gateway);
    return sys_remove_tree(folder).code != ERR_NONE;
}

static void turn_until(const bool *happened)
{
    uint64_t by_ms = net_now_ms(net) + PATIENCE_MS;
    while (!*happened && net_now_ms(net) < by_ms) uv_run(net_uv_loop(net), UV_RUN_ONCE);
    assert_true(*happened);
}

static void tell_revoked(uint8_t cluster)
{
    static union link_message m;
    m                                  = (union link_message){ .gw_revoke = { .clusters_count = 1 } };
    m.gw_revoke.clusters[0].cluster.id = (struct id){ { cluster } };
    gateway_take(gateway, LINK_GW_REVOKE, &m, false);
}

static bool is_kept_revoked(uint8_t cluster)
{
    struct pass told            = gateway->pass;
    gateway->pass.revoked_count = 0;
    keep_load(gateway);
    bool is       = pass_is_revoked(&gateway->pass, (struct cluster_id){ { { cluster } } });
    gateway->pass = told;
    return is;
}

static void tell_replaced(uint8_t node)
{
    static union link_message m;
    m                            = (union link_message){ .gw_revoke = { .nodes_count = 1 } };
    m.gw_revoke.nodes[0].node.id = (struct id){ { node } };
    gateway_take(gateway, LINK_GW_REVOKE, &m, false);
}

static bool is_kept_replaced(uint8_t node)
{
    struct pass told             = gateway->pass;
    gateway->pass.replaced_count = 0;
    keep_load(gateway);
    bool is       = pass_is_replaced(&gateway->pass, (struct node_id){ { { node } } });
    gateway->pass = told;
    return is;
}

/* ---- a pool that is busy with other things ----------------------------------------------------------------------- */

static sem_t go_on;

static void block(uv_work_t *work)
{
    (void)work;
    while (sem_wait(&go_on) < 0) continue;
}

static void unblocked(uv_work_t *work, int status)
{
    (void)work, (void)status;
}

static void what_changes_while_it_is_being_written_is_kept_too(void **state)
{
    (void)state;
    uv_work_t busy[POOL_THREADS];
    assert_int_equal(sem_init(&go_on, 0, 0), 0);
    for (size_t i = 0; i < POOL_THREADS; i++)
        assert_int_equal(uv_queue_work(net_uv_loop(net), &busy[i], block, unblocked), 0);
    tell_revoked(1);
    turn_until(&gateway->keep.working);
    tell_revoked(2);
    gateway_stop(gateway);
    assert_false(is_over);
    for (size_t i = 0; i < POOL_THREADS; i++) sem_post(&go_on);
    turn_until(&is_over);
    assert_true(is_kept_revoked(1));
    assert_true(is_kept_revoked(2));
    assert_false(is_kept_revoked(3));
    for (int i = 0; i < 3; i++) uv_run(net_uv_loop(net), UV_RUN_NOWAIT);
    sem_destroy(&go_on);
}

static void what_is_told_just_before_the_end_is_kept(void **state)
{
    (void)state;
    tell_revoked(1);
    tell_replaced(2);
    gateway_stop(gateway);
    assert_true(is_over);
    assert_true(is_kept_revoked(1));
    assert_true(is_kept_replaced(2));
    assert_false(is_kept_replaced(1));
}

static void a_certificate_that_was_spoilt_does_not_keep_it_from_starting(void **state)
{
    (void)state;
    static union link_message m;
    m = (union link_message){ .gw_config = { .domain = "test.internal", .chain_pem = "spoilt" } };
    gateway_take(gateway, LINK_GW_CONFIG, &m, true);
    assert_false(gateway->stopping);
    gateway_take(gateway, LINK_GW_CONFIG, &m, false); /* what ionetd tells must do */
    assert_true(gateway->stopping);
    assert_int_not_equal(gateway->why.code, ERR_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_changes_while_it_is_being_written_is_kept_too, open_world,
                                        close_world),
        cmocka_unit_test_setup_teardown(what_is_told_just_before_the_end_is_kept, open_world, close_world),
        cmocka_unit_test_setup_teardown(a_certificate_that_was_spoilt_does_not_keep_it_from_starting,
                                        open_world, close_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
