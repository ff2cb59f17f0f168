#include "test_world_int.h"

#include "sys/log.h"

#include <sched.h>

static struct world w;

/* The one that tools/setup built, else what PATH knows. */
static void set_wireguard_go(void)
{
    scoped_mem char *built = realpath("build/tools/bin/wireguard-go", NULL);
    setenv("WORLD_WIREGUARD_GO", built ? built : "wireguard-go", 1);
}

static int begin(void **state)
{
    (void)state;
    world_open(&w);
    return 0;
}

static int end(void **state)
{
    (void)state;
    world_close(&w);
    return 0;
}

/* A head that serves, with its tunnels waiting. */
static struct assignment serve(void)
{
    struct assignment a = world_assignment(&w, NODE_HEAD, 1);
    world_tell(&w, &a, 1);
    world_until(&w, world_phase(&w, &a) == PHASE_RUNNING);
    world_until(&w, world_idle_tunnels(&w) == WORKER_TUNNELS);
    return a;
}

static void a_worker_enrols_with_its_token_and_says_what_it_is(void **state)
{
    (void)state;
    assert_string_equal(w.hello.token, WORLD_SECRET);
    assert_string_equal(w.hello.name, "box");
    assert_int_equal(strlen(w.hello.boot_id), 32);
    assert_true(w.specs.cpus >= 1 && w.specs.memory_bytes > 0);
    world_tell(&w, NULL, 0);
    world_until(&w, w.observed.images_count == 1 && w.observed.version == 1);
    assert_string_equal(w.observed.images[0].image, w.image);
    world_until(&w, !w.observed.trouble[0]); /* a real container was run, and removed */

    struct link_hello first = w.hello;
    world_end(&w.worker, SIGTERM);
    world_until(&w, !w.up);
    w.worker = world_start(&w, "--name=box", NULL); /* no token any more */
    world_until(&w, w.up);
    assert_memory_equal(first.public_key, w.hello.public_key, sizeof first.public_key);
    assert_memory_not_equal(first.instance, w.hello.instance, sizeof first.instance);
    assert_string_equal(w.hello.token, "");
}

static void a_node_serves_is_witnessed_and_reached_and_leaves_nothing(void **state)
{
    (void)state;
    struct assignment a = serve();
    assert_true(strncmp(world_node(&w, &a)->inside, "127.0.0.1:", 10) == 0);
    world_until(&w, w.witnessed.entries_count == 1 && w.witnessed.entries[0].seen_ms > 300);
    assert_int_equal(w.witnessed.entries[0].index, 1);
    assert_true(w.witnessed.entries[0].alive);

    struct world_tunnel *echo = world_join(&w, "echo");
    world_until(&w, strstr(echo->got, "ok\ncaller 1\n"));
    net_raw_send(echo->raw, STR("say it again\n"));
    world_until(&w, strstr(echo->got, "caller 1\nsay it again\n"));
    struct world_tunnel *none = world_join(&w, "nonsense");
    world_until(&w, strstr(none->got, "no there is no such service on this node\n"));
    struct world_tunnel *still_none = world_join(&w, "nonsense");
    world_until(&w, strstr(still_none->got, "no there is no such service on this node\n"));
    assert_int_equal(world_shell("[ $(grep -c tunnel.refused %s/worker.log) = 1 ]", w.dir),
                     0); /* it is said once */
    struct world_tunnel *logs = world_join(&w, "logs");
    world_until(&w, strstr(logs->got, "ok\nserving with ") && strstr(logs->got, "caller 1\n"));
    struct world_tunnel *last = world_join(&w, "logs");
    net_raw_end(last->raw); /* at once: what there is, and its end */
    world_until(&w, !last->raw);
    assert_non_null(strstr(last->got, "ok\nserving with "));
    assert_non_null(strstr(last->got, "caller 1\n"));
    world_until(&w, world_idle_tunnels(&w) == WORKER_TUNNELS);
    net_raw_close(echo->raw);
    struct world_tunnel *again = world_join(&w, "echo");
    world_until(&w, strstr(again->got, "caller 2\n") && strstr(logs->got, "caller 2\n"));

    world_until(&w, world_node(&w, &a)->served_ms > 1000);
    world_tell(&w, NULL, 0);
    world_until(&w, w.observed.version == w.version && w.observed.nodes_count == 0);
    assert_string_equal(world_left(&w, a.node), "");
    world_until(&w, !again->raw && !logs->raw && world_idle_tunnels(&w) == 0);
}

