#include "with_node_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- peers ------------------------------------------------------------------------------------------- */

static void a_peer_is_set_at_once_or_after_its_wait(void **state)
{
    (void)state;
    struct mesh_map m = new_map(true);
    add(&m, 'a', MESH_DIRECT, 0);
    add(&m, 'b', MESH_DIRECT, MESH_PUNCH_LATER_MS);
    tell(&m);
    assert_string_equal(done(), "set a");
    assert_true(worker_wait_ms(w) <= MESH_PUNCH_LATER_MS);
    tick_after(MESH_PUNCH_LATER_MS - 1);
    assert_string_equal(done(), "");
    tick_after(1);
    assert_string_equal(done(), "set b");
}

static void a_map_told_again_disturbs_no_peer(void **state)
{
    (void)state;
    struct mesh_map m = new_map(true);
    add(&m, 'a', MESH_RELAY, 0);
    tell(&m);
    tell(&m);
    assert_string_equal(done(), "");
    tick_after(2 * WORKER_STALE_MS);
    assert_string_equal(done(), "");
}

static void a_peer_that_a_new_map_does_not_name_goes_and_the_others_stay(void **state)
{
    (void)state;
    struct mesh_map m = new_map(true);
    add(&m, 'a', MESH_RELAY, 0);
    add(&m, 'b', MESH_RELAY, 0);
    tell(&m);
    struct mesh_map first = new_map(true), second = new_map(false);
    add(&first, 'c', MESH_RELAY, 0);
    add(&second, 'b', MESH_RELAY, 0);
    tell(&first);
    assert_string_equal(done(), "set c");
    tell(&second);
    assert_string_equal(done(), "");
    tick_after(WORKER_STALE_MS);
    assert_string_equal(done(), "remove a");
}

static void a_peer_told_gone_goes_at_once(void **state)
{
    (void)state;
    struct mesh_map m = new_map(true), delta = new_map(false);
    add(&m, 'a', MESH_RELAY, 0);
    add(&m, 'b', MESH_DIRECT, 60);
    tell(&m);
    memset(delta.gone[0].key, 'a', MESH_KEY_BYTES);
    memset(delta.gone[1].key, 'b', MESH_KEY_BYTES); /* not even set yet */
    delta.gone_count = 2;
    tell(&delta);
    assert_string_equal(done(), "remove a");
    tick_after(100);
    assert_string_equal(done(), "");
}

static void a_peer_ends_when_its_validity_does(void **state)
{
    (void)state;
    struct mesh_map m = new_map(true);
    add(&m, 'a', MESH_RELAY, 0);
    m.peers[0].valid.ms = 5000;
    tell(&m);
    step(input(IN_LINK_DOWN));
    tick_after(4999);
    assert_string_equal(done(), "");
    tick_after(1);
    assert_string_equal(done(), "remove a");
}

static void a_direct_peer_that_does_not_answer_is_told_of_once_and_kept(void **state)
{
    (void)state;
    struct mesh_map m = new_map(true);
    add(&m, 'a', MESH_DIRECT, 0);
    add(&m, 'b', MESH_SITE, 0);
    add(&m, 'c', MESH_RELAY, 0);
    add(&m, 'd', MESH_DIRECT, 0);
    tell(&m);
    tick_after(200);
    read_as("MNabcd!");
    tick_after(MESH_PUNCH_MS + MESH_PUNCH_LATER_MS - 201);
    assert_string_equal(done(), "");
    tick_after(1);
    assert_string_equal(done(), "silent a, silent b");
    tick_after(5000);
    assert_string_equal(done(), "");
    struct mesh_map relay = new_map(false);
    add(&relay, 'a', MESH_RELAY, 0);
    strcpy(relay.peers[0].endpoint, "203.0.113.2:40000");
    tell(&relay);
    assert_string_equal(done(), "set a");
}

