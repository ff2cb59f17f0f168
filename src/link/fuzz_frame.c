/* fuzz_frame.c: the frames between ionetd, its workers and its gateways. What is taken is within its record's limits,
 * and written and read again it is the same. */
#include "base/fuzz.h"
#include "link.h"

#include "json/json.h"

#include <stdlib.h>
#include <string.h>

static const struct record_type *const types[LINK_KIND_COUNT] = {
    [LINK_HELLO]       = &link_hello_type,
    [LINK_CHALLENGE]   = &link_challenge_type,
    [LINK_PROOF]       = &link_proof_type,
    [LINK_WELCOME]     = &link_welcome_type,
    [LINK_DESIRED]     = &desired_type,
    [LINK_MESH_MAP]    = &mesh_map_type,
    [LINK_OBSERVED]    = &observed_type,
    [LINK_WITNESSED]   = &witnessed_type,
    [LINK_MESH_SILENT] = &mesh_silent_type,
    [LINK_GW_CONFIG]   = &gw_config_type,
    [LINK_GW_MEET]     = &gw_meet_type,
    [LINK_GW_RELAY]    = &gw_relay_type,
    [LINK_GW_PROBE]    = &gw_probe_type,
    [LINK_GW_REVOKE]   = &gw_revoke_type,
    [LINK_GW_UP]       = &gw_up_type,
    [LINK_GW_SEEN]     = &gw_seen_type,
    [LINK_GW_PROBED]   = &gw_probed_type,
    [LINK_GW_COUNT]    = &gw_count_type,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static union link_message first, second;
    static char               room[2][4 * LINK_FRAME_BYTES_MAX];
    struct text               once = TEXT_IN(room[0]), twice = TEXT_IN(room[1]);
    enum link_kind            kind, again;
    if (link_read(fuzz_all(data, size), &kind, &first).code) return 0;
    check(kind < LINK_KIND_COUNT && !record_check(types[kind], &first, NULL).code);

    link_write(kind, &first, &once);
    if (once.full || once.len > LINK_FRAME_BYTES_MAX) return 0;
    check(!link_read(text_str(&once), &again, &second).code && again == kind);
    link_write(again, &second, &twice);
    check(str_eq(text_str(&once), text_str(&twice)));
    return 0;
}
