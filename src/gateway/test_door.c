#include "test_world_int.h"

/* Tunnels and joins: who is let in, who is joined to whom, and what cuts them. */

static struct cluster_id other_cluster = { { { 9, 9, 9 } } };
static struct node_id    second        = { { { 20 } } };

/* ---- joins ------------------------------------------------------------------------------------------------------- */

static void a_join_is_carried_both_ways_until_both_have_ended(void **state)
{
    (void)state;
    struct end         worker, user;
    struct door_counts before = door_counts(door);
    tunnel_open(&worker);
    join_start(&user);
    turn_until_got(&worker, "\n");
    assert_string_equal(worker.got,
                        "{\"service\":\"dashboard\",\"user\":\"somebody\",\"client\":\"127.0.0.1\"}\n");
    assert_false(user.open); /* it is told of the tunnel only when the worker has said ok */
    say(&worker, "ok\nHello");
    turn_until_got(&user, "Hello");
    assert_true(user.open);
    say(&user, "question");
    turn_until_got(&worker, "question");
    say(&worker, "answer");
    turn_until_got(&user, "answer");
    net_raw_end(user.raw);
    turn_until(&worker.ended);
    turn_until(&worker.over);
    turn_until(&user.over);
    nothing_is_left();
    struct door_counts after = door_counts(door);
    assert_int_equal(after.joins, before.joins + 1);
    assert_int_equal(after.joined_bytes, before.joined_bytes + strlen("Helloquestionanswer"));
}

static void a_join_waits_for_a_tunnel(void **state)
{
    (void)state;
    struct end worker, user;
    join_start(&user);
    turn_ms(100);
    assert_int_equal(door_counts(door).live, 1);
    tunnel_open(&worker);
    turn_until_got(&worker, "\n");
    say(&worker, "o");
    turn_ms(20);
    say(&worker, "k\n");
    turn_until(&user.open);
    end_close(&user);
    turn_until(&worker.over);
    nothing_is_left();
}

static void a_join_that_nobody_takes_is_refused_in_time(void **state)
{
    (void)state;
    struct end worker, user;
    join_start(&user);
    turn_until(&user.over);
    assert_string_equal(user.why, "status 503");
    tunnel_open(&worker); /* and one that a worker does not answer */
    join_start(&user);
    turn_until(&user.over);
    assert_string_equal(user.why, "status 503");
    turn_until(&worker.over);
    nothing_is_left();
}

static void a_user_who_leaves_takes_his_tunnel_with_him(void **state)
{
    (void)state;
    struct end worker, user;
    join_start(&user);
    turn_ms(50);
    end_close(&user);
    nothing_is_left();
    tunnel_open(&worker);
    join_start(&user);
    turn_until_got(&worker, "\n");
    end_close(&user);
    turn_until(&worker.over);
    nothing_is_left();
}

/* Joins of that cluster by that user, which wait; so many in all are let in. */
static void fill(struct end *users, unsigned count, uint8_t which, const char *user, unsigned live)
{
    uint64_t by_ms = net_now_ms(net) + PATIENCE_MS;
    for (unsigned i = 0; i < count; i++) {
        struct ticket t       = ticket_for(TICKET_JOIN, "dashboard");
        t.cluster.id.bytes[0] = which;
        snprintf(t.user, sizeof t.user, "%s", user);
        dial_as(&users[i], "/.ionet/join?service=dashboard", written(&t, &network_key), NULL);
    }
    while (door_counts(door).live != live && net_now_ms(net) < by_ms) uv_run(net_uv_loop(net), UV_RUN_ONCE);
    assert_int_equal(door_counts(door).live, live);
}

