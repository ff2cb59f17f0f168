/* test_links.c: the real program with devices, a gateway and customers: who is let in, and a cluster's whole life
 * over real links. */
#include "test_world_int.h"

/* ---- who is let in ---------------------------------------------------------------------------------------------- */

static void a_token_works_only_once(void **state)
{
    struct world  *w = *state;
    struct machine a = { .lie = false }, b = { .lie = false };
    char           key[64], token[320];
    sign_in(w, 1, "", key);
    make_token(w, key, "device", "", token);
    machine_join(&a, w, LINK_DEVICE, 0x31, token);
    assert_false(id_is_none(a.welcome.id));
    machine_dial(&b, w, LINK_DEVICE, 0x32, token);
    world_wait_for(w, b.open || b.closed);
    assert_true(b.closed);
    assert_non_null(strstr(b.why, "has been used"));
    machine_leave(&a);
}

static void a_token_of_one_kind_lets_no_other_in(void **state)
{
    struct world  *w = *state;
    struct machine m = { .lie = false };
    char           key[64], token[320];
    sign_in(w, 2, "", key);
    make_token(w, key, "device", "", token);
    machine_dial(&m, w, LINK_GATEWAY, 0x33, token);
    world_wait_for(w, m.open || m.closed);
    assert_non_null(strstr(m.why, "another kind"));
    make_token(w, key, "device", ",\"valid_ms\":1000", token);
    world_until(w, false, 1200);
    machine_dial(&m, w, LINK_DEVICE, 0x33, token);
    world_wait_for(w, m.open || m.closed);
    assert_non_null(strstr(m.why, "expired"));
}

static void a_device_is_its_key(void **state)
{
    struct world  *w = *state;
    struct machine m = { .lie = false }, other = { .lie = false };
    char           key[64], token[320];
    sign_in(w, 3, "", key);
    make_token(w, key, "device", "", token);
    machine_join(&m, w, LINK_DEVICE, 0x34, token);
    struct id id = m.welcome.id;
    machine_leave(&m);
    machine_join(&m, w, LINK_DEVICE, 0x34, NULL); /* known by its key: no token is needed again */
    assert_true(id_eq(m.welcome.id, id));
    assert_true(m.welcome.epoch > 0);
    assert_string_equal(m.welcome.address, "127.0.0.1");
    machine_leave(&m);

    machine_dial(&other, w, LINK_DEVICE, 0x35, NULL); /* the same machine with a new key is a stranger */
    world_wait_for(w, other.open || other.closed);
    assert_non_null(strstr(other.why, "not enrolled"));
    other.lie = true; /* and a key that it has not can't be proved */
    machine_dial(&other, w, LINK_DEVICE, 0x34, NULL);
    world_wait_for(w, other.open || other.closed);
    assert_non_null(strstr(other.why, "proof"));
}

static void a_machine_is_no_second_device(void **state)
{
    struct world  *w = *state;
    struct machine m = { .lie = false }, twice = { .lie = false };
    char           key[64], token[320];
    sign_in(w, 12, "", key);
    make_token(w, key, "device", "", token);
    machine_join(&m, w, LINK_DEVICE, 0x3c, token);
    make_token(w, key, "device", "", token);
    machine_dial(&twice, w, LINK_DEVICE, 0x3d, token);
    memcpy(twice.hello.boot_id, m.hello.boot_id, sizeof twice.hello.boot_id);
    world_wait_for(w, twice.open || twice.closed);
    assert_non_null(strstr(twice.why, "one worker a machine"));
    machine_leave(&m);
}

static void a_second_instance_of_a_key_waits_outside(void **state)
{
    struct world  *w = *state;
    struct machine m = { .lie = false }, copy = { .lie = false };
    char           key[64], token[320];
    sign_in(w, 4, "", key);
    make_token(w, key, "device", "", token);
    machine_join(&m, w, LINK_DEVICE, 0x36, token);
    machine_dial(&copy, w, LINK_DEVICE, 0x36, NULL);
    memset(copy.hello.instance, 0x99, sizeof copy.hello.instance);
    world_wait_for(w, copy.open || copy.closed);
    assert_non_null(strstr(copy.why, "linked from elsewhere"));
    assert_true(m.open);
    machine_leave(&m);
}

