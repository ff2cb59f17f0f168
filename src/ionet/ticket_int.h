/* ticket_int.h: a ticket for a service of a cluster, and the way to it: through its gateway, by the pin of the network. */
#ifndef IONET_TICKET_INT_H
#define IONET_TICKET_INT_H

#include "api_int.h"

#define SERVICE_TICKET_MAX 1024

struct service_ticket {
    char           text[SERVICE_TICKET_MAX];
    char           gateway[160]; /* HOST:PORT */
    char           host[256];    /* the service's own name, SERVICE--CLUSTER.DOMAIN */
    char           token[256];   /* the service's own, "" if it has none */
    char           env[2048];    /* NAME=VALUE lines for the service's programs; ${address}: its local end */
    struct instant expires;
};

struct ticket_wish {
    const char *cluster;
    const char *service;
    const char *node; /* an id, or null for the one that the recipe says */
    bool        once; /* for a browser's address line */
};

/* The request, for those who ask within a loop of their own. */
must_check struct err ticket_request_write(struct cli *c, const struct ticket_wish *wish,
                                           char path[API_PATH_MAX], struct text *body);
must_check struct err ticket_read_answer(struct json_value answer, struct service_ticket *out);
must_check struct err ticket_ask(struct cli *c, const struct ticket_wish *wish, struct service_ticket *out);

/* Bytes to the service. The ticket is read at once; `calls` as for net_raw_connect. */
must_check struct err ticket_join(struct cli *c, struct net *n, const struct ticket_wish *wish,
                                  const struct service_ticket *ticket, const struct net_raw_calls *calls,
                                  void *ctx, struct net_raw **out);

#endif
