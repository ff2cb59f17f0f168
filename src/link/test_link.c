#include "link.h"

#include "base/prng.h"
#include "ticket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct record_type *const types[LINK_KIND_COUNT] = {
    &link_hello_type, &link_challenge_type, &link_proof_type, &link_welcome_type, &desired_type,
    &mesh_map_type,   &observed_type,       &witnessed_type,  &mesh_silent_type,  &mesh_reached_type,
    &gw_config_type,  &gw_meet_type,        &gw_relay_type,   &gw_probe_type,     &gw_revoke_type,
    &gw_up_type,      &gw_seen_type,        &gw_probed_type,  &gw_count_type,
};

static char               frame_room[65536], again_room[65536];
static union link_message sent, got;

static int64_t number_within(struct prng *p, const struct field *f)
{
    uint64_t width = (uint64_t)f->most - (uint64_t)f->least + 1;
    switch (prng_below(p, 4)) {
    case 0: return f->least;
    case 1: return f->most;
    default: return f->least + (int64_t)(width ? prng_below(p, width) : prng_next(p) >> 1);
    }
}

static void fill_text(struct prng *p, const struct field *f, void *record)
{
    static const char *const pieces[] = { "a", "\"", "\\", "é", "/", " ", "10.99.0.1:5", "\n" };
    char                     room[9000];
    struct text              t     = { room, 0, (size_t)f->most, false };
    size_t                   count = prng_below(p, 40);
    for (size_t i = 0; i < count; i++)
        text_add(&t, str_from(pieces[prng_below(p, f->kind == FIELD_KIND_LINES ? 8 : 7)]));
    assert_int_equal(field_set_str(f, record, text_str(&t)).code, ERR_NONE);
}

/* Values within each field's limits, its ends often among them; lists of up to `most` items. */
static void fill(struct prng *p, const struct record_type *type, void *record, uint32_t most)
{
    for (uint32_t i = 0; i < type->field_count; i++) {
        const struct field *f = &type->fields[i];
        uint8_t             bytes[64];
        struct id           id;
        for (size_t b = 0; b < sizeof bytes; b++) bytes[b] = (uint8_t)prng_next(p);
        memcpy(id.bytes, bytes, sizeof id.bytes);
        if (f->kind == FIELD_KIND_ID) {
            assert_int_equal(field_set_id(f, record, id).code, ERR_NONE);
        } else if (f->kind == FIELD_KIND_TEXT || f->kind == FIELD_KIND_LINES) {
            fill_text(p, f, record);
        } else if (f->kind == FIELD_KIND_BYTES) {
            assert_int_equal(field_set_bytes(f, record, bytes, f->size).code, ERR_NONE);
        } else if (f->kind == FIELD_KIND_LIST) {
            uint64_t room = (uint64_t)f->most < most ? (uint64_t)f->most : most;
            for (uint64_t items = prng_below(p, room + 1); items; items--) {
                void *item;
                assert_int_equal(field_push(f, record, &item).code, ERR_NONE);
                fill(p, f->item, item, most);
            }
        } else {
            assert_int_equal(field_set_i64(f, record, number_within(p, f)).code, ERR_NONE);
        }
    }
}

static void every_message_comes_back_as_it_was_sent(void **state)
{
    (void)state;
    struct prng p = { 20260304 };
    for (uint32_t round = 0; round < 40; round++) {
        for (uint32_t k = 0; k < LINK_KIND_COUNT; k++) {
            enum link_kind kind;
            memset(&sent, 0, sizeof sent);
            fill(&p, types[k], &sent, 5);
            struct text frame = TEXT_IN(frame_room), again = TEXT_IN(again_room);
            link_write((enum link_kind)k, &sent, &frame);
            assert_false(frame.full);
            memset(&got, 0xa5, sizeof got);
            struct err e = link_read(text_str(&frame), &kind, &got);
            if (e.code) fail_msg("%s: %s in %.*s", types[k]->name, e.why, (int)frame.len, frame.ptr);
            assert_int_equal(kind, k);
            link_write(kind, &got, &again);
            assert_int_equal(frame.len, again.len);
            assert_memory_equal(frame.ptr, again.ptr, frame.len);
            assert_memory_equal(&sent, &got, types[k]->size);
        }
    }
}

/* The largest of each must fit a frame; a log's end of line ends and quotes doubles. */
static void the_largest_message_of_each_kind_fits_a_frame(void **state)
{
    (void)state;
    for (uint32_t k = 0; k < LINK_KIND_COUNT; k++) {
        struct prng p       = { k };
        size_t      largest = 0;
        for (uint32_t round = 0; round < 30; round++) {
            memset(&sent, 0, sizeof sent);
            fill(&p, types[k], &sent, UINT32_MAX);
            struct text frame = TEXT_IN(frame_room);
            link_write((enum link_kind)k, &sent, &frame);
            if (frame.full) fail_msg("%s does not fit", types[k]->name);
            if (frame.len > largest) largest = frame.len;
        }
        assert_true(largest > 60);
    }
}