static void what_is_no_hello_is_cut_off(void **state)
{
    static const char *const rows[] = { "nonsense", "{\"kind\":\"observed\"}", "{\"kind\":\"moon\"}",
                                        "{\"kind\":\"proof\",\"signature\":\"00\"}" };
    struct world            *w      = *state;
    for (size_t k = 0; k < countof(rows); k++) {
        struct machine m = { .lie = false };
        m.first          = rows[k];
        machine_dial(&m, w, LINK_DEVICE, 0x37, NULL);
        world_wait_for(w, m.closed);
        assert_false(m.open);
    }
    struct machine silent = { .lie = false };
    silent.first          = "";
    machine_dial(&silent, w, LINK_DEVICE, 0x37, NULL);
    world_wait_for(w, silent.closed);
    assert_non_null(strstr(silent.why, "proof"));
}

static void a_device_may_not_speak_for_a_gateway(void **state)
{
    struct world         *w    = *state;
    struct machine        m    = { .lie = false };
    static struct gw_seen seen = { .places_count = 0 };
    char                  key[64], token[320];
    sign_in(w, 5, "", key);
    make_token(w, key, "device", "", token);
    machine_join(&m, w, LINK_DEVICE, 0x38, token);
    machine_send(&m, LINK_GW_SEEN, &seen);
    world_wait_for(w, m.closed);
    assert_non_null(strstr(m.why, "does not say"));
}

/* ---- a cluster's life --------------------------------------------------------------------------------------------- */

struct scene {
    struct world  *w;
    char           operator[64], supplier[64], user[64], other[64];
    struct machine gateway, devices[2];
    char           cluster[32];
    char           path[64];
};

static void scene_make(struct scene *s, struct world *w, uint8_t fill)
{
    *s = (struct scene){ .w = w };
    sign_in(w, OPERATOR_FILL, "", s->operator);
    sign_in(w, (uint8_t)(fill + 1), "", s->supplier);
    sign_in(w, (uint8_t)(fill + 2), "", s->other);
    sign_in(w, (uint8_t)(fill + 3), "", s->user);
    assert_int_equal(post(w, "/v1/grants", s->operator, "{\"account\":\"%s\",\"amount_micros\":10000000}",
                          said(w, "account")),
                     200);
    gateway_ready(&s->gateway, w, s->operator, (uint8_t)(fill + 4));
    for (uint8_t k = 0; k < 2; k++) device_ready(&s->devices[k], w, s->supplier, (uint8_t)(fill + 5 + k));
}

static void scene_end(struct scene *s)
{
    for (int k = 0; k < 2; k++) {
        char        path[64], id[ID_TEXT + 1];
        struct text t = TEXT_IN(id);
        id_write(s->devices[k].welcome.id, &t);
        snprintf(path, sizeof path, "/v1/devices/%s", text_z(&t));
        assert_int_equal(call(s->w, "DELETE", path, s->supplier, STR("")), 200);
        world_wait_for(s->w, s->devices[k].closed);
    }
    machine_leave(&s->gateway);
}

static void scene_create(struct scene *s)
{
    assert_int_equal(
        post(s->w, "/v1/quotes", s->user, "{\"recipe\":\"web\",\"quantity\":2,\"duration_ms\":3600000}"), 201);
    char quote[32];
    snprintf(quote, sizeof quote, "%s", said(s->w, "id"));
    assert_int_equal(post(s->w, "/v1/clusters", s->other, "{\"quote\":\"%s\"}", quote), 404);
    assert_int_equal(post(s->w, "/v1/clusters", s->user, "{\"quote\":\"%s\",\"name\":\"mine\"}", quote), 201);
    snprintf(s->cluster, sizeof s->cluster, "%s", said(s->w, "id"));
    snprintf(s->path, sizeof s->path, "/v1/clusters/%s", s->cluster);
    assert_said(s->w, "escrow_micros", "7200000");
    assert_int_equal(post(s->w, "/v1/clusters", s->user, "{\"quote\":\"%s\"}", quote), 409);
    for (int k = 0; k < 2; k++) world_wait_for(s->w, s->devices[k].desired.assignments_count == 1);
}

