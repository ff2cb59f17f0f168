#include "keys_int.h"
#include "tls_int.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define AUTHORITY_DAYS (20 * 365)
#define RENEW_DAYS 30
#define SECONDS_PER_DAY 86400
#define NAMES_BYTES_MAX 4096

#define scoped(free_it) __attribute__((cleanup(free_it)))

static void free_key(EVP_PKEY **k)
{
    EVP_PKEY_free(*k);
}
static void free_cert(X509 **c)
{
    X509_free(*c);
}
static void free_request(X509_REQ **r)
{
    X509_REQ_free(*r);
}
static void free_extension(X509_EXTENSION **e)
{
    X509_EXTENSION_free(*e);
}
static void free_bio(BIO **b)
{
    BIO_free(*b);
}

static struct err openssl_err(const char *why)
{
    ERR_clear_error();
    return (struct err){ ERR_IO, why };
}

/* ---- files ----------------------------------------------------------------------------------------- */

static struct err path_make(const char *dir, const char *name, const char *end, char out[PATH_MAX])
{
    int len = snprintf(out, PATH_MAX, "%s/%s%s", dir, name, end);
    return len > 0 && len < PATH_MAX ? OK : ERR(LIMIT, "a path is too long");
}

static struct err sync_folder_of(const char *path)
{
    char dir[PATH_MAX];
    TRY(str_copy(str_from(path), dir, sizeof dir));
    char *slash = strrchr(dir, '/');
    if (slash) slash[slash == dir] = 0;
    int fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return ERR(IO, "the folder of the certificates can't be opened");
    int failed = fsync(fd);
    close(fd);
    return failed ? ERR(IO, "the folder of the certificates can't be synced") : OK;
}

/* Whole or not at all, and only for us: written beside, synced, then renamed. */
static struct err file_write(const char *path, struct str content)
{
    char beside[PATH_MAX];
    int  len = snprintf(beside, sizeof beside, "%s.new", path);
    if (len <= 0 || len >= PATH_MAX) return ERR(LIMIT, "a path is too long");
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return ERR(IO, "a key or certificate can't be written");
    bool good = write(fd, content.ptr, content.len) == (ssize_t)content.len && fsync(fd) == 0;
    good      = close(fd) == 0 && good;
    if (!good || rename(beside, path)) {
        (void)unlink(beside);
        return ERR(IO, "a key or certificate can't be written");
    }
    return sync_folder_of(path);
}

static struct str bio_str(BIO *bio)
{
    char *ptr;
    long  len = BIO_get_mem_data(bio, &ptr);
    return (struct str){ ptr, len > 0 ? (size_t)len : 0 };
}

static BIO *bio_new(void)
{
    BIO *bio = BIO_new(BIO_s_mem());
    check(bio != NULL);
    return bio;
}

static struct err key_write(const char *path, EVP_PKEY *key)
{
    scoped(free_bio) BIO *bio = key_encode(key);
    return bio ? file_write(path, bio_str(bio)) : openssl_err("a key can't be encoded");
}

static X509 *cert_read(const char *path)
{
    scoped(free_bio) BIO *bio  = BIO_new_file(path, "r");
    X509                 *cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    ERR_clear_error();
    return cert;
}

/* ---- certificates ---------------------------------------------------------------------------------- */

static X509_EXTENSION *extension_make(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    return X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
}

static bool extension_add(X509 *cert, X509 *issuer, int nid, const char *value)
{
    scoped(free_extension) X509_EXTENSION *e = extension_make(cert, issuer, nid, value);
    return e && X509_add_ext(cert, e, -1) == 1;
}

/* 127 random bits: no two certificates of an authority share a number (RFC 5280, 4.1.2.2). */
static bool serial_set(X509 *cert)
{
    unsigned char bytes[16];
    if (RAND_bytes(bytes, sizeof bytes) != 1) return false;
    bytes[0]   = (bytes[0] & 0x7f) | 0x40;
    BIGNUM *n  = BN_bin2bn(bytes, sizeof bytes, NULL);
    bool    ok = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert));
    BN_free(n);
    return ok;
}

static X509 *cert_begin(EVP_PKEY *key, const char *common_name, int days)
{
    X509 *cert = X509_new();
    check(cert != NULL);
    X509_NAME *subject = X509_get_subject_name(cert);
    bool       good =
        X509_set_version(cert, X509_VERSION_3) && serial_set(cert) &&
        /* A day back, for machines whose clock is behind. */
        X509_gmtime_adj(X509_getm_notBefore(cert), -SECONDS_PER_DAY) &&
        X509_gmtime_adj(X509_getm_notAfter(cert), (long)days * SECONDS_PER_DAY) && X509_set_pubkey(cert, key) &&
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)common_name, -1, -1, 0);
    if (good) return cert;
    X509_free(cert);
    return NULL;
}

