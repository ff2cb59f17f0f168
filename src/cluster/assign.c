#include "assign.h"

const char *const node_role_names[NODE_ROLE_COUNT] = { "head", "worker" };
const char *const node_phase_names[PHASE_COUNT] = { "asked", "image", "mesh", "starting", "running", "ended" };

#define COUNTED_MAX ((int64_t)1 << 52) /* what JSON carries exactly, with room */

static const struct field gpu_fields[] = {
    FIELD_U32(struct assign_gpu, index, 0, ASSIGN_GPUS_MAX - 1, SEEN_OPERATOR, LIVE, "its place on the device"),
};
const struct record_type assign_gpu_type =
    RECORD_TYPE("assign_gpu", "assign_gpus", struct assign_gpu, gpu_fields, "a GPU given to a node");

static const struct field assignment_fields[] = {
    FIELD_ID(struct assignment, node, SEEN_OPERATOR, LIVE, "the node to run"),
    FIELD_ID(struct assignment, cluster, SEEN_OPERATOR, LIVE, "the cluster it belongs to"),
    FIELD_U64(struct assignment, incarnation, 1, COUNTED_MAX, SEEN_OPERATOR, LIVE,
              "a greater one is a new start"),
    FIELD_ENUM(struct assignment, role, node_role_names, SEEN_OPERATOR, LIVE, "its part in the cluster"),
    FIELD_U32(struct assignment, index, 1, MESH_INDEX_MAX, SEEN_OPERATOR, LIVE, "of its mesh address"),
    FIELD_U32(struct assignment, head_index, 1, MESH_INDEX_MAX, SEEN_OPERATOR, LIVE,
              "of the head's mesh address"),
    FIELD_U32(struct assignment, nodes, 1, MESH_INDEX_MAX, SEEN_OPERATOR, LIVE, "how many the cluster has"),
    FIELD_BOOL(struct assignment, witness, SEEN_OPERATOR, OPTIONAL, "whether it runs the recipe's witness"),
    FIELD_BOOL(struct assignment, standby, SEEN_OPERATOR, OPTIONAL, "whether it copies the head's state"),
    FIELD_U32(struct assignment, restores, 0, MESH_INDEX_MAX, SEEN_OPERATOR, OPTIONAL,
              "a head in a lost one's place: the index of who keeps the copy"),
    FIELD_TEXT(struct assignment, recipe, SEEN_OPERATOR, LIVE, "name of its recipe"),
    FIELD_BYTES(struct assignment, recipe_hash, SEEN_OPERATOR, LIVE, "SHA-256 of the recipe's text"),
    FIELD_TEXT(struct assignment, image, SEEN_OPERATOR, LIVE, "its image, by digest"),
    FIELD_U32(struct assignment, cpus_milli, 1, 1u << 27, SEEN_OPERATOR, LIVE,
              "thousandths of a CPU it may use"),
    FIELD_U64(struct assignment, memory_bytes, 1, COUNTED_MAX, SEEN_OPERATOR, LIVE, "memory it may use"),
    FIELD_LIST(struct assignment, gpus, gpus_count, &assign_gpu_type, SEEN_OPERATOR, OPTIONAL, "GPUs it holds"),
    FIELD_BYTES(struct assignment, secret, SEEN_OPERATOR, LIVE, "the cluster's: recipe secrets come from it"),
    FIELD_LIST(struct assignment, meets, meets_count, &mesh_meet_type, SEEN_OPERATOR, OPTIONAL,
               "where it is met"),
    FIELD_TEXT(struct assignment, tunnel, SEEN_OPERATOR, OPTIONAL,
               "the gateway to offer services at, host:port"),
    FIELD_TEXT(struct assignment, ticket, SEEN_OPERATOR, OPTIONAL, "for its tunnels"),
    FIELD_MS(struct assignment, paid, "paid_ms", SEEN_OPERATOR, LIVE, "the node ends by itself after so long"),
    FIELD_BYTES(struct assignment, signature, SEEN_OPERATOR, LIVE, "of the network"),
};
const struct record_type assignment_type =
    RECORD_TYPE("assignment", "assignments", struct assignment, assignment_fields, "a node to run on a device");

