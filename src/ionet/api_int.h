/* api_int.h: questions to the network over its REST interface, each on a connection of its own.
 *
 * An answer of 400 or more becomes an error: its code from the problem's type, its sentence from the problem's
 * detail, and what to do next from what the problem adds (how many are free, how much is missing). */
#ifndef IONET_API_INT_H
#define IONET_API_INT_H

#include "cli_int.h"
#include "net/net.h"
#include "json/json.h"

#define API_PATH_MAX 512
#define API_BODY_MAX 4096

struct api_reply {
    char           *body; /* heap */
    size_t          len;
    struct json_doc doc;
};

void api_reply_free(struct api_reply *r); /* also of a zeroed one */
#define scoped_reply __attribute__((cleanup(api_reply_free)))

/* Blocks until the answer is there. body "" sends none. The config's API key goes along, if there is one. */
must_check struct err api_call(struct cli *c, const char *method, const char *path, struct str body,
                               struct api_reply *out);

/* A server-sent event stream. on_event gets each event's data parsed and as text and says whether to go on; an error
 * of its own ends the stream with that error. A stream that breaks is opened again until on_event has enough. */
struct api_stream_calls {
    struct err (*on_event)(void *ctx, struct json_value data, struct str text, bool *enough);
    void (*on_tick)(void *ctx);                  /* every 100 ms; may be null */
    void (*on_lost)(void *ctx, const char *why); /* once a break, until events come again; may be null */
};
must_check struct err api_stream(struct cli *c, const char *path, const struct api_stream_calls *calls,
                                 void *ctx);

/* Paths and queries, piece by piece; what is not plain in an element is percent-encoded. */
void api_path_add(struct text *path, const char *fixed, const char *element);
/* "/v1/clusters/" NAME "/events": ERR_INVALID if the user's NAME is too long for any. */
must_check struct err api_path(struct cli *c, const char *before, const char *name, const char *behind,
                               char out[API_PATH_MAX]);

/* For connections that are kept beside others (forward): the target and headers of a request. */
struct api_request {
    char              host[128];
    struct net_pin    pin;
    struct net_target target;
    char              bearer[200];
    struct net_header headers[3];
    size_t            header_count;
};
must_check struct err api_request_init(struct cli *c, bool with_body, struct api_request *out);

/* What an answer with that status and body means: OK below 400. */
must_check struct err api_problem(struct cli *c, unsigned status, struct str body);
struct err            api_unreachable(struct cli *c, struct err e);

#endif
