#include "secret.h"

#include "crypto/crypto.h"

void recipe_secret(const uint8_t cluster_secret[32], struct str name, struct text *out)
{
    struct hash h = secret_derive(cluster_secret, name, 0);
    text_add_hex(out, h.bytes, sizeof h.bytes);
}
