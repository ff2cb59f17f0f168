#include "mesh.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Two nodes, each as the meeting point saw it on its two ports and where it is at home ('-': not known); then
 * what follows, and why. "silent" before it: the pair did not find each other. */
static const char *const rows[] = {
    "198.51.100.1:4000 198.51.100.1:4000 10.0.0.2:51820 | 198.51.100.2:4000 198.51.100.2:4000 10.0.0.2:51820"
    " | direct: two NATs that keep the port",
    "198.51.100.1:4000 198.51.100.1:4000 198.51.100.1:4000 | 198.51.100.2:90 198.51.100.2:90 198.51.100.2:90"
    " | direct: no NAT at all",
    "198.51.100.1:4000 - 10.0.0.2:51820 | 198.51.100.2:4000 - 10.0.0.2:51820"
    " | direct: one port seen says nothing of symmetry",
    "198.51.100.1:4000 198.51.100.1:4001 10.0.0.2:51820 | 198.51.100.2:4000 198.51.100.2:4000 10.0.0.2:51820"
    " | relay: the first one is symmetric",
    "198.51.100.1:4000 198.51.100.1:4000 10.0.0.2:51820 | 198.51.100.2:4000 198.51.100.2:4001 10.0.0.2:51820"
    " | relay: the second one is symmetric",
    "198.51.100.1:4000 198.51.100.1:4001 10.0.0.2:51820 | 198.51.100.2:4000 198.51.100.2:4001 10.0.0.2:51820"
    " | relay: both are symmetric",
    "198.51.100.1:4000 198.51.100.7:4000 10.0.0.2:51820 | 198.51.100.2:4000 198.51.100.2:4000 10.0.0.2:51820"
    " | relay: a NAT with several addresses",
    "198.51.100.1:4000 198.51.100.1:4000 10.0.0.2:51820 | 198.51.100.1:4001 198.51.100.1:4001 10.0.0.3:51820"
    " | site: one router",
    "198.51.100.1:4000 198.51.100.1:4009 10.0.0.2:51820 | 198.51.100.1:4001 198.51.100.1:4008 10.0.0.3:51820"
    " | site: one symmetric router",
    "198.51.100.1:4000 198.51.100.1:4000 - | 198.51.100.1:4001 198.51.100.1:4001 10.0.0.3:51820"
    " | relay: an inside address is unknown",
    "silent 198.51.100.1:4000 198.51.100.1:4000 10.0.0.2:51820 | 198.51.100.1:41 198.51.100.1:41 10.0.0.3:51820"
    " | relay: one site that did not answer",
    "silent 198.51.100.1:4000 198.51.100.1:4000 10.0.0.2:51820 | 198.51.100.2:40 198.51.100.2:40 10.0.0.2:51820"
    " | relay: punching did not work",
    "198.51.100.1:4000 198.51.100.1:4000 10.0.0.2:51820 | 198.51.100.10:40 198.51.100.10:40 10.0.0.2:51820"
    " | direct: addresses that begin alike",
    "[2001:db8::1]:40 [2001:db8::1]:40 [fd00::2]:51820 | [2001:db8::1]:41 [2001:db8::1]:41 [fd00::3]:51820"
    " | site: one router, IPv6",
    "[2001:db8::1]:40 [2001:db8::1]:40 [fd00::2]:51820 | [2001:db8::2]:40 [2001:db8::2]:40 [fd00::3]:51820"
    " | direct: two hosts, IPv6",
};

static void next_word(struct str *text, char out[MESH_ENDPOINT_TEXT])
{
    struct str word;
    str_split(str_trim(*text), ' ', &word, text);
    if (str_eq(word, STR("-"))) word = STR("");
    assert_int_equal(str_copy(word, out, MESH_ENDPOINT_TEXT).code, ERR_NONE);
}