static void silence_while_the_link_is_down_is_told_when_it_is_up(void **state)
{
    (void)state;
    struct mesh_map m = new_map(true);
    add(&m, 'a', MESH_DIRECT, 0);
    tell(&m);
    step(input(IN_LINK_DOWN));
    tick_after(5000);
    assert_string_equal(done(), "");
    step(input(IN_LINK_UP));
    assert_string_equal(done(), "silent a");
    step(input(IN_LINK_DOWN));
    step(input(IN_LINK_UP)); /* the first may have been lost */
    assert_string_equal(done(), "silent a");
}

static void the_mesh_is_read_often_while_an_answer_is_awaited_and_then_now_and_then(void **state)
{
    (void)state;
    struct mesh_map m = new_map(true);
    add(&m, 'a', MESH_DIRECT, 0);
    tell(&m);
    tick_after(WORKER_READ_MS);
    assert_int_equal(out.list[out.count - 1].kind, ACT_READ_PEERS);
    tick_after(WORKER_READ_MS);
    assert_int_equal(out.count, 0); /* one at a time */
    read_as("MNa!");
    for (int i = 0; i < WORKER_WATCH_MS / WORKER_READ_MS; i++) {
        tick_after(WORKER_READ_MS);
        assert_false(does(ACT_READ_PEERS));
    }
    tick_after(1); /* the one peer's */
    assert_true(does(ACT_READ_PEERS));
}

static void what_a_device_holds_beyond_the_map_is_removed(void **state)
{
    (void)state;
    struct mesh_map m = new_map(true);
    add(&m, 'a', MESH_RELAY, 0);
    tell(&m);
    read_as("MNax");
    assert_string_equal(done(), "remove x");
}

/* The worker ends; another one begins and finds all that this one left. */
static void start_again(void)
{
    static struct worker_saved saved;
    worker_save(w, now, &saved);
    memset(w, 0, sizeof *w);
    struct worker_input in = input(IN_START);
    in.saved               = &saved;
    step(in);
    step(input(IN_LINK_UP));
    in            = input(IN_FOUND);
    in.found_mesh = in.found_container = true;
    step(in);
    tick_after(WORKER_READ_MS);
}

static void an_address_at_home_that_changes_is_reported_and_kept(void **state)
{
    (void)state;
    static struct observed o;
    struct worker_input    in = input(IN_INSIDE);
    in.inside                 = "192.168.7.9:40001";
    step(in);
    assert_true(out.observe && out.save);
    worker_observe(w, now, &o);
    assert_string_equal(o.nodes[0].inside, in.inside);
    step(in);
    assert_false(out.observe);
    start_again();
    assert_string_equal(worker_find(w, ref)->inside, in.inside);
}

static void sessions_of_an_adopted_device_go_on_undisturbed(void **state)
{
    (void)state;
    struct mesh_map m = new_map(true);
    add(&m, 'a', MESH_DIRECT, 0);
    add(&m, 'b', MESH_RELAY, 0);
    for (int map_first = 0; map_first < 2; map_first++) {
        start_again();
        if (map_first) tell(&m);
        assert_string_equal(done(), "");
        read_as("MNa!b!");
        assert_string_equal(done(), "");
        if (!map_first) tell(&m);
        assert_string_equal(done(), "");
        tick_after(2 * WORKER_STALE_MS);
        assert_string_equal(done(), "");
    }
}

static void a_peer_of_an_adopted_device_that_is_elsewhere_or_silent_is_begun_anew(void **state)
{
    (void)state;
    struct mesh_map m = new_map(true);
    add(&m, 'a', MESH_DIRECT, 0);
    add(&m, 'b', MESH_DIRECT, 0);
    strcpy(m.peers[0].endpoint, "198.51.100.97:4001");
    for (int map_first = 0; map_first < 2; map_first++) {
        start_again();
        if (map_first) tell(&m);
        read_as("MNa!b");
        if (!map_first) tell(&m);
        assert_string_equal(done(), "remove a, set a, remove b, set b");
    }
}