static struct machine *scene_head(struct scene *s)
{
    return &s->devices[s->devices[0].desired.assignments[0].role == NODE_HEAD ? 0 : 1];
}

static uint8_t mesh_fill(const struct machine *m)
{
    return (uint8_t)(m->hello.public_key[0] | 1);
}

static void report(struct machine *m, enum node_phase phase, uint64_t served_ms)
{
    struct observed o = machine_report(m);
    if (m->desired.assignments_count) {
        const struct assignment *a = &m->desired.assignments[0];
        o.nodes_count              = 1;
        o.nodes[0]                 = (struct observed_node){
                            .node = a->node, .incarnation = a->incarnation, .phase = phase, .served_ms = served_ms
        };
        memset(o.nodes[0].mesh_key, mesh_fill(m), sizeof o.nodes[0].mesh_key);
    }
    machine_send(m, LINK_OBSERVED, &o);
}

static void places(struct scene *s, const char *port_b_of_second)
{
    static struct gw_seen seen;
    seen = (struct gw_seen){ .places_count = 2 };
    for (int k = 0; k < 2; k++) {
        struct gw_place *p = &seen.places[k];
        p->node            = s->devices[k].desired.assignments[0].node;
        snprintf(p->seen_a, sizeof p->seen_a, "203.0.113.%d:5000", 10 + k);
        snprintf(p->seen_b, sizeof p->seen_b, "203.0.113.%d:%s", 10 + k, k ? port_b_of_second : "5000");
    }
    machine_send(&s->gateway, LINK_GW_SEEN, &seen);
}

static void witness(struct machine *m, uint64_t seen_ms)
{
    static struct witnessed  said_by;
    const struct assignment *a = &m->desired.assignments[0];
    said_by = (struct witnessed){ .node = a->node, .incarnation = a->incarnation, .entries_count = 2 };
    for (uint32_t k = 0; k < 2; k++) said_by.entries[k] = (struct witness_entry){ k + 1, seen_ms, true };
    machine_send(m, LINK_WITNESSED, &said_by);
}

static void wait_state(struct scene *s, const char *wanted)
{
    for (int k = 0; k < 200; k++) {
        assert_int_equal(get(s->w, s->path, s->user), 200);
        if (strcmp(said(s->w, "state"), wanted) == 0) return;
        world_until(s->w, false, 20);
    }
    fail_msg("the cluster is not %s: %s", wanted, s->w->said);
}

static void scene_run(struct scene *s, const char *port_b_of_second)
{
    for (int k = 0; k < 2; k++) report(&s->devices[k], PHASE_MESH, 0);
    world_wait_for(s->w, s->gateway.meet.nodes_count > 0);
    places(s, port_b_of_second);
    for (int k = 0; k < 2; k++) world_wait_for(s->w, s->devices[k].peers_count == 1);
    for (int k = 0; k < 2; k++) report(&s->devices[k], PHASE_RUNNING, 0);
    wait_state(s, "starting");
    for (int k = 0; k < 2; k++) witness(&s->devices[k], 0);
    wait_state(s, "ready");
}

static void scene_terminate(struct scene *s)
{
    assert_int_equal(call(s->w, "DELETE", s->path, s->other, STR("")), 404);
    assert_int_equal(call(s->w, "DELETE", s->path, s->user, STR("")), 200);
    for (int k = 0; k < 2; k++) {
        world_wait_for(s->w, s->devices[k].desired.assignments_count == 0);
        report(&s->devices[k], PHASE_ASKED, 0);
    }
    wait_state(s, "ended");
}

