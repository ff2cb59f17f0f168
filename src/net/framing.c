#include "framing_int.h"

#define FIN 0x80
#define CONTROL 0x08 /* frames of this kind stand by themselves, also within a message */
#define MASKED 0x80
#define MASK_BYTES 4

/* Once the head is whole. */
static void read_head(struct framing *f)
{
    uint64_t len = f->head[1] & 0x7f;
    if (f->have > 2) len = 0;
    for (uint8_t i = 2; i < f->have; i++) len = len << 8 | f->head[i];
    uint64_t mask = f->head[1] & MASKED ? MASK_BYTES : 0;
    f->left       = len > UINT64_MAX - mask ? UINT64_MAX : len + mask;
    f->have       = 0;
    if (!(f->head[0] & CONTROL)) f->unfinished = !(f->head[0] & FIN);
}

static uint8_t head_bytes(const struct framing *f)
{
    uint8_t len = f->head[1] & 0x7f;
    return len == 127 ? 10 : len == 126 ? 4 : 2;
}

void framing_take(struct framing *f, struct str bytes)
{
    while (bytes.len) {
        if (f->left) {
            size_t some = f->left < bytes.len ? (size_t)f->left : bytes.len;
            bytes       = str_skip(bytes, some);
            f->left -= some;
            continue;
        }
        f->head[f->have++] = (uint8_t)bytes.ptr[0];
        bytes              = str_skip(bytes, 1);
        if (f->have >= 2 && f->have == head_bytes(f)) read_head(f);
    }
}

bool framing_is_between(const struct framing *f)
{
    return !f->have && !f->left && !f->unfinished;
}
