#include "config_int.h"

#include "codec/codec.h"
#include "sys/sys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char home[] = "/tmp/ionet-test-XXXXXX";

/* Seed 0, 1, 2 … 31; the public half by RFC 8032 as another implementation (OpenSSL's) gives it. */
static const char solana_file[] =
    "[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,"
    "3,161,7,191,243,206,16,190,29,112,221,24,231,75,192,153,103,228,214,48,155,165,13,95,29,220,134,100,"
    "18,85,49,"
    "184]\n";

static void the_key_file_is_the_form_of_solanas_tools(void **state)
{
    struct sign_key   k;
    struct public_key p;
    char              room[1024];
    struct text       wallet = TEXT_IN(room);
    (void)state;
    assert_int_equal(key_file_read(str_from(solana_file), &k, &p).code, ERR_NONE);
    base58_write(p.bytes, sizeof p.bytes, &wallet);
    assert_string_equal(text_z(&wallet), "FAe4sisG95oZ42w7buUn5qEE4TAnfTTFPiguZUHmhiF");

    struct text t = TEXT_IN(room);
    key_file_write(&k, &t);
    assert_true(str_eq(text_str(&t), str_from(solana_file)));
}

static void a_key_file_that_is_not_whole_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "[]",
        "{}",
        "[1,2,3]",
        "null",
        "[\"a\"]",
        "[256,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,"
        "3,161,7,191,243,206,16,190,29,112,221,24,231,75,192,153,103,228,214,48,155,165,13,95,29,220,134,"
        "100,18,85,49,184]",
        /* the halves of two keys */
        "[1,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,"
        "3,161,7,191,243,206,16,190,29,112,221,24,231,75,192,153,103,228,214,48,155,165,13,95,29,220,134,"
        "100,18,85,49,184]",
    };
    (void)state;
    for (size_t i = 0; i < countof(wrong); i++) {
        struct sign_key   k;
        struct public_key p;
        assert_int_not_equal(key_file_read(str_from(wrong[i]), &k, &p).code, ERR_NONE);
    }
}

static void a_key_is_made_once_and_only_its_owner_reads_it(void **state)
{
    struct sign_key   first, second;
    struct public_key p, q;
    struct stat       st;
    bool              made;
    char              path[CONFIG_PATH_MAX];
    (void)state;
    assert_int_equal(config_path("key.json", path).code, ERR_NONE);
    assert_int_equal(key_file_open(path, &first, &p, &made).code, ERR_NONE);
    assert_true(made);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(key_file_open(path, &second, &q, &made).code, ERR_NONE);
    assert_false(made);
    assert_memory_equal(first.bytes, second.bytes, sizeof first.bytes);

    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(key_file_open(path, &second, &q, &made).code, ERR_DENIED);
}

static void a_key_that_cant_be_looked_at_is_not_replaced(void **state)
{
    struct sign_key   k;
    struct public_key p;
    struct stat       st;
    bool              made;
    char              path[CONFIG_PATH_MAX];
    (void)state;
    assert_int_equal(config_path("loop.json", path).code, ERR_NONE);
    assert_int_equal(symlink("loop.json", path), 0); /* to itself */
    assert_int_equal(key_file_open(path, &k, &p, &made).code, ERR_IO);
    assert_int_equal(lstat(path, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
}

static void what_is_kept_is_there_the_next_time(void **state)
{
    struct config k = { .network = "203.0.113.1:8443",
                        .api_key = "ionet_secret",
                        .expires = { 1764000000000 } },
                  back;
    struct stat st;
    char        path[CONFIG_PATH_MAX];
    (void)state;
    assert_int_equal(config_load(&back).code, ERR_NONE);
    assert_string_equal(back.network, "");
    memset(k.pin, 0xab, sizeof k.pin);
    memset(&k.account, 7, sizeof k.account);
    assert_int_equal(config_save(&k).code, ERR_NONE);
    assert_int_equal(config_load(&back).code, ERR_NONE);
    assert_string_equal(back.network, k.network);
    assert_string_equal(back.api_key, k.api_key);
    assert_memory_equal(back.pin, k.pin, sizeof k.pin);
    assert_true(id_eq(back.account.id, k.account.id));
    assert_int_equal(back.expires.ms, k.expires.ms);
    assert_int_equal(config_path("config.json", path).code, ERR_NONE);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_network_is_a_host_and_a_port(void **state)
{
    static const struct {
        const char *text, *host;
        uint16_t    port; /* 0: refused */
    } rows[] = {
        { "203.0.113.1:8443", "203.0.113.1", 8443 },
        { "a.example:1", "a.example", 1 },
        { "[2001:db8::1]:443", "2001:db8::1", 443 },
        { "a.example", "", 0 },
        { "a.example:", "", 0 },
        { "a.example:0", "", 0 },
        { "a.example:65536", "", 0 },
        { ":443", "", 0 },
        { "", "", 0 },
        { "[2001:db8::1]443", "", 0 },
        { "2001:db8::1", "", 0 },
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        char       host[128] = "";
        uint16_t   port      = 0;
        struct err e         = config_split(str_from(rows[i].text), host, &port);
        assert_int_equal(e.code, rows[i].port ? ERR_NONE : ERR_INVALID);
        if (!rows[i].port) continue;
        assert_string_equal(host, rows[i].host);
        assert_int_equal(port, rows[i].port);
    }
}

static int make_home(void **state)
{
    (void)state;
    return !mkdtemp(home) || setenv("IONET_HOME", home, 1) ? -1 : 0;
}

static int remove_home(void **state)
{
    (void)state;
    return sys_remove_tree(home).code ? -1 : 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_key_file_is_the_form_of_solanas_tools),
        cmocka_unit_test(a_key_file_that_is_not_whole_is_refused),
        cmocka_unit_test(a_key_is_made_once_and_only_its_owner_reads_it),
        cmocka_unit_test(a_key_that_cant_be_looked_at_is_not_replaced),
        cmocka_unit_test(what_is_kept_is_there_the_next_time),
        cmocka_unit_test(a_network_is_a_host_and_a_port),
    };
    return cmocka_run_group_tests(tests, make_home, remove_home);
}
