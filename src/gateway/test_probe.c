#include "test_world_int.h"

#include "probe_int.h"

/* Nodes that are alone: a worker's side plays their services behind real tunnels, and dies in every way. */

#define EVERY_MS 40
#define ANSWER_MS 200

enum manner { TAKES, ANSWERS, REFUSES, SAYS_NOTHING, SAYS_NONSENSE, HAS_NO_TUNNEL };

static struct probes *probes;
static enum manner    manner;
static const char    *response = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
static struct end     tunnels[2];
static bool           taken[2];
static uint64_t       seen_ms, openings;
static unsigned       reports;
static char           last_opening[256], last_request[512];

static void on_counted(void *ctx)
{
    static struct gw_probed out;
    (void)ctx;
    while (probes_take_unsent(probes, &out)) {
        assert_int_equal(out.nodes_count, 1);
        assert_true(id_eq(out.nodes[0].node.id, head.id));
        assert_true(out.nodes[0].seen_ms >= seen_ms);
        seen_ms = out.nodes[0].seen_ms;
        reports++;
    }
}

static int open_probes(void **state)
{
    (void)state;
    struct probes_options o = { .net        = net,
                                .joins      = door_joins(door),
                                .domain     = DOMAIN,
                                .every_ms   = EVERY_MS,
                                .answer_ms  = ANSWER_MS,
                                .on_counted = on_counted };
    seen_ms = openings = reports = 0;
    return probes_open(&o, &probes).code != ERR_NONE;
}

static int close_probes(void **state)
{
    (void)state;
    probes_stop(probes);
    for (size_t i = 0; i < countof(tunnels); i++)
        if (tunnels[i].raw) end_close(&tunnels[i]);
    turn_ms(50);
    probes_free(probes);
    return door_counts(door).tunnels != 0;
}

/* ---- the worker's side --------------------------------------------------------------------------------------------- */

static void answer(struct end *e, const char *line_end)
{
    snprintf(last_opening, sizeof last_opening, "%.*s", (int)(line_end - e->got), e->got);
    openings++;
    if (manner == REFUSES)
        say(e, "no the service is not there\n");
    else
        say(e, "ok\n");
    if (manner == SAYS_NONSENSE) say(e, "SSH-2.0-OpenSSH_9.2\r\n");
}

static void serve_one(size_t i)
{
    struct end *e = &tunnels[i];
    if (!e->raw) {
        if (manner == HAS_NO_TUNNEL) return;
        struct ticket t = ticket_for(TICKET_TUNNEL, TICKET_HEAD);
        dial_as(e, "/.ionet/tunnel", written(&t, &network_key), NULL);
        taken[i] = false;
    }
    const char *line = strchr(e->got, '\n'), *ask = strstr(e->got, "GET ");
    if (line && !taken[i]) {
        taken[i] = true;
        answer(e, line);
    }
    if (manner != ANSWERS || !ask || !strstr(ask, "\r\n\r\n")) return;
    snprintf(last_request, sizeof last_request, "%s", ask);
    say(e, response);
    e->got[0] = 0;
}

static void serve_ms(enum manner how, uint64_t ms)
{
    uint64_t by_ms = net_now_ms(net) + ms;
    for (manner = how; net_now_ms(net) < by_ms; uv_run(net_uv_loop(net), UV_RUN_ONCE))
        for (size_t i = 0; i < countof(tunnels); i++) serve_one(i);
}

/* For how long it was seen in that time; how many reports told of it is not said. */
static uint64_t seen_while(enum manner how, uint64_t ms)
{
    uint64_t before = seen_ms;
    serve_ms(how, ms);
    return seen_ms - before;
}

static void probe(bool http, const char *path)
{
    static struct gw_probe f;
    f = (struct gw_probe){ .nodes_count = 1, .nodes = { { .node = head, .cluster = cluster, .http = http } } };
    memcpy(f.nodes[0].service, "dashboard", sizeof "dashboard");
    snprintf(f.nodes[0].path, sizeof f.nodes[0].path, "%s", path);
    probes_take(probes, &f);
}

/* ---- the tests ----------------------------------------------------------------------------------------------------- */