static void a_witness_that_never_pauses_is_heard_now_and_then(void **state)
{
    (void)state;
    world_use_recipe(&w, "serve", "0");
    serve();
    world_until(&w, w.witnessed_count > 0);
    uint32_t before = w.witnessed_count, ups = w.ups;
    world_run_for(&w, 2000);
    assert_in_range(w.witnessed_count - before, 1, 25);
    assert_int_equal(w.ups, ups);
    struct world_tunnel *echo = world_join(&w, "echo");
    world_until(&w, strstr(echo->got, "ok\ncaller 1\n"));
}

static bool any_says(struct world_tunnel *const *tunnels, size_t count, const char *what)
{
    for (size_t i = 0; i < count; i++)
        if (strstr(tunnels[i]->got, what)) return true;
    return false;
}

static void introduce(const struct assignment a[2])
{
    for (int i = 0; i < 2; i++) {
        const struct observed_node *other = world_node(&w, &a[1 - i]);
        struct mesh_map             m     = { .node = a[i].node, .reset = true, .peers_count = 1 };
        struct mesh_peer           *p     = &m.peers[0];
        *p = (struct mesh_peer){ .via = MESH_SITE, .wait_ms = i ? 50 : 0, .valid = { 600000 } };
        memcpy(p->key, other->mesh_key, sizeof p->key);
        memcpy(p->endpoint, other->inside, sizeof p->endpoint);
        mesh_address(a[1 - i].index, p->address);
        world_send(&w, LINK_MESH_MAP, &m);
    }
}

static void two_nodes_meet_in_their_mesh_and_a_dead_peer_is_told_of(void **state)
{
    (void)state;
    struct assignment a[2] = { world_assignment(&w, NODE_HEAD, 1), world_assignment(&w, NODE_WORKER, 2) };
    world_tell(&w, a, 2);
    world_until(&w, world_phase(&w, &a[0]) == PHASE_RUNNING && world_phase(&w, &a[1]) >= PHASE_STARTING);
    introduce(a);
    /* Which tunnel is of which node can't be told from here: one of their logs tells of an answer. */
    world_until(&w, world_idle_tunnels(&w) == 2 * WORKER_TUNNELS);
    struct world_tunnel *logs[2 * WORKER_TUNNELS];
    for (int i = 0; i < 2 * WORKER_TUNNELS; i++) logs[i] = world_join(&w, "logs");
    world_until(&w, any_says(logs, countof(logs), "answered: caller 1\n"));
    assert_int_equal(w.silent_count, 0);

    struct mesh_map m = { .node = a[0].node, .peers_count = 1 };
    m.peers[0]        = (struct mesh_peer){
               .via = MESH_DIRECT, .address = "10.99.0.3", .endpoint = "127.0.0.1:9", .valid = { 600000 }
    };
    sys_random(m.peers[0].key, MESH_KEY_BYTES);
    world_send(&w, LINK_MESH_MAP, &m);
    world_until(&w, w.silent_count == 1);
}

/* Both on this machine, each where the other would look for its head. */
static void a_node_of_another_cluster_is_not_reached(void **state)
{
    (void)state;
    struct assignment a[2] = { world_assignment(&w, NODE_HEAD, 1), world_assignment(&w, NODE_WORKER, 2) };
    a[1].cluster.id.bytes[0] ^= 1;
    world_tell(&w, a, 2);
    world_until(&w, world_phase(&w, &a[0]) == PHASE_RUNNING && world_phase(&w, &a[1]) == PHASE_RUNNING);
    world_until(&w, world_idle_tunnels(&w) == 2 * WORKER_TUNNELS);
    struct world_tunnel *logs[2 * WORKER_TUNNELS];
    for (int i = 0; i < 2 * WORKER_TUNNELS; i++) logs[i] = world_join(&w, "logs");
    world_run_for(&w, 2500);
    assert_true(any_says(logs, countof(logs), "serving with "));
    assert_false(any_says(logs, countof(logs), "caller"));
    assert_false(any_says(logs, countof(logs), "answered"));
}

/* What a node of this recipe that begins its log with `words` says behind them. Its logs are asked for by all tunnels, since
 * which is of which node can't be told from here. */