static const struct field wanted_image_fields[] = {
    FIELD_TEXT(struct wanted_image, image, SEEN_OPERATOR, LIVE, "an image, by digest"),
};
const struct record_type wanted_image_type = RECORD_TYPE("wanted_image", "wanted_images", struct wanted_image,
                                                         wanted_image_fields, "an image on a device");

static const struct field desired_fields[] = {
    FIELD_U64(struct desired, epoch, 1, COUNTED_MAX, SEEN_OPERATOR, LIVE,
              "grows at every start of the network"),
    FIELD_U64(struct desired, version, 1, COUNTED_MAX, SEEN_OPERATOR, LIVE, "grows within an epoch"),
    FIELD_LIST(struct desired, assignments, assignments_count, &assignment_type, SEEN_OPERATOR, LIVE,
               "all it runs"),
    FIELD_LIST(struct desired, images, images_count, &wanted_image_type, SEEN_OPERATOR, OPTIONAL,
               "to hold ahead"),
};
const struct record_type desired_type =
    RECORD_TYPE("desired", "desireds", struct desired, desired_fields, "all that a device should run");

static const struct field observed_node_fields[] = {
    FIELD_ID(struct observed_node, node, SEEN_OPERATOR, LIVE, "the node"),
    FIELD_U64(struct observed_node, incarnation, 1, COUNTED_MAX, SEEN_OPERATOR, LIVE, "which start of it"),
    FIELD_ENUM(struct observed_node, phase, node_phase_names, SEEN_OPERATOR, LIVE, "how far it is"),
    FIELD_U64(struct observed_node, served_ms, 0, COUNTED_MAX, SEEN_OPERATOR, LIVE,
              "served in all, cumulative"),
    FIELD_BYTES(struct observed_node, mesh_key, SEEN_OPERATOR, LIVE, "its public mesh key, zero until made"),
    FIELD_TEXT(struct observed_node, inside, SEEN_OPERATOR, OPTIONAL, "where its mesh device listens at home"),
    FIELD_BOOL(struct observed_node, copied, SEEN_OPERATOR, OPTIONAL, "its copy of the head's state is whole"),
    FIELD_TEXT(struct observed_node, why, SEEN_OPERATOR, OPTIONAL, "why it ended or is held up"),
    FIELD_LINES(struct observed_node, log_end, SEEN_OPERATOR, OPTIONAL, "the end of its log, once it ended"),
    FIELD_U32(struct observed_node, cpu_milli, 0, 1u << 30, SEEN_OPERATOR, OPTIONAL,
              "thousandths of a CPU in use"),
    FIELD_U64(struct observed_node, memory_bytes, 0, COUNTED_MAX, SEEN_OPERATOR, OPTIONAL, "memory in use"),
};
const struct record_type observed_node_type = RECORD_TYPE(
    "observed_node", "observed_nodes", struct observed_node, observed_node_fields, "a node as it is");

static const struct field observed_gpu_fields[] = {
    FIELD_TEXT(struct observed_gpu, uuid, SEEN_OPERATOR, LIVE, "its own name for itself"),
    FIELD_TEXT(struct observed_gpu, chip, SEEN_OPERATOR, LIVE, "what its maker calls it"),
    FIELD_U32(struct observed_gpu, memory_mib, 0, 1u << 30, SEEN_OPERATOR, LIVE, "its memory"),
};
const struct record_type observed_gpu_type =
    RECORD_TYPE("observed_gpu", "observed_gpus", struct observed_gpu, observed_gpu_fields, "a GPU as found");

