#include "with_node_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* ---- what is read of the device ---------------------------------------------------------------------------- */

static uint64_t rx_bytes, tx_bytes;
static bool     poked; /* in that second */

/* A second later: so much went to peer a, and so much came from it. */
static void pass(uint64_t sent, uint64_t heard)
{
    struct worker_peer_seen seen = { .handshake_ms = now };
    struct worker_input     in   = input(IN_PEERS);
    tick_after(WORKER_WATCH_MS + 1);
    assert_true(does(ACT_READ_PEERS));
    poked = does(ACT_POKE_MEETS);
    tx_bytes += sent;
    rx_bytes += heard;
    memset(seen.key, 'a', MESH_KEY_BYTES);
    strcpy(seen.endpoint, "198.51.100.97:4000");
    seen.rx_bytes  = rx_bytes;
    seen.tx_bytes  = tx_bytes;
    in.peers       = &seen;
    in.peers_count = 1;
    step(in);
    poked = poked || does(ACT_POKE_MEETS);
}

/* Peer a, reached so, and spoken with. */
static void speak_with_one(enum mesh_via via)
{
    struct mesh_map m = new_map(true);
    rx_bytes = tx_bytes = 0;
    add(&m, 'a', via, 0);
    tell(&m);
    pass(1000, 1000);
    pass(1000, 1000);
    assert_false(poked);
}

static void who_is_spoken_to_and_not_heard_makes_us_show_where_we_are(void **state)
{
    (void)state;
    speak_with_one(MESH_RELAY);
    pass(1000, 0);
    assert_false(poked);
    pass(1000, 32);
    pass(1000, 0);
    assert_false(poked); /* not in a row */
    pass(1000, 0);
    assert_true(poked);
    pass(1000, 0);
    pass(1000, 0);
    assert_false(poked); /* not so soon again */
    pass(1000, 0);
    assert_true(poked);
}

/* It may be the other one that has moved, and hears nothing that would make it speak. */
static void who_is_not_heard_is_told_of_and_asked_to_show_where_it_is(void **state)
{
    (void)state;
    struct mesh_map asked = new_map(false);
    speak_with_one(MESH_RELAY);
    pass(1000, 0);
    assert_string_equal(done(), "");
    pass(1000, 0);
    assert_string_equal(done(), "unheard a");
    pass(1000, 0);
    assert_string_equal(done(), "");
    pass(1000, 0);
    assert_string_equal(done(), "unheard a"); /* and then more and more seldom */
    pass(1000, 1000);

    tick_after(WORKER_POKE_MS); /* for those it missed */
    tick_after(WORKER_POKE_MS);
    add(&asked, 'a', MESH_RELAY, 0);
    asked.peers[0].unheard = true;
    tell(&asked);
    assert_string_equal(done(), "poke a");
    assert_true(does(ACT_POKE_MEETS));
    tick_after(WORKER_POKE_MS);
    assert_false(does(ACT_POKE_MEETS));
    asked.peers[0].unheard = false;
    tell(&asked);
    assert_string_equal(done(), "");
}

static void a_link_that_was_cut_makes_us_show_where_we_are(void **state)
{
    (void)state;
    speak_with_one(MESH_DIRECT);
    step(input(IN_LINK_DOWN));
    tick_after(WORKER_POKE_MS);
    assert_false(does(ACT_POKE_MEETS));
    step(input(IN_LINK_UP));
    assert_true(does(ACT_POKE_MEETS));
}

/* Empty packets, which need no answer, keep an idle pair's routers awake: one side may send all of them. */
static void a_pair_that_is_idle_is_not_suspected(void **state)
{
    (void)state;
    speak_with_one(MESH_DIRECT);
    for (uint64_t ms = 0; ms < 3 * WORKER_OWED_MS; ms += WORKER_WATCH_MS) {
        pass(ms % 15000 == 0 ? 32 : 0, 0);
        assert_false(poked);
        assert_string_equal(done(), "");
    }
}