static struct mesh_member member(uint8_t letter, struct str seen)
{
    struct mesh_member m = { .index = letter, .has_key = true };
    memset(m.node.id.bytes, letter, sizeof m.node.id.bytes);
    memset(m.key, letter, sizeof m.key);
    next_word(&seen, m.seen_a);
    next_word(&seen, m.seen_b);
    next_word(&seen, m.inside);
    return m;
}

static void each_pair_of_nats_meets_as_the_table_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct str first, second, rest, via = STR(""), why, row = str_from(rows[i]);
        bool       silent = str_starts(row, STR("silent "));
        assert_true(str_split(silent ? str_skip(row, 7) : row, '|', &first, &rest));
        assert_true(str_split(rest, '|', &second, &rest) && str_split(str_trim(rest), ':', &via, &why));

        struct mesh_member a = member(1, first), b = member(2, second);
        const char        *there = mesh_via_names[mesh_choose(&a, &b, silent)];
        const char        *back  = mesh_via_names[mesh_choose(&b, &a, silent)];
        if (!str_eq(via, str_from(there)) || !str_eq(via, str_from(back)))
            fail_msg("%s: chose %s and back %s", rows[i], there, back);
    }
}

#define ONE STR("198.51.100.1:4000 198.51.100.1:4000 10.0.0.2:51820")
#define OTHER STR("198.51.100.2:4000 198.51.100.2:4000 10.0.0.3:51820")

static void a_node_is_known_once_it_has_a_key_and_was_seen(void **state)
{
    (void)state;
    struct mesh_member m = { .has_key = true };
    assert_false(mesh_is_known(&m));
    strcpy(m.seen_a, "198.51.100.1:4000");
    assert_true(mesh_is_known(&m));
    m.has_key = false;
    assert_false(mesh_is_known(&m));
}

static void of_a_direct_pair_exactly_one_side_waits(void **state)
{
    (void)state;
    struct mesh_member a = member(1, ONE), b = member(2, OTHER);
    struct mesh_peer   to_a, to_b;
    struct span        valid = { 5000 };
    mesh_tell(&a, &b, MESH_DIRECT, NULL, STR("203.0.113.2"), 40000, valid, &to_a);
    mesh_tell(&b, &a, MESH_DIRECT, NULL, STR("203.0.113.2"), 40000, valid, &to_b);
    assert_int_equal(to_a.wait_ms, 0);
    assert_int_equal(to_b.wait_ms, MESH_PUNCH_LATER_MS);
    assert_string_equal(to_a.endpoint, "198.51.100.2:4000");
    assert_string_equal(to_a.address, "10.99.0.2");
    assert_memory_equal(to_a.key, b.key, MESH_KEY_BYTES);
    assert_int_equal(to_b.valid.ms, 5000);
}

static void the_two_of_a_site_are_told_their_inside_addresses(void **state)
{
    (void)state;
    struct mesh_member a = member(1, ONE), b = member(2, OTHER);
    struct mesh_peer   out;
    mesh_tell(&b, &a, MESH_SITE, NULL, STR("203.0.113.2"), 40000, (struct span){ 1 }, &out);
    assert_string_equal(out.endpoint, "10.0.0.2:51820");
    assert_int_equal(out.wait_ms, 0);
}

static void the_two_of_a_relayed_pair_send_to_the_two_ports_of_its_slot(void **state)
{
    (void)state;
    struct mesh_member a = member(1, ONE), b = member(2, OTHER);
    struct mesh_pair   pair = { .a = a.node, .b = b.node, .slot = 7 };
    struct mesh_peer   to_a, to_b;
    mesh_tell(&a, &b, MESH_RELAY, &pair, STR("203.0.113.2"), 40000, (struct span){ 1 }, &to_a);
    mesh_tell(&b, &a, MESH_RELAY, &pair, STR("203.0.113.2"), 40000, (struct span){ 1 }, &to_b);
    assert_string_equal(to_a.endpoint, "203.0.113.2:40014");
    assert_string_equal(to_b.endpoint, "203.0.113.2:40015");
    assert_int_equal(to_a.wait_ms + to_b.wait_ms, 0);
}

