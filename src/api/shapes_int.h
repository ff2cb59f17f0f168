/* shapes_int.h: what requests bring and answers show beside the network's own records, each with a field table. */
#ifndef API_SHAPES_INT_H
#define API_SHAPES_INT_H

#include "link/ticket.h"
#include "network/network.h"
#include "recipe/recipe.h"
#include "record/record.h"

/* An answer: the fields of one or two records in one object, then lists of others. */
struct api_shape {
    const char               *name;
    const struct record_type *parts[2];
    struct {
        const char             *name;
        const struct api_shape *of;
        const char             *doc;
    } lists[2];
};

/* ---- requests ------------------------------------------------------------------------------------------- */

struct nonce_request {
    char public_key[48];
};
struct session_request {
    char        public_key[48];
    uint8_t     nonce[16];
    uint8_t     signature[64];
    char        name[64];
    uint32_t    scopes;
    struct span valid;
};
struct cluster_request {
    struct id quote;
    char      name[64];
};
struct extend_request {
    struct span duration;
};
struct ticket_request {
    char      service[TICKET_SERVICE_TEXT];
    struct id node;
    bool      once;
};
struct token_request {
    enum token_for purpose;
    struct hourly  ask;
    struct span    valid;
};
struct grant_request {
    char         account[48];
    struct money amount;
};
extern const struct record_type nonce_request_type, session_request_type, cluster_request_type,
    extend_request_type, ticket_request_type, token_request_type, grant_request_type;

union api_body {
    struct nonce_request   nonce;
    struct session_request session;
    struct quote           quote; /* the fields of a quote that are writable */
    struct cluster_request cluster;
    struct extend_request  extend;
    struct ticket_request  ticket;
    struct token_request   token;
    struct grant_request   grant;
};

/* ---- answers ----------------------------------------------------------------------------------------------- */

struct health {
    char     status[8];
    uint64_t epoch;
};
struct nonce_reply {
    char           public_key[48];
    uint8_t        nonce[16];
    char           message[640];
    struct instant expires;
};
struct session_reply {
    char              key[64];
    struct account_id account;
    bool              operator;
    uint32_t          scopes;
    struct instant    expires;
};
struct account_now {
    struct money balance, earnings;
};
enum transfer_book { BOOK_BALANCE, BOOK_EARNINGS, BOOK_COUNT };
struct transfer_now {
    enum transfer_book book;
    struct money       change;
};
struct recipe_about {
    char about[1024];
};
struct service_now {
    char     name[TICKET_SERVICE_TEXT];
    char     title[64];
    uint32_t port;
    uint32_t protocol; /* enum recipe_protocol */
    uint32_t on;       /* enum recipe_on */
    char     path[128];
};
struct cluster_now {
    struct money charged;
};
struct node_now {
    char         address[MESH_ADDRESS_TEXT];
    char         device_name[64];
    struct money charged;
};
struct ticket_reply {
    char           ticket[TICKET_TEXT_MAX];
    char           gateway[MESH_ENDPOINT_TEXT];
    char           host[256];
    struct instant expires;
    char           token[65];
    char           env[RECIPE_SERVICE_ENV_TEXT];
};
struct token_reply {
    char           token[320];
    struct instant expires;
};
struct grant_reply {
    struct account_id account;
    struct money      balance;
};
struct books {
    struct money sum, escrow, balances, earnings, fees, outside;
    uint64_t     transfers;
};
extern const struct record_type health_type, nonce_reply_type, session_reply_type, account_now_type,
    transfer_now_type, recipe_about_type, service_now_type, cluster_now_type, node_now_type, ticket_reply_type,
    token_reply_type, grant_reply_type, books_type;

extern const struct api_shape shape_health, shape_nonce, shape_session, shape_account, shape_transfer,
    shape_recipe, shape_quote, shape_cluster, shape_ticket, shape_token, shape_device, shape_grant, shape_books;

#endif
