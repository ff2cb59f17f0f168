/* ticket.h: a short signed statement of who may open what at a gateway. base64url(JSON) '.'
 * base64url(signature), signed by the network's key (domain TICKET_DOMAIN), checked with the public half
 * alone. Also join tokens. */
#ifndef LINK_TICKET_H
#define LINK_TICKET_H

#include "base/id.h"
#include "base/units.h"
#include "crypto/crypto.h"
#include "mesh/mesh.h"
#include "record/record.h"

#define TICKET_DOMAIN "ionet ticket"
#define TICKET_VALID_MS (3 * MS_PER_HOUR)
#define TICKET_TEXT_MAX 640
#define TICKET_SERVICE_TEXT 32
#define TICKET_HEAD "head"       /* in a TUNNEL ticket: joins that name no node go to this one */
#define TICKET_NETWORK "network" /* the user of a connection that the gateway opens itself, for the network */

enum ticket_kind {
    TICKET_TUNNEL, /* a worker may offer this node's services here */
    TICKET_JOIN,   /* a user may open this service of this cluster */
    TICKET_ONCE,   /* the same, once, from a browser's address line: exchanged for a cookie */
    TICKET_KIND_COUNT
};

struct ticket {
    enum ticket_kind  kind;
    struct id         serial; /* unlike any other's */
    struct cluster_id cluster;
    struct node_id    node;            /* TUNNEL: whose; JOIN: the one to be reached, or none for the head */
    char service[TICKET_SERVICE_TEXT]; /* JOIN, ONCE: "dashboard"; TUNNEL: TICKET_HEAD, or "" for others */
    char user[MESH_ADDRESS_TEXT + 32]; /* account, as the service may see it */
    struct instant expires;            /* wall clock */
};
extern const struct record_type ticket_type;

must_check struct err ticket_write(const struct ticket *t, const struct sign_key *key, struct text *out);
/* ERR_DENIED: not signed so; ERR_EXPIRED: at or after `expires`. */
must_check struct err ticket_read(struct str text, struct public_key signer, struct instant now,
                                  struct ticket *out);

/* What an operator or owner hands to a machine: "HOST:PORT.PIN.SECRET", PIN 64 hex letters, SECRET base64url
 * of 24 random bytes (the network stores its SHA-256). */
struct join_token {
    char     host[128];
    uint16_t port;
    uint8_t  pin[32];
    char     secret[64];
};
must_check struct err join_token_read(struct str text, struct join_token *out);
void                  join_token_write(const struct join_token *t, struct text *out);

#endif
