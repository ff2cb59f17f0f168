/* http_int.h: heads, and a request from its first byte to its answer, on whichever version of HTTP it came.
 *
 * A request belongs to its connection while it is read, to the caller from on_request until he answers, and
 * to the stream after net_reply_stream. When the client leaves it is detached (`wire` becomes null): on_gone is
 * called, or it waits for the answer that nobody will get. */
#ifndef NET_HTTP_INT_H
#define NET_HTTP_INT_H

#include "conn_int.h"

#define HEAD_FIELDS_MAX 100

#define HTTP_HELLO_MS 10000      /* from the connection to the end of the TLS handshake */
#define HTTP_HEAD_MS 10000       /* from a request's first byte to the end of its head */
#define HTTP_KEEP_ALIVE_MS 75000 /* between requests */
#define HTTP_BODY_GRACE_MS 10000 /* a body may be this late */
#define HTTP_BODY_BYTES_PER_S 1024

/* A piece of the head's text: an offset, since the text moves as it grows. */
struct piece {
    uint32_t at;
    uint32_t len;
};

struct head {
    struct bytes text;
    size_t       count;
    struct {
        struct piece name; /* lower case */
        struct piece value;
    } fields[HEAD_FIELDS_MAX];
};

/* False: the head would be larger than NET_HEAD_BYTES_MAX, or has too many fields. */
bool        head_append(struct head *h, struct piece *p, struct str bytes);
bool        head_begin_field(struct head *h);
struct str  head_piece(const struct head *h, struct piece p);
struct str  head_find(const struct head *h, struct str lower_name);
size_t      head_count(const struct head *h, struct str lower_name);
void        head_free(struct head *h);
bool        http_has_token(struct str list, struct str lower_token); /* in a comma-separated list, any case */
bool        http_same(struct str a, struct str lower);               /* any case */
bool        http_is_value(struct str s); /* fit to be written as a field's value: no control characters */
const char *http_reason(unsigned status);
void        str_lower(char *ptr, size_t len);

struct request_wire {
    void (*reply)(struct net_request *r, unsigned status, const struct net_header *headers, size_t count,
                  struct str body);
    void (*stream_open)(struct net_request *r, unsigned status, const struct net_header *headers, size_t count);
    bool (*stream_send)(struct net_request *r, struct str bytes);
    void (*stream_end)(struct net_request *r);
};

enum request_state { REQUEST_READING, REQUEST_ASKED, REQUEST_STREAMING };

struct net_stream {
    struct net_request *request;
    void (*on_gone)(void *ctx);
    void *ctx;
};

struct net_request {
    struct net_server         *server;
    struct conn               *conn;
    const struct request_wire *wire; /* null: the client is gone */
    void                      *from; /* struct h1 or struct h2_stream */
    enum request_state         state;
    struct head                head;
    struct piece               method;
    struct piece               target;
    struct piece               host;
    struct bytes               body;
    size_t                     body_got;
    uint64_t                   body_since_ms;
    struct net_stream          stream;
    void                      *ctx;
    void (*on_gone)(void *ctx);
};

struct net_request *request_create(struct net_server *s, struct conn *c, const struct request_wire *wire,
                                   void *from);
void                request_destroy(struct net_request *r);
void                request_gone(struct net_request *r); /* frees it, now or when it is answered */
void                request_refuse(struct net_request *r, unsigned status);         /* answers and frees it */
bool                request_take_host(struct net_request *r, struct str authority); /* false: it is malformed */
bool                request_body_is_slow(const struct net_request *r, uint64_t now_ms);

#endif