static void a_peer_whose_place_changes_is_begun_anew(void **state)
{
    (void)state;
    struct mesh_map m = new_map(true), relay = new_map(false);
    add(&m, 'a', MESH_DIRECT, 0);
    tell(&m);
    read_as("MNa!");
    add(&relay, 'a', MESH_RELAY, 0);
    strcpy(relay.peers[0].endpoint, "203.0.113.2:40000");
    tell(&relay);
    assert_string_equal(done(), "remove a, set a");
    tell(&relay);
    assert_string_equal(done(), "");
    strcpy(relay.peers[0].endpoint, "203.0.113.2:40002");
    tell(&relay);
    assert_string_equal(done(), "remove a, set a");
}

static void peers_of_an_adopted_device_stay_until_a_map_says_better(void **state)
{
    (void)state;
    start_again();
    read_as("MNab");
    assert_string_equal(done(), "");
    tick_after(5000);
    assert_string_equal(done(), "");
    struct mesh_map m = new_map(true);
    add(&m, 'a', MESH_RELAY, 0);
    tell(&m);
    tick_after(WORKER_STALE_MS);
    assert_string_equal(done(), "remove b");
}

static void a_large_map_is_worked_off_in_several_steps(void **state)
{
    (void)state;
    uint32_t set = 0;
    for (int part = 0; part < 4; part++) {
        struct mesh_map m = new_map(part == 0);
        for (int i = 0; i < MESH_PEERS_A_MESSAGE; i++) {
            add(&m, 'a', MESH_RELAY, 0);
            m.peers[i].key[1] = (uint8_t)part;
            m.peers[i].key[2] = (uint8_t)i;
        }
        tell(&m);
        for (;;) {
            for (uint32_t i = 0; i < out.count; i++) set += out.list[i].kind == ACT_SET_PEER;
            if (!out.more) break;
            step(input(IN_TICK));
        }
    }
    assert_int_equal(set, 4 * MESH_PEERS_A_MESSAGE);
}

/* ---- the witness ------------------------------------------------------------------------------------- */

static void say(uint64_t after_ms, const char *line)
{
    now += after_ms;
    struct worker_input in = input(IN_LINE);
    in.text                = str_from(line);
    step(in);
}

static bool sends_witnessed(void)
{
    for (uint32_t i = 0; i < out.count; i++)
        if (out.list[i].kind == ACT_SEND_WITNESSED) return true;
    return false;
}

/* "1:2500+ 2:0-": index, milliseconds seen, whether alive. */
static const char *seen(void)
{
    static char             room[256];
    static struct witnessed m;
    struct text             t = TEXT_IN(room);
    assert_int_equal(worker_witnessed(w, (uint32_t)(worker_find(w, ref) - w->nodes), 0, now, &m), 0);
    for (uint32_t i = 0; i < m.entries_count; i++) {
        if (i) text_add_char(&t, ' ');
        text_add_u64(&t, m.entries[i].index);
        text_add_char(&t, ':');
        text_add_u64(&t, m.entries[i].seen_ms);
        text_add_char(&t, m.entries[i].alive ? '+' : '-');
    }
    return text_z(&t);
}

static void time_between_two_lines_that_name_a_node_counts(void **state)
{
    (void)state;
    static const struct {
        uint64_t    after_ms;
        const char *line, *seen;
    } rows[] = {
        { 0, "alive 10.99.0.1 10.99.0.2", "1:0+ 2:0+" },
        { 1000, "alive 10.99.0.1 10.99.0.2", "1:1000+ 2:1000+" },
        { 500, "alive 10.99.0.1", "1:1500+ 2:1000-" },
        { 500, "alive 10.99.0.1 10.99.0.2", "1:2000+ 2:1000+" },
        { 9000, "alive 10.99.0.1 10.99.0.2 10.99.1.0", "1:4500+ 2:3500+ 256:0+" },
        { 100, "alive 10.99.0.2 10.99.0.1 10.99.1.0 10.99.1.0", "1:4600+ 2:3600+ 256:100+" },
        { 100, "alive", "1:4600- 2:3600- 256:100-" },
        { 100, "alive 10.99.0.1", "1:4600+ 2:3600- 256:100-" },
    };
    for (size_t i = 0; i < countof(rows); i++) {
        say(rows[i].after_ms, rows[i].line);
        if (strcmp(seen(), rows[i].seen) != 0) fail_msg("line %zu: %s, not %s", i, seen(), rows[i].seen);
    }
}