static void a_direct_peer_that_answers_no_more_is_told_of_and_again_only_after_it_was_heard(void **state)
{
    (void)state;
    speak_with_one(MESH_DIRECT);
    pass(1000, 0);
    for (uint64_t ms = WORKER_WATCH_MS; ms + 2 * WORKER_WATCH_MS < WORKER_OWED_MS; ms += WORKER_WATCH_MS) {
        pass(0, 0);
        assert_false(does(ACT_SEND_SILENT));
    }
    pass(0, 0);
    pass(0, 0);
    assert_true(does(ACT_SEND_SILENT));
    for (int i = 0; i < 40; i++) {
        pass(1000, 0);
        assert_false(does(ACT_SEND_SILENT));
    }
    pass(1000, 1000);
    for (uint64_t ms = 0; ms < WORKER_OWED_MS; ms += WORKER_WATCH_MS) pass(1000, 0);
    assert_true(does(ACT_SEND_SILENT));
}

static void a_sleep_of_the_machine_is_no_silence_of_its_peers(void **state)
{
    (void)state;
    speak_with_one(MESH_DIRECT);
    pass(1000, 0);
    now += 60000;
    pass(0, 0);
    assert_string_equal(done(), "");
}

/* ---- a relayed peer is tried ----------------------------------------------------------------------------------- */

static void reached(char letter)
{
    struct worker_input in = input(IN_REACHED);
    memset(in.key, letter, sizeof in.key);
    step(in);
}

static struct mesh_map map_of_one(enum mesh_via via, const char *endpoint, const char *direct)
{
    struct mesh_map m = new_map(false);
    add(&m, 'a', via, 0);
    strcpy(m.peers[0].endpoint, endpoint);
    strcpy(m.peers[0].direct, direct);
    return m;
}

#define AT_RELAY "203.0.113.2:40000"
#define AT_HOME "198.51.100.7:51820"

static void a_relayed_peer_that_is_reached_is_sent_to_there_with_its_session(void **state)
{
    (void)state;
    struct mesh_map relayed = map_of_one(MESH_RELAY, AT_RELAY, ""),
                    tried   = map_of_one(MESH_RELAY, AT_RELAY, AT_HOME),
                    direct  = map_of_one(MESH_DIRECT, AT_HOME, "");
    tell(&relayed);
    assert_string_equal(done(), "set a");
    tell(&tried);
    assert_string_equal(done(), "try a");
    tick_after(100);
    assert_string_equal(done(), "");
    reached('a');
    assert_string_equal(done(), "move a, reached a");
    assert_string_equal(out.list[0].peer.endpoint, AT_HOME);
    reached('a');
    assert_string_equal(done(), "");
    tell(&direct); /* the other has reached us too */
    assert_string_equal(done(), "");
    tick_after(5000);
    assert_string_equal(done(), "");
}

static void a_peer_that_is_not_reached_stays_as_it_is_and_is_tried_whenever_that_is_told(void **state)
{
    (void)state;
    struct mesh_map relayed = map_of_one(MESH_RELAY, AT_RELAY, ""),
                    tried   = map_of_one(MESH_RELAY, AT_RELAY, AT_HOME);
    tell(&relayed);
    for (int i = 0; i < 3; i++) {
        tell(&tried);
        assert_string_equal(done(), "try a");
        tick_after(10000);
        assert_string_equal(done(), "");
    }
    tell(&relayed);
    reached('a'); /* an answer to a try that is over */
    assert_string_equal(done(), "");
}

static void one_that_was_reached_and_is_told_to_be_relayed_goes_back(void **state)
{
    (void)state;
    struct mesh_map relayed = map_of_one(MESH_RELAY, AT_RELAY, ""),
                    tried   = map_of_one(MESH_RELAY, AT_RELAY, AT_HOME);
    tell(&relayed);
    tell(&tried);
    reached('a');
    tell(&relayed);
    assert_string_equal(done(), "remove a, set a");
}

static void what_was_reached_while_the_link_is_down_is_said_when_it_is_up(void **state)
{
    (void)state;
    struct mesh_map relayed = map_of_one(MESH_RELAY, AT_RELAY, ""),
                    tried   = map_of_one(MESH_RELAY, AT_RELAY, AT_HOME);
    tell(&relayed);
    tell(&tried);
    step(input(IN_LINK_DOWN));
    reached('a');
    assert_string_equal(done(), "move a");
    step(input(IN_LINK_UP));
    assert_string_equal(done(), "reached a");
}

static uint32_t silents_of_a_second(void)
{
    uint32_t count = 0;
    for (int i = 0; i < 100; i++) {
        tick_after(10);
        for (bool more = true; more;) {
            for (uint32_t k = 0; k < out.count; k++) count += out.list[k].kind == ACT_SEND_SILENT;
            more = out.more;
            if (more) step(input(IN_TICK));
        }
    }
    return count;
}

