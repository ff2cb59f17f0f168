#include "keys_int.h"
#include "tls_int.h"

#include <arpa/inet.h>
#include <openssl/x509v3.h>
#include <string.h>

/* ---- the wire: a BIO over the connection's own buffers -------------------------------------------- */

static int wire_read(BIO *bio, char *room, size_t size, size_t *got)
{
    struct conn *c = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (c->in.len == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    *got = size < c->in.len ? size : c->in.len;
    memcpy(room, c->in.ptr, *got);
    c->in = str_skip(c->in, *got);
    return 1;
}

static int wire_write(BIO *bio, const char *bytes, size_t size, size_t *put)
{
    struct conn *c = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    bytes_add(&c->out, (struct str){ bytes, size });
    *put = size;
    return 1;
}

static long wire_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *wire_method(void)
{
    static BIO_METHOD *method; /* one for the program; made on the loop's thread */
    if (method) return method;
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "wire");
    check(method != NULL);
    check(BIO_meth_set_read_ex(method, wire_read) && BIO_meth_set_write_ex(method, wire_write) &&
          BIO_meth_set_ctrl(method, wire_ctrl));
    return method;
}

void tls_attach(struct conn *c)
{
    BIO *bio = BIO_new(wire_method());
    check(bio != NULL);
    BIO_set_data(bio, c);
    BIO_set_init(bio, 1);
    SSL_set_bio(c->ssl, bio, bio);
}

/* ---- servers --------------------------------------------------------------------------------------- */

static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
                       unsigned in_len, void *http2)
{
    static const unsigned char both[] = "\x02h2\x08http/1.1";
    const unsigned char       *ours   = http2 ? both : both + 3;
    unsigned                   len    = (unsigned)(sizeof both - 1 - (http2 ? 0 : 3));
    unsigned char             *chosen;
    (void)ssl;
    if (SSL_select_next_proto(&chosen, out_len, ours, len, in, in_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *context_new(const SSL_METHOD *method)
{
    SSL_CTX *ctx = SSL_CTX_new(method);
    check(ctx != NULL);
    check(SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION));
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    return ctx;
}

struct err tls_server_context(const char *cert_path, const char *key_path, bool http2, SSL_CTX **out)
{
    SSL_CTX *ctx = context_new(TLS_server_method());
    check(SSL_CTX_set_num_tickets(ctx, 1));
    SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, http2 ? ctx : NULL);
    EVP_PKEY *key   = key_read(key_path);
    bool      whole = key && SSL_CTX_use_certificate_chain_file(ctx, cert_path) == 1 &&
                 SSL_CTX_use_PrivateKey(ctx, key) == 1 && SSL_CTX_check_private_key(ctx) == 1;
    EVP_PKEY_free(key);
    if (!whole) {
        ERR_clear_error();
        SSL_CTX_free(ctx);
        return ERR(INVALID, "the certificate or its key can't be loaded");
    }
    *out = ctx;
    return OK;
}

/* ---- clients --------------------------------------------------------------------------------------- */

void tls_pin_of(X509 *cert, struct net_pin *out)
{
    unsigned len = sizeof out->sha256;
    check(X509_digest(cert, EVP_sha256(), out->sha256, &len) == 1 && len == sizeof out->sha256);
}

/* With a pin, the only authority there is is the presented certificate that has this hash; all else is
 * OpenSSL's usual check of chain, dates, purpose and name. */
static int verify_chain(X509_STORE_CTX *store, void *unused)
{
    SSL                  *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    const struct net_pin *pin = SSL_get_app_data(ssl);
    (void)unused;
    if (!pin) return X509_verify_cert(store);

    STACK_OF(X509) *presented = X509_STORE_CTX_get0_untrusted(store);
    STACK_OF(X509) *trusted   = sk_X509_new_null();
    check(trusted != NULL);
    for (int i = 0; i < sk_X509_num(presented); i++) {
        struct net_pin here;
        tls_pin_of(sk_X509_value(presented, i), &here);
        if (memcmp(here.sha256, pin->sha256, sizeof here.sha256) == 0)
            check(sk_X509_push(trusted, sk_X509_value(presented, i)) > 0);
    }
    X509_STORE_CTX_set0_trusted_stack(store, trusted);
    int good = X509_verify_cert(store);
    X509_STORE_CTX_set0_trusted_stack(store, NULL);
    sk_X509_free(trusted);
    return good;
}

static SSL_CTX *client_context(void)
{
    static SSL_CTX *ctx; /* one for the program; made on the loop's thread */
    if (ctx) return ctx;
    static const unsigned char http1[] = "\x08http/1.1";
    ctx                                = context_new(TLS_client_method());
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(ctx, verify_chain, NULL);
    (void)SSL_CTX_set_default_verify_paths(ctx); /* without the system's list only pins are believed */
    check(SSL_CTX_set_alpn_protos(ctx, http1, sizeof http1 - 1) == 0);
    return ctx;
}

static bool is_address(const char *name)
{
    unsigned char room[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, name, room) == 1 || inet_pton(AF_INET6, name, room) == 1;
}

struct err tls_client(const char *server_name, const struct net_pin *pin, SSL **out)
{
    SSL *ssl = SSL_new(client_context());
    check(ssl != NULL);
    SSL_set_app_data(ssl, (void *)(uintptr_t)pin);
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    bool named = is_address(server_name)
                     ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), server_name) == 1
                     : SSL_set_tlsext_host_name(ssl, server_name) == 1 && SSL_set1_host(ssl, server_name) == 1;
    if (!named) {
        ERR_clear_error();
        SSL_free(ssl);
        return ERR(INVALID, "the server's name is not a host name");
    }
    SSL_set_connect_state(ssl);
    *out = ssl;
    return OK;
}

const char *tls_failure(SSL *ssl)
{
    long result = SSL_is_server(ssl) ? X509_V_OK : SSL_get_verify_result(ssl);
    switch (result) {
    case X509_V_OK: break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH: return "the server's certificate is for another name";
    case X509_V_ERR_CERT_HAS_EXPIRED: return "the server's certificate has expired";
    case X509_V_ERR_CERT_NOT_YET_VALID: return "the server's certificate is not valid yet: is the clock right?";
    default: return "the server's certificate is not from the authority that is trusted";
    }
    return SSL_is_init_finished(ssl) ? "TLS was broken by the peer" : "the TLS handshake failed";
}
