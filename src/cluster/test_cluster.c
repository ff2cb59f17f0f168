#include "cluster.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* The page of the manual as pairs; every pair that is not here must be refused. */
static void states_follow_each_other_only_as_the_manual_says(void **state)
{
    (void)state;
    static const char *const cluster_pairs[] = {
        "reserved images", "images mesh",     "mesh starting", "starting checking",
        "checking ready",  "ready healing",   "healing ready", "ready ending",
        "healing ending",  "reserved ending", "images ending", "mesh ending",
        "starting ending", "checking ending", "ending ended",  "ending failed",
    };
    static const char *const node_pairs[] = { "placed serving", "placed closed", "serving closing",
                                              "closing closed" };

    unsigned allowed = 0;
    for (unsigned a = 0; a < CLUSTER_STATE_COUNT; a++)
        for (unsigned b = 0; b < CLUSTER_STATE_COUNT; b++) allowed += cluster_may_move(a, b);
    assert_int_equal(allowed, countof(cluster_pairs));
    for (size_t i = 0; i < countof(cluster_pairs); i++) {
        struct str from, to;
        assert_true(str_split(str_from(cluster_pairs[i]), ' ', &from, &to));
        unsigned a = 0, b = 0;
        while (!str_eq(str_from(cluster_state_names[a]), from)) a++;
        while (!str_eq(str_from(cluster_state_names[b]), to)) b++;
        assert_true(cluster_may_move(a, b));
    }

    allowed = 0;
    for (unsigned a = 0; a < NODE_STATE_COUNT; a++)
        for (unsigned b = 0; b < NODE_STATE_COUNT; b++) allowed += node_may_move(a, b);
    assert_int_equal(allowed, countof(node_pairs));
    for (size_t i = 0; i < countof(node_pairs); i++) {
        struct str from, to;
        assert_true(str_split(str_from(node_pairs[i]), ' ', &from, &to));
        unsigned a = 0, b = 0;
        while (!str_eq(str_from(node_state_names[a]), from)) a++;
        while (!str_eq(str_from(node_state_names[b]), to)) b++;
        assert_true(node_may_move(a, b));
    }
}

/* One row a report of a witness: who, by which link, what it says in all, what has been seen after it. */
static void what_one_witness_after_the_other_says_is_counted_once(void **state)
{
    (void)state;
    static const struct {
        uint8_t  by;
        uint64_t link, says, seen;
    } rows[] = {
        { 1, 7, 1000, 1000 }, { 1, 7, 1000, 1000 }, { 1, 7, 1800, 1800 }, /* the first; repeated; more */
        { 1, 7, 900, 1800 },  { 1, 7, 2000, 2000 },                       /* late, and that changes nothing */
        { 1, 8, 1900, 2000 }, { 1, 8, 2000, 2100 },                       /* it was started again */
        { 2, 9, 0, 2100 },    { 2, 9, 500, 2600 },  { 2, 9, 500, 2600 },  { 3, 10, 400, 3000 },
    };
    struct node x = { .state = NODE_SERVING };
    for (size_t i = 0; i < countof(rows); i++) {
        node_witnessed(&x, (struct node_id){ { { rows[i].by } } }, rows[i].link, rows[i].says);
        assert_int_equal(x.seen_ms, rows[i].seen);
    }
    node_witnessed(&x, (struct node_id){ { { 3 } } }, 10, UINT64_MAX);
    assert_int_equal(x.seen_ms, 3000);
    x.state = NODE_CLOSED;
    node_witnessed(&x, (struct node_id){ { { 3 } } }, 10, 9500);
    node_reported(&x, 9500);
    assert_int_equal(x.seen_ms, 3000);
    assert_int_equal(x.served_ms, 0);
}

/* One row a report of a gateway: which, in which of its runs, what it says in all, what has been seen after it. */
static void a_gateway_that_starts_again_loses_and_gains_nothing(void **state)
{
    (void)state;
    static const struct {
        uint8_t  by, run;
        uint64_t says, seen;
    } rows[] = {
        { 1, 1, 1000, 1000 },                                               /* the first */
        { 1, 1, 3000, 3000 },  { 1, 1, 3000, 3000 },  { 1, 1, 1000, 3000 }, /* lost one; repeated; late */
        { 1, 1, 4000, 4000 },                        /* and the late one has changed nothing */
        { 1, 2, 500, 4500 },   { 1, 2, 2500, 6500 }, /* it was started again */
        { 1, 3, 9000, 15500 },                       /* again, and long unheard */
        { 2, 1, 8000, 15500 }, { 2, 1, 8200, 15700 }, { 1, 3, 9500, 15700 }, /* two at once: no time twice */
        { 1, 3, 9600, 15800 },
    };
    const uint8_t runs[4][16] = { { 0 }, { 1 }, { 2 }, { 3 } };
    struct node   x           = { .state = NODE_SERVING };
    for (size_t i = 0; i < countof(rows); i++) {
        node_probed(&x, (struct gateway_id){ { { rows[i].by } } }, runs[rows[i].run], rows[i].says);
        assert_int_equal(x.seen_ms, rows[i].seen);
    }
    node_probed(&x, (struct gateway_id){ { { 1 } } }, runs[3], UINT64_MAX);
    x.state = NODE_CLOSED;
    node_probed(&x, (struct gateway_id){ { { 1 } } }, runs[3], 9900);
    assert_int_equal(x.seen_ms, 15800);
}

static void a_lease_ends_with_what_was_paid_or_after_six_hours(void **state)
{
    (void)state;
    struct cluster c = { .ends = { 0 } };
    assert_int_equal(cluster_lease(&c, (struct instant){ 1000 }).ms, LEASE_MS);
    c.ends = (struct instant){ 5000 };
    assert_int_equal(cluster_lease(&c, (struct instant){ 1000 }).ms, 4000);
    assert_int_equal(cluster_lease(&c, (struct instant){ 6000 }).ms, 0);
    c.ends = (struct instant){ 2 * (int64_t)LEASE_MS };
    assert_int_equal(cluster_lease(&c, (struct instant){ 1000 }).ms, LEASE_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(states_follow_each_other_only_as_the_manual_says),
        cmocka_unit_test(what_one_witness_after_the_other_says_is_counted_once),
        cmocka_unit_test(a_gateway_that_starts_again_loses_and_gains_nothing),
        cmocka_unit_test(a_lease_ends_with_what_was_paid_or_after_six_hours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
