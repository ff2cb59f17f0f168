#include "egress_int.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define assert_ok(expression)                                           \
    do {                                                                \
        struct err ok_err_ = (expression);                              \
        if (ok_err_.code) fail_msg("%s: %s", #expression, ok_err_.why); \
    } while (0)

/* All rows of the two registries of IANA as of 2024-10, but ::ffff:0:0/96, which here is the IPv4 address in it; and
 * beside them multicast (RFC 5771, 4291), site-local addresses (RFC 3879) and the 6bone's (RFC 3701). */
static const char *const registered[] = {
    "0.0.0.0/8",          "0.0.0.0/32",        "10.0.0.0/8",      "100.64.0.0/10",  "127.0.0.0/8",
    "169.254.0.0/16",     "172.16.0.0/12",     "192.0.0.0/24",    "192.0.0.0/29",   "192.0.0.8/32",
    "192.0.0.9/32",       "192.0.0.10/32",     "192.0.0.170/32",  "192.0.0.171/32", "192.0.2.0/24",
    "192.31.196.0/24",    "192.52.193.0/24",   "192.88.99.0/24",  "192.88.99.2/32", "192.168.0.0/16",
    "192.175.48.0/24",    "198.18.0.0/15",     "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
    "255.255.255.255/32", "224.0.0.0/4",       "::1/128",         "::/128",         "64:ff9b::/96",
    "64:ff9b:1::/48",     "100::/64",          "100:0:0:1::/64",  "2001::/23",      "2001::/32",
    "2001:1::1/128",      "2001:1::2/128",     "2001:1::3/128",   "2001:2::/48",    "2001:3::/32",
    "2001:4:112::/48",    "2001:10::/28",      "2001:20::/28",    "2001:30::/28",   "2001:db8::/32",
    "2002::/16",          "2620:4f:8000::/48", "3fff::/20",       "5f00::/16",      "fc00::/7",
    "fe80::/10",          "fec0::/10",         "ff00::/8",        "3ffe::/16",
};

static struct egress_net net_of(const char *text)
{
    struct egress_rules rules = { 0 };
    assert_ok(egress_deny(&rules, str_from(text)));
    assert_int_equal(rules.denied_count, 1);
    return rules.denied[0];
}

static struct in6_addr address(const char *text)
{
    return net_of(text).address;
}

/* By one more or less; false past either end. */
static bool step(struct in6_addr *a, int by)
{
    for (int i = 15; i >= 0; i--) {
        a->s6_addr[i] = (uint8_t)(a->s6_addr[i] + by);
        if (a->s6_addr[i] != (by > 0 ? 0 : 0xff)) return true;
    }
    return false;
}

static struct in6_addr last_of(const struct egress_net *net)
{
    struct in6_addr a = net->address;
    for (uint32_t bit = net->bits; bit < 128; bit++) a.s6_addr[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
    return a;
}

static bool is_registered(const struct in6_addr *a)
{
    for (size_t i = 0; i < countof(registered); i++) {
        struct egress_net net = net_of(registered[i]);
        if (egress_is_in(a, &net)) return true;
    }
    return false;
}

/* What is not registered is public if it is of IPv4, or of 2000::/3: written down anew. */
static bool should_be_public(const struct in6_addr *a)
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
    bool                 is_v4      = memcmp(a->s6_addr, mapped, sizeof mapped) == 0;
    return (is_v4 || (a->s6_addr[0] & 0xe0) == 0x20) && !is_registered(a);
}

static void assert_as_registered(const struct in6_addr *a)
{
    char room[INET6_ADDRSTRLEN];
    if (egress_is_public(a) != should_be_public(a))
        fail_msg("%s is %spublic", inet_ntop(AF_INET6, a, room, sizeof room),
                 egress_is_public(a) ? "" : "not ");
}

static void nothing_that_is_registered_is_public_from_its_first_to_its_last(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(registered); i++) {
        struct egress_net net = net_of(registered[i]);
        struct in6_addr   a = net.address, b = last_of(&net);
        assert_false(egress_is_public(&a));
        assert_false(egress_is_public(&b));
        if (step(&a, -1)) assert_as_registered(&a);
        if (step(&b, 1)) assert_as_registered(&b);
    }
}

/* Every /16 of IPv4 by its first and last address, every /24 below 192; every /16 of IPv6. */
static void everything_else_is_as_it_should_be(void **state)
{
    (void)state;
    unsigned public = 0;
    for (uint32_t n = 0; n < 1u << 16; n++) {
        struct in6_addr v4 = address("0.0.0.0"), end = address("0.0.255.255"), v6 = address("::"),
                        v6_end = last_of(&(struct egress_net){ v6, 16 });
        v4.s6_addr[12] = end.s6_addr[12] = v6.s6_addr[0] = v6_end.s6_addr[0] = (uint8_t)(n >> 8);
        v4.s6_addr[13] = end.s6_addr[13] = v6.s6_addr[1] = v6_end.s6_addr[1] = (uint8_t)n;
        assert_as_registered(&v4);
        assert_as_registered(&end);
        assert_as_registered(&v6);
        assert_as_registered(&v6_end);
        public += egress_is_public(&v4);
    }
    assert_in_range(public, 56000, 58000);
    for (uint32_t n = 0; n < 1u << 16; n++) {
        struct in6_addr v4 = address("192.0.0.77");
        v4.s6_addr[13]     = (uint8_t)(n >> 8);
        v4.s6_addr[14]     = (uint8_t)n;
        assert_as_registered(&v4);
    }
}

