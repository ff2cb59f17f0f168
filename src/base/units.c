#include "units.h"

struct money money_add(struct money a, struct money b)
{
    int64_t sum;
    check(!__builtin_add_overflow(a.micros, b.micros, &sum));
    return (struct money){ sum };
}

struct money money_sub(struct money a, struct money b)
{
    int64_t rest;
    check(!__builtin_sub_overflow(a.micros, b.micros, &rest));
    return (struct money){ rest };
}

struct instant instant_add(struct instant at, struct span later)
{
    int64_t ms;
    check(!__builtin_add_overflow(at.ms, later.ms, &ms));
    return (struct instant){ ms };
}

struct span instant_since(struct instant now, struct instant then)
{
    return (struct span){ now.ms > then.ms ? now.ms - then.ms : 0 };
}

bool instant_before(struct instant a, struct instant b)
{
    return a.ms < b.ms;
}

struct span span_min(struct span a, struct span b)
{
    return a.ms < b.ms ? a : b;
}

struct money bill_usage(struct hourly rate, uint32_t units, struct span used)
{
    check(rate.micros >= 0 && rate.micros <= HOURLY_MICROS_MAX);
    check(units <= BILL_UNITS_MAX);
    check(used.ms >= 0 && used.ms <= SPAN_MS_MAX);

    __int128 micros = (__int128)rate.micros * units * used.ms / MS_PER_HOUR;
    check(micros <= INT64_MAX);
    return (struct money){ (int64_t)micros };
}

struct money bill_share(struct money whole, uint32_t basis_points)
{
    check(whole.micros >= 0 && basis_points <= 10000);
    return (struct money){ (int64_t)((__int128)whole.micros * basis_points / 10000) };
}
