#include "fleet.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void only_a_ready_device_without_nodes_is_free(void **state)
{
    (void)state;
    for (unsigned s = 0; s < DEVICE_STATE_COUNT; s++) {
        struct device d = { .state = s };
        assert_int_equal(device_is_free(&d), s == DEVICE_READY);
        device_hire(&d, (struct id){ { 1 } });
        assert_false(device_is_free(&d));
        device_release(&d, (struct id){ { 2 } });
        assert_int_equal(d.nodes_count, 1);
        device_release(&d, (struct id){ { 1 } });
        assert_int_equal(device_is_free(&d), s == DEVICE_READY);
    }
}

static void a_retired_device_stays_so_and_any_other_can_be_held_or_retired(void **state)
{
    (void)state;
    for (unsigned s = 0; s < DEVICE_STATE_COUNT; s++) {
        assert_false(device_may_move(DEVICE_RETIRED, s));
        if (s == DEVICE_RETIRED) continue;
        assert_true(device_may_move(s, DEVICE_RETIRED));
        assert_int_equal(device_may_move(s, DEVICE_HELD), s != DEVICE_HELD);
    }
    assert_false(device_may_move(DEVICE_OFFLINE, DEVICE_READY));
    assert_false(device_may_move(DEVICE_HELD, DEVICE_CONNECTED));
    assert_true(device_may_move(DEVICE_HELD, DEVICE_OFFLINE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_a_ready_device_without_nodes_is_free),
        cmocka_unit_test(a_retired_device_stays_so_and_any_other_can_be_held_or_retired),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
