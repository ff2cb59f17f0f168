/* prng.h: repeatable chance for tests, simulation and jitter; never for keys or ids.
 * SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014). */
#ifndef BASE_PRNG_H
#define BASE_PRNG_H

#include <stdint.h>

struct prng {
    uint64_t state; /* the seed */
};

uint64_t prng_next(struct prng *p);
uint64_t prng_below(struct prng *p, uint64_t limit); /* 0 to limit - 1; limit > 0 */

#endif
