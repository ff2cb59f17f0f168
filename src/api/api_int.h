/* api_int.h: the parts of the API. api.c takes requests in and effects back; routes.c is the table; the other files
 * are handlers, one a subject. */
#ifndef API_API_INT_H
#define API_API_INT_H

#include "api.h"
#include "shapes_int.h"
#include "json/json.h"

#define API_NAME "ionet"
#define SCOPE_ANY SCOPE_ALL /* any one of them will do */

struct api_ask;
typedef void (*api_handler)(struct api_ask *q);

enum api_answer {
    ANSWER_ONE,    /* the shape */
    ANSWER_PAGE,   /* {"items":[shape …],"next":cursor or null} */
    ANSWER_EVENTS, /* text/event-stream, each event's data the shape */
    ANSWER_EITHER, /* the shape, or text/yaml */
    ANSWER_TEXT,   /* text/plain */
    ANSWER_JSON,   /* any object */
    ANSWER_NONE,   /* 204 */
    ANSWER_LINK    /* 101 */
};

struct api_route {
    const char               *method;
    const char               *path;   /* "{x}" stands for one piece */
    uint32_t                  scopes; /* one of these is needed; 0: no key is */
    const struct record_type *body;   /* null: none is read */
    unsigned                  status; /* when it goes well */
    enum api_answer           answer;
    const struct api_shape   *shape;
    api_handler               handle; /* null: ANSWER_LINK, which the program around serves */
    const char               *doc;
};

extern const struct api_route api_routes[];
extern const size_t           api_route_count;

/* A request on its way through a handler; lives as long as the call. */
struct api_ask {
    struct api             *api;
    struct net_request     *request;
    const struct api_route *route;
    struct str              param; /* what stands for {…} in the path */
    const struct api_key   *key;   /* null: the route needs none */
    const struct account   *account;
    bool                    is_operator;
    union api_body         *body;
};

/* A reply's writer. It may be called more than once: first into room that is too small. */
typedef void (*api_writer)(struct json_out *w, const void *ctx);

/* ---- answering (reply.c) ------------------------------------------------------------------------------- */

void reply_json(struct net_request *r, unsigned status, api_writer write, const void *ctx);
void reply_none(struct net_request *r);
void reply_text(struct net_request *r, const char *type, struct str text);
void reply_record(struct net_request *r, unsigned status, const struct record_type *type, const void *record,
                  enum field_seen viewer);
/* The text that the writer writes, on the heap; its `full` is set if it is beyond all measure. */
struct text reply_build(api_writer write, const void *ctx);

struct api_problem {
    struct err  error;
    unsigned    status;  /* 0: what the error's code says */
    const char *detail;  /* null: the error's why */
    const char *allow;   /* with 405: the methods there are */
    uint32_t    retry_s; /* with 429 and 503; 0: one second */
    const char *extra;   /* a number that goes with it: its name, or null */
    int64_t     extra_value;
};
void reply_problem(struct net_request *r, const struct api_problem *p);
void reply_error(struct net_request *r, struct err e);

/* ---- the way of a request (routes.c) ---------------------------------------------------------------------- */

void api_dispatch(struct api *a, struct net_request *r);
/* False: its client has asked too often, and was told so. */
bool api_admits(struct api *a, struct net_request *r);

/* ---- asking the network (api.c) -------------------------------------------------------------------------- */

/* A write that went well: `subject` is what was made or is meant. Not called when the client has left. */
struct api_waiting {
    struct net_request     *request; /* null: the client has left */
    struct api             *api;
    const struct api_route *route;
    void (*done)(struct api_waiting *w, const struct effect *e);
    char     secret[192]; /* shown once in the answer: a key, a token */
    uint32_t generation;
    uint32_t next_free;
    bool     is_used;
};

/* Fills in the request; a `secret` is kept for the answer. Answers by itself if the network takes no more. */
void ask_network(struct api_ask *q, struct input *in, struct str secret,
                 void (*done)(struct api_waiting *w, const struct effect *e));

/* ---- lists ----------------------------------------------------------------------------------------------- */

struct api_page {
    uint32_t limit;
    uint64_t before; /* the cursor: places or numbers below this; UINT64_MAX: from the newest */
};
must_check struct err page_read(const struct api_ask *q, struct api_page *out);
void                  page_next(struct json_out *w, uint64_t next); /* "next": UINT64_MAX gives null */
typedef void (*api_view)(struct json_out *w, const struct api *a, const void *row);
/* A page of the rows whose owner (an account's id at that offset) asks, those added last first. */
void reply_page(struct api_ask *q, const struct table *t, size_t owner_offset, api_view view);

