#include "place.h"

static uint32_t units_of(const struct device *d, const struct place_need *need)
{
    return need->gpus ? d->gpus_count : 1;
}

static bool fits(const struct device *d, const struct place_need *need)
{
    return device_is_free(d) && d->ask.micros <= need->price_max.micros && d->cpus >= need->cpus_min &&
           d->memory_bytes >= need->memory_min && units_of(d, need) > 0 && !id_eq(d->id.id, need->avoid);
}

/* The order in which devices are taken. Never equal for two: ids differ. */
static bool goes_before(const struct device *a, const struct device *b)
{
    if (a->ask.micros != b->ask.micros) return a->ask.micros < b->ask.micros;
    if (a->enrolled.ms != b->enrolled.ms) return a->enrolled.ms < b->enrolled.ms;
    return id_cmp(a->id.id, b->id.id) < 0;
}

/* The first of those that fit and come after `last` (null: from the start). */
static struct device *next_best(const struct table *devices, const struct place_need *need, const struct device *last)
{
    struct device *best = NULL;
    for (struct device *d = NULL; (d = table_next(devices, d));) {
        if (!fits(d, need) || (last && !goes_before(last, d))) continue;
        if (!best || goes_before(d, best)) best = d;
    }
    return best;
}

uint32_t place_available(const struct table *devices, const struct place_need *need, uint32_t quantity,
                         struct hourly *price)
{
    uint32_t units = 0;
    for (struct device *d = NULL; (d = table_next(devices, d));)
        if (fits(d, need)) units += units_of(d, need);

    *price = (struct hourly){ 0 };
    if (units < quantity) return units;
    uint32_t got = 0;
    for (struct device *d = NULL; got < quantity;) {
        d = next_best(devices, need, d);
        got += units_of(d, need);
        *price = d->ask;
    }
    return units;
}

uint32_t place_choose(const struct table *devices, const struct place_need *need, uint32_t count,
                      struct device **chosen)
{
    uint32_t       found = 0;
    struct device *d     = NULL;
    while (found < count && (d = next_best(devices, need, d))) chosen[found++] = d;
    return found;
}