static void neither_a_cluster_nor_a_user_takes_the_whole_door(void **state)
{
    (void)state;
    struct end users[JOINS_A_USER + 1], one_more;
    fill(users, JOINS_A_CLUSTER, 1, "somebody", JOINS_A_CLUSTER);
    fill(&one_more, 1, 1, "somebody", JOINS_A_CLUSTER);
    turn_until(&one_more.over);
    assert_string_equal(one_more.why, "status 503");
    fill(users + JOINS_A_CLUSTER, JOINS_A_USER - JOINS_A_CLUSTER, 2, "somebody", JOINS_A_USER);
    fill(&one_more, 1, 2, "somebody", JOINS_A_USER); /* that cluster has room, but he has none */
    turn_until(&one_more.over);
    assert_string_equal(one_more.why, "status 503");
    fill(users + JOINS_A_USER, 1, 2, "another", JOINS_A_USER + 1);
    end_close(&users[0]);
    fill(users, 1, 1, "somebody", JOINS_A_USER + 1); /* one left: there is room again */
    for (int i = 0; i <= JOINS_A_USER; i++) end_close(&users[i]);
    nothing_is_left();
}

static void what_one_worker_refuses_another_may_have(void **state)
{
    (void)state;
    struct end    a, b, user;
    struct ticket t = ticket_for(TICKET_TUNNEL, "head"), u = t;
    u.node = second;
    tunnel_by(&a, &t);
    tunnel_by(&b, &u);
    join_start(&user);
    turn_until_got(&b, "\n"); /* the one that dialled last */
    say(&b, "no there is no such service on this node\n");
    turn_until_got(&a, "\n");
    say(&a, "ok\n");
    turn_until(&user.open);
    end_close(&user);
    turn_until(&a.over);
    turn_until(&b.over);

    tunnel_by(&a, &t);
    join_start(&user);
    turn_until_got(&a, "\n");
    say(&a, "no it has not started\n");
    turn_until(&user.over);
    assert_string_equal(user.why, "status 502");
    turn_until(&a.over);
    nothing_is_left();
}

static void a_join_without_a_node_goes_to_the_head_that_dialled_last(void **state)
{
    (void)state;
    struct end    old_head, new_head, worker, user;
    struct ticket t = ticket_for(TICKET_TUNNEL, "head"), other = t, w = ticket_for(TICKET_TUNNEL, "");
    struct ticket j = ticket_for(TICKET_JOIN, "dashboard");
    other.node      = second;
    w.node          = (struct node_id){ { { 30 } } };
    tunnel_by(&old_head, &t);
    tunnel_by(&new_head, &other);
    tunnel_by(&worker, &w);
    join_start(&user);
    turn_until_got(&new_head, "\n");
    end_close(&user);

    j.node = w.node; /* by name */
    dial_as(&user, "/.ionet/join?service=dashboard", written(&j, &network_key), NULL);
    turn_until_got(&worker, "\n");
    end_close(&user);
    turn_until(&worker.over);

    char        text[ID_TEXT + 1], path[128];
    struct text id = TEXT_IN(text);
    id_write(w.node.id, &id);
    snprintf(path, sizeof path, "/.ionet/join?service=dashboard&node=%s", text_z(&id));
    j.node = head;
    refused_as(path, written(&j, &network_key), NULL, "status 403");
    j.node = (struct node_id){ { { 40 } } }; /* one that is not here */
    refused_as("/.ionet/join?service=dashboard", written(&j, &network_key), NULL, "status 503");
    end_close(&old_head);
    nothing_is_left();
}

static void a_join_waits_for_the_head_and_takes_no_other_node_meanwhile(void **state)
{
    (void)state;
    struct end    worker, its_head, user;
    struct ticket w = ticket_for(TICKET_TUNNEL, "");
    w.node          = second;
    tunnel_by(&worker, &w);
    join_start(&user);
    turn_ms(50);
    tunnel_open(&its_head);
    turn_until_got(&its_head, "\n");
    say(&its_head, "no it has not started\n");
    turn_until(&user.over);
    assert_string_equal(user.why, "status 502");
    turn_until(&its_head.over);
    assert_int_equal(worker.got_len, 0);
    end_close(&worker);
    nothing_is_left();
}

static void a_node_keeps_few_tunnels_waiting(void **state)
{
    (void)state;
    struct end    many[GATEWAY_TUNNELS_A_NODE_MAX];
    struct ticket t = ticket_for(TICKET_TUNNEL, "head");
    for (size_t i = 0; i < countof(many); i++) tunnel_by(&many[i], &t);
    refused_as("/.ionet/tunnel", written(&t, &network_key), NULL, "status 429");
    for (size_t i = 0; i < countof(many); i++) end_close(&many[i]);
    nothing_is_left();
}

