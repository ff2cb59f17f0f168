#include "ticket.h"

#include "codec/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct sign_key   key, other_key;
static struct public_key network, stranger;

static int make_keys(void **state)
{
    (void)state;
    uint8_t seed[32] = { 1 };
    sign_key_from_seed(seed, &key, &network);
    seed[0] = 2;
    sign_key_from_seed(seed, &other_key, &stranger);
    return 0;
}

static struct ticket some_ticket(void)
{
    struct ticket t = { .kind = TICKET_JOIN, .service = "dashboard", .expires = { 1000 } };
    memset(t.serial.bytes, 3, sizeof t.serial.bytes);
    memset(t.cluster.id.bytes, 4, sizeof t.cluster.id.bytes);
    memset(t.user, 'u', sizeof t.user - 1);
    return t;
}

static void a_ticket_says_what_was_signed_until_it_expires(void **state)
{
    (void)state;
    char          room[TICKET_TEXT_MAX];
    struct text   text = TEXT_IN(room);
    struct ticket t    = some_ticket(), back;
    assert_int_equal(ticket_write(&t, &key, &text).code, ERR_NONE);
    assert_int_equal(ticket_read(text_str(&text), network, (struct instant){ 999 }, &back).code, ERR_NONE);
    assert_memory_equal(&t, &back, sizeof t);
    assert_int_equal(ticket_read(text_str(&text), network, (struct instant){ 1000 }, &back).code, ERR_EXPIRED);
    assert_int_equal(ticket_read(text_str(&text), stranger, (struct instant){ 0 }, &back).code, ERR_DENIED);
}

static void a_ticket_with_any_letter_changed_is_denied(void **state)
{
    (void)state;
    char          room[TICKET_TEXT_MAX];
    struct text   text = TEXT_IN(room);
    struct ticket t    = some_ticket(), back;
    assert_int_equal(ticket_write(&t, &key, &text).code, ERR_NONE);
    for (size_t i = 0; i < text.len; i++) {
        char was = room[i];
        room[i]  = was == 'A' ? 'B' : 'A';
        if (ticket_read(text_str(&text), network, (struct instant){ 0 }, &back).code != ERR_DENIED)
            fail_msg("letter %zu may change", i);
        room[i] = was;
    }
    for (size_t len = 0; len < text.len; len++)
        assert_int_equal(ticket_read((struct str){ room, len }, network, (struct instant){ 0 }, &back).code,
                         ERR_DENIED);
}

static void a_signature_for_another_purpose_makes_no_ticket(void **state)
{
    (void)state;
    struct str       said = STR("{\"kind\":\"join\",\"serial\":null,\"cluster\":null,\"expires_ms\":9}");
    struct signature s    = sign(&key, STR("ionet link"), said);
    char             room[TICKET_TEXT_MAX];
    struct text      text = TEXT_IN(room);
    struct ticket    back;
    base64url_write((const uint8_t *)said.ptr, said.len, &text);
    text_add_char(&text, '.');
    base64url_write(s.bytes, sizeof s.bytes, &text);
    assert_int_equal(ticket_read(text_str(&text), network, (struct instant){ 0 }, &back).code, ERR_DENIED);
}

#define PIN "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define SECRET "AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"

static void a_join_token_is_read_as_it_was_written(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "203.0.113.1:8443." PIN "." SECRET,
        "network.example.org:1." PIN "." SECRET,
        "[2001:db8::1]:65535." PIN "." SECRET,
    };
    for (size_t i = 0; i < countof(texts); i++) {
        struct join_token t;
        char              room[320];
        struct text       text = TEXT_IN(room);
        assert_int_equal(join_token_read(str_from(texts[i]), &t).code, ERR_NONE);
        assert_string_equal(t.secret, SECRET);
        assert_int_equal(t.pin[1], 0x11);
        join_token_write(&t, &text);
        assert_string_equal(text_z(&text), texts[i]);
    }
    struct join_token v6;
    assert_int_equal(join_token_read(str_from(texts[2]), &v6).code, ERR_NONE);
    assert_string_equal(v6.host, "2001:db8::1");
    assert_int_equal(v6.port, 65535);
}

static void what_is_no_join_token_is_refused_with_a_reason(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "203.0.113.1:8443",
        "203.0.113.1:8443." PIN,
        "203.0.113.1." PIN "." SECRET,
        "203.0.113.1:0." PIN "." SECRET,
        "203.0.113.1:65536." PIN "." SECRET,
        "203.0.113.1:08443." PIN "." SECRET,
        ":8443." PIN "." SECRET,
        "[]:8443." PIN "." SECRET,
        "203.0.113.1:8443." PIN "0." SECRET,
        "203.0.113.1:8443.X" PIN "." SECRET,
        "203.0.113.1:8443." PIN "." SECRET "A",
        "203.0.113.1:8443." PIN "." SECRET "==",
        "203.0.113.1:8443." PIN ".AAEC",
        "203.0.113.1:8443." PIN ".",
    };
    for (size_t i = 0; i < countof(texts); i++) {
        struct join_token t = { .port = 7 };
        struct err        e = join_token_read(str_from(texts[i]), &t);
        if (e.code != ERR_INVALID) fail_msg("taken: %s", texts[i]);
        assert_int_equal(t.port, 7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ticket_says_what_was_signed_until_it_expires),
        cmocka_unit_test(a_ticket_with_any_letter_changed_is_denied),
        cmocka_unit_test(a_signature_for_another_purpose_makes_no_ticket),
        cmocka_unit_test(a_join_token_is_read_as_it_was_written),
        cmocka_unit_test(what_is_no_join_token_is_refused_with_a_reason),
    };
    return cmocka_run_group_tests_name("ticket", tests, make_keys, NULL);
}
