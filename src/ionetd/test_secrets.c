/* Where ionetd's keys lie in its memory while it serves. */
#include "test_world_int.h"

#include "sys/secret_trial.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#define SCALAR_BYTES 32

/* A TLS key's number, as OpenSSL holds it and as it is written. */
static void read_scalar(const struct world *w, const char *name, uint8_t little[SCALAR_BYTES],
                        uint8_t big[SCALAR_BYTES])
{
    char path[160];
    snprintf(path, sizeof path, "%s/state/%s", w->dir, name);
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    EVP_PKEY *key    = PEM_read_PrivateKey(f, NULL, NULL, NULL);
    BIGNUM   *number = NULL;
    fclose(f);
    assert_int_equal(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &number), 1);
    assert_int_equal(BN_bn2lebinpad(number, little, SCALAR_BYTES), SCALAR_BYTES);
    assert_int_equal(BN_bn2binpad(number, big, SCALAR_BYTES), SCALAR_BYTES);
    BN_clear_free(number);
    EVP_PKEY_free(key);
}

/* The second line of a key's file: of what it is read from nothing should be left either. */
static struct str read_letters(const struct world *w, const char *name, char room[512])
{
    char   path[160];
    size_t len;
    snprintf(path, sizeof path, "%s/state/%s", w->dir, name);
    assert_int_equal(sys_read_file(path, room, 512, &len).code, ERR_NONE);
    struct str first, second, rest = { room, len };
    str_split(rest, '\n', &first, &rest);
    str_split(rest, '\n', &second, &rest);
    assert_int_equal(second.len, 64);
    return second;
}

__attribute__((unused)) static void no_key_lies_outside_locked_memory(void **state)
{
    static const char *const own[]      = { "signing.key", "ids.key", "secrets.key" };
    static const char *const tls[]      = { "ionetd.key", "authority.key" };
    static const char *const forms[][3] = {
        { "ionetd.key's number, lowest first", "ionetd.key's number, highest first", "ionetd.key's letters" },
        { "authority.key's number, lowest first", "authority.key's number, highest first",
          "authority.key's letters" },
    };
    struct world  *w = *state;
    static uint8_t keys[3][32], numbers[4][SCALAR_BYTES];
    static char    rooms[2][512];
    struct needle  needles[9];
    char           path[160], key[64];
    sign_in(w, 1, "", key);
    for (size_t i = 0; i < countof(own); i++) {
        snprintf(path, sizeof path, "%s/state/%s", w->dir, own[i]);
        assert_int_equal(sys_secret_file(path, keys[i]).code, ERR_NONE);
        needles[i] = (struct needle){ own[i], { (const char *)keys[i], 32 } };
    }
    for (size_t i = 0; i < countof(tls); i++) {
        read_scalar(w, tls[i], numbers[2 * i], numbers[2 * i + 1]);
        needles[3 + 3 * i] = (struct needle){ forms[i][0], { (const char *)numbers[2 * i], SCALAR_BYTES } };
        needles[4 + 3 * i] = (struct needle){ forms[i][1], { (const char *)numbers[2 * i + 1], SCALAR_BYTES } };
        needles[5 + 3 * i] = (struct needle){ forms[i][2], read_letters(w, tls[i], rooms[i]) };
    }
    for (int start = 0; start < 2; start++) { /* one that makes its keys, one that reads them */
        struct found f = secrets_in(w->pid, needles, countof(needles));
        assert_int_equal(f.open, 0);
        assert_true(f.locked >= 4); /* the three and the server's */
        assert_int_equal(world_stop(w, SIGTERM), 0);
        world_start(w);
        assert_int_equal(get(w, "/v1/account", key), 200);
    }
}

static void file_tells_none(const char *path, const char *const *secrets, size_t count)
{
    static char room[1 << 20];
    size_t      len = 0;
    int         fd  = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    for (ssize_t got; len < sizeof room && (got = read(fd, room + len, sizeof room - len)) > 0;)
        len += (size_t)got;
    close(fd);
    assert_true(len > 0);
    for (size_t i = 0; i < count; i++)
        if (memmem(room, len, secrets[i], strlen(secrets[i]))) fail_msg("%s tells secret %zu", path, i);
}

/* Keys, tokens and signatures, good ones and wrong ones, at the level that logs most. */
static void no_secret_is_told_by_its_logs_its_metrics_its_errors_or_its_process(void **state)
{
    struct world  *w = *state;
    struct machine m = { .lie = false };
    char           key[64], other[64], token[320], path[64];
    const char    *secrets[] = { key, other, token, "ionet_wrongwrongwrong", "b64wrongtokenwrong" };
    assert_int_equal(world_stop(w, SIGTERM), 0);
    snprintf(w->extra, sizeof w->extra, "--log_level=debug");
    world_start(w);
    sign_in(w, 1, "", key);
    sign_in(w, 2, "", other);
    make_token(w, key, "device", "", token);
    device_ready(&m, w, key, 0x31);
    static const char *const paths[] = { "/v1/account", "/v1/nothing", "/v1/clusters?limit=x", "/v1/books" };
    for (size_t i = 0; i < countof(paths); i++) {
        const char *const asked[] = { key, "ionet_wrongwrongwrong" };
        for (size_t k = 0; k < countof(asked); k++) {
            (void)get(w, paths[i], asked[k]);
            assert_null(strstr(w->said, asked[k]));
        }
    }
    assert_int_equal(post(w, "/v1/join-tokens", key, "{\"for\":\"%s\"}", "b64wrongtokenwrong"), 400);
    assert_null(strstr(w->said, "b64wrongtokenwrong"));
    assert_int_equal(get(w, "/metrics", NULL), 200);
    for (size_t i = 0; i < countof(secrets); i++) assert_null(strstr(w->said, secrets[i]));
    machine_leave(&m);
    assert_int_equal(call(w, "DELETE", "/v1/session", other, STR("")), 204);
    file_tells_none(w->log, secrets, countof(secrets));
    static const char *const of_process[] = { "cmdline", "environ" };
    for (size_t i = 0; i < countof(of_process); i++) {
        snprintf(path, sizeof path, "/proc/%d/%s", w->pid, of_process[i]);
        file_tells_none(path, secrets, countof(secrets));
    }
}

int main(int argc, char **argv)
{
    int status;
    if (world_is_program(argc, argv, &status)) return status;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_secret_is_told_by_its_logs_its_metrics_its_errors_or_its_process,
                                        world_make, world_end),
#if MEMORY_LOCKS
        cmocka_unit_test_setup_teardown(no_key_lies_outside_locked_memory, world_make, world_end),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