static const char *number_said(const char *words)
{
    static char          number[64];
    struct world_tunnel *logs[2 * WORKER_TUNNELS];
    world_until(&w, world_idle_tunnels(&w) == 2 * WORKER_TUNNELS);
    for (size_t i = 0; i < countof(logs); i++) logs[i] = world_join(&w, "logs");
    world_until(&w, any_says(logs, countof(logs), words));
    world_run_for(&w, 100);
    for (size_t i = 0; i < countof(logs); i++) {
        const char *at = strstr(logs[i]->got, words);
        if (at)
            snprintf(number, sizeof number, "%.*s", (int)strcspn(at + strlen(words), " \n"),
                     at + strlen(words));
        net_raw_close(logs[i]->raw);
    }
    return number;
}

/* Kills the copying program; the first letter is written so that the search doesn't find itself. */
static void kill_the_copy(void)
{
    assert_int_equal(
        world_shell("kill -9 $(grep -lz '^[c]opy$' /proc/[0-9]*/cmdline 2>/dev/null | cut -d/ -f3)"), 0);
}

static bool runs(const struct assignment *a)
{
    enum node_phase phase = world_phase(&w, a);
    return phase == PHASE_STARTING || phase == PHASE_RUNNING;
}

static void a_standby_copies_and_a_head_in_the_lost_ones_place_goes_on_from_the_copy(void **state)
{
    (void)state;
    world_use_recipe_with_state(&w);
    struct assignment a[2] = { world_assignment(&w, NODE_HEAD, 1), world_assignment(&w, NODE_WORKER, 2) };
    a[1].standby           = true;
    world_tell(&w, a, 2);
    world_until(&w, world_phase(&w, &a[0]) == PHASE_RUNNING && runs(&a[1]));
    assert_false(world_node(&w, &a[1])->copied);
    introduce(a);
    world_until(&w, world_node(&w, &a[1])->copied);
    assert_false(world_node(&w, &a[0])->copied);
    char held[64];
    snprintf(held, sizeof held, "%s", number_said("holds "));

    /* a copying program that ends has no copy, and is started again */
    kill_the_copy();
    world_until(&w, !world_node(&w, &a[1])->copied);
    world_until(&w, world_node(&w, &a[1])->copied);

    /* a worker that comes back finds it whole: it says nothing else meanwhile */
    world_end(&w.worker, SIGKILL);
    world_until(&w, !w.up && world_idle_tunnels(&w) == 0);
    w.observed_count = w.observed.nodes_count = 0;
    world_start_worker(&w);
    world_until(&w, w.up && runs(&a[1]));
    assert_true(world_node(&w, &a[1])->copied);

    struct assignment next = a[0];
    sys_random(&next.node, sizeof next.node);
    next.restores              = 2;
    struct assignment moved[2] = { next, a[1] };
    world_tell(&w, moved, 2);
    world_until(&w, runs(&next) && world_phase(&w, &a[0]) == PHASE_COUNT);
    assert_true(world_node(&w, &a[1])->copied);
    introduce(moved);
    assert_string_equal(number_said("holds "), held);
    assert_int_equal(
        world_shell(
            "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -c '[h]old 10.99.0.2' >/dev/null"),
        0);
}

static void a_killed_worker_comes_back_to_what_still_runs(void **state)
{
    (void)state;
    struct assignment    a    = serve();
    struct world_tunnel *echo = world_join(&w, "echo");
    world_until(&w, strstr(echo->got, "caller 1\n"));
    world_until(&w, world_node(&w, &a)->served_ms > 1000);
    uint64_t served_ms = world_node(&w, &a)->served_ms;
    uint8_t  key[MESH_KEY_BYTES];
    memcpy(key, world_node(&w, &a)->mesh_key, sizeof key);
    uint32_t asked = w.recipe_asked;

    world_end(&w.worker, SIGKILL);
    world_until(&w, !w.up && world_idle_tunnels(&w) == 0);
    w.observed_count = w.observed.nodes_count = 0;
    world_start_worker(&w);
    world_until(&w, w.up && world_phase(&w, &a) == PHASE_RUNNING);
    assert_true(world_node(&w, &a)->served_ms > served_ms);
    assert_memory_equal(key, world_node(&w, &a)->mesh_key, sizeof key);
    struct world_tunnel *again = world_join(&w, "echo");
    world_until(&w, strstr(again->got, "caller 2\n")); /* the same program, that counts its callers */
    assert_int_equal(w.recipe_asked, asked);
    world_until(&w, w.witnessed.entries_count == 1 && w.witnessed.age_ms < 1000);

    world_tell(&w, NULL, 0);
    world_until(&w, w.observed.version == w.version && w.observed.nodes_count == 0);
    assert_string_equal(world_left(&w, a.node), "");
}