static void a_witness_of_a_worker_started_again_counts_on_and_says_nothing_before_its_first_line(void **state)
{
    (void)state;
    say(0, "alive 10.99.0.1 10.99.0.3");
    say(2000, "alive 10.99.0.1 10.99.0.3");
    start_again();
    tick_after(WORKER_WITNESS_MS);
    assert_false(sends_witnessed());
    say(5000, "alive 10.99.0.1 10.99.0.2");
    assert_true(sends_witnessed());
    assert_string_equal(seen(), "1:2000+ 2:0+ 3:2000-");
    say(1000, "alive 10.99.0.1 10.99.0.2");
    assert_string_equal(seen(), "1:3000+ 2:1000+ 3:2000-");
}

static void a_line_that_is_none_counts_for_nothing(void **state)
{
    (void)state;
    static const char *const none[] = { "",
                                        "dead 10.99.0.1",
                                        "alive 10.99.0.1 nobody",
                                        "alive 192.168.0.1",
                                        "alive10.99.0.1",
                                        "alive 10.99.0.1,10.99.0.2",
                                        "starting" };
    say(0, "alive 10.99.0.1");
    for (size_t i = 0; i < countof(none); i++) say(100, none[i]);
    assert_string_equal(seen(), "1:0+");
}

static void what_the_witness_sees_is_sent_at_once_when_it_changes_and_each_second(void **state)
{
    (void)state;
    say(0, "alive 10.99.0.1");
    assert_true(sends_witnessed());
    say(100, "alive 10.99.0.1");
    assert_false(sends_witnessed());
    say(100, "alive 10.99.0.1 10.99.0.2");
    assert_true(sends_witnessed());
    tick_after(WORKER_WITNESS_MS);
    assert_true(sends_witnessed()); /* silence is told too: its age grows */
}

static void a_node_that_its_own_witness_names_is_past_its_start(void **state)
{
    (void)state;
    say(0, "alive 10.99.0.1");
    assert_false(worker_find(w, ref)->is_past_start);
    say(100, "alive 10.99.0.1 10.99.0.2");
    assert_true(worker_find(w, ref)->is_past_start);
    assert_true(out.observe);
}

static void a_witness_that_ends_is_started_again(void **state)
{
    (void)state;
    step(input(IN_WITNESS));
    tick_after(WORKER_WITNESS_MS - 1);
    for (uint32_t i = 0; i < out.count; i++) assert_int_not_equal(out.list[i].kind, ACT_START_WITNESS);
    tick_after(1);
    assert_int_equal(out.list[0].kind, ACT_START_WITNESS);
}

static void a_witness_of_as_many_nodes_as_can_be_is_told_in_several_messages(void **state)
{
    (void)state;
    static char             line[WORKER_LINE_BYTES_MAX + 1];
    static struct witnessed m;
    struct text             t = TEXT_IN(line);
    text_add(&t, STR("alive"));
    for (uint32_t i = 1; i <= WORKER_SEEN_MAX; i++) {
        char address[MESH_ADDRESS_TEXT];
        mesh_address(i, address);
        text_add_char(&t, ' ');
        text_add(&t, str_from(address));
    }
    say(0, text_z(&t));
    uint32_t next = 1;
    for (uint32_t k = 0; k < out.count; k++) {
        const struct worker_action *a = &out.list[k];
        if (a->kind != ACT_SEND_WITNESSED) continue;
        worker_witnessed(w, a->slot, a->from, now, &m);
        for (uint32_t i = 0; i < m.entries_count; i++) assert_int_equal(m.entries[i].index, next++);
    }
    assert_int_equal(next, WORKER_SEEN_MAX + 1);
}

