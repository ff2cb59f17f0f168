/* fuzz_egress.c: what a tenant's program asks its way out for, and the lists of addresses that are denied. What is taken
 * names a place; made fit for the server it is one request, and nothing of it is longer than there is room for. */
#include "base/fuzz.h"
#include "egress.h"

#include <string.h>

static void try_rules(struct str text)
{
    static char         room[2][EGRESS_RULES_TEXT];
    struct text         once = TEXT_IN(room[0]), twice = TEXT_IN(room[1]);
    struct egress_rules rules, again;
    if (egress_rules_read(text, &rules).code) return;
    egress_rules_write(&rules, &once);
    check(!once.full && !egress_rules_read(text_str(&once), &again).code);
    egress_rules_write(&again, &twice);
    check(str_eq(text_str(&once), text_str(&twice)));
    for (uint32_t i = 0; i < rules.denied_count; i++)
        check(!egress_may_reach(&rules, &rules.denied[i].address));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char           room[2 * EGRESS_HEAD_BYTES_MAX];
    struct text           t   = TEXT_IN(room);
    struct str            all = fuzz_all(data, size);
    struct egress_request r;
    if (size > EGRESS_HEAD_BYTES_MAX) return 0;
    try_rules(all);
    if (egress_request_read(all, &r).code) return 0;
    check(r.port && r.host[0] && strlen(r.host) < EGRESS_HOST_TEXT);
    check(strspn(r.host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:") ==
          strlen(r.host));
    (void)egress_host_is_local(r.host);
    if (r.connect) return 0;
    egress_request_write(all, &r, &t);
    check(!t.full && str_ends(text_str(&t), STR("connection: close\r\n\r\n")));
    return 0;
}
