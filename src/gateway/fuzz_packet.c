/* fuzz_packet.c: datagrams as the relay sees them, and the text forms of places and of what it keeps. A handshake's mark
 * is right only as long as no byte before it is changed. The first byte says which. */
#include "base/fuzz.h"
#include "place_int.h"
#include "relay_int.h"

#include <string.h>

static void packet(struct str in)
{
    uint8_t          bytes[PACKET_INITIATION_BYTES], key[32];
    const uint8_t   *p    = (const uint8_t *)in.ptr;
    enum packet_kind kind = packet_kind(p, in.len);
    if (kind == PACKET_NONE) return;

    check(in.len >= PACKET_DATA_BYTES_LEAST && p[0] == kind);
    if (kind != PACKET_INITIATION) (void)packet_receiver(kind, p);
    packet_mac1_key(p, key);
    if (kind != PACKET_INITIATION && kind != PACKET_RESPONSE) {
        check(!packet_mac1_is_right(kind, p, key));
        return;
    }
    (void)packet_sender(p);
    size_t at = in.len - 32;
    memcpy(bytes, p, in.len);
    packet_mac1(key, bytes, at, bytes + at);
    check(packet_mac1_is_right(kind, bytes, key));
    bytes[p[8] % at] ^= 1;
    check(!packet_mac1_is_right(kind, bytes, key));
}

static void known(struct str in)
{
    char               room[2][RELAY_KNOWN_LINE];
    struct text        once = TEXT_IN(room[0]), twice = TEXT_IN(room[1]);
    struct relay_known k, again;
    if (relay_known_read(in, &k).code) return;
    relay_known_write(&k, &once);
    check(!once.full && !relay_known_read((struct str){ once.ptr, once.len - 1 }, &again).code);
    relay_known_write(&again, &twice);
    check(str_eq(text_str(&once), text_str(&twice)));
}

static void place(struct str in)
{
    char    endpoint[128];
    uint8_t address[16];
    if (!str_copy(in, endpoint, sizeof endpoint).code) (void)place_read_address(endpoint, address);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = fuzz_all(data, size);
    switch (fuzz_u8(&in) % 3) {
    case 0: packet(in); break;
    case 1: known(in); break;
    default: place(in); break;
    }
    return 0;
}
