/* tls_int.h: TLS 1.3 contexts and how a connection's bytes get in and out of OpenSSL. */
#ifndef NET_TLS_INT_H
#define NET_TLS_INT_H

#include "conn_int.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

must_check struct err tls_server_context(const char *cert_path, const char *key_path, bool http2,
                                         SSL_CTX **out);

/* A client's end for one connection. `pin` (null: the system's list) must outlive it. */
must_check struct err tls_client(const char *server_name, const struct net_pin *pin, SSL **out);

void        tls_attach(struct conn *c); /* OpenSSL reads c->in and writes c->out */
const char *tls_failure(SSL *ssl);      /* why the last call failed, as a static sentence */
void        tls_pin_of(X509 *cert, struct net_pin *out);

#endif