static void a_tunnel_that_speaks_unasked_is_cut(void **state)
{
    (void)state;
    struct end worker;
    tunnel_open(&worker);
    say(&worker, "ok\n");
    turn_until(&worker.over);
    nothing_is_left();
}

/* ---- refusals ------------------------------------------------------------------------------------------------------ */

static void a_join_needs_the_networks_ticket_for_that_very_service(void **state)
{
    (void)state;
    const char   *path = "/.ionet/join?service=dashboard";
    struct ticket good = ticket_for(TICKET_JOIN, "dashboard"), t = good;
    char          name[128], id_room[ID_TEXT + 1];
    struct text   id = TEXT_IN(id_room);
    refused_as(path, "", NULL, "status 403");
    refused_as(path, "nonsense", NULL, "status 403");
    refused_as(path, written(&good, &other_key), NULL, "status 403");
    refused_as("/.ionet/join?service=notebook", written(&good, &network_key), NULL, "status 403");
    refused_as("/.ionet/join", written(&good, &network_key), NULL, "status 403");
    t.expires.ms = sys_wall_now().ms - 1;
    refused_as(path, written(&t, &network_key), NULL, "status 401");
    t      = good;
    t.kind = TICKET_TUNNEL;
    refused_as(path, written(&t, &network_key), NULL, "status 403");
    t.kind = TICKET_ONCE;
    refused_as(path, written(&t, &network_key), NULL, "status 403");
    id_write(other_cluster.id, &id);
    snprintf(name, sizeof name, "dashboard--%s." DOMAIN, text_z(&id));
    refused_as(path, written(&good, &network_key), name, "status 403");
    char changed[TICKET_TEXT_MAX];
    snprintf(changed, sizeof changed, "%s", written(&good, &network_key));
    for (size_t i = 0; i < strlen(changed); i += 7) {
        char was   = changed[i];
        changed[i] = was == 'A' ? 'B' : 'A';
        struct ticket out;
        struct wish   w = { .service = STR("dashboard") };
        assert_int_not_equal(pass_join(pass, str_from(changed), &w, sys_wall_now(), &out).code, ERR_NONE);
        changed[i] = was;
    }
    refused_as("/.ionet/other", written(&good, &network_key), NULL, "status 404");
    nothing_is_left();
}

static void a_tunnel_needs_a_nodes_ticket(void **state)
{
    (void)state;
    struct ticket t = ticket_for(TICKET_TUNNEL, "head");
    refused_as("/.ionet/tunnel", written(&t, &other_key), NULL, "status 403");
    t.node = (struct node_id){ 0 };
    refused_as("/.ionet/tunnel", written(&t, &network_key), NULL, "status 403");
    t            = ticket_for(TICKET_TUNNEL, "head");
    t.expires.ms = sys_wall_now().ms - 1;
    refused_as("/.ionet/tunnel", written(&t, &network_key), NULL, "status 401");
    t = ticket_for(TICKET_JOIN, "dashboard");
    refused_as("/.ionet/tunnel", written(&t, &network_key), NULL, "status 403");
    nothing_is_left();
}

