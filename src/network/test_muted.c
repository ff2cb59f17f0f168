/* What a tenant can do to the witness in his container, and what an outage only looks like. */
#include "with_story_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Its tenant stops the witness, or lets it name the nodes in every other line only: either way nothing more is seen. */
static void a_tenant_who_mutes_the_check_ends_his_cluster(void **state)
{
    (void)state;
    world_come(&w, 3);
    struct id cluster = world_ready(&w, 3);
    uint64_t  ms      = 0;
    for (; ms < 300000; ms += 1000) { /* a slow one: of four seconds three are seen */
        world_pass(&w, 1000);
        if (ms % 10000 == 0)
            world_work(&w, cluster, PHASE_RUNNING, ms + 1000); /* a report is no news each second */
        world_witness(&w, cluster, 0, (ms + 1000) / 4 * 3);
    }
    assert_int_equal(network_cluster(&w.n, cluster)->state, CLUSTER_READY);
    for (; network_cluster(&w.n, cluster)->state == CLUSTER_READY; ms += 1000) {
        assert_true(ms < 900000);
        world_pass(&w, 1000);
        if (ms % 10000 == 0) world_work(&w, cluster, PHASE_RUNNING, ms + 1000);
        world_witness(&w, cluster, 0, 225000);
    }
    assert_true(ms > 450000); /* a short silence is nothing */
    assert_string_equal(network_cluster(&w.n, cluster)->why, "its own check no longer sees its nodes serve");
    world_pass(&w, NODE_CLOSING_MS + 400);
    assert_int_equal(network_cluster(&w.n, cluster)->state, CLUSTER_FAILED);
}

static void a_check_that_the_network_can_not_hear_mutes_nobody(void **state)
{
    (void)state;
    world_come(&w, 3);
    struct id cluster = world_ready(&w, 3);
    /* No witness is heard for ten minutes, then all at once. */
    for (uint64_t ms = 0; ms < 1200000; ms += 1000) {
        world_pass(&w, 1000);
        world_work(&w, cluster, PHASE_RUNNING, ms + 1000);
        if (ms < 300000 || ms >= 900000) world_witness(&w, cluster, 0, ms + 1000);
    }
    assert_int_equal(network_cluster(&w.n, cluster)->state, CLUSTER_READY);
    /* Workers that are started anew, again and again: their witnesses see nothing meanwhile. */
    uint64_t served = 1200000, seen = 1200000;
    for (int second = 0; second < 900; second++) {
        bool up = second % 100 >= 60;
        for (int i = 0; i < 3; i++) {
            if (second % 100 == 0) world_link_goes(&w, i);
            if (second % 100 == 60) assert_int_equal(world_link(&w, i, 1, false).code, ERR_NONE);
        }
        world_pass(&w, 1000);
        served += 1000;
        seen += up ? 1000 : 0;
        if (!up) continue;
        world_work(&w, cluster, PHASE_RUNNING, served);
        world_witness(&w, cluster, 0, seen);
    }
    assert_int_equal(network_cluster(&w.n, cluster)->state, CLUSTER_READY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_tenant_who_mutes_the_check_ends_his_cluster),
        TEST(a_check_that_the_network_can_not_hear_mutes_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
