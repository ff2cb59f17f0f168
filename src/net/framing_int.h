/* framing_int.h: where WebSocket frames begin and end in a stream (RFC 6455, section 5.2). It judges nothing: wslay reads the
 * frames, but does not say when it holds nothing of one, and holds 8 KiB for each connection even then. */
#ifndef NET_FRAMING_INT_H
#define NET_FRAMING_INT_H

#include "base/str.h"

struct framing { /* zero: between two messages */
    uint8_t  head[10];
    uint8_t  have;       /* bytes of it */
    uint64_t left;       /* of the frame's mask and payload */
    bool     unfinished; /* a message has begun, and more frames of it follow */
};

void framing_take(struct framing *f, struct str bytes);
bool framing_is_between(const struct framing *f); /* two messages, and two frames */

#endif
