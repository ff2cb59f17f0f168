/* market.h: what it costs. Pure.
 *
 * A supplier asks a price for one unit (a machine, or one GPU) for one hour. A quote for N units is at one price
 * for all: the N-th lowest ask among the devices that could serve it, so that nobody is paid less than he asked
 * and all are paid the same. The quote fixes the price, not the devices. Its total is the most that can be charged:
 * N times what one unit costs for the whole duration, rounded down to the micro. The network's fee is inside. */
#ifndef MARKET_MARKET_H
#define MARKET_MARKET_H

#include "base/id.h"
#include "base/units.h"
#include "record/record.h"

#define QUOTE_VALID_MS (5 * 60 * 1000)
#define QUANTITY_MAX 20000
#define DURATION_MS_MIN 60000
#define FEE_BASIS_POINTS_DEFAULT 25 /* 0.25 % */

enum unit { UNIT_MACHINE, UNIT_GPU, UNIT_COUNT };
extern const char *const unit_names[UNIT_COUNT];

/* What the rules need to know of a recipe; the programs read the rest. */
struct recipe_facts {
    char        name[32];
    uint8_t     hash[32];
    char        title[64];
    char        image[256]; /* repository@digest */
    enum unit   unit;
    uint32_t    nodes_max;
    uint32_t    cpus_min; /* of a device */
    uint64_t    memory_min;
    bool        egress;        /* only where the device's owner lets programs out */
    struct span ready_timeout; /* from reservation to ready */
    struct span silent; /* a node that the witness misses is lost when its link has been gone for so long */
    struct span missed; /* and with its link up when the witness has missed it for so long */
    bool        keeps_state;     /* another takes a lost head's place, with its state */
    char        state_lost[160]; /* what is gone with a head all the same */
};
extern const struct record_type recipe_facts_type;

struct quote {
    struct quote_id   id;
    struct account_id account;
    char              recipe[32];
    uint32_t          quantity;
    enum unit         unit;
    struct span       duration;
    struct hourly     price; /* of one unit for one hour */
    uint32_t          fee_basis_points;
    struct money      total;
    uint32_t          available; /* how many units could have been had when it was made */
    struct instant    made;
    struct instant    expires;
    bool              taken;
};
extern const struct record_type quote_type;

/* ERR_LIMIT: above MONEY_MICROS_MAX, which nobody has. */
must_check struct err market_total(struct hourly price, uint32_t quantity, struct span duration,
                                   struct money *out);

/* How the cumulative charge of one node is split: the fee rounded down, the rest the supplier's. */
struct money market_fee(struct money charge, uint32_t fee_basis_points);

#endif
