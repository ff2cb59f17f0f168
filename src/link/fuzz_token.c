/* fuzz_token.c: join tokens. What is taken, written and read again is the same, and that is its one spelling. */
#include "base/fuzz.h"
#include "ticket.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char              room[2][512];
    struct text       once = TEXT_IN(room[0]), twice = TEXT_IN(room[1]);
    struct join_token t, again;
    if (join_token_read(fuzz_all(data, size), &t).code) return 0;
    check(t.host[0] && t.port && str_is_utf8(str_from(t.host)));

    join_token_write(&t, &once);
    check(!once.full && !join_token_read(text_str(&once), &again).code);
    check(!strcmp(t.host, again.host) && t.port == again.port && !memcmp(t.pin, again.pin, sizeof t.pin) &&
          !strcmp(t.secret, again.secret));
    join_token_write(&again, &twice);
    check(str_eq(text_str(&once), text_str(&twice)));
    return 0;
}
