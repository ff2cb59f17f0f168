/* fuzz_h2.c: a client's frames to an HTTP/2 server, after his preface. The first byte says how large the pieces are. */
#include "base/fuzz.h"
#include "with_wire_int.h"

#include <string.h>

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define SETTINGS "\0\0\0\4\0\0\0\0\0"
#define SENT_MAX 8192

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t       piece[] = { 65536, 9, 17, 100 };
    static char               room[SENT_MAX];
    struct net_server_options o    = { .on_request = wire_on_request, .body_max = 2000 };
    struct text               sent = TEXT_IN(room);
    struct str                in   = fuzz_all(data, size);
    uint8_t                   how  = fuzz_u8(&in);
    text_add(&sent, STR(PREFACE SETTINGS));
    text_add(&sent, in);
    if (!sent.full) wire_serve(h2_open, &o, text_str(&sent), piece[how % 4]);
    return 0;
}