static void a_recipe_that_declares_a_way_out_gets_none_where_its_owner_allows_none(void **state)
{
    (void)state;
    world_use_recipe_with_a_way_out(&w);
    struct assignment a = world_assignment(&w, NODE_HEAD, 1);
    assert_false(w.specs.egress);
    world_tell(&w, &a, 1);
    world_until(&w, world_phase(&w, &a) == PHASE_ENDED);
    assert_string_equal(world_node(&w, &a)->why,
                        "its recipe needs a way out, and this machine's owner allows none");
}

static void count_lines(const struct world_tunnel *logs, const char *line, unsigned *count)
{
    *count = 0;
    for (const char *at = logs->got; (at = strstr(at, line)); at++) ++*count;
}

/* The far place is this machine's by a route, and by none of its addresses. */
static void a_declared_and_allowed_way_out_leads_out_also_after_the_worker_was_killed(void **state)
{
    (void)state;
    struct sockaddr_in at      = { .sin_family = AF_INET, .sin_port = htons(7009) };
    scoped_fd int      far     = socket(AF_INET, SOCK_STREAM, 0);
    unsigned           reached = 0;
    assert_int_equal(bind(far, (struct sockaddr *)&at, sizeof at) | listen(far, 512), 0);
    assert_int_equal(world_shell("ip route replace local 93.184.216.34/32 dev lo"), 0);
    world_end(&w.worker, SIGTERM);
    world_until(&w, !w.up);
    w.worker = world_start(&w, "--egress_mbit=8", NULL);
    world_until(&w, w.up && w.specs.egress);

    world_use_recipe_with_a_way_out(&w);
    struct assignment    a    = serve();
    struct world_tunnel *logs = world_join(&w, "logs");
    world_until(&w, strstr(logs->got, "by http://127.0.0.1:3128: HTTP/1.1 200\n"));
    world_end(&w.worker, SIGKILL);
    world_until(&w, !w.up && !logs->raw);
    world_run_for(&w, 600); /* long enough for the container to find nothing there */
    w.worker = world_start(&w, "--egress_mbit=8", NULL);
    world_until(&w, w.up && world_phase(&w, &a) == PHASE_RUNNING);
    logs = world_join(&w, "logs");
    world_until(&w, (count_lines(logs, ": HTTP/1.1 200\n", &reached), reached >= 2));
    assert_non_null(strstr(logs->got, ": nothing\n"));

    world_tell(&w, NULL, 0);
    world_until(&w, w.observed.version == w.version && w.observed.nodes_count == 0);
    for (uint64_t t = sys_boot_now_ms(); *world_left(&w, a.node) && sys_boot_now_ms() - t < 5000;)
        world_run_for(&w, 50);
    assert_string_equal(world_left(&w, a.node), "");
}

static bool is_at_home_at(const struct assignment *a, const char *address)
{
    return strncmp(world_node(&w, a)->inside, address, strlen(address)) == 0;
}

/* On the way to a meeting point on one of these addresses this machine's own is the same. */
static void a_new_address_at_home_is_told_with_the_next_link_and_after_a_restart(void **state)
{
    (void)state;
    assert_int_equal(world_shell("ip address add 198.51.100.2 dev lo && ip address add 198.51.100.3 dev lo"),
                     0);
    struct assignment a    = serve();
    uint16_t          port = net_server_port(w.server);
    assert_true(is_at_home_at(&a, "127.0.0.1:"));
    strcpy(a.meets[0].endpoint_a, "198.51.100.2:9");
    world_tell(&w, &a, 1);
    world_until(&w, w.observed.version == w.version);
    net_server_close(w.server);
    world_until(&w, !w.up);
    world_open_server(&w, port);
    world_until(&w, is_at_home_at(&a, "198.51.100.2:"));

    strcpy(a.meets[0].endpoint_a, "198.51.100.3:9");
    world_tell(&w, &a, 1);
    world_until(&w, w.observed.version == w.version);
    world_end(&w.worker, SIGKILL);
    world_until(&w, !w.up);
    world_start_worker(&w);
    world_until(&w, is_at_home_at(&a, "198.51.100.3:"));
    assert_int_equal(world_phase(&w, &a), PHASE_RUNNING);
}

