#include "with_story_int.h"

struct world w;

int story_open(void **state)
{
    (void)state;
    world_open(&w);
    return 0;
}

int story_close(void **state)
{
    (void)state;
    world_close(&w);
    return 0;
}

const struct cluster *at(struct id cluster)
{
    const struct cluster *c = network_cluster(&w.n, cluster);
    check(c);
    return c;
}

struct device *device(int i)
{
    return table_find(&w.n.devices, w.devices[i].id);
}
