#include "prng.h"

uint64_t prng_next(struct prng *p)
{
    uint64_t z = p->state += 0x9e3779b97f4a7c15u;
    z          = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z          = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Lemire's multiply; the bias is below limit / 2^64. */
uint64_t prng_below(struct prng *p, uint64_t limit)
{
    return (uint64_t)((unsigned __int128)prng_next(p) * limit >> 64);
}