static void tell_head(char letter)
{
    struct mesh_map m = new_map(false);
    add(&m, letter, MESH_SITE, 0);
    mesh_address(1, m.peers[0].address);
    tell(&m);
    tick_after(1);
    assert_true(does(ACT_SET_PEER) || w->nodes[0].head_key[0] == letter);
}

static void see_head(void)
{
    struct worker_input in = input(IN_LINE);
    now += 1000;
    in.text = STR("alive 10.99.0.1 10.99.0.2");
    step(in);
}

static void what_was_seen_at_the_heads_address_is_its_own_who_has_it(void **state)
{
    (void)state;
    struct witnessed seen;
    tell_head('A');
    for (int i = 0; i < 4; i++) see_head();
    worker_witnessed(w, 0, 0, now, &seen);
    assert_int_equal(seen.head_key[0], 'A');
    assert_int_equal(seen.entries[0].index, 1);
    assert_int_equal(seen.entries[0].seen_ms, 3000);

    tell_head('A'); /* told again, it goes on */
    see_head();
    worker_witnessed(w, 0, 0, now, &seen);
    assert_int_equal(seen.entries[0].seen_ms, 4001);

    tell_head('B');
    assert_true(out.save);
    worker_witnessed(w, 0, 0, now, &seen);
    assert_int_equal(seen.head_key[0], 'B');
    assert_int_equal(seen.entries[0].seen_ms, 0);
    assert_false(seen.entries[0].alive);
    for (int i = 0; i < 3; i++) see_head();
    worker_witnessed(w, 0, 0, now, &seen);
    assert_int_equal(seen.entries[0].seen_ms, 2000);
    assert_int_equal(seen.entries[1].seen_ms, 7002); /* its own, all the time */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(a_peer_is_set_at_once_or_after_its_wait),
        TEST(a_map_told_again_disturbs_no_peer),
        TEST(a_peer_that_a_new_map_does_not_name_goes_and_the_others_stay),
        TEST(a_peer_told_gone_goes_at_once),
        TEST(a_peer_ends_when_its_validity_does),
        TEST(a_direct_peer_that_does_not_answer_is_told_of_once_and_kept),
        TEST(silence_while_the_link_is_down_is_told_when_it_is_up),
        TEST(the_mesh_is_read_often_while_an_answer_is_awaited_and_then_now_and_then),
        TEST(what_a_device_holds_beyond_the_map_is_removed),
        TEST(peers_of_an_adopted_device_stay_until_a_map_says_better),
        TEST(an_address_at_home_that_changes_is_reported_and_kept),
        TEST(sessions_of_an_adopted_device_go_on_undisturbed),
        TEST(a_peer_of_an_adopted_device_that_is_elsewhere_or_silent_is_begun_anew),
        TEST(a_peer_whose_place_changes_is_begun_anew),
        TEST(a_large_map_is_worked_off_in_several_steps),
        TEST(time_between_two_lines_that_name_a_node_counts),
        TEST(a_witness_of_a_worker_started_again_counts_on_and_says_nothing_before_its_first_line),
        TEST(a_line_that_is_none_counts_for_nothing),
        TEST(what_the_witness_sees_is_sent_at_once_when_it_changes_and_each_second),
        TEST(a_node_that_its_own_witness_names_is_past_its_start),
        TEST(a_witness_that_ends_is_started_again),
        TEST(what_was_seen_at_the_heads_address_is_its_own_who_has_it),
        TEST(a_witness_of_as_many_nodes_as_can_be_is_told_in_several_messages),
    };
    return cmocka_run_group_tests_name("worker's mesh and witness", tests, NULL, NULL);
}