static void a_revocation_cuts_what_is_joined_what_waits_and_what_comes(void **state)
{
    (void)state;
    struct end        joined, user, idle, waiting, stranger;
    struct cluster_id kept = cluster;
    struct ticket     t = ticket_for(TICKET_TUNNEL, "head"), j = ticket_for(TICKET_JOIN, "dashboard");
    const char       *tunnel_text, *join_text;
    cluster     = (struct cluster_id){ { { 77 } } };
    t.cluster   = cluster;
    j.cluster   = cluster;
    t.node      = (struct node_id){ { { 50 } } };
    tunnel_text = written(&t, &network_key);
    join_text   = written(&j, &network_key);
    tunnel_by(&joined, &t);
    dial_as(&user, "/.ionet/join?service=dashboard", join_text, NULL);
    turn_until_got(&joined, "\n");
    dial_as(&waiting, "/.ionet/join?service=dashboard", join_text, NULL);
    turn_ms(30);
    say(&joined, "ok\n");
    turn_until(&user.open);
    cluster = kept;
    tunnel_open(&stranger); /* of another cluster */
    t.node                  = (struct node_id){ { { 51 } } };
    struct ticket elsewhere = t;
    elsewhere.cluster       = (struct cluster_id){ { { 77 } } };
    turn_ms(10);

    pass_revoke(pass, elsewhere.cluster);
    door_revoke(door, elsewhere.cluster);
    turn_until(&user.over);
    turn_until(&joined.over);
    turn_until(&waiting.over);
    assert_string_equal(waiting.why, "status 403");
    refused_as("/.ionet/join?service=dashboard", join_text, NULL, "status 403");
    refused_as("/.ionet/tunnel", tunnel_text, NULL, "status 403");
    assert_false(stranger.over);
    end_close(&stranger);

    t.cluster = (struct cluster_id){ { { 78 } } };
    tunnel_by(&idle, &t);
    door_revoke(door, t.cluster);
    turn_until(&idle.over);
    nothing_is_left();
}

static void a_replaced_head_is_cut_and_stays_out_and_who_waits_is_joined_to_the_new_one(void **state)
{
    (void)state;
    struct end        joined, user, idle, asked, waiting, next;
    struct cluster_id kept = cluster;
    struct ticket     old = ticket_for(TICKET_TUNNEL, "head"), j = ticket_for(TICKET_JOIN, "dashboard"), new;
    const char       *join_text;
    cluster     = (struct cluster_id){ { { 79 } } };
    old.cluster = j.cluster = cluster;
    old.node                = (struct node_id){ { { 60 } } };
    join_text               = written(&j, &network_key);
    tunnel_by(&joined, &old);
    dial_as(&user, "/.ionet/join?service=dashboard", join_text, NULL);
    turn_until_got(&joined, "\n");
    say(&joined, "ok\n");
    turn_until(&user.open);
    tunnel_by(&asked, &old);
    dial_as(&waiting, "/.ionet/join?service=dashboard", join_text, NULL);
    turn_until_got(&asked, "\n"); /* and it does not answer */
    tunnel_by(&idle, &old);

    pass_revoke_node(pass, old.node);
    door_revoke_node(door, old.node);
    turn_until(&user.over);
    turn_until(&joined.over);
    turn_until(&asked.over);
    turn_until(&idle.over);
    assert_false(waiting.over);
    refused_as("/.ionet/tunnel", written(&old, &network_key), NULL, "status 403");

    new      = old;
    new.node = (struct node_id){ { { 61 } } };
    tunnel_by(&next, &new);
    turn_until_got(&next, "\n");
    say(&next, "ok\n");
    turn_until(&waiting.open);
    cluster = kept;
    end_close(&waiting);
    turn_until(&next.over);
    nothing_is_left();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_join_is_carried_both_ways_until_both_have_ended),
        cmocka_unit_test(a_join_waits_for_a_tunnel),
        cmocka_unit_test(a_join_that_nobody_takes_is_refused_in_time),
        cmocka_unit_test(a_user_who_leaves_takes_his_tunnel_with_him),
        cmocka_unit_test(neither_a_cluster_nor_a_user_takes_the_whole_door),
        cmocka_unit_test(what_one_worker_refuses_another_may_have),
        cmocka_unit_test(a_join_without_a_node_goes_to_the_head_that_dialled_last),
        cmocka_unit_test(a_join_waits_for_the_head_and_takes_no_other_node_meanwhile),
        cmocka_unit_test(a_node_keeps_few_tunnels_waiting),
        cmocka_unit_test(a_tunnel_that_speaks_unasked_is_cut),
        cmocka_unit_test(a_join_needs_the_networks_ticket_for_that_very_service),
        cmocka_unit_test(a_tunnel_needs_a_nodes_ticket),
        cmocka_unit_test(a_revocation_cuts_what_is_joined_what_waits_and_what_comes),
        cmocka_unit_test(a_replaced_head_is_cut_and_stays_out_and_who_waits_is_joined_to_the_new_one),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
