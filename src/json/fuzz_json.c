/* fuzz_json.c: JSON into a record with a field of each kind, in each mode; a complaint is fit to be shown. What is taken is
 * within its table's limits, and written for each who may look it is JSON again, which says the same. */
#include "base/fuzz.h"
#include "json.h"

#include <string.h>

enum mood { MOOD_CALM, MOOD_WILD, MOOD_COUNT };
static const char *const moods[MOOD_COUNT] = { "calm", "wild" };

struct chip {
    char     name[12];
    uint32_t memory_mib;
};

struct machine {
    struct device_id  id;
    char              name[16];
    char              notes[64];
    uint64_t          beats;
    struct money      ask;
    int64_t           drift;
    bool              held;
    enum mood         mood;
    uint32_t          likes;
    uint8_t           key[4];
    struct cluster_id cluster;
    char              ip[16];
    struct chip       gpus[3];
    uint32_t          gpus_count;
};

static const struct field chip_fields[] = {
    FIELD_TEXT(struct chip, name, SEEN_PUBLIC, WRITABLE, "what its maker calls it"),
    FIELD_U32(struct chip, memory_mib, 1, 1u << 24, SEEN_PUBLIC, WRITABLE, "memory in MiB"),
};
static const struct record_type chip_type = RECORD_TYPE("chip", "chips", struct chip, chip_fields, "a GPU");

static const struct field machine_fields[] = {
    FIELD_ID(struct machine, id, SEEN_PUBLIC, STORED | KEY, "its id"),
    FIELD_NAMED(struct machine, "name", name, FIELD_KIND_TEXT, 1, 15, SEEN_PUBLIC, WRITABLE, "its name"),
    FIELD_LINES(struct machine, notes, SEEN_PUBLIC, WRITABLE | OPTIONAL, "lines"),
    FIELD_U64(struct machine, beats, 0, RECORD_INT_MAX, SEEN_PUBLIC, LIVE | OPTIONAL, "a counter"),
    FIELD_MICROS(struct machine, ask, "ask_micros", 0, SEEN_PUBLIC, WRITABLE | OPTIONAL, "price of an hour"),
    FIELD_I64(struct machine, drift, -10, 10, SEEN_PUBLIC, WRITABLE | OPTIONAL, "signed"),
    FIELD_BOOL(struct machine, held, SEEN_PUBLIC, WRITABLE | OPTIONAL, "held or not"),
    FIELD_ENUM(struct machine, mood, moods, SEEN_PUBLIC, WRITABLE | OPTIONAL, "its mood"),
    FIELD_SET(struct machine, likes, moods, SEEN_PUBLIC, WRITABLE | OPTIONAL, "moods that it likes"),
    FIELD_BYTES(struct machine, key, SEEN_PUBLIC, LIVE | OPTIONAL, "its key"),
    FIELD_ID(struct machine, cluster, SEEN_PUBLIC, WRITABLE | OPTIONAL, "where it works"),
    FIELD_TEXT(struct machine, ip, SEEN_OPERATOR, OPTIONAL, "for the operator"),
    FIELD_LIST(struct machine, gpus, gpus_count, &chip_type, SEEN_PUBLIC, WRITABLE | OPTIONAL, "its GPUs"),
};
static const struct record_type machine_type =
    RECORD_TYPE("machine", "machines", struct machine, machine_fields, "a machine");

static void says_the_same(const struct machine *m)
{
    static char       room[2][4096];
    struct json_fault fault;
    for (enum field_seen viewer = SEEN_PUBLIC; viewer <= SEEN_NOBODY; viewer++) {
        struct text    once = TEXT_IN(room[0]), twice = TEXT_IN(room[1]);
        struct machine again = { .beats = 0 };
        json_write(&machine_type, m, viewer, &once);
        check(!once.full && !json_read(text_str(&once), &machine_type, JSON_VIEW, &again, &fault).code);
        json_write(&machine_type, &again, viewer, &twice);
        check(str_eq(text_str(&once), text_str(&twice)));
        check(viewer >= SEEN_OPERATOR || !again.ip[0]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (enum json_mode mode = JSON_REQUEST; mode <= JSON_VIEW; mode++) {
        struct machine    m = { .id = { { { 1 } } }, .name = "a", .gpus_count = 0 };
        struct json_fault fault;
        if (json_read(fuzz_all(data, size), &machine_type, mode, &m, &fault).code) {
            check(memchr(fault.detail, 0, sizeof fault.detail) && str_is_utf8(str_from(fault.detail)));
            continue;
        }
        if (mode == JSON_VIEW) continue; /* what is not shown is zero, whatever its limits */
        check(!record_check(&machine_type, &m, NULL).code);
        says_the_same(&m);
    }
    return 0;
}
