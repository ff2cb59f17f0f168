/* fuzz_answer.c: what wireguard-go answers and what `wg show NAME dump` prints. An answer's end is found however it comes
 * in pieces. The first byte says which of the two it is. */
#include "base/fuzz.h"
#include "wg_int.h"

#include <string.h>

static void check_answer(const struct wg_answer *a)
{
    check(a->count <= a->cap && a->count <= WG_PEERS_MAX);
    for (size_t i = 0; i < a->count; i++) check(memchr(a->peers[i].endpoint, 0, WG_PLACE_TEXT) != NULL);
}

static void ends_where_it_ends(struct str in)
{
    size_t end = uapi_answer_end(in, 0), looked_at = 0;
    for (size_t len = 0; len <= in.len && len < 200; len++) {
        size_t found = uapi_answer_end((struct str){ in.ptr, len }, looked_at);
        check(found == (end && end <= len ? end : 0));
        if (found) break;
        looked_at = len;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str       in = fuzz_all(data, size);
    struct wg_answer a  = { 0 };
    if (fuzz_u8(&in) & 1) {
        ends_where_it_ends(in);
        if (!uapi_read(in, &a).code) check_answer(&a);
    } else {
        if (!kernel_read_dump(in, &a).code) check_answer(&a);
    }
    answer_free(&a);
    return 0;
}
