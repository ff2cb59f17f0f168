/* place.h: which devices serve. Pure.
 *
 * A device fits a recipe when it is free, has what the recipe needs and asks no more than the price. The cheapest
 * go first, the longest enrolled before the later where they ask the same. All or nothing. */
#ifndef PLACE_PLACE_H
#define PLACE_PLACE_H

#include "base/table.h"
#include "fleet/fleet.h"
#include "record/record.h"

struct place_need {
    uint32_t      gpus_min; /* of a device: a unit is a GPU; 0: a unit is a machine */
    uint32_t      cpus_min;
    uint64_t      memory_min;
    bool          egress; /* only a device that lets programs out */
    struct hourly price_max;
};

/* How many units that device brings. */
uint32_t place_units(const struct device *d, const struct place_need *need);

/* Units of all that fit, and the price of the last of `quantity` of them in order (0 if there are fewer). `room` holds
 * as many pointers as there are devices, or `quantity` if that is less. */
uint32_t place_available(const struct table *devices, const struct place_need *need, uint32_t quantity,
                         struct device **room, struct hourly *price);

/* The `count` best, into chosen, the best first (whole devices; for GPUs the caller counts units a device). Returns how
 * many it found: fewer than count means that there are no more. One walk over the devices. */
uint32_t place_choose(const struct table *devices, const struct place_need *need, uint32_t count,
                      struct device **chosen);

#endif
