#include "place.h"

#include "base/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MOST 8

/* One device a line: what it is called, state, asks, CPUs, GPUs, nodes. */
static const struct {
    char              name;
    enum device_state state;
    int64_t           ask;
    uint32_t          cpus, gpus, nodes;
} market[] = {
    { 'a', DEVICE_READY, 300, 8, 2, 0 }, { 'b', DEVICE_READY, 100, 8, 0, 0 },
    { 'c', DEVICE_READY, 200, 8, 4, 0 }, { 'd', DEVICE_CONNECTED, 50, 8, 1, 0 },
    { 'e', DEVICE_READY, 60, 8, 1, 1 },  { 'f', DEVICE_READY, 200, 2, 0, 0 },
    { 'g', DEVICE_HELD, 10, 8, 1, 0 },
};

/* Needs and what is chosen, in order: GPUs?, CPUs, price, wanted → found. */
static const struct {
    bool        gpus;
    uint32_t    cpus;
    int64_t     price;
    uint32_t    want;
    const char *found;
    int64_t     last_price; /* of place_available for as many units */
    uint32_t    units;
} rows[] = {
    { false, 1, 1000, 3, "bcf", 200, 4 }, { false, 1, 1000, 9, "bcfa", 0, 4 },
    { false, 4, 1000, 3, "bca", 300, 3 }, { false, 1, 199, 3, "b", 0, 1 },
    { true, 1, 1000, 2, "ca", 200, 6 },   { true, 1, 250, 2, "c", 200, 4 },
    { false, 99, 1000, 1, "", 0, 0 },
};

static void devices_are_chosen_as_the_table_says(void **state)
{
    (void)state;
    size_t       bytes  = table_bytes(MOST, sizeof(struct device)) + 64;
    void        *memory = calloc(1, bytes);
    struct arena a      = ARENA_IN(memory, bytes);
    struct table t;
    table_init(&t, &a, MOST, sizeof(struct device), offsetof(struct device, id));
    for (size_t i = 0; i < countof(market); i++) {
        struct device *d = table_add(&t, (struct id){ { (uint8_t)(i + 1) } });
        d->name[0]       = market[i].name;
        d->state         = market[i].state;
        d->ask.micros    = market[i].ask;
        d->cpus          = market[i].cpus;
        d->gpus_count    = market[i].gpus;
        d->nodes_count   = market[i].nodes;
        d->enrolled.ms   = (int64_t)i;
        d->memory_bytes  = 1 << 20;
    }
    for (size_t i = 0; i < countof(rows); i++) {
        struct place_need need = { .gpus_min   = rows[i].gpus,
                                   .cpus_min   = rows[i].cpus,
                                   .memory_min = 1 << 20,
                                   .price_max  = { rows[i].price } };
        struct device    *chosen[MOST];
        char              found[MOST + 1] = "";
        uint32_t          count = place_choose(&t, &need, rows[i].want < MOST ? rows[i].want : MOST, chosen);
        for (uint32_t k = 0; k < count; k++) found[k] = chosen[k]->name[0];
        assert_string_equal(found, rows[i].found);

        struct hourly price;
        assert_int_equal(place_available(&t, &need, rows[i].want, chosen, &price), rows[i].units);
        assert_int_equal(price.micros, rows[i].last_price);
    }
    free(memory);
}

static void who_needs_a_way_out_gets_only_devices_that_give_one(void **state)
{
    (void)state;
    size_t       bytes  = table_bytes(MOST, sizeof(struct device)) + 64;
    void        *memory = calloc(1, bytes);
    struct arena a      = ARENA_IN(memory, bytes);
    struct table t;
    table_init(&t, &a, MOST, sizeof(struct device), offsetof(struct device, id));
    for (uint8_t i = 0; i < 4; i++) {
        struct device *d = table_add(&t, (struct id){ { (uint8_t)(i + 1) } });
        d->state         = DEVICE_READY;
        d->ask.micros    = i;
        d->egress        = i == 2;
    }
    struct place_need need = { .price_max = { 10 } };
    struct device    *chosen[MOST];
    struct hourly     price;
    assert_int_equal(place_choose(&t, &need, MOST, chosen), 4);
    need.egress = true;
    assert_int_equal(place_choose(&t, &need, MOST, chosen), 1);
    assert_true(chosen[0]->egress);
    assert_int_equal(place_available(&t, &need, 1, chosen, &price), 1);
    assert_int_equal(price.micros, 2);
    free(memory);
}

/* However many are asked for: as many as a sorted list of all would begin with. */
static void the_best_are_chosen_in_order_whatever_the_market(void **state)
{
    (void)state;
    enum { MANY = 64 };
    struct prng p      = { 3 };
    size_t      bytes  = table_bytes(MANY, sizeof(struct device)) + 64;
    void       *memory = malloc(bytes);
    for (int round = 0; round < 500; round++) {
        struct arena   a = ARENA_IN(memory, bytes);
        struct table   t;
        uint32_t       count = 1 + (uint32_t)prng_below(&p, MANY), want = (uint32_t)prng_below(&p, MANY + 2);
        struct device *chosen[MANY];
        table_init(&t, &a, MANY, sizeof(struct device), offsetof(struct device, id));
        for (uint32_t i = 0; i < count; i++) {
            struct device *d = table_add(&t, (struct id){ { (uint8_t)(i + 1) } });
            d->state         = DEVICE_READY;
            d->ask.micros    = (int64_t)prng_below(&p, 20);
        }
        struct place_need need  = { .price_max = { 15 } };
        uint32_t          found = place_choose(&t, &need, want < MANY ? want : MANY, chosen);
        for (const struct device *d = NULL; (d = table_next(&t, d));) {
            uint32_t before = 0; /* how many go before it */
            for (const struct device *e = NULL; (e = table_next(&t, e));)
                before += e->ask.micros < d->ask.micros ||
                          (e->ask.micros == d->ask.micros && id_cmp(e->id.id, d->id.id) < 0);
            if (d->ask.micros > 15) continue;
            if (before < want)
                assert_ptr_equal(chosen[before], d);
            else
                assert_true(found == want);
        }
    }
    free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_are_chosen_as_the_table_says),
        cmocka_unit_test(who_needs_a_way_out_gets_only_devices_that_give_one),
        cmocka_unit_test(the_best_are_chosen_in_order_whatever_the_market),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