static void a_worker_that_is_told_to_end_leaves_its_nodes_and_stop_all_ends_them(void **state)
{
    (void)state;
    struct assignment a     = serve();
    uint64_t          start = sys_boot_now_ms();
    world_end(&w.worker, SIGTERM);
    assert_true(sys_boot_now_ms() - start < 3000);
    assert_string_not_equal(world_left(&w, a.node), "");
    w.worker = world_start(&w, "--stop-all", NULL);
    int status;
    assert_int_equal(waitpid(w.worker, &status, 0), w.worker);
    w.worker = 0;
    assert_int_equal(status, 0);
    assert_string_equal(world_left(&w, a.node), "");
}

static void stop_all_removes_what_a_spoilt_state_does_not_remember(void **state)
{
    (void)state;
    struct assignment a = serve();
    char              path[256];
    int               status;
    world_end(&w.worker, SIGKILL);
    snprintf(path, sizeof path, "%s/state/worker.json", w.dir);
    assert_ok(sys_write_file(path, STR("{"), 0600));
    w.worker = world_start(&w, "--stop-all", NULL);
    assert_int_equal(waitpid(w.worker, &status, 0), w.worker);
    w.worker = 0;
    assert_int_equal(status, 0);
    assert_string_equal(world_left(&w, a.node), "");
}

static void a_node_whose_recipe_is_lost_is_ended_whole(void **state)
{
    (void)state;
    struct assignment a = serve();
    world_end(&w.worker, SIGKILL);
    world_until(&w, !w.up);
    assert_int_equal(world_shell("rm %s/state/recipes/*", w.dir), 0);
    world_start_worker(&w);
    world_until(&w, w.up && world_phase(&w, &a) == PHASE_ENDED);
    assert_string_equal(world_node(&w, &a)->why, "its recipe is no longer in the state folder");
    world_tell(&w, NULL, 0);
    world_until(&w, w.observed.version == w.version && w.observed.nodes_count == 0);
    assert_string_equal(world_left(&w, a.node), "");
}

static void a_container_that_ends_at_once_is_reported_with_its_reason_and_log(void **state)
{
    (void)state;
    world_use_recipe(&w, "fail", WORLD_PAUSE_US);
    struct assignment a = world_assignment(&w, NODE_HEAD, 1);
    world_tell(&w, &a, 1);
    world_until(&w, world_phase(&w, &a) == PHASE_ENDED);
    assert_string_equal(world_node(&w, &a)->why, "ended with code 3");
    assert_string_equal(world_node(&w, &a)->log_end, "this can't\nwork\n");
    for (uint64_t t = sys_boot_now_ms(); *world_left(&w, a.node) && sys_boot_now_ms() - t < 5000;)
        world_run_for(&w, 50);
    assert_string_equal(world_left(&w, a.node), "");

    a.incarnation = 2;
    world_use_recipe(&w, "serve", WORLD_PAUSE_US);
    memcpy(a.recipe_hash, w.recipe_hash.bytes, sizeof a.recipe_hash);
    world_tell(&w, &a, 1);
    world_until(&w, world_phase(&w, &a) == PHASE_RUNNING);
}

static void a_machine_that_lacks_something_says_so(void **state)
{
    (void)state;
    world_end(&w.worker, SIGTERM);
    world_until(&w, !w.up);
    setenv("WORLD_WIREGUARD_GO", "/nowhere/wireguard-go", 1);
    world_start_worker(&w);
    set_wireguard_go();
    world_until(&w, w.up && strstr(w.observed.trouble, "wireguard"));
}

static void what_the_network_did_not_sign_is_not_run(void **state)
{
    (void)state;
    struct assignment a = world_assignment(&w, NODE_HEAD, 1);
    struct desired    d = { .epoch = 1, .version = 50, .assignments_count = 1 };
    world_sign(&w, &a);
    a.image[0]       = '2';
    d.assignments[0] = a;
    world_send(&w, LINK_DESIRED, &d);
    world_tell(&w, NULL, 0);
    world_until(&w, w.observed.version == 1); /* and not 50 */
    assert_int_equal(w.observed.nodes_count, 0);
}

