/* codec.h: bytes as text. Base 64 (RFC 4648, with padding, as WireGuard writes keys), its URL form
 * (without padding, as tickets and tokens use it), base 58 (Bitcoin's letters, as Solana writes keys)
 * and hex. Readers take the canonical form only, so a value has one spelling. */
#ifndef CODEC_CODEC_H
#define CODEC_CODEC_H

#include "base/str.h"

#define BASE64_KEY_TEXT 44 /* letters of 32 bytes */
#define BASE58_KEY_TEXT_MAX 44
#define BASE58_BYTES_MAX 64

void                  base64_write(const uint8_t *bytes, size_t count, struct text *t);
must_check struct err base64_read(struct str s, uint8_t *out, size_t count); /* exactly count bytes */

void                  base64url_write(const uint8_t *bytes, size_t count, struct text *t);
must_check struct err base64url_read(struct str s, uint8_t *out, size_t cap, size_t *count);

void base58_write(const uint8_t *bytes, size_t count, struct text *t); /* up to BASE58_BYTES_MAX */
must_check struct err base58_read(struct str s, uint8_t *out, size_t count);

must_check struct err hex_read(struct str s, uint8_t *out, size_t count); /* lower case only */

#endif