static void check_assignment(const struct machine *m)
{
    const struct assignment *a = &m->desired.assignments[0];
    char                     room[512];
    struct text              signed_text = TEXT_IN(room);
    struct public_key        network;
    struct signature         sig;
    struct ticket            t;
    memcpy(network.bytes, m->welcome.signing_key, sizeof network.bytes);
    memcpy(sig.bytes, a->signature, sizeof sig.bytes);
    assignment_signed_text(a, (struct device_id){ m->welcome.id }, &signed_text);
    assert_true(sign_verify(network, STR(LINK_ASSIGN_DOMAIN), text_str(&signed_text), sig));
    assert_int_equal(ticket_read(str_from(a->ticket), network, sys_wall_now(), &t).code, ERR_NONE);
    assert_int_equal(t.kind, TICKET_TUNNEL);
    assert_string_equal(t.service, a->role == NODE_HEAD ? TICKET_HEAD : "");
    assert_true(id_eq(t.node.id, a->node.id) && id_eq(t.cluster.id, a->cluster.id));
    assert_true(t.expires.ms <= sys_wall_now().ms + LEASE_MS);
    assert_string_equal(a->image, WORLD_IMAGE);
    assert_string_equal(a->tunnel, "127.0.0.1:4443");
    assert_int_equal(a->meets_count, 1);
    assert_string_equal(m->desired.images[0].image, WORLD_IMAGE);
}

static void check_ticket(struct scene *s)
{
    struct world     *w = s->w;
    char              path[96], token[RECIPE_SECRET_TEXT], host[128], env[128];
    struct ticket     t;
    struct machine   *head = scene_head(s);
    struct public_key network;
    struct text       secret = TEXT_IN(token);
    memcpy(network.bytes, head->welcome.signing_key, sizeof network.bytes);
    snprintf(path, sizeof path, "%s/tickets", s->path);
    assert_int_equal(post(w, path, s->user, "{\"service\":\"pages\"}"), 201);
    assert_int_equal(ticket_read(str_from(said(w, "ticket")), network, sys_wall_now(), &t).code, ERR_NONE);
    assert_int_equal(t.kind, TICKET_JOIN);
    assert_string_equal(t.service, "pages");
    assert_true(id_eq(t.cluster.id, head->desired.assignments[0].cluster.id));
    assert_said(w, "gateway", "127.0.0.1:4443");
    snprintf(host, sizeof host, "pages--%s.ionet.internal", s->cluster);
    assert_said(w, "host", host);
    recipe_secret(head->desired.assignments[0].secret, STR("token"), &secret);
    assert_said(w, "token", text_z(&secret));
    snprintf(env, sizeof env, "PAGES=http://${address}/?%s\n", token);
    assert_said(w, "env", env);

    assert_int_equal(post(w, path, s->user, "{\"service\":\"logs\",\"once\":true}"), 201);
    assert_said(w, "env", "");
    assert_int_equal(post(w, path, s->user, "{\"service\":\"moon\"}"), 404);
    assert_int_equal(post(w, path, s->user, "{\"service\":\"inner\"}"), 400);
    assert_int_equal(post(w, path, s->other, "{\"service\":\"pages\"}"), 404);
    assert_int_equal(post(w, path, s->user, "{\"service\":\"pages\",\"node\":\"0000000000000001\"}"), 404);
}

