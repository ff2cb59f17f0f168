/* A minute of worlds that go wrong, each from its seed: `ionet-sim --seed N` replays one. */
#include "sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#define SECONDS 60

static time_t now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

static void whatever_goes_wrong_every_promise_is_kept(void **state)
{
    (void)state;
    struct sim_figures sum   = { 0 };
    clock_t            began = clock();
    time_t             end   = now_s() + SECONDS;
    for (uint64_t seed = 1; now_s() < end; seed++) assert_true(sim_run(seed, &sum));
    sim_print(&sum, (double)(clock() - began) / CLOCKS_PER_SEC);
    assert_true(sum.ready > 0 && sum.healed > 0 && sum.ended > 0 && sum.failed > 0 && sum.charged_micros > 0);
    assert_true(sum.network_crashes > 0 && sum.worker_crashes > 0 && sum.reboots > 0 && sum.messages_lost > 0);
}

static void the_same_seed_brings_the_same_world_to_the_last_effect(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct sim_figures first = { 0 }, again = { 0 }, other = { 0 };
        assert_true(sim_run(seed, &first));
        assert_true(sim_run(seed, &again));
        assert_true(sim_run(seed + 100, &other));
        assert_memory_equal(&first, &again, sizeof first);
        assert_int_not_equal(first.digest, other.digest);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_seed_brings_the_same_world_to_the_last_effect),
        cmocka_unit_test(whatever_goes_wrong_every_promise_is_kept),
    };
    return cmocka_run_group_tests_name("simulation", tests, NULL, NULL);
}