static struct err authority_make(const char *key_path, const char *cert_path)
{
    scoped(free_key) EVP_PKEY *key  = key_make();
    scoped(free_cert) X509    *cert = cert_begin(key, "ionet authority", AUTHORITY_DAYS);
    if (!cert || !X509_set_issuer_name(cert, X509_get_subject_name(cert)) ||
        !extension_add(cert, cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
        !extension_add(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign") ||
        !extension_add(cert, cert, NID_subject_key_identifier, "hash") || !X509_sign(cert, key, EVP_sha256()))
        return openssl_err("the authority's certificate can't be made");

    scoped(free_bio) BIO *pem = bio_new();
    if (!PEM_write_bio_X509(pem, cert)) return openssl_err("the authority's certificate can't be encoded");
    TRY(key_write(key_path, key));
    return file_write(cert_path, bio_str(pem));
}

struct authority {
    EVP_PKEY *key;
    X509     *cert;
};

static void authority_finish(struct authority *a)
{
    EVP_PKEY_free(a->key);
    X509_free(a->cert);
}

static struct err authority_load(const char *dir, struct authority *a)
{
    char key_path[PATH_MAX], cert_path[PATH_MAX];
    TRY(path_make(dir, "authority", ".key", key_path));
    TRY(path_make(dir, "authority", ".crt", cert_path));
    a->key  = key_read(key_path);
    a->cert = cert_read(cert_path);
    if (!a->key || !a->cert) return ERR(IO, "the authority's key or certificate can't be read");
    if (X509_check_private_key(a->cert, a->key) != 1) {
        ERR_clear_error();
        return ERR(CORRUPT, "the authority's certificate is not for its key");
    }
    return OK;
}

struct err net_authority_open(const char *dir, struct net_pin *out)
{
    char key_path[PATH_MAX], cert_path[PATH_MAX];
    TRY(path_make(dir, "authority", ".key", key_path));
    TRY(path_make(dir, "authority", ".crt", cert_path));
    /* The certificate is written last: a key without one is from a start that was cut short. */
    if (access(cert_path, F_OK) && errno == ENOENT) TRY(authority_make(key_path, cert_path));

    scoped(authority_finish) struct authority a = { 0 };
    TRY(authority_load(dir, &a));
    tls_pin_of(a.cert, out);
    return OK;
}

/* "DNS:a,IP:b", from names that can't say anything else in OpenSSL's little language. */
static struct err names_write(const char *const *hosts, size_t count, char out[NAMES_BYTES_MAX])
{
    struct text t = { out, 0, NAMES_BYTES_MAX, false };
    if (count == 0) return ERR(INVALID, "a certificate needs a name");
    for (size_t i = 0; i < count; i++) {
        struct str host = str_from(hosts[i]);
        if (host.len == 0 ||
            strspn(hosts[i], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-*:") != host.len)
            return ERR(INVALID, "a certificate's name is not a host name or address");
        ASN1_OCTET_STRING *address = a2i_IPADDRESS(hosts[i]);
        if (i) text_add_char(&t, ',');
        text_add(&t, address ? STR("IP:") : STR("DNS:"));
        text_add(&t, host);
        ASN1_OCTET_STRING_free(address);
    }
    ERR_clear_error();
    (void)text_z(&t);
    return t.full ? ERR(LIMIT, "a certificate has too many names") : OK;
}

static struct err chain_make(const struct authority *a, EVP_PKEY *key, const char *common_name,
                             const char *names, int days, BIO *pem)
{
    scoped(free_cert) X509 *cert = cert_begin(key, common_name, days);
    if (!cert || !X509_set_issuer_name(cert, X509_get_subject_name(a->cert)) ||
        !extension_add(cert, a->cert, NID_basic_constraints, "critical,CA:FALSE") ||
        !extension_add(cert, a->cert, NID_key_usage, "critical,digitalSignature") ||
        !extension_add(cert, a->cert, NID_ext_key_usage, "serverAuth") ||
        !extension_add(cert, a->cert, NID_subject_key_identifier, "hash") ||
        !extension_add(cert, a->cert, NID_authority_key_identifier, "keyid:always") ||
        !extension_add(cert, a->cert, NID_subject_alt_name, names) || !X509_sign(cert, a->key, EVP_sha256()) ||
        !PEM_write_bio_X509(pem, cert) || !PEM_write_bio_X509(pem, a->cert))
        return openssl_err("a certificate can't be made");
    return OK;
}

static bool cert_is_good(X509 *cert, EVP_PKEY *key, const struct authority *a, const char *names)
{
    time_t soon = time(NULL) + (time_t)RENEW_DAYS * SECONDS_PER_DAY;
    if (!cert || !key || X509_check_private_key(cert, key) != 1) return false;
    if (X509_verify(cert, X509_get0_pubkey(a->cert)) != 1) return false;
    if (X509_cmp_time(X509_get0_notAfter(cert), &soon) <= 0) return false;

    scoped(free_extension) X509_EXTENSION *want = extension_make(cert, a->cert, NID_subject_alt_name, names);
    X509_EXTENSION *have = X509_get_ext(cert, X509_get_ext_by_NID(cert, NID_subject_alt_name, -1));
    return want && have &&
           ASN1_OCTET_STRING_cmp(X509_EXTENSION_get_data(want), X509_EXTENSION_get_data(have)) == 0;
}

struct err net_authority_issue(const char *dir, const char *name, const char *const *hosts, size_t count,
                               int days)
{
    char key_path[PATH_MAX], cert_path[PATH_MAX], names[NAMES_BYTES_MAX];
    TRY(path_make(dir, name, ".key", key_path));
    TRY(path_make(dir, name, ".crt", cert_path));
    TRY(names_write(hosts, count, names));
    scoped(authority_finish) struct authority a = { 0 };
    TRY(authority_load(dir, &a));

    scoped(free_key) EVP_PKEY *key  = key_read(key_path);
    scoped(free_cert) X509    *cert = cert_read(cert_path);
    bool                       good = cert_is_good(cert, key, &a, names);
    ERR_clear_error();
    if (good) return OK;

    if (!key) {
        key = key_make();
        TRY(key_write(key_path, key));
    }
    scoped(free_bio) BIO *pem = bio_new();
    TRY(chain_make(&a, key, name, names, days, pem));
    return file_write(cert_path, bio_str(pem));
}

/* OpenSSL asks at the terminal, and waits, for the pass phrase of what says that it is encrypted. */
static int has_no_phrase(char *room, int size, int is_writing, void *ctx)
{
    (void)room, (void)size, (void)is_writing, (void)ctx;
    return -1;
}

struct err net_authority_sign(const char *dir, struct str csr_pem, const char *const *hosts, size_t count,
                              int days, char *chain_pem, size_t size)
{
    char names[NAMES_BYTES_MAX];
    TRY(names_write(hosts, count, names));
    if (csr_pem.len > INT_MAX) return ERR(LIMIT, "the request for a certificate is too long");
    scoped(authority_finish) struct authority a = { 0 };
    TRY(authority_load(dir, &a));

    scoped(free_bio) BIO          *in      = BIO_new_mem_buf(csr_pem.ptr, (int)csr_pem.len);
    scoped(free_request) X509_REQ *request = in ? PEM_read_bio_X509_REQ(in, NULL, has_no_phrase, NULL) : NULL;
    EVP_PKEY                      *key     = request ? X509_REQ_get0_pubkey(request) : NULL;
    if (!key || X509_REQ_verify(request, key) != 1) {
        ERR_clear_error();
        return ERR(INVALID, "the request for a certificate can't be read");
    }
    if (!EVP_PKEY_is_a(key, "EC") && !EVP_PKEY_is_a(key, "ED25519"))
        return ERR(INVALID, "the request for a certificate has a key of another kind than P-256 or Ed25519");
    scoped(free_bio) BIO *pem = bio_new();
    TRY(chain_make(&a, key, "ionet", names, days, pem));
    return str_copy(bio_str(pem), chain_pem, size);
}

struct err net_request_make(const char *key_path, char *csr_pem, size_t size)
{
    scoped(free_key) EVP_PKEY *key = key_read(key_path);
    if (!key) {
        if (access(key_path, F_OK) == 0) return ERR(CORRUPT, "the key that is there can't be read");
        key = key_make();
        TRY(key_write(key_path, key));
    }
    scoped(free_request) X509_REQ *request = X509_REQ_new();
    scoped(free_bio) BIO          *pem     = bio_new();
    check(request != NULL);
    if (!X509_REQ_set_version(request, X509_REQ_VERSION_1) || !X509_REQ_set_pubkey(request, key) ||
        !X509_REQ_sign(request, key, EVP_sha256()) || !PEM_write_bio_X509_REQ(pem, request))
        return openssl_err("a request for a certificate can't be made");
    return str_copy(bio_str(pem), csr_pem, size);
}