static void a_cluster_lives_and_ends_and_the_books_close(void **state)
{
    struct world *w = *state;
    struct scene  s;
    scene_make(&s, w, 0x40);
    assert_non_null(strstr(s.gateway.config.chain_pem, "BEGIN CERTIFICATE"));
    assert_string_equal(s.gateway.config.domain, "ionet.internal");
    scene_create(&s);
    for (int k = 0; k < 2; k++) check_assignment(&s.devices[k]);
    assert_int_equal(scene_head(&s)->desired.assignments[0].index, 1);

    scene_run(&s, "5000");
    for (int k = 0; k < 2; k++) assert_int_equal(s.devices[k].peers[0].via, MESH_DIRECT);
    assert_string_equal(scene_head(&s)->peers[0].address, "10.99.0.2");
    assert_int_equal(get(w, s.path, s.other), 404);
    assert_int_equal(get(w, "/v1/clusters/mine", s.user), 200);
    assert_said(w, "id", s.cluster);
    check_ticket(&s);

    char path[96];
    snprintf(path, sizeof path, "%s/extend", s.path);
    assert_int_equal(post(w, path, s.user, "{\"duration_ms\":3600000}"), 402);
    assert_said(w, "missing_micros", "4400000");
    assert_int_equal(post(w, path, s.user, "{\"duration_ms\":60000}"), 200);
    assert_said(w, "escrow_micros", "7320000");

    world_until(w, false, 400);
    for (int k = 0; k < 2; k++) witness(&s.devices[k], 300);
    for (int k = 0; k < 2; k++) report(&s.devices[k], PHASE_RUNNING, 300);
    world_until(w, false, 100);
    uint32_t revoked = s.gateway.revoke_count;
    scene_terminate(&s);
    world_wait_for(w, s.gateway.revoke_count == revoked + 1);
    assert_int_equal(said_number(w, "charged_micros"), 2 * 300);
    assert_int_equal(said_number(w, "refunded_micros"), 7320000 - 2 * 300);
    assert_int_equal(get(w, "/v1/account", s.user), 200);
    assert_int_equal(said_number(w, "balance_micros"), 10000000 - 2 * 300);
    assert_int_equal(get(w, "/v1/account", s.supplier), 200);
    assert_int_equal(said_number(w, "earnings_micros"), 2 * 300);
    assert_int_equal(get(w, "/v1/books", s.operator), 200);
    assert_said(w, "sum_micros", "0");
    assert_said(w, "escrow_micros", "0");
    scene_end(&s);
}

static void probed(struct scene *s, struct node_id node, uint64_t seen_ms)
{
    struct gw_probed p = { .nodes_count = 1, .nodes = { { node, seen_ms } } };
    machine_send(&s->gateway, LINK_GW_PROBED, &p);
}

static void check_probe(const struct scene *s, const struct assignment *a)
{
    const struct gw_probed_service *p = &s->gateway.probe.nodes[0];
    assert_int_equal(s->gateway.probe.nodes_count, 1);
    assert_true(id_eq(p->node.id, a->node.id) && id_eq(p->cluster.id, a->cluster.id));
    assert_string_equal(p->service, "pages");
    assert_true(p->http);
    assert_string_equal(p->path, "/");
}

/* Of the recipe's two services the head has one, and it is the one by which the gateway is to see. */
static void a_node_that_is_alone_is_charged_by_what_its_gateway_says(void **state)
{
    struct world *w = *state;
    struct scene  s;
    struct gw_up  up = { .meets_count = 1, .relay_port_base = 40000, .relay_slots = 16 };
    scene_make(&s, w, 0x90);
    assert_int_equal(
        post(w, "/v1/quotes", s.user, "{\"recipe\":\"web\",\"quantity\":1,\"duration_ms\":3600000}"), 201);
    char quote[32];
    snprintf(quote, sizeof quote, "%s", said(w, "id"));
    assert_int_equal(post(w, "/v1/clusters", s.user, "{\"quote\":\"%s\",\"name\":\"alone\"}", quote), 201);
    snprintf(s.path, sizeof s.path, "/v1/clusters/%s", said(w, "id"));
    world_wait_for(w, s.devices[0].desired.assignments_count + s.devices[1].desired.assignments_count == 1);
    struct machine   *m = &s.devices[s.devices[0].desired.assignments_count ? 0 : 1];
    struct assignment a = m->desired.assignments[0];
    report(m, PHASE_RUNNING, 0);
    wait_state(&s, "starting");
    assert_int_equal(s.gateway.probe.nodes_count, 0);
    witness(m, 0);
    wait_state(&s, "ready");
    world_wait_for(w, s.gateway.probe.nodes_count > 0);
    check_probe(&s, &a);

    world_until(w, false, 500);
    witness(m, 500);
    report(m, PHASE_RUNNING, 500);
    probed(&s, a.node, 200);
    machine_leave(&s.gateway);
    machine_join(&s.gateway, w, LINK_GATEWAY, 0x94, NULL);
    gateway_say_up(&s.gateway, &up, 0x94);
    world_wait_for(w, s.gateway.probe_count > 0);
    assert_true(s.gateway.probe.reset);
    check_probe(&s, &a);
    probed(&s, a.node, 350);
    world_until(w, false, 100);
    uint32_t revoked = s.gateway.revoke_count;
    scene_terminate(&s);
    world_wait_for(w, s.gateway.revoke_count == revoked + 1);
    assert_int_equal(said_number(w, "charged_micros"), 350);
    scene_end(&s);
}

