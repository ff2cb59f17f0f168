/* units.h: money, moments and lengths of time, each a type of its own so that they don't mix.
 *
 * Money is whole micro-USDC, signed; nothing here is a float. An instant is milliseconds since 1970
 * (UTC) as the network counts them: it never goes back. */
#ifndef BASE_UNITS_H
#define BASE_UNITS_H

#include "err.h"

#include <stdbool.h>
#include <stdint.h>

#define MICROS_PER_USDC 1000000
#define MS_PER_SECOND 1000
#define MS_PER_HOUR 3600000
#define MS_PER_DAY 86400000

/* Bounds that keep every product below within 128 bits and every result within 63. */
#define MONEY_MICROS_MAX ((int64_t)1000000000 * MICROS_PER_USDC) /* a thousand million USDC */
#define HOURLY_MICROS_MAX ((int64_t)100000 * MICROS_PER_USDC)
#define SPAN_MS_MAX ((int64_t)366 * MS_PER_DAY)
#define BILL_UNITS_MAX (1u << 20)

struct money {
    int64_t micros;
};

/* A price of one unit (a GPU, or a machine) for one hour. */
struct hourly {
    int64_t micros;
};

struct instant {
    int64_t ms;
};

struct span {
    int64_t ms;
};

struct money money_add(struct money a, struct money b); /* checks that it stays within 63 bits */
struct money money_sub(struct money a, struct money b);

struct instant instant_add(struct instant at, struct span later);
struct span    instant_since(struct instant now, struct instant then); /* below nothing gives nothing */
bool           instant_before(struct instant a, struct instant b);
struct span    span_min(struct span a, struct span b);

/* What `units` cost for that long: rate × units × used / hour, rounded down. Nobody pays for time not
 * had. */
struct money bill_usage(struct hourly rate, uint32_t units, struct span used);

/* The part of `whole` that `basis_points` (1/10,000) is, rounded down. */
struct money bill_share(struct money whole, uint32_t basis_points);

#endif