static void an_image_that_is_not_there_ends_the_node_and_is_told(void **state)
{
    (void)state;
    struct assignment a = world_assignment(&w, NODE_HEAD, 1);
    a.image[strlen(a.image) - 1] ^= 1;
    world_tell(&w, &a, 1);
    world_until(&w, world_phase(&w, &a) == PHASE_ENDED);
    assert_string_not_equal(world_node(&w, &a)->why, "");
}

static void a_node_goes_on_while_the_network_is_away_and_is_told_when_it_is_back(void **state)
{
    (void)state;
    struct assignment a         = serve();
    uint16_t          port      = net_server_port(w.server);
    uint64_t          served_ms = world_node(&w, &a)->served_ms;
    net_server_close(w.server);
    world_until(&w, !w.up);
    world_run_for(&w, 3000);
    w.epoch = 2;
    world_open_server(&w, port);
    uint64_t back = sys_boot_now_ms();
    world_until(&w, w.up && world_node(&w, &a)->served_ms >= served_ms + 3000);
    assert_true(sys_boot_now_ms() - back < 6000);
    assert_int_equal(w.observed.epoch, 1);
    world_tell(&w, &a, 1);
    world_until(&w, w.observed.epoch == 2);
    assert_int_equal(world_phase(&w, &a), PHASE_RUNNING);
}

static int try_all(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(a_worker_enrols_with_its_token_and_says_what_it_is),
        TEST(a_node_serves_is_witnessed_and_reached_and_leaves_nothing),
        TEST(a_witness_that_never_pauses_is_heard_now_and_then),
        TEST(two_nodes_meet_in_their_mesh_and_a_dead_peer_is_told_of),
        TEST(a_node_of_another_cluster_is_not_reached),
        TEST(a_standby_copies_and_a_head_in_the_lost_ones_place_goes_on_from_the_copy),
        TEST(a_killed_worker_comes_back_to_what_still_runs),
        TEST(a_recipe_that_declares_a_way_out_gets_none_where_its_owner_allows_none),
        TEST(a_declared_and_allowed_way_out_leads_out_also_after_the_worker_was_killed),
        TEST(a_new_address_at_home_is_told_with_the_next_link_and_after_a_restart),
        TEST(a_worker_that_is_told_to_end_leaves_its_nodes_and_stop_all_ends_them),
        TEST(stop_all_removes_what_a_spoilt_state_does_not_remember),
        TEST(a_node_whose_recipe_is_lost_is_ended_whole),
        TEST(a_container_that_ends_at_once_is_reported_with_its_reason_and_log),
        TEST(a_machine_that_lacks_something_says_so),
        TEST(what_the_network_did_not_sign_is_not_run),
        TEST(an_image_that_is_not_there_ends_the_node_and_is_told),
        TEST(a_node_goes_on_while_the_network_is_away_and_is_told_when_it_is_back),
    };
    cmocka_set_test_filter(getenv("WORLD_TEST"));
    return cmocka_run_group_tests_name("ionet-worker", tests, NULL, NULL);
}

/* The worker, as main.c starts it. */
static int be_worker(int argc, char **argv)
{
    static struct config config;
    char                 room[512];
    struct text          complaint = TEXT_IN(room);
    struct err           e         = config_read(&config, argc, argv, &complaint);
    if (config.debug) log_level_set(LOG_DEBUG);
    if (!e.code) e = site_run(&config);
    if (e.code) log_error("ended", LOG_ERR(e), LOG_STR("complaint", text_str(&complaint)));
    return e.code ? 1 : 0;
}

int main(int argc, char **argv)
{
    runtime_child_main(argc, argv);
    check_print_by(log_check_failed);
    if (argc > 1 && strcmp(argv[1], "worker") == 0) return be_worker(argc - 1, argv + 1);
    if (geteuid() != 0) {
        fputs("these tests make containers: they need root\n", stderr);
        return 1;
    }
    if (unshare(CLONE_NEWNET) < 0 || world_shell("ip link set lo up") != 0) {
        fputs("these tests need a network namespace of their own\n", stderr);
        return 1;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    set_wireguard_go();
    signal(SIGPIPE, SIG_IGN);
    return try_all();
}