static bool is_revoked(const struct machine *gateway, struct node_id node)
{
    for (uint32_t i = 0; i < gateway->revoke.nodes_count; i++)
        if (id_eq(gateway->revoke.nodes[i].node.id, node.id)) return true;
    return false;
}

static void a_replaced_nodes_tickets_are_void_at_the_gateway_and_again_at_one_that_comes_back(void **state)
{
    struct world *w = *state;
    struct scene  s;
    struct gw_up  up = { .meets_count = 1, .relay_port_base = 40000, .relay_slots = 16 };
    scene_make(&s, w, 0xb0);
    scene_create(&s);
    scene_run(&s, "5000");
    struct machine *worker = &s.devices[&s.devices[0] == scene_head(&s)];
    struct node_id  lost   = worker->desired.assignments[0].node;
    report(worker, PHASE_ENDED, 0);
    world_wait_for(w, is_revoked(&s.gateway, lost));
    wait_state(&s, "healing");

    machine_leave(&s.gateway);
    s.gateway.revoke.nodes_count = 0;
    machine_join(&s.gateway, w, LINK_GATEWAY, 0xb4, NULL);
    gateway_say_up(&s.gateway, &up, 0xb4);
    world_wait_for(w, is_revoked(&s.gateway, lost));
    scene_terminate(&s);
    scene_end(&s);
}

static void a_symmetric_nat_is_relayed_and_the_gateway_told(void **state)
{
    struct world *w = *state;
    struct scene  s;
    scene_make(&s, w, 0x50);
    scene_create(&s);
    s.gateway.relay_count = 0;
    scene_run(&s, "6000");
    world_wait_for(w, s.gateway.relay_count > 0);
    assert_int_equal(s.gateway.relay.pairs_count, 1);
    uint8_t a = s.gateway.relay.pairs[0].key_a[0], b = s.gateway.relay.pairs[0].key_b[0];
    uint8_t x = mesh_fill(&s.devices[0]), y = mesh_fill(&s.devices[1]);
    assert_true((a == x && b == y) || (a == y && b == x));
    for (int k = 0; k < 2; k++) assert_int_equal(s.devices[k].peers[0].via, MESH_RELAY);
    scene_terminate(&s);
    world_wait_for(w, s.gateway.relay.gone_count == 1);
    scene_end(&s);
}