static void well_known_places_are_public(void **state)
{
    (void)state;
    static const char *const places[] = {
        "1.1.1.1",       "8.8.8.8",         "151.101.0.223",        "9.255.255.255",
        "11.0.0.0",      "100.63.255.255",  "100.128.0.0",          "172.15.255.255",
        "172.32.0.0",    "223.255.255.255", "2606:4700:4700::1111", "2a04:4e42::223",
        "::ffff:1.1.1.1"
    };
    for (size_t i = 0; i < countof(places); i++) {
        struct in6_addr a = address(places[i]);
        if (!egress_is_public(&a)) fail_msg("%s is not public", places[i]);
    }
}

static void what_is_denied_is_read_and_handed_on(void **state)
{
    (void)state;
    struct egress_rules rules = { .mbit = 20, .connections = 256, .ports = { 80, 443 }, .ports_count = 2 },
                        read;
    char        room[EGRESS_RULES_TEXT], again[EGRESS_RULES_TEXT];
    struct text t = TEXT_IN(room), u = TEXT_IN(again);
    assert_ok(egress_deny(&rules, STR("198.51.0.0/16, 8.8.8.8,2a00:1:2::/48 ")));
    assert_ok(egress_deny(&rules, STR("")));
    assert_int_equal(rules.denied_count, 3);
    egress_rules_write(&rules, &t);
    assert_ok(egress_rules_read(text_str(&t), &read));
    egress_rules_write(&read, &u);
    assert_string_equal(text_z(&t), text_z(&u));
    assert_int_equal(read.mbit + read.connections + read.ports[1], 20 + 256 + 443);
    struct in6_addr in[]  = { address("198.51.255.1"), address("8.8.8.8"), address("2a00:1:2:ffff::1") };
    struct in6_addr out[] = { address("198.52.0.1"), address("8.8.8.9"), address("2a00:1:3::1") };
    for (size_t i = 0; i < countof(in); i++) {
        assert_false(egress_may_reach(&read, &in[i]));
        assert_true(egress_may_reach(&read, &out[i]));
    }
}

static void a_list_that_is_none_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = { "x",
                                       "1.2.3",
                                       "1.2.3.4/33",
                                       "::/129",
                                       "1.2.3.4/",
                                       "1.2.3.4/-1",
                                       "1.2.3.4,,5.6.7.8",
                                       "1.2.3.4/8/9",
                                       "01.2.3.4",
                                       "::ffff:1.2.3.4.5",
                                       "example.com" };
    struct egress_rules      rules = { 0 };
    for (size_t i = 0; i < countof(bad); i++)
        if (egress_deny(&rules, str_from(bad[i])).code != ERR_INVALID) fail_msg("%s is taken", bad[i]);
    rules.denied_count = EGRESS_NETS_MAX;
    assert_int_equal(egress_deny(&rules, STR("1.2.3.4")).code, ERR_LIMIT);
}

/* Full tables fit into what they are handed on in. */
static void as_many_rules_as_may_be_are_handed_on(void **state)
{
    (void)state;
    struct egress_rules rules = { .mbit        = EGRESS_MBIT_MAX,
                                  .connections = EGRESS_CONNECTIONS_MAX,
                                  .ports_count = EGRESS_PORTS_MAX },
                        read;
    char        room[EGRESS_RULES_TEXT];
    struct text t = TEXT_IN(room);
    for (size_t i = 0; i < EGRESS_PORTS_MAX; i++) rules.ports[i] = (uint16_t)(65528 + i);
    while (rules.denied_count < EGRESS_NETS_MAX)
        assert_ok(egress_deny(&rules, STR("2aaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa/128")));
    egress_rules_write(&rules, &t);
    assert_ok(egress_rules_read(text_str(&t), &read));
    assert_int_equal(read.denied_count, EGRESS_NETS_MAX);
    assert_false(t.full);
}

/* ---- requests -------------------------------------------------------------------------------- */

static void assert_asks(const char *head, bool connect, const char *host, unsigned port, const char *path)
{
    struct egress_request r;
    assert_ok(egress_request_read(str_from(head), &r));
    assert_int_equal(r.connect, connect);
    assert_string_equal(r.host, host);
    assert_int_equal(r.port, port);
    assert_true(str_eq(r.path, str_from(path)));
}