static void a_relayed_pair_tries_again_where_nothing_speaks_against_it(void **state)
{
    (void)state;
    struct mesh_member a = member(1, ONE), b = member(2, OTHER), home = a, odd = b;
    struct mesh_pair   pair = { .a = a.node, .b = b.node };
    struct mesh_peer   out;
    strcpy(odd.seen_b, "198.51.100.2:4001"); /* symmetric */
    strcpy(home.inside, "10.0.0.9:51820");
    assert_true(mesh_may_try(&a, &b));
    assert_true(mesh_may_try(&a, &home));
    assert_false(mesh_may_try(&a, &odd));
    home.inside[0] = 0;
    assert_false(mesh_may_try(&home, &a));

    mesh_tell(&a, &b, MESH_RELAY, &pair, STR("203.0.113.2"), 40000, (struct span){ 1 }, &out);
    assert_string_equal(out.direct, "");
    mesh_tell_try(&a, &b, &out);
    assert_string_equal(out.direct, "198.51.100.2:4000");
    assert_string_equal(out.endpoint, "203.0.113.2:40000");
    strcpy(home.inside, "10.0.0.9:51820");
    mesh_tell_try(&a, &home, &out);
    assert_string_equal(out.direct, "10.0.0.9:51820");
}

static void each_try_comes_after_twice_as_long_as_the_one_before(void **state)
{
    (void)state;
    assert_int_equal(mesh_try_after(0).ms, MESH_TRY_LEAST_MS);
    for (uint32_t tries = 1; mesh_try_after(tries).ms < MESH_TRY_MOST_MS; tries++)
        assert_int_equal(mesh_try_after(tries).ms, 2 * mesh_try_after(tries - 1).ms);
    assert_int_equal(mesh_try_after(UINT32_MAX).ms, MESH_TRY_MOST_MS);
}

static void every_index_has_one_address_and_every_address_one_index(void **state)
{
    (void)state;
    char     address[MESH_ADDRESS_TEXT];
    uint32_t back;
    for (uint32_t i = 1; i <= MESH_INDEX_MAX; i++) {
        mesh_address(i, address);
        if (!mesh_index_of(str_from(address), &back) || back != i) fail_msg("index %u gives %s", i, address);
    }
    mesh_address(258, address);
    assert_string_equal(address, "10.99.1.2");
}

static void what_is_no_mesh_address_has_no_index(void **state)
{
    (void)state;
    static const char *const none[] = { "",           "10.99.0.0",    "10.99.255.254", "10.99.255.255",
                                        "10.98.0.1",  "10.99.0",      "10.99.0.256",   "10.99.256.1",
                                        "10.99.0.01", "10.99.0.1 ",   "10.99.0.-1",    "10.99.0.1.1",
                                        "10.99..1",   "10.99.0.1:80", "x10.99.0.1" };
    uint32_t                 index  = 77;
    for (size_t i = 0; i < countof(none); i++)
        if (mesh_index_of(str_from(none[i]), &index)) fail_msg("'%s' was taken for %u", none[i], index);
    assert_int_equal(index, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_pair_of_nats_meets_as_the_table_says),
        cmocka_unit_test(a_node_is_known_once_it_has_a_key_and_was_seen),
        cmocka_unit_test(of_a_direct_pair_exactly_one_side_waits),
        cmocka_unit_test(the_two_of_a_site_are_told_their_inside_addresses),
        cmocka_unit_test(the_two_of_a_relayed_pair_send_to_the_two_ports_of_its_slot),
        cmocka_unit_test(a_relayed_pair_tries_again_where_nothing_speaks_against_it),
        cmocka_unit_test(each_try_comes_after_twice_as_long_as_the_one_before),
        cmocka_unit_test(every_index_has_one_address_and_every_address_one_index),
        cmocka_unit_test(what_is_no_mesh_address_has_no_index),
    };
    return cmocka_run_group_tests_name("mesh", tests, NULL, NULL);
}