static void an_http_service_is_seen_while_it_answers_whatever_its_status(void **state)
{
    (void)state;
    char               expected[256], id_room[ID_TEXT + 1];
    struct text        id     = TEXT_IN(id_room);
    struct door_counts before = door_counts(door);
    serve_ms(TAKES, 50);
    probe(true, "/api/version");
    uint64_t seen = seen_while(ANSWERS, 1500);
    print_message("seen for %llu of 1500 ms\n", (unsigned long long)seen);
    assert_true(seen > 1000 && seen <= 1500);
    assert_string_equal(last_opening, "{\"service\":\"dashboard\",\"user\":\"network\",\"client\":\"\"}");
    id_write(cluster.id, &id);
    snprintf(expected, sizeof expected,
             "GET /api/version HTTP/1.1\r\nhost: dashboard--%s." DOMAIN
             "\r\nuser-agent: ionet-gateway\r\nconnection: close\r\n\r\n",
             text_z(&id));
    assert_string_equal(last_request, expected);
    response = "HTTP/1.0 503 Service Unavailable\r\n\r\n";
    assert_true(seen_while(ANSWERS, 600) > 300);
    struct door_counts after = door_counts(door);
    assert_int_equal(after.joins, before.joins); /* users' joins are counted, these are none */
    assert_int_equal(after.live, before.live);
}

static void a_tcp_service_is_seen_while_it_takes_connections(void **state)
{
    (void)state;
    serve_ms(TAKES, 50);
    probe(false, "");
    assert_true(seen_while(TAKES, 1000) > 600);
    assert_true(openings > 5 && reports > 5);
}

static void a_service_that_is_dead_is_not_seen_and_what_was_missed_is_not_made_up(void **state)
{
    (void)state;
    static const enum manner deaths[] = { REFUSES, SAYS_NOTHING, SAYS_NONSENSE, HAS_NO_TUNNEL };
    response                          = "HTTP/1.1 404 Not Found\r\n\r\n";
    serve_ms(TAKES, 50);
    probe(true, "/");
    for (size_t i = 0; i < countof(deaths); i++) {
        assert_true(seen_while(ANSWERS, 600) > 200);
        seen_while(deaths[i], 2 * (EVERY_MS + ANSWER_MS)); /* what was on its way may still have come */
        assert_int_equal(seen_while(deaths[i], 800), 0);
        assert_true(seen_while(ANSWERS, 600) <= 600);
    }
}

static void a_probe_ends_with_its_cluster_or_when_a_whole_list_does_not_name_it(void **state)
{
    (void)state;
    static const struct gw_probe none = { .reset = true };
    serve_ms(TAKES, 50);
    probe(false, "");
    assert_true(seen_while(TAKES, 400) > 100);
    probes_take(probes, &none);
    assert_true(seen_while(TAKES, 400) > 100); /* the rest of the list may be on its way */
    serve_ms(TAKES, 2000);
    uint64_t opened = openings;
    assert_int_equal(seen_while(TAKES, 300), 0);
    assert_int_equal(openings, opened);

    seen_ms = 0; /* it counts from nothing again */
    probe(false, "");
    assert_true(seen_while(TAKES, 400) > 100);
    probes_revoke(probes, (struct cluster_id){ { { 9 } } });
    probes_take(probes, &none);
    probe(false, ""); /* its last part names it */
    assert_true(seen_while(TAKES, 2500) > 2000);
    probes_revoke(probes, cluster);
    opened = openings;
    serve_ms(TAKES, 300);
    assert_int_equal(openings, opened);
}

static struct gw_probe told_again;

static void on_frame(void *ctx, enum link_kind kind, const void *message)
{
    (void)ctx;
    assert_int_equal(kind, LINK_GW_PROBE);
    told_again = *(const struct gw_probe *)message;
}

static void whom_it_probes_can_be_told_again_and_all_is_said_anew(void **state)
{
    (void)state;
    static struct gw_probed out;
    serve_ms(TAKES, 50);
    probe(true, "/a");
    probes_write(probes, on_frame, NULL);
    assert_true(told_again.reset);
    assert_int_equal(told_again.nodes_count, 1);
    assert_string_equal(told_again.nodes[0].service, "dashboard");
    assert_string_equal(told_again.nodes[0].path, "/a");
    assert_true(told_again.nodes[0].http && id_eq(told_again.nodes[0].cluster.id, cluster.id));
    assert_false(probes_take_unsent(probes, &out));
    probes_all_unsent(probes);
    assert_true(probes_take_unsent(probes, &out));
    assert_int_equal(out.nodes[0].seen_ms, 0);
    probes_revoke(probes, cluster);
    probes_take(probes, &told_again);
    assert_true(seen_while(ANSWERS, 400) > 100);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_probes, close_probes)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_http_service_is_seen_while_it_answers_whatever_its_status),
        TEST(a_tcp_service_is_seen_while_it_takes_connections),
        TEST(a_service_that_is_dead_is_not_seen_and_what_was_missed_is_not_made_up),
        TEST(a_probe_ends_with_its_cluster_or_when_a_whole_list_does_not_name_it),
        TEST(whom_it_probes_can_be_told_again_and_all_is_said_anew),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