/* A cluster of many whose nodes hear none of each other: told of in time, and not all at once. */
static void many_that_are_silent_are_told_of_little_by_little(void **state)
{
    (void)state;
    enum { MANY = 600 };
    struct mesh_map m     = new_map(true);
    uint32_t        words = 0;
    for (uint32_t i = 0; i < MANY; i++) {
        struct mesh_peer *p = &m.peers[m.peers_count++];
        *p = (struct mesh_peer){ .via = MESH_DIRECT, .endpoint = "198.51.100.7:4000", .valid = { 100000 } };
        memcpy(p->key, &i, sizeof i);
        p->key[31] = 1;
        mesh_address(i + 3, p->address);
        if (m.peers_count < MESH_PEERS_A_MESSAGE && i + 1 < MANY) continue;
        tell(&m);
        m = new_map(false);
    }
    for (int second = 0; second < 6; second++) {
        uint32_t said = silents_of_a_second();
        assert_true(said <= 2 * WORKER_WORDS_A_SECOND);
        words += said;
    }
    assert_int_equal(words, MANY);
}

/* ---- the gateway moves -------------------------------------------------------------------------------------- */

static void tunnel(enum worker_tunnel what)
{
    struct worker_input in = input(IN_TUNNEL);
    in.tunnel              = what;
    step(in);
}

static uint32_t dials(void)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < out.count; i++) count += out.list[i].kind == ACT_DIAL_TUNNEL;
    return count;
}

static void gateway_is_at(const char *place)
{
    struct desired      d  = w->desired;
    struct worker_input in = input(IN_DESIRED);
    d.version++;
    strcpy(d.assignments[0].tunnel, place);
    strcpy(d.assignments[0].ticket, "t");
    in.desired = &d;
    step(in);
}

static void tunnels_that_wait_where_the_gateway_was_are_dropped(void **state)
{
    (void)state;
    gateway_is_at("203.0.113.2:443");
    for (int i = 0; i < WORKER_TUNNELS; i++) tunnel(TUNNEL_OPEN);
    gateway_is_at("203.0.113.2:443");
    assert_false(does(ACT_DROP_TUNNELS));
    gateway_is_at("203.0.113.4:443");
    assert_true(does(ACT_DROP_TUNNELS));
    tick_after(100);
    assert_false(does(ACT_DROP_TUNNELS));
    for (int i = 0; i < WORKER_TUNNELS; i++) tunnel(TUNNEL_LOST);
    tick_after(WORKER_TUNNEL_LEAST_MS);
    assert_int_equal(dials(), 1);
    tunnel(TUNNEL_OPEN);
    assert_int_equal(dials(), WORKER_TUNNELS - 1);
}

static void while_the_gateway_is_away_one_tunnel_knocks_and_never_pauses_long(void **state)
{
    (void)state;
    gateway_is_at("203.0.113.2:443");
    for (int i = 0; i < WORKER_TUNNELS; i++) tunnel(TUNNEL_FAILED);
    for (int i = 0; i < 20; i++) {
        tick_after(WORKER_TUNNEL_MOST_MS);
        assert_int_equal(dials(), 1);
        tunnel(TUNNEL_FAILED);
        assert_int_equal(dials(), 0);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_is_spoken_to_and_not_heard_makes_us_show_where_we_are),
        TEST(who_is_not_heard_is_told_of_and_asked_to_show_where_it_is),
        TEST(a_link_that_was_cut_makes_us_show_where_we_are),
        TEST(a_pair_that_is_idle_is_not_suspected),
        TEST(a_direct_peer_that_answers_no_more_is_told_of_and_again_only_after_it_was_heard),
        TEST(a_sleep_of_the_machine_is_no_silence_of_its_peers),
        TEST(a_relayed_peer_that_is_reached_is_sent_to_there_with_its_session),
        TEST(a_peer_that_is_not_reached_stays_as_it_is_and_is_tried_whenever_that_is_told),
        TEST(one_that_was_reached_and_is_told_to_be_relayed_goes_back),
        TEST(what_was_reached_while_the_link_is_down_is_said_when_it_is_up),
        TEST(many_that_are_silent_are_told_of_little_by_little),
        TEST(tunnels_that_wait_where_the_gateway_was_are_dropped),
        TEST(while_the_gateway_is_away_one_tunnel_knocks_and_never_pauses_long),
    };
    return cmocka_run_group_tests_name("moves", tests, NULL, NULL);
}