/* After kill -9 every link comes back by itself; nobody was told anything that is now untrue. */
static void after_kill_9_links_and_clusters_are_as_they_were(void **state)
{
    struct world *w = *state;
    struct scene  s;
    scene_make(&s, w, 0x60);
    scene_create(&s);
    scene_run(&s, "5000");
    uint64_t       epoch = s.devices[0].welcome.epoch;
    struct node_id node  = s.devices[0].desired.assignments[0].node;
    assert_int_equal(world_stop(w, SIGKILL), -1);
    world_wait_for(w, s.gateway.closed && s.devices[0].closed && s.devices[1].closed);
    world_start(w);
    machine_join(&s.gateway, w, LINK_GATEWAY, 0x64, NULL);
    for (uint8_t k = 0; k < 2; k++) machine_join(&s.devices[k], w, LINK_DEVICE, (uint8_t)(0x65 + k), NULL);
    for (int k = 0; k < 2; k++) world_wait_for(w, s.devices[k].desired.assignments_count == 1);
    assert_true(s.devices[0].welcome.epoch > epoch);
    assert_true(id_eq(s.devices[0].desired.assignments[0].node.id, node.id));
    for (int k = 0; k < 2; k++) check_assignment(&s.devices[k]);
    assert_int_equal(s.devices[0].maps_count,
                     0); /* who is where is not known yet: no map is better than a part */

    struct gw_up up = { .meets_count = 1, .relay_port_base = 40000, .relay_slots = 16 };
    gateway_say_up(&s.gateway, &up, 0x64);
    world_wait_for(w, s.gateway.meet.nodes_count == 2);
    assert_true(s.gateway.meet.reset);
    places(&s, "5000");
    for (int k = 0; k < 2; k++) world_wait_for(w, s.devices[k].peers_count == 1);
    for (int k = 0; k < 2; k++) report(&s.devices[k], PHASE_RUNNING, 100);
    wait_state(&s, "ready");
    scene_terminate(&s);
    scene_end(&s);
}

static void watchers_are_told_each_change_and_their_stream_ends_with_the_key(void **state)
{
    static struct stream cluster, same, devices;
    struct world        *w = *state;
    struct scene         s;
    char                 path[96], key[64];
    scene_make(&s, w, 0x70);
    scene_create(&s);
    snprintf(path, sizeof path, "%s/events", s.path);
    struct net_call *c = stream_open(&cluster, w, path, s.user);
    sign_in(w, 0x71, "", key);
    struct net_call *c2 = stream_open(&same, w, path, s.user);
    (void)stream_open(&devices, w, "/v1/devices/events", key);
    world_wait_for(w,
                   strstr(cluster.said, "\"state\":\"reserved\"") && strstr(devices.said, "\"nodes_count\":1"));
    assert_string_equal(cluster.type, "text/event-stream");
    assert_int_equal(strncmp(cluster.said, "event: cluster\ndata: {", 22), 0);
    scene_run(&s, "5000");
    world_wait_for(w, strstr(cluster.said, "\"state\":\"ready\""));
    assert_non_null(strstr(cluster.said, "\"state\":\"starting\""));
    scene_terminate(&s);
    world_wait_for(w, strstr(cluster.said, "\"state\":\"ended\"") && strstr(same.said, "\"state\":\"ended\""));
    assert_non_null(strstr(same.said, "\"state\":\"ready\""));
    net_call_cancel(c);
    net_call_cancel(c2);
    assert_int_equal(call(w, "DELETE", "/v1/session", key, STR("")), 204);
    scene_end(&s); /* its devices change: the stream is asked whether its key still is one */
    world_wait_for(w, devices.over);
    assert_null(strstr(devices.said, "\"state\":\"retired\""));
}

int main(int argc, char **argv)
{
    int status;
    if (world_is_program(argc, argv, &status)) return status;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_works_only_once),
        cmocka_unit_test(a_token_of_one_kind_lets_no_other_in),
        cmocka_unit_test(a_device_is_its_key),
        cmocka_unit_test(a_machine_is_no_second_device),
        cmocka_unit_test(a_second_instance_of_a_key_waits_outside),
        cmocka_unit_test(what_is_no_hello_is_cut_off),
        cmocka_unit_test(a_device_may_not_speak_for_a_gateway),
        cmocka_unit_test(a_cluster_lives_and_ends_and_the_books_close),
        cmocka_unit_test(a_node_that_is_alone_is_charged_by_what_its_gateway_says),
        cmocka_unit_test(a_replaced_nodes_tickets_are_void_at_the_gateway_and_again_at_one_that_comes_back),
        cmocka_unit_test(a_symmetric_nat_is_relayed_and_the_gateway_told),
        cmocka_unit_test(after_kill_9_links_and_clusters_are_as_they_were),
        cmocka_unit_test(watchers_are_told_each_change_and_their_stream_ends_with_the_key),
    };
    return cmocka_run_group_tests(tests, world_make, world_end);
}
