/* api.h: the network over HTTP: a table of routes, their requests and answers as records, errors as RFC 9457
 * says, lists by cursors, changes as server-sent events, and a description of it all in OpenAPI 3.1 that is made
 * from the same tables.
 *
 * It turns requests into inputs and effects into answers, and decides nothing. Requests that only ask are answered
 * from the network's memory; while a turn is being committed (api_pause … api_resume) that memory holds what is not
 * durable yet, so every request waits. Everything runs on the loop's thread, but for what reads the store: that has
 * one of its own, from api_open to api_close the only one to use the reader.
 *
 * Limits: API_WAITING_MAX requests at once, of which each holds its body of at most API_BODY_BYTES_MAX;
 * API_READS_MAX lists that are read from the store; API_WATCHERS_MAX event streams, API_WATCHERS_AN_ACCOUNT_MAX of one
 * account; API_NONCES_MAX sign-ins under way, of which so many from one address as the options say; so many requests a
 * second of an account, and of an address that shows no key. */
#ifndef API_API_H
#define API_API_H

#include "crypto/crypto.h"
#include "net/net.h"
#include "network/network.h"
#include "recipe/recipe.h"
#include "store/reader.h"

#define API_BODY_BYTES_MAX 65536
#define API_WAITING_MAX 4096
#define API_READS_MAX 256
#define API_WATCHERS_MAX 4096
#define API_WATCHERS_AN_ACCOUNT_MAX 64
#define API_NONCES_MAX 8192
#define API_NONCE_MS 300000 /* how long a nonce is good, and how long it counts against its address */
#define API_PAGE_MAX 200
#define API_PAGE_DEFAULT 50
#define API_COMMENT_MS 15000 /* a quiet event stream says that it lives */

struct api;

/* A recipe that is offered; its place is that of its facts in the network's configuration. */
struct api_recipe {
    struct recipe *recipe;
    struct str     text; /* what its hash is of */
};

/* What the program around knows and /metrics shows. */
struct api_gauge {
    const char *name; /* "ionet_turns_total" */
    const char *doc;
    bool        is_counter;
    uint64_t    value;
};

struct api_options {
    const struct network    *network;
    struct net              *net;
    const char              *host; /* what join tokens and sign-ins name */
    uint16_t                 port;
    struct net_pin           pin;
    const char              *domain; /* services are names under it */
    bool                     has_operator;
    struct public_key        operator;
    const struct sign_key   *key; /* the network's: signs tickets */
    const struct api_recipe *recipes;
    size_t                   recipe_count;
    struct store_reader     *reader;
    uint32_t                 nonces_an_address_max;
    uint32_t                 requests_an_account; /* a second */
    uint32_t                 requests_an_address; /* the same, of those who show no key */

    /* Takes an input in (a copy); ERR_LIMIT when too many wait. Its EFFECT_REPLY comes to api_effect. */
    struct err (*ask)(void *ctx, const struct input *in);
    size_t (*gauges)(void *ctx, struct api_gauge *room, size_t most);
    void *ctx;
};

/* Borrows what the options point to. */
must_check struct err api_open(const struct api_options *options, struct api **out);
void api_close(struct api *a); /* after net_run, which leaves no request, and before net_close */

void api_request(struct api *a, struct net_request *r);  /* on_request of the program's server */
void api_refuse(struct net_request *r, unsigned status); /* its on_refuse */

void api_pause(struct api *a);  /* from here on the network's memory is ahead of the store */
void api_resume(struct api *a); /* and here they agree again: what waited is answered */

/* EFFECT_REPLY and EFFECT_EVENT_…, let out between api_pause and api_resume; others are not for it. */
void api_effect(struct api *a, const struct effect *e);

/* The whole description, OpenAPI 3.1, as GET /openapi.json gives it: on the heap, to be freed by the caller. */
struct text api_describe(void);

#endif