static void what_is_no_frame_is_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "{",
        "[]",
        "null",
        "{}",
        "{\"kind\":\"nonsense\"}",
        "{\"kind\":7}",
        "{\"kind\":\"challenge\"}",
        "{\"kind\":\"challenge\",\"nonce\":\"00\"}",
        "{\"kind\":\"challenge\",\"nonce\":0}",
        "{\"kind\":\"gw_count\",\"joins\":-1,\"joined_bytes\":0,\"relayed_bytes\":0}",
        "{\"kind\":\"gw_count\",\"joins\":1.5,\"joined_bytes\":0,\"relayed_bytes\":0}",
        "{\"kind\":\"gw_count\",\"joins\":9007199254740993,\"joined_bytes\":0,\"relayed_bytes\":0}",
        "{\"kind\":\"gw_count\",\"joins\":1,\"joins\":2,\"joined_bytes\":0,\"relayed_bytes\":0}",
        "{\"kind\":\"gw_count\",\"joins\":1,\"joined_bytes\":0,\"relayed_bytes\":0} x",
        "{\"kind\":\"desired\",\"epoch\":1,\"version\":1,\"assignments\":[{}]}",
        "{\"kind\":\"desired\",\"epoch\":0,\"version\":1,\"assignments\":[]}",
        "{\"kind\":\"desired\",\"epoch\":1,\"version\":1,\"assignments\":{}}",
    };
    for (size_t i = 0; i < countof(rows); i++) {
        enum link_kind kind = LINK_KIND_COUNT;
        struct err     e    = link_read(str_from(rows[i]), &kind, &got);
        if (!e.code) fail_msg("taken: %s", rows[i]);
        assert_int_equal(kind, LINK_KIND_COUNT);
    }
}

static void a_field_of_a_newer_peer_is_skipped(void **state)
{
    (void)state;
    enum link_kind kind;
    assert_int_equal(
        link_read(
            STR("{\"kind\":\"gw_count\",\"joins\":3,\"sparks\":[1],\"joined_bytes\":4,\"relayed_bytes\":5}"),
            &kind, &got)
            .code,
        ERR_NONE);
    assert_int_equal(kind, LINK_GW_COUNT);
    assert_int_equal(got.gw_count.joins, 3);
    assert_int_equal(got.gw_count.relayed_bytes, 5);
}

static void a_frame_beyond_its_limit_is_refused_unread(void **state)
{
    (void)state;
    static char    much[65537];
    enum link_kind kind;
    memset(much, ' ', sizeof much);
    assert_int_equal(link_read((struct str){ much, sizeof much }, &kind, &got).code, ERR_LIMIT);
}

/* Whatever arrives is read or refused: nothing else happens, and what was read can be written. */
static void a_frame_with_any_byte_changed_is_read_or_refused(void **state)
{
    (void)state;
    struct prng p = { 7 };
    for (uint32_t round = 0; round < 4000; round++) {
        uint32_t       k = (uint32_t)prng_below(&p, LINK_KIND_COUNT);
        enum link_kind kind;
        memset(&sent, 0, sizeof sent);
        fill(&p, types[k], &sent, 2);
        struct text frame = TEXT_IN(frame_room), again = TEXT_IN(again_room);
        link_write((enum link_kind)k, &sent, &frame);
        for (uint64_t changes = 1 + prng_below(&p, 3); changes; changes--)
            frame_room[prng_below(&p, frame.len)] = (char)prng_next(&p);
        if (link_read(text_str(&frame), &kind, &got).code) continue;
        assert_int_equal(record_check(types[kind], &got, NULL).code, ERR_NONE);
        link_write(kind, &got, &again);
        assert_false(again.full);
    }
}

static void a_proof_holds_for_its_nonce_and_key_alone(void **state)
{
    (void)state;
    struct sign_key   key, other;
    struct public_key who, stranger;
    uint8_t           seed[32] = { 1 }, nonce[32] = { 9 };
    sign_key_from_seed(seed, &key, &who);
    seed[0] = 2;
    sign_key_from_seed(seed, &other, &stranger);
    struct signature s = link_prove(&key, nonce);
    assert_true(link_is_proven(who, nonce, s));
    assert_false(link_is_proven(stranger, nonce, s));
    nonce[31] ^= 1;
    assert_false(link_is_proven(who, nonce, s));
}

static void a_link_is_opened_again_soon_after_a_short_outage_and_spread_after_a_long_one(void **state)
{
    (void)state;
    static const struct {
        uint64_t away_ms;
        uint32_t least, most;
    } rows[]           = { { 0, 350, 650 },          { 5000, 350, 650 },        { 20000, 1400, 2600 },
                           { 300000, 14000, 26000 }, { 7200000, 14000, 26000 }, { UINT64_MAX, 14000, 26000 } };
    struct prng chance = { 1 };
    for (size_t i = 0; i < countof(rows); i++) {
        uint32_t least = UINT32_MAX, most = 0, early = 0, count = 10000;
        for (uint32_t k = 0; k < count; k++) {
            uint32_t ms = link_wait_ms(rows[i].away_ms, prng_next(&chance));
            if (ms < least) least = ms;
            if (ms > most) most = ms;
            early += ms < (rows[i].least + rows[i].most) / 2;
        }
        assert_in_range(least, rows[i].least, rows[i].least + 10);
        assert_in_range(most, rows[i].most - 10, rows[i].most);
        assert_in_range(early, count * 48 / 100, count * 52 / 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_comes_back_as_it_was_sent),
        cmocka_unit_test(the_largest_message_of_each_kind_fits_a_frame),
        cmocka_unit_test(what_is_no_frame_is_refused),
        cmocka_unit_test(a_field_of_a_newer_peer_is_skipped),
        cmocka_unit_test(a_frame_beyond_its_limit_is_refused_unread),
        cmocka_unit_test(a_frame_with_any_byte_changed_is_read_or_refused),
        cmocka_unit_test(a_link_is_opened_again_soon_after_a_short_outage_and_spread_after_a_long_one),
        cmocka_unit_test(a_proof_holds_for_its_nonce_and_key_alone),
    };
    return cmocka_run_group_tests_name("link", tests, NULL, NULL);
}
