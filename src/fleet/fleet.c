#include "fleet.h"

#include <string.h>

const char *const device_state_names[DEVICE_STATE_COUNT] = {
    [DEVICE_OFFLINE] = "offline", [DEVICE_CONNECTED] = "connected", [DEVICE_READY] = "ready",
    [DEVICE_HELD] = "held",       [DEVICE_RETIRED] = "retired",
};

/* The only place that says which state may follow which. */
static const bool moves[DEVICE_STATE_COUNT][DEVICE_STATE_COUNT] = {
    [DEVICE_OFFLINE]   = { [DEVICE_CONNECTED] = true, [DEVICE_HELD] = true, [DEVICE_RETIRED] = true },
    [DEVICE_CONNECTED] = { [DEVICE_OFFLINE] = true,
                           [DEVICE_READY]   = true,
                           [DEVICE_HELD]    = true,
                           [DEVICE_RETIRED] = true },
    [DEVICE_READY]     = { [DEVICE_OFFLINE]   = true,
                           [DEVICE_CONNECTED] = true,
                           [DEVICE_HELD]      = true,
                           [DEVICE_RETIRED]   = true },
    [DEVICE_HELD]      = { [DEVICE_OFFLINE] = true, [DEVICE_RETIRED] = true },
    [DEVICE_RETIRED]   = { false },
};

static const struct field gpu_fields[] = {
    FIELD_ID(struct device_gpu, name, SEEN_OPERATOR, STORED, "of what its driver calls it"),
    FIELD_TEXT(struct device_gpu, chip, SEEN_PUBLIC, STORED, "kind of GPU"),
    FIELD_U32(struct device_gpu, memory_mib, 0, 1u << 30, SEEN_PUBLIC, STORED, "MiB"),
};
const struct record_type device_gpu_type =
    RECORD_TYPE("gpu", "gpus", struct device_gpu, gpu_fields, "a GPU of a device");

static const struct field device_fields[] = {
    FIELD_ID(struct device, id, SEEN_OWNER, STORED | KEY | COLUMN, "its name in the network"),
    FIELD_BYTES(struct device, public_key, SEEN_OPERATOR, STORED, "Ed25519, proves every link"),
    FIELD_ID(struct device, key_tag, SEEN_NOBODY, STORED, "finds it by its key"),
    FIELD_ID(struct device, owner, SEEN_OPERATOR, STORED, "the supplier's account"),
    FIELD_TEXT(struct device, name, SEEN_OWNER, STORED | WRITABLE | COLUMN, "what its owner calls it"),
    FIELD_ENUM(struct device, state, device_state_names, SEEN_PUBLIC, STORED | COLUMN, "see fleet.h"),
    FIELD_MICROS(struct device, ask, "ask_micros_per_hour", 0, SEEN_OWNER, STORED | WRITABLE | COLUMN,
                 "what a unit must earn an hour"),
    FIELD_MS(struct device, enrolled, "enrolled_ms", SEEN_OWNER, STORED, "when it came"),
    FIELD_TEXT(struct device, why, SEEN_OWNER, STORED, "why it is held or not ready"),
    FIELD_U32(struct device, cpus, 0, 65536, SEEN_PUBLIC, STORED | COLUMN, "CPUs lent"),
    FIELD_U64(struct device, memory_bytes, 0, RECORD_INT_MAX, SEEN_PUBLIC, STORED, "memory lent"),
    FIELD_U64(struct device, disk_bytes, 0, RECORD_INT_MAX, SEEN_PUBLIC, STORED,
              "disk for images and containers"),
    FIELD_TEXT(struct device, cpu_model, SEEN_PUBLIC, STORED, "as the kernel says"),
    FIELD_TEXT(struct device, os, SEEN_PUBLIC, STORED, "as the machine says"),
    FIELD_TEXT(struct device, arch, SEEN_PUBLIC, STORED, "x86_64, aarch64"),
    FIELD_LIST(struct device, gpus, gpus_count, &device_gpu_type, SEEN_PUBLIC, STORED, "its GPUs"),
    FIELD_BOOL(struct device, egress, SEEN_PUBLIC, LIVE, "lets programs reach public addresses"),
    FIELD_U32(struct device, jobs, 0, UINT32_MAX, SEEN_PUBLIC, STORED | COLUMN, "nodes it served as"),
    FIELD_U64(struct device, served_ms, 0, RECORD_INT_MAX, SEEN_PUBLIC, STORED | COLUMN,
              "served and counted, in all"),
    FIELD_MICROS(struct device, earned, "earned_micros", 0, SEEN_OWNER, STORED | COLUMN, "earned in all"),
    FIELD_U32(struct device, nodes_count, 0, DEVICE_NODES_MAX, SEEN_PUBLIC, LIVE,
              "live nodes: above 0 it is hired"),
    FIELD_MS(struct device, seen, "seen_ms", SEEN_OWNER, LIVE, "last word of its link"),
};
const struct record_type device_type =
    RECORD_TYPE("device", "devices", struct device, device_fields, "one machine with one key");

bool device_may_move(enum device_state from, enum device_state to)
{
    return moves[from][to];
}

void device_move(struct device *d, enum device_state to)
{
    check(device_may_move(d->state, to));
    d->state = to;
}

bool device_is_free(const struct device *d)
{
    return d->state == DEVICE_READY && d->nodes_count == 0;
}

static bool has_gpu(const struct device *d, const struct device_gpu *g)
{
    for (uint32_t i = 0; i < d->gpus_count; i++)
        if (id_eq(d->gpus[i].name, g->name) && strcmp(d->gpus[i].chip, g->chip) == 0)
            return d->gpus[i].memory_mib >= g->memory_mib;
    return false;
}

bool device_is_less(const struct device *was, const struct device *now)
{
    if (was->cpus == 0) return false;
    for (uint32_t i = 0; i < was->gpus_count; i++)
        if (!has_gpu(now, &was->gpus[i])) return true;
    return now->cpus < was->cpus || now->memory_bytes < was->memory_bytes - was->memory_bytes / 16 ||
           strcmp(now->cpu_model, was->cpu_model) != 0 || strcmp(now->arch, was->arch) != 0;
}

void device_hire(struct device *d, struct id node)
{
    check(d->nodes_count < DEVICE_NODES_MAX);
    d->nodes[d->nodes_count++] = node;
}

void device_release(struct device *d, struct id node)
{
    for (uint32_t i = 0; i < d->nodes_count; i++) {
        if (!id_eq(d->nodes[i], node)) continue;
        d->nodes[i] = d->nodes[--d->nodes_count];
        return;
    }
}
