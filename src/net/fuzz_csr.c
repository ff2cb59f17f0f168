/* fuzz_csr.c: a gateway's request for its certificate, as PEM or, since letters of base 64 tell a fuzzer little, as what is
 * inside. Either a chain comes out, or nothing. The first byte says which. */
#include "base/fuzz.h"
#include "net.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DER_MAX 2000

static char dir[] = "/tmp/fuzz_csr.XXXXXX";

static void remove_dir(void)
{
    static const char *const files[] = { "authority.key", "authority.crt" };
    for (size_t i = 0; i < countof(files); i++) {
        char path[64];
        snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        (void)unlink(path);
    }
    (void)rmdir(dir);
}

static void open_authority(void)
{
    struct net_pin pin;
    if (access(dir, F_OK) == 0) return;
    check(mkdtemp(dir) && atexit(remove_dir) == 0);
    check(net_authority_open(dir, &pin).code == ERR_NONE);
}

static void add_pem(struct text *t, struct str der)
{
    char room[DER_MAX * 4 / 3 + 8];
    int  len = EVP_EncodeBlock((unsigned char *)room, (const unsigned char *)der.ptr, (int)der.len);
    text_add(t, STR("-----BEGIN CERTIFICATE REQUEST-----\n"));
    for (int i = 0; i < len; i += 64) {
        text_add(t, (struct str){ room + i, len - i < 64 ? (size_t)(len - i) : 64 });
        text_add_char(t, '\n');
    }
    text_add(t, STR("-----END CERTIFICATE REQUEST-----\n"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const hosts[] = { "*.gate.test", "203.0.113.1" };
    char                     room[4096], chain[8192] = "";
    struct text              pem    = TEXT_IN(room);
    struct str               in     = fuzz_all(data, size);
    bool                     is_der = fuzz_u8(&in) & 1;
    open_authority();
    if (is_der && in.len <= DER_MAX)
        add_pem(&pem, in);
    else
        text_add(&pem, in);
    if (pem.full ||
        net_authority_sign(dir, text_str(&pem), hosts, countof(hosts), 90, chain, sizeof chain).code)
        return 0;
    check(memchr(chain, 0, sizeof chain) && str_starts(str_from(chain), STR("-----BEGIN CERTIFICATE-----\n")));
    check(str_ends(str_from(chain), STR("-----END CERTIFICATE-----\n")));
    return 0;
}
