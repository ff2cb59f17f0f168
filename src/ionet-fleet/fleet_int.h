/* fleet_int.h: many workers' links in one process, to load a network with: real TLS, real WebSockets, a real key for each
 * device. They are devices that connect, say what they are, and run nothing. */
#ifndef IONET_FLEET_FLEET_INT_H
#define IONET_FLEET_FLEET_INT_H

#include "base/str.h"
#include "net/net.h"

#define FLEET_LINKS_MAX 16000 /* a process may hold 20,000 descriptors */

enum fleet_task { TASK_RUN, TASK_HELP };

struct fleet_options {
    enum fleet_task task;
    char            network[160]; /* HOST:PORT */
    char            pin_text[65];
    char            key_file[512]; /* an API key, to get join tokens with */
    char            seed[64];      /* of the devices' keys: the same seed is the same devices */
    uint64_t        links;
    uint64_t        at_once; /* that are being opened */
    uint64_t        rounds;  /* that all are opened and closed, after those that enrol */
    uint64_t        report_ms, report_seconds;
    uint64_t        hold_seconds;

    char           host[128]; /* from here on made by fleet_options_read */
    uint16_t       port;
    struct net_pin pin;
    char           api_key[128];
};

must_check struct err fleet_options_read(struct fleet_options *o, int argc, char **argv,
                                         struct text *complaint);
void                  fleet_options_help(struct text *out);

/* Enrols, opens and closes as told, and prints lines NAME=VALUE of what it measured:
 *     enrolled_per_s   first links with a join token each, tokens included (if there is an API key)
 *     links_per_s      links of known devices, from the first dial to the last welcome; each round
 *     open=N           all are open; it holds them for hold_seconds
 *     reports_per_s    frames sent, each of which changes its device's state */
must_check struct err fleet_run(const struct fleet_options *o);

#endif
