#include "place.h"

uint32_t place_units(const struct device *d, const struct place_need *need)
{
    return need->gpus_min ? d->gpus_count : 1;
}

static bool fits(const struct device *d, const struct place_need *need)
{
    return device_is_free(d) && d->ask.micros <= need->price_max.micros && d->cpus >= need->cpus_min &&
           d->memory_bytes >= need->memory_min && d->gpus_count >= need->gpus_min &&
           (d->egress || !need->egress);
}

/* The order in which devices are taken. Never equal for two: ids differ. */
static bool goes_before(const struct device *a, const struct device *b)
{
    if (a->ask.micros != b->ask.micros) return a->ask.micros < b->ask.micros;
    if (a->enrolled.ms != b->enrolled.ms) return a->enrolled.ms < b->enrolled.ms;
    return id_cmp(a->id.id, b->id.id) < 0;
}

static void swap(struct device **a, struct device **b)
{
    struct device *was = *a;
    *a                 = *b;
    *b                 = was;
}

/* The heaps have the worst at the top: it is the one that a better device replaces. */
static void sink(struct device **heap, uint32_t count, uint32_t at)
{
    for (uint32_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && goes_before(heap[child], heap[child + 1])) child++;
        if (!goes_before(heap[at], heap[child])) return;
        swap(&heap[at], &heap[child]);
    }
}

static void rise(struct device **heap, uint32_t at)
{
    for (; at && goes_before(heap[(at - 1) / 2], heap[at]); at = (at - 1) / 2)
        swap(&heap[at], &heap[(at - 1) / 2]);
}

uint32_t place_choose(const struct table *devices, const struct place_need *need, uint32_t count,
                      struct device **chosen)
{
    uint32_t found = 0;
    for (struct device *d = NULL; count && (d = table_next(devices, d));) {
        if (!fits(d, need)) continue;
        if (found < count) {
            chosen[found] = d;
            rise(chosen, found++);
        } else if (goes_before(d, chosen[0])) {
            chosen[0] = d;
            sink(chosen, found, 0);
        }
    }
    for (uint32_t rest = found; rest > 1; sink(chosen, rest, 0)) swap(&chosen[0], &chosen[--rest]);
    return found;
}

uint32_t place_available(const struct table *devices, const struct place_need *need, uint32_t quantity,
                         struct device **room, struct hourly *price)
{
    uint32_t units = 0, got = 0;
    for (const struct device *d = NULL; (d = table_next(devices, d));)
        if (fits(d, need)) units += place_units(d, need);

    *price = (struct hourly){ 0 };
    if (units < quantity) return units;
    uint32_t found = place_choose(devices, need, quantity, room);
    for (uint32_t i = 0; i < found && got < quantity; i++) {
        got += place_units(room[i], need);
        *price = room[i]->ask;
    }
    return units;
}
