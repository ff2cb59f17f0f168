#include "assign.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct assignment some_assignment(void)
{
    struct assignment a = { .incarnation  = 3,
                            .index        = 2,
                            .head_index   = 1,
                            .nodes        = 3,
                            .cpus_milli   = 2000,
                            .memory_bytes = 1 << 30,
                            .paid         = { 60000 } };
    strcpy(a.recipe, "ray");
    strcpy(a.image, "203.0.113.3:5000/ray@sha256:00");
    memset(a.node.id.bytes, 1, ID_BYTES);
    memset(a.cluster.id.bytes, 2, ID_BYTES);
    return a;
}

static void signed_text_of(const struct assignment *a, uint8_t device, char room[512])
{
    struct device_id d;
    struct text      t = { room, 0, 512, false };
    memset(d.id.bytes, device, ID_BYTES);
    assignment_signed_text(a, d, &t);
    text_z(&t);
    assert_false(t.full);
}

static void what_the_network_signs_is_one_line_of_text(void **state)
{
    (void)state;
    struct assignment a = some_assignment();
    char              text[512];
    signed_text_of(&a, 3, text);
    assert_string_equal(text,
                        "node=040g2081040g2081 incarnation=3 cluster=081040g2081040g2 device=0c1g60r30c1g60r3 "
                        "recipe=0000000000000000000000000000000000000000000000000000000000000000 "
                        "image=203.0.113.3:5000/ray@sha256:00");
}

static void a_signature_is_good_for_one_start_on_one_device_of_one_thing(void **state)
{
    (void)state;
    struct assignment a = some_assignment(), other[5];
    char              text[512], changed[512];
    signed_text_of(&a, 3, text);
    for (size_t i = 0; i < countof(other); i++) other[i] = a;
    other[0].node.id.bytes[9] ^= 1;
    other[1].incarnation++;
    other[2].cluster.id.bytes[0] ^= 1;
    other[3].recipe_hash[31] ^= 1;
    other[4].image[0]++;
    for (size_t i = 0; i < 5; i++) {
        signed_text_of(&other[i], 3, changed);
        assert_string_not_equal(text, changed);
    }
    signed_text_of(&a, 4, changed);
    assert_string_not_equal(text, changed);
}

static void an_assignment_outside_its_limits_is_named_with_its_field(void **state)
{
    (void)state;
    struct assignment        good = some_assignment(), bad[5];
    const struct field      *f;
    static const char *const names[] = { "incarnation", "index", "paid_ms", "gpus", "role" };
    assert_int_equal(record_check(&assignment_type, &good, &f).code, ERR_NONE);
    for (size_t i = 0; i < countof(bad); i++) bad[i] = good;
    bad[0].incarnation = 0;
    bad[1].index       = MESH_INDEX_MAX + 1;
    bad[2].paid.ms     = -1;
    bad[3].gpus_count  = ASSIGN_GPUS_MAX + 1;
    bad[4].role        = NODE_ROLE_COUNT;
    for (size_t i = 0; i < countof(bad); i++) {
        assert_int_not_equal(record_check(&assignment_type, &bad[i], &f).code, ERR_NONE);
        assert_string_equal(f->name, names[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_network_signs_is_one_line_of_text),
        cmocka_unit_test(a_signature_is_good_for_one_start_on_one_device_of_one_thing),
        cmocka_unit_test(an_assignment_outside_its_limits_is_named_with_its_field),
    };
    return cmocka_run_group_tests_name("assign", tests, NULL, NULL);
}