/* ---- what is shown (views.c) ------------------------------------------------------------------------------ */

void view_cluster(struct json_out *w, const struct api *a, const struct cluster *c, bool nodes);
void view_device(struct json_out *w, const struct device *d);
void view_recipe(struct json_out *w, const struct api *a, size_t place);

/* The asker's own, or null: what is another's does not exist for him. */
const struct device  *own_device(const struct api_ask *q, struct str id);
must_check struct err own_cluster(const struct api_ask *q, struct str id_or_name, const struct cluster **out);
const struct api_recipe *recipe_of(const struct api *a, const struct cluster *c);

/* ---- handlers ---------------------------------------------------------------------------------------------- */

void get_health(struct api_ask *q);
void get_metrics(struct api_ask *q);
void get_openapi(struct api_ask *q);
void post_nonce(struct api_ask *q);
void post_session(struct api_ask *q);
void delete_session(struct api_ask *q);
void get_account(struct api_ask *q);
void get_transfers(struct api_ask *q);
void get_recipes(struct api_ask *q);
void get_recipe(struct api_ask *q);
void post_quote(struct api_ask *q);
void get_quote(struct api_ask *q);
void post_cluster(struct api_ask *q);
void get_clusters(struct api_ask *q);
void get_cluster(struct api_ask *q);
void get_cluster_events(struct api_ask *q);
void post_extend(struct api_ask *q);
void delete_cluster(struct api_ask *q);
void post_ticket(struct api_ask *q);
void post_join_token(struct api_ask *q);
void get_devices(struct api_ask *q);
void get_device(struct api_ask *q);
void get_device_events(struct api_ask *q);
void delete_device(struct api_ask *q);
void post_release(struct api_ask *q);
void post_grant(struct api_ask *q);
void get_books(struct api_ask *q);

/* ---- sign-ins under way (nonces.c) --------------------------------------------------------------------------- */

#define NONCE_BYTES 16

struct nonce {
    uint8_t           bytes[NONCE_BYTES];
    struct public_key who;
    uint64_t          address; /* hash of where it was asked from */
    struct instant    made;
    bool              used; /* stays until its time is over: it counts against its address */
};

struct nonces {
    struct nonce *ring; /* API_NONCES_MAX, oldest first */
    uint32_t      first, count;
};

must_check struct err nonce_make(struct nonces *n, struct public_key who, struct str peer,
                                 uint32_t an_address_max, struct instant now, struct nonce *out);
/* The nonce, if that key was given it lately and it was not used; it is used now. */
must_check struct err nonce_use(struct nonces *n, const uint8_t bytes[NONCE_BYTES], struct public_key who,
                                struct instant now, struct nonce *out);
void                  nonce_message(const struct api *a, const struct nonce *n, struct text *out);

/* ---- how often a client may ask (rates.c) ---------------------------------------------------------------------- */

struct rates;
struct rates *rates_create(void); /* freed by free */
uint64_t      rates_address(struct str peer);
/* False: it has asked for more than so many a second, and for ten seconds' worth at once. per_s: 1 to a million. */
bool rates_take(struct rates *r, uint64_t client, uint32_t per_s, uint64_t now_ms);

/* ---- event streams (events.c) --------------------------------------------------------------------------------- */

struct watcher;
void events_effect(struct api *a, const struct effect *e);
void events_flush(struct api *a);   /* after a turn: each is told once of what changed */
void events_comment(struct api *a); /* the streams live; those whose key is void end */

/* ---- reading the store (transfers.c) --------------------------------------------------------------------------- */

struct reads;
must_check struct err reads_open(struct api *a);
void                  reads_close(struct api *a);

/* ---- the whole ------------------------------------------------------------------------------------------------- */

struct parked {
    struct parked      *next, *prev;
    struct net_request *request;
    struct api         *api;
};

struct api {
    struct api_options  o;
    struct api_waiting *waiting; /* API_WAITING_MAX */
    uint32_t            first_free;
    struct parked       parked; /* ring: those that came while a turn was being committed */
    uint32_t            parked_count;
    bool                paused;
    struct nonces       nonces;
    struct rates       *accounts, *addresses;
    struct watcher     *watchers; /* list */
    uint32_t            watcher_count;
    uint64_t            flushes; /* of events to them */
    struct reads       *reads;
    struct net_timer   *timer;
    uint64_t            requests;
    struct text         counts; /* of the network's tables, as /metrics last showed them */
    uint64_t            counted_ms;
};

#endif
