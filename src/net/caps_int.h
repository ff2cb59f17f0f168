/* caps_int.h: how many connections servers may have: in all, and from one address.
 *
 * The cap on all stays below the descriptors that the system grants, so that a flood of connections leaves some
 * for files and for dialling out. An IPv6 address counts by its first 64 bits: that is what one subscriber gets. */
#ifndef NET_CAPS_INT_H
#define NET_CAPS_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CAPS_BUCKETS 1024

struct caps_entry;

struct caps {
    uint32_t           most;
    uint32_t           most_per_address;
    uint32_t           used;
    uint64_t           seed; /* nobody outside may choose addresses that share a bucket */
    struct caps_entry *buckets[CAPS_BUCKETS];
};

void caps_init(struct caps *c, uint32_t most, uint32_t most_per_address);
void caps_finish(struct caps *c);
bool caps_are_full(const struct caps *c);
bool caps_take(struct caps *c, const uint8_t address[16]); /* false: that address has enough */
void caps_give(struct caps *c, const uint8_t address[16]);

/* NET_CONNECTIONS_MAX, or what the descriptors allow if that is less. */
uint32_t caps_by_descriptors(void);

#endif