static const struct field device_specs_fields[] = {
    FIELD_U32(struct device_specs, cpus, 1, 1u << 16, SEEN_OPERATOR, LIVE, "logical CPUs"),
    FIELD_U64(struct device_specs, memory_bytes, 0, COUNTED_MAX, SEEN_OPERATOR, LIVE, "memory in all"),
    FIELD_U64(struct device_specs, disk_bytes, 0, COUNTED_MAX, SEEN_OPERATOR, LIVE,
              "free for images and containers"),
    FIELD_TEXT(struct device_specs, cpu_model, SEEN_OPERATOR, LIVE, "what its maker calls the CPU"),
    FIELD_TEXT(struct device_specs, os, SEEN_OPERATOR, LIVE, "operating system"),
    FIELD_TEXT(struct device_specs, arch, SEEN_OPERATOR, LIVE, "instruction set"),
    FIELD_BOOL(struct device_specs, egress, SEEN_OPERATOR, OPTIONAL, "lets programs out"),
    FIELD_LIST(struct device_specs, gpus, gpus_count, &observed_gpu_type, SEEN_OPERATOR, OPTIONAL, "its GPUs"),
};
const struct record_type device_specs_type = RECORD_TYPE("device_specs", "device_specses", struct device_specs,
                                                         device_specs_fields, "what a machine is");

static const struct field observed_fields[] = {
    FIELD_U64(struct observed, epoch, 0, COUNTED_MAX, SEEN_OPERATOR, LIVE, "of the desired state it has seen"),
    FIELD_U64(struct observed, version, 0, COUNTED_MAX, SEEN_OPERATOR, LIVE,
              "of the desired state it has seen"),
    FIELD_LIST(struct observed, nodes, nodes_count, &observed_node_type, SEEN_OPERATOR, LIVE, "all it runs"),
    FIELD_LIST(struct observed, images, images_count, &wanted_image_type, SEEN_OPERATOR, OPTIONAL,
               "held and whole"),
    FIELD_BOOL(struct observed, has_specs, SEEN_OPERATOR, OPTIONAL, "whether specs come along"),
    FIELD_LIST(struct observed, specs, specs_count, &device_specs_type, SEEN_OPERATOR, OPTIONAL, "what it is"),
    FIELD_TEXT(struct observed, trouble, SEEN_OPERATOR, OPTIONAL, "what keeps it from being ready"),
};
const struct record_type observed_type =
    RECORD_TYPE("observed", "observeds", struct observed, observed_fields, "all that a device runs");

static const struct field witness_entry_fields[] = {
    FIELD_U32(struct witness_entry, index, 1, MESH_INDEX_MAX, SEEN_OPERATOR, LIVE,
              "mesh index of who was seen"),
    FIELD_U64(struct witness_entry, seen_ms, 0, COUNTED_MAX, SEEN_OPERATOR, LIVE,
              "seen alive in all, cumulative"),
    FIELD_BOOL(struct witness_entry, alive, SEEN_OPERATOR, LIVE, "whether the last line named it"),
};
const struct record_type witness_entry_type = RECORD_TYPE(
    "witness_entry", "witness_entries", struct witness_entry, witness_entry_fields, "a node as seen");

static const struct field witnessed_fields[] = {
    FIELD_ID(struct witnessed, node, SEEN_OPERATOR, LIVE, "who saw"),
    FIELD_U64(struct witnessed, incarnation, 1, COUNTED_MAX, SEEN_OPERATOR, LIVE, "which start of it"),
    FIELD_U64(struct witnessed, age_ms, 0, COUNTED_MAX, SEEN_OPERATOR, LIVE, "since its last line"),
    FIELD_BYTES(struct witnessed, head_key, SEEN_OPERATOR, OPTIONAL, "mesh key of whom it sees as the head"),
    FIELD_LIST(struct witnessed, entries, entries_count, &witness_entry_type, SEEN_OPERATOR, LIVE,
               "whom it saw"),
};
const struct record_type witnessed_type =
    RECORD_TYPE("witnessed", "witnesseds", struct witnessed, witnessed_fields, "what a node's witness saw");

void assignment_signed_text(const struct assignment *a, struct device_id device, struct text *out)
{
    text_add(out, STR("node="));
    id_write(a->node.id, out);
    text_add(out, STR(" incarnation="));
    text_add_u64(out, a->incarnation);
    text_add(out, STR(" cluster="));
    id_write(a->cluster.id, out);
    text_add(out, STR(" device="));
    id_write(device.id, out);
    text_add(out, STR(" recipe="));
    text_add_hex(out, a->recipe_hash, RECIPE_HASH_BYTES);
    text_add(out, STR(" image="));
    text_add(out, str_from(a->image));
}
