/* fuzz_ticket.c: tickets. Nothing unsigned is one; what the network's key has signed is read within its limits, and
 * written again it is the same ticket. The first byte says whether the input is the whole text, or what is signed. */
#include "base/fuzz.h"
#include "ticket.h"

#include "codec/codec.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sign_key   key;
    static struct public_key signer;
    static const uint8_t     seed[32] = { 1 };
    char                     room[4096], again_room[TICKET_TEXT_MAX];
    struct text              text = TEXT_IN(room), again_text = TEXT_IN(again_room);
    struct instant           now = { 1000 };
    struct ticket            t, again;
    struct str               in = fuzz_all(data, size);
    if (id_is_none((struct id){ { signer.bytes[0], signer.bytes[1] } }))
        sign_key_from_seed(seed, &key, &signer);

    bool is_signed = fuzz_u8(&in) & 1;
    if (!is_signed) {
        check(ticket_read(in, signer, now, &t).code != ERR_NONE);
        return 0;
    }
    struct signature s = sign(&key, STR(TICKET_DOMAIN), in);
    base64url_write((const uint8_t *)in.ptr, in.len, &text);
    text_add_char(&text, '.');
    base64url_write(s.bytes, sizeof s.bytes, &text);
    if (text.full || ticket_read(text_str(&text), signer, now, &t).code) return 0;

    check(t.expires.ms > now.ms && !record_check(&ticket_type, &t, NULL).code);
    if (ticket_write(&t, &key, &again_text).code) return 0;
    check(!ticket_read(text_str(&again_text), signer, now, &again).code);
    check(t.kind == again.kind && id_eq(t.serial, again.serial) && id_eq(t.cluster.id, again.cluster.id) &&
          id_eq(t.node.id, again.node.id) && !strcmp(t.service, again.service) && !strcmp(t.user, again.user) &&
          t.expires.ms == again.expires.ms);
    return 0;
}
