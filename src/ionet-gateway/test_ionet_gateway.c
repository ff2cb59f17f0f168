#include "test_world_int.h"

#include "sys/secret_trial.h"

/* One story, told in order: each test goes on where the one before ended. */

/* ---- the story --------------------------------------------------------------------------------------------------------- */

static void a_gateway_enrols_with_its_token_and_says_where_it_is(void **state)
{
    (void)state;
    gateway_start(token_text);
    turn_until(far.is_up);
    assert_false(far.was_refused);
    assert_int_equal(far.hello.who, LINK_GATEWAY);
    assert_string_equal(far.hello.token, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    assert_string_equal(far.up.meets[0].endpoint_a, GATEWAY ":51820");
    assert_string_equal(far.up.meets[0].endpoint_b, GATEWAY ":51821");
    assert_string_equal(far.up.relay_host, GATEWAY);
    assert_int_equal(far.up.relay_port_base, RELAY_PORT);
    assert_int_equal(far.up.relay_slots, 16);
    assert_string_equal(far.up.tunnel, GATEWAY ":443");
    turn_until(log_has(" ready"));
}

static void it_sees_where_its_nodes_are_and_that_their_routers_are_symmetric(void **state)
{
    (void)state;
    struct gw_meet meet = { .reset = true, .nodes_count = 2 };
    host_make(&a, 'a', 1);
    host_make(&b, 'b', 2);
    memcpy(meet.nodes[0].key, a.key, 32);
    memcpy(meet.nodes[1].key, b.key, 32);
    meet.nodes[0].node = a.node;
    meet.nodes[1].node = b.node;
    send_frame(LINK_GW_MEET, &meet);
    turn_until(shell("wg show %s-m-a peers | grep -q . && wg show %s-m-b peers | grep -q .", prefix, prefix) ==
               0);
    host_meet(&a);
    host_meet(&b);
    uint64_t from_ms = now_ms();
    turn_until(a.seen_a[0] && a.seen_b[0] && b.seen_a[0] && b.seen_b[0]);
    printf("both were seen on both ports %llu ms after they were told\n",
           (unsigned long long)(now_ms() - from_ms));
    assert_memory_equal(a.seen_a, "198.51.100.11:", 14);
    assert_memory_equal(b.seen_a, "198.51.100.12:", 14);
    assert_string_not_equal(a.seen_a, a.seen_b);
    assert_string_not_equal(b.seen_a, b.seen_b);
}

static void it_relays_a_pair_that_can_not_reach_each_other(void **state)
{
    (void)state;
    struct gw_relay relay = { .reset = true, .pairs_count = 1, .pairs = { { .slot = 3 } } };
    /* Each by the other's own outside place: no router lets it in. */
    assert_int_equal(shell("wg set %s peer %s endpoint %s allowed-ips 10.99.0.2/32 persistent-keepalive 15",
                           a.wg, base64_of(b.key), b.seen_a),
                     0);
    assert_int_equal(shell("wg set %s peer %s endpoint %s allowed-ips 10.99.0.1/32 persistent-keepalive 15",
                           b.wg, base64_of(a.key), a.seen_a),
                     0);
    assert_int_not_equal(run_and_turn("ip netns exec %s-a ping -qc1 -W1 10.99.0.2 >/dev/null", prefix), 0);

    memcpy(relay.pairs[0].key_a, a.key, 32);
    memcpy(relay.pairs[0].key_b, b.key, 32);
    send_frame(LINK_GW_RELAY, &relay);
    assert_int_equal(run_and_turn("wg set %s peer %s remove; wg set %s peer %s remove; "
                                  "wg set %s peer %s endpoint " GATEWAY
                                  ":%d allowed-ips 10.99.0.2/32 persistent-keepalive 15; sleep 0.05; "
                                  "wg set %s peer %s endpoint " GATEWAY
                                  ":%d allowed-ips 10.99.0.1/32 persistent-keepalive 15",
                                  a.wg, base64_of(b.key), b.wg, base64_of(a.key), a.wg, base64_of(b.key),
                                  RELAY_PORT + 6, b.wg, base64_of(a.key), RELAY_PORT + 7),
                     0);
    uint64_t from_ms = now_ms();
    assert_int_equal(run_and_turn("ip netns exec %s-a ping -qc1 -W8 10.99.0.2 >/dev/null", prefix), 0);
    printf("the first packet was back by the relay after %llu ms\n", (unsigned long long)(now_ms() - from_ms));
    assert_int_equal(run_and_turn("ip netns exec %s-b ping -qc1 -W2 -s1300 10.99.0.1 >/dev/null", prefix), 0);
}

static void users_are_joined_to_tunnels(void **state)
{
    (void)state;
    enum { MIB = 64 };
    static char block[1 << 20];
    struct end  worker, user;
    join_up(&worker, &user);
    uint64_t from_ms = now_ms(), line = worker.got_bytes, sent = 0;
    while (user.got_bytes < (uint64_t)MIB << 20) {
        if (sent < MIB && net_raw_waiting(worker.raw) < sizeof block) {
            net_raw_send(worker.raw, (struct str){ block, sizeof block });
            sent++;
        }
        uv_run(net_uv_loop(net), UV_RUN_ONCE);
        assert_true(now_ms() - from_ms < 30000);
    }
    printf("%d MiB went through a join in %llu ms\n", MIB, (unsigned long long)(now_ms() - from_ms));
    net_raw_send(user.raw, STR("thanks"));
    turn_until(worker.got_bytes == line + 6);
    net_raw_close(user.raw);
    turn_until(worker.over && user.over);
}

/* As a worker does: another tunnel waits as soon as one was taken. */
static void serve_until_seen(uint64_t seen_ms)
{
    static const char opening[] = "{\"service\":\"client\",\"user\":\"network\",\"client\":\"\"}\n";
    struct end        worker    = { 0 };
    uint64_t          by_ms     = now_ms() + PATIENCE_MS;
    while (far.answered.seen_ms < seen_ms && now_ms() < by_ms) {
        if (!worker.raw) dial(&worker, "/.ionet/tunnel", TICKET_TUNNEL, "");
        uv_run(net_uv_loop(net), UV_RUN_ONCE);
        if (!strchr(worker.got, '\n')) continue;
        assert_string_equal(worker.got, opening);
        net_raw_send(worker.raw, STR("ok\n"));
        turn_until(worker.over);
        worker = (struct end){ 0 };
    }
    assert_true(far.answered.seen_ms >= seen_ms);
    assert_true(id_eq(far.answered.node.id, b.node.id));
    if (worker.raw) net_raw_close(worker.raw);
    turn_until(worker.over || !worker.raw);
}

static void it_sees_that_a_node_which_is_alone_serves(void **state)
{
    (void)state;
    struct gw_probe probe = { .nodes_count = 1, .nodes = { { .node = b.node, .cluster = cluster } } };
    memcpy(probe.nodes[0].service, "client", sizeof "client");
    send_frame(LINK_GW_PROBE, &probe);
    serve_until_seen(1500);
}

static void it_restarts_without_the_network_and_serves_as_before(void **state)
{
    (void)state;
    struct end worker, user;
    turn_until(shell("grep -q gw_relay %s/state/told && sleep 0.7", folder) == 0); /* it saves a little later */
    assert_int_equal(shell("grep -q gw_probe %s/state/told", folder), 0);
    uint16_t port = net_server_port(server);
    net_server_close(server);
    gateway_end(SIGKILL);
    assert_int_not_equal(run_and_turn("ip netns exec %s-a ping -qc1 -W1 10.99.0.2 >/dev/null", prefix), 0);

    shell(": > %s/gateway.log", folder);
    gateway_start(NULL);
    turn_until(log_has("meet.ready.*adopted=1"));
    uint64_t from_ms = now_ms(); /* their sessions go on: no handshake is needed */
    assert_int_equal(run_and_turn("ip netns exec %s-a ping -qc1 -W4 10.99.0.2 >/dev/null", prefix), 0);
    printf("the pair was back %llu ms after the restart\n", (unsigned long long)(now_ms() - from_ms));
    join_up(&worker, &user);
    net_raw_close(user.raw);
    turn_until(worker.over && user.over);

    a.seen_a[0] = b.seen_a[0] = 0;
    network_open(port);
    turn_until(far.is_up);
    assert_string_equal(far.hello.token, "");
    turn_until(a.seen_a[0] && b.seen_a[0]); /* it tells anew what it sees */
    turn_until(far.answered.seen_ms == 0);  /* and has not seen who is alone since it began */
    serve_until_seen(500);
}

/* Its own, of the meeting points, of its visitors; those of the meeting points also as wireguard-go is told them and
 * answers. That program, others', keeps them where it likes. */
__attribute__((unused)) static void its_keys_lie_in_locked_memory(void **state)
{
    static const char *const names[] = { "device.key", "meet-a.key", "meet-b.key", "cookie.key" };
    uint8_t                  keys[countof(names)][32];
    char                     path[128], letters[countof(names)][65];
    struct needle            needles[2 * countof(names)];
    (void)state;
    for (size_t i = 0; i < countof(names); i++) {
        snprintf(path, sizeof path, "%s/state/%s", folder, names[i]);
        assert_int_equal(sys_secret_file(path, keys[i]).code, ERR_NONE);
        struct text t = TEXT_IN(letters[i]);
        text_add_hex(&t, keys[i], sizeof keys[i]);
        needles[2 * i] = (struct needle){ names[i], { (const char *)keys[i], sizeof keys[i] } };
        needles[2 * i + 1] =
            (struct needle){ names[i], { letters[i] + 2, 60 } }; /* WireGuard sets bits at both ends */
    }
    struct found f = secrets_in(gateway_pid, needles, countof(needles));
    assert_int_equal(f.open, 0);
    assert_true(f.locked >= 4);
}

static void a_revoked_cluster_is_cut_and_stays_out_after_a_restart(void **state)
{
    (void)state;
    struct end       worker, user;
    struct gw_revoke r = { .clusters_count = 1, .clusters = { { cluster } } };
    join_up(&worker, &user);
    send_frame(LINK_GW_REVOKE, &r);
    turn_until(worker.over && user.over);
    dial(&user, "/.ionet/join?service=dashboard", TICKET_JOIN, "dashboard");
    turn_until(user.over);
    assert_string_equal(user.why, "status 403");
    turn_until(shell("grep -q gw_revoke %s/state/told", folder) == 0);
    gateway_end(SIGKILL);
    shell(": > %s/gateway.log", folder);
    far.is_up = false;
    gateway_start(NULL);
    turn_until(log_has("door.open"));
    dial(&user, "/.ionet/join?service=dashboard", TICKET_JOIN, "dashboard");
    turn_until(user.over);
    assert_string_equal(user.why, "status 403");
}

static void kill_point(char which)
{
    assert_int_equal(shell("kill $(sed -n s/^pid=//p %s/state/devices/%s-m-%c.device)", folder, prefix, which),
                     0);
}

static void a_meeting_point_that_dies_is_made_anew_with_its_nodes(void **state)
{
    (void)state;
    kill_point('a');
    turn_until(log_has("meet.lost"));
    turn_until(log_has("meet.ready device=[^ ]*-m-a .*adopted=0"));
    turn_until(shell("[ $(wg show %s-m-a peers | wc -l) = 2 ]", prefix) == 0);
}

static void one_that_can_not_be_made_anew_ends_the_gateway(void **state)
{
    (void)state;
    int status = 0;
    shell(": > %s/gateway.log", folder);
    gateway_start(NULL);
    turn_until(log_has("info ready"));
    assert_int_equal(shell("ln -sfn /bin/false %s/wireguard-go", folder), 0);
    kill_point('b');
    turn_until(waitpid(gateway_pid, &status, WNOHANG) != 0);
    gateway_pid = 0;
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    assert_int_not_equal(shell("ls /var/run/wireguard | grep -q '^%s-m-'", prefix), 0);
}

static void it_leaves_nothing_when_it_is_told_to_end(void **state)
{
    (void)state;
    turn_until(far.is_up && log_has(" ready"));
    int status = gateway_end(SIGTERM);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_not_equal(shell("ip link show %s-m-a >/dev/null 2>&1", prefix), 0);
    assert_int_not_equal(shell("ls /var/run/wireguard | grep -q '^%s-m-'", prefix), 0);
    assert_int_not_equal(shell("ls %s/state/devices | grep -q .", folder), 0);
}

static void what_can_not_work_is_said_at_once(void **state)
{
    (void)state;
    assert_int_equal(shell("%s --check --state_dir %s/state --host " GATEWAY " --wireguard_go " WIREGUARD_GO
                           " | grep -qx ok",
                           program, folder),
                     0);
    assert_int_equal(shell("%s --check --state_dir %s/other --host " GATEWAY
                           " 2>&1 | grep -q 'a join token is needed'",
                           program, folder),
                     0);
    assert_int_equal(shell("%s --check --state_dir %s/state --host " GATEWAY
                           " --relay_port 65000 2>&1 | grep -q 'do not fit'",
                           program, folder),
                     0);
    assert_int_equal(
        shell("%s --check --state_dir %s/state --host a.name 2>&1 | grep -q 'not a numeric address'", program,
              folder),
        0);
    assert_int_equal(
        shell("%s --port 70000 2>&1 | grep -q -- '--port: the number is out of its range'", program), 0);
    assert_int_equal(shell("printf 'host = 1.2.3.4\\nprot=1\\n' > %s/c && %s --config %s/c 2>&1 | grep -q "
                           "'c:2: there is no such option'",
                           folder, program, folder),
                     0);
    assert_int_equal(shell("%s --help | grep -q relay_slots", program), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gateway_enrols_with_its_token_and_says_where_it_is),
        cmocka_unit_test(it_sees_where_its_nodes_are_and_that_their_routers_are_symmetric),
        cmocka_unit_test(it_relays_a_pair_that_can_not_reach_each_other),
        cmocka_unit_test(users_are_joined_to_tunnels),
        cmocka_unit_test(it_sees_that_a_node_which_is_alone_serves),
        cmocka_unit_test(it_restarts_without_the_network_and_serves_as_before),
#if MEMORY_LOCKS
        cmocka_unit_test(its_keys_lie_in_locked_memory),
#endif
        cmocka_unit_test(a_revoked_cluster_is_cut_and_stays_out_after_a_restart),
        cmocka_unit_test(a_meeting_point_that_dies_is_made_anew_with_its_nodes),
        cmocka_unit_test(it_leaves_nothing_when_it_is_told_to_end),
        cmocka_unit_test(one_that_can_not_be_made_anew_ends_the_gateway),
        cmocka_unit_test(what_can_not_work_is_said_at_once),
    };
    if (argc != 1 || !find_program(argv[0])) return 1;
    return cmocka_run_group_tests(tests, open_world, close_world);
}
