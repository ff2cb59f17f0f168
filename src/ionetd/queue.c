#include "ionetd_int.h"

#include <stdlib.h>

struct err queue_put(struct queue *q, const struct input *in, void *owned)
{
    if (q->count == QUEUE_MAX) {
        free(owned);
        return ERR(LIMIT, "too many requests wait: try again in a moment");
    }
    q->ring[(q->first + q->count++) % QUEUE_MAX] = (struct queued){ *in, owned };
    return OK;
}

struct queued *queue_first(struct queue *q)
{
    return q->count ? &q->ring[q->first] : NULL;
}

void queue_drop_first(struct queue *q)
{
    check(q->count);
    free(q->ring[q->first].owned);
    q->first = (q->first + 1) % QUEUE_MAX;
    q->count--;
}
