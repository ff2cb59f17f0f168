#include "id.h"

#include <string.h>

static const char letters[] = "0123456789abcdefghjkmnpqrstvwxyz";

bool id_eq(struct id a, struct id b)
{
    return memcmp(a.bytes, b.bytes, ID_BYTES) == 0;
}

int id_cmp(struct id a, struct id b)
{
    return memcmp(a.bytes, b.bytes, ID_BYTES);
}

bool id_is_none(struct id a)
{
    return id_eq(a, (struct id){ { 0 } });
}

/* The bytes come from a keyed hash already: eight of them are as good as any mix. */
uint64_t id_hash(struct id a)
{
    uint64_t h;
    memcpy(&h, a.bytes, sizeof h);
    return h;
}

void id_write(struct id a, struct text *t)
{
    char     out[ID_TEXT];
    uint32_t bits = 0, held = 0;
    size_t   at = 0;
    for (size_t i = 0; i < ID_BYTES; i++) {
        bits = bits << 8 | a.bytes[i];
        for (held += 8; held >= 5; held -= 5) out[at++] = letters[bits >> (held - 5) & 31];
    }
    text_add(t, (struct str){ out, ID_TEXT });
}

struct err id_read(struct str s, struct id *out)
{
    if (s.len != ID_TEXT) return ERR(INVALID, "an id has 16 letters");

    struct id a    = { { 0 } };
    uint32_t  bits = 0, held = 0;
    size_t    at = 0;
    for (size_t i = 0; i < ID_TEXT; i++) {
        const char *letter = memchr(letters, s.ptr[i], 32);
        if (!letter) return ERR(INVALID, "an id holds a letter that none has");
        bits = bits << 5 | (uint32_t)(letter - letters);
        held += 5;
        if (held < 8) continue;
        a.bytes[at++] = (uint8_t)(bits >> (held - 8) & 0xff);
        held -= 8;
    }
    *out = a;
    return OK;
}