static void a_request_says_where_to(void **state)
{
    (void)state;
    assert_asks("CONNECT pypi.org:443 HTTP/1.1\r\nhost: other:1\r\n\r\n", true, "pypi.org", 443, "");
    assert_asks("CONNECT [2001:db8::1]:443 HTTP/1.1\r\n\r\n", true, "2001:db8::1", 443, "");
    assert_asks("GET http://deb.debian.org/debian/?a HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n", false,
                "deb.debian.org", 80, "/debian/?a");
    assert_asks("HEAD HTTP://a.b:8080 HTTP/1.0\r\n\r\n", false, "a.b", 8080, "");
    assert_asks("POST http://[::1]?x HTTP/1.1\r\n\r\n", false, "::1", 80, "?x");
}

static void what_is_no_request_to_a_proxy_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET https://a.b/ HTTP/1.1\r\n\r\n",
        "CONNECT a.b HTTP/1.1\r\n\r\n",
        "CONNECT a.b:0 HTTP/1.1\r\n\r\n",
        "CONNECT a.b:65536 HTTP/1.1\r\n\r\n",
        "CONNECT a.b:080 HTTP/1.1\r\n\r\n",
        "CONNECT a.b:443 HTTP/2\r\n\r\n",
        "CONNECT a.b:443  HTTP/1.1\r\n\r\n",
        "CONNECT u@a.b:443 HTTP/1.1\r\n\r\n",
        "GET http://u:p@a.b/ HTTP/1.1\r\n\r\n",
        "CONNECT a:b:443 HTTP/1.1\r\n\r\n",
        "CONNECT [::1:443 HTTP/1.1\r\n\r\n",
        "CONNECT [::1]443 HTTP/1.1\r\n\r\n",
        "CONNECT a%2eb:443 HTTP/1.1\r\n\r\n",
        "CONNECT [fe80::1%25lo]:443 HTTP/1.1\r\n\r\n",
        "CONNECT a\tb:443 HTTP/1.1\r\n\r\n",
        "CONNECT \xc3\xa9.b:443 HTTP/1.1\r\n\r\n",
        "\x05\x01",
        "GET http:// HTTP/1.1\r\n\r\n",
    };
    struct egress_request r;
    for (size_t i = 0; i < countof(bad); i++)
        if (egress_request_read(str_from(bad[i]), &r).code != ERR_INVALID) fail_msg("taken: %s", bad[i]);
    char        long_one[600];
    struct text t = TEXT_IN(long_one);
    text_add(&t, STR("CONNECT "));
    for (int i = 0; i < 254; i++) text_add_char(&t, 'a');
    text_add(&t, STR(":443 HTTP/1.1\r\n\r\n"));
    assert_int_not_equal(egress_request_read(text_str(&t), &r).code, ERR_NONE);
}

static void a_server_is_told_nothing_of_the_proxy_and_ends_the_connection(void **state)
{
    (void)state;
    struct str            head = STR("GET http://a.b?q HTTP/1.0\r\nHost: a.b\r\nProxy-Authorization: Basic "
                                                "eDp5\r\nConnection: keep-alive\r\n"
                                                "Keep-Alive: 5\r\nPROXY-CONNECTION: x\r\nAccept: */*\r\n\r\n");
    struct egress_request r;
    char                  room[512];
    struct text           t = TEXT_IN(room);
    assert_ok(egress_request_read(head, &r));
    egress_request_write(head, &r, &t);
    assert_string_equal(text_z(&t),
                        "GET /?q HTTP/1.0\r\nHost: a.b\r\nAccept: */*\r\nconnection: close\r\n\r\n");
}

static void names_of_a_home_are_known(void **state)
{
    (void)state;
    static const char *const local[] = { "printer",
                                         "nas.local",
                                         "NAS.Local.",
                                         "x.home.arpa",
                                         "localhost",
                                         "a.localhost",
                                         "metadata.google.internal",
                                         "fritz.box",
                                         "www.fritz.box",
                                         "." };
    static const char *const far[] = { "pypi.org", "local.example.com", "homelan.org", "mylocal.org", "a.b." };
    for (size_t i = 0; i < countof(local); i++)
        if (!egress_host_is_local(local[i])) fail_msg("%s is asked for", local[i]);
    for (size_t i = 0; i < countof(far); i++) assert_false(egress_host_is_local(far[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_that_is_registered_is_public_from_its_first_to_its_last),
        cmocka_unit_test(everything_else_is_as_it_should_be),
        cmocka_unit_test(well_known_places_are_public),
        cmocka_unit_test(what_is_denied_is_read_and_handed_on),
        cmocka_unit_test(a_list_that_is_none_is_refused),
        cmocka_unit_test(as_many_rules_as_may_be_are_handed_on),
        cmocka_unit_test(a_request_says_where_to),
        cmocka_unit_test(what_is_no_request_to_a_proxy_is_refused),
        cmocka_unit_test(a_server_is_told_nothing_of_the_proxy_and_ends_the_connection),
        cmocka_unit_test(names_of_a_home_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
