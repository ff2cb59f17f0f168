/* service_env_int.h: the environment in which programs find a service that is forwarded: IONET_ADDRESS (HOST:PORT of
 * the local end), IONET_TOKEN (the service's own, if it has one), and what the network says that the service's own
 * programs look for.
 *
 * The network chooses those names, so they are held to what says where a service is and by which right: words of
 * capitals, the last of them one of a few (ADDRESS, TOKEN, …). PATH, LD_PRELOAD or PYTHONSTARTUP can't be among them. */
#ifndef IONET_SERVICE_ENV_INT_H
#define IONET_SERVICE_ENV_INT_H

#include "ticket_int.h"

#define SERVICE_ENV_MAX 16
#define SERVICE_ENV_ROOM 4096

struct service_env {
    struct service_var {
        const char *name, *value; /* in the room below: it must stay where it is */
    } vars[SERVICE_ENV_MAX];
    size_t count;
    char   room[SERVICE_ENV_ROOM];
};

/* ERR_DENIED: a name that it may not set. */
must_check struct err service_env_fill(struct service_env *e, const struct service_ticket *ticket,
                                       const char *address);
void                  service_env_print(const struct service_env *e, FILE *to); /* shell exports, quoted */
void                  service_env_set(const struct service_env *e);             /* in this process */

#endif
