/* fuzz_told.c: a network with a cluster that is ready is told anything by devices, a gateway and users, one thing after
 * another. After each the books and the promises are whole. */
#include "record/fuzz_record.h"
#include "with_world_int.h"

#include <stdlib.h>
#include <string.h>

#define STEPS_MAX 24
#define DEVICES 4

static struct world    world;
static struct network  first; /* as it was when all was ready */
static char           *first_memory;
static struct instant  first_now;
static struct id       names[16];
static struct fuzz_ids ids = { names, 0 };
static uint32_t        linked; /* the first of the names: devices, then the gateway */

/* Its tables point into its memory, which stays where it is. */
static void start_anew(void)
{
    if (!first_memory) {
        world_open(&world);
        world_come(&world, DEVICES);
        struct id             cluster = world_ready(&world, 2);
        const struct cluster *c       = network_cluster(&world.n, cluster);
        for (int i = 0; i < DEVICES; i++) names[ids.count++] = world.devices[i].id;
        names[ids.count++] = world.gateway;
        linked             = ids.count;
        names[ids.count++] = cluster;
        for (const struct node *x = NULL; (x = network_cluster_node(&world.n, c, x));)
            names[ids.count++] = x->id.id;
        names[ids.count++] = world.user.id;
        names[ids.count++] = world.operator.id;
        first              = world.n;
        first_now          = world.now;
        first_memory       = malloc(world.bytes);
        check(first_memory);
        memcpy(first_memory, world.memory, world.bytes);
    }
    world.n   = first;
    world.now = first_now;
    memcpy(world.memory, first_memory, world.bytes);
}

static void place(struct str *in, char out[MESH_ENDPOINT_TEXT])
{
    if (str_copy(fuzz_text(in), out, MESH_ENDPOINT_TEXT).code) out[0] = 0;
    if (!str_is_utf8(str_from(out))) out[0] = 0;
}

/* What comes over a link has been read within its record's limits. */
static void from_a_link(struct str *in, struct input *next)
{
    static struct observed    observed;
    static struct witnessed   witnessed;
    static struct mesh_silent silent;
    uint8_t                   which = fuzz_u8(in);
    next->subject                   = names[which % linked];
    next->session = which % linked == DEVICES ? world.gateway_session : world.device_session[which % linked];
    if (which > 250) next->session = 77;
    if (next->kind == INPUT_OBSERVED) {
        memset(&observed, 0, sizeof observed);
        fuzz_record(in, &observed_type, ids, &observed);
        next->observed = &observed;
    } else if (next->kind == INPUT_WITNESSED) {
        memset(&witnessed, 0, sizeof witnessed);
        fuzz_record(in, &witnessed_type, ids, &witnessed);
        next->witnessed = &witnessed;
    } else if (next->kind == INPUT_SILENT) {
        memset(&silent, 0, sizeof silent);
        fuzz_record(in, &mesh_silent_type, ids, &silent);
        next->silent = &silent;
    } else if (next->kind == INPUT_GW_SEEN) {
        next->gw_seen.node.id = fuzz_id(in, ids);
        place(in, next->gw_seen.seen_a);
        place(in, next->gw_seen.seen_b);
    } else if (next->kind == INPUT_GW_PROBED) {
        next->gw_probed.node.id = fuzz_id(in, ids);
        next->gw_probed.seen_ms = fuzz_u64(in) >> (fuzz_u8(in) % 64 < 12 ? 12 : 40);
    }
}

static void tell(struct str *in)
{
    static const enum input_kind kinds[] = { INPUT_OBSERVED,  INPUT_WITNESSED, INPUT_SILENT,  INPUT_GW_SEEN,
                                             INPUT_GW_PROBED, INPUT_LINK_DOWN, INPUT_TICK,    INPUT_TERMINATE,
                                             INPUT_EXTEND,    INPUT_RETIRE,    INPUT_RELEASE, INPUT_CREATE,
                                             INPUT_KEY_END };
    struct input                 next    = { .kind = kinds[fuzz_u8(in) % countof(kinds)] };
    world.now.ms += (int64_t)fuzz_u8(in) * 64;
    next.account.id = names[linked + fuzz_u8(in) % (ids.count - linked)];
    next.subject    = fuzz_id(in, ids);
    if (next.kind == INPUT_EXTEND) next.duration.ms = (int64_t)(fuzz_u64(in) % (uint64_t)SPAN_MS_MAX);
    if (next.kind <= INPUT_GW_PROBED && next.kind >= INPUT_LINK_DOWN) from_a_link(in, &next);

    effects_clear(&world.out);
    network_step(&world.n, world.now, &next, &world.out);
    check(network_check(&world.n).code == ERR_NONE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = fuzz_all(data, size);
    start_anew();
    for (int i = 0; i < STEPS_MAX && in.len; i++) tell(&in);
    return 0;
}
