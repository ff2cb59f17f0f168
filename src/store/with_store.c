#include "with_store_int.h"

#include "sys/sys.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <sqlite3.h>

static const char *const moods[MOOD_COUNT] = { "calm", "wild" };

static const struct field chip_fields[] = {
    FIELD_TEXT(struct chip, name, SEEN_PUBLIC, STORED, "what its maker calls it"),
    FIELD_U32(struct chip, memory_mib, 1, 1u << 24, SEEN_PUBLIC, STORED, "memory in MiB"),
    FIELD_U32(struct chip, heat, 0, 200, SEEN_PUBLIC, LIVE, "not kept"),
};
static const struct record_type chip_type = RECORD_TYPE("chip", "chips", struct chip, chip_fields, "a GPU");

static const struct field machine_fields[] = {
    FIELD_ID(struct machine, id, SEEN_PUBLIC, STORED | KEY, "its id"),
    FIELD_TEXT(struct machine, name, SEEN_PUBLIC, STORED, "its name"),
    FIELD_U64(struct machine, beats, 0, RECORD_INT_MAX, SEEN_PUBLIC, STORED, "a counter"),
    FIELD_MICROS(struct machine, ask, "ask_micros", 0, SEEN_PUBLIC, STORED, "price of an hour"),
    FIELD_BOOL(struct machine, held, SEEN_PUBLIC, STORED, "held or not"),
    FIELD_ENUM(struct machine, mood, moods, SEEN_PUBLIC, STORED, "its mood"),
    FIELD_BYTES(struct machine, key, SEEN_PUBLIC, STORED, "its key"),
    FIELD_ID(struct machine, cluster, SEEN_PUBLIC, STORED, "where it works"),
    FIELD_U32(struct machine, load, 0, 100, SEEN_PUBLIC, LIVE, "not kept"),
    FIELD_LIST(struct machine, gpus, gpus_count, &chip_type, SEEN_PUBLIC, STORED, "its GPUs"),
};
const struct record_type machine_type =
    RECORD_TYPE("machine", "machines", struct machine, machine_fields, "a machine");

static const struct field tally_fields[] = {
    FIELD_U64(struct tally, number, 0, RECORD_INT_MAX, SEEN_PUBLIC, STORED | KEY, "its number"),
    FIELD_U64(struct tally, value, 0, RECORD_INT_MAX, SEEN_PUBLIC, STORED, "its value"),
};
const struct record_type tally_type = RECORD_TYPE("tally", "tallies", struct tally, tally_fields, "a count");

static const struct record_type *const types[] = { &machine_type, &tally_type };

/* ---- a folder and a store in it ----------------------------------------------------------------------- */

char store_path[96], store_said[512];

static char folder[64];
static int  woken[2];

int renew_pipe(void)
{
    return pipe(woken);
}

int with_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/ionet-store-XXXXXX");
    if (!mkdtemp(folder) || pipe(woken) < 0) return -1;
    snprintf(store_path, sizeof store_path, "%s/network.db", folder);
    return 0;
}

int without_folder(void **state)
{
    (void)state;
    close(woken[0]);
    close(woken[1]);
    return sys_remove_tree(folder).code ? -1 : 0;
}

static void wake(void *context)
{
    (void)context;
    if (write(woken[1], "!", 1) != 1) abort();
}

struct store_options store_options(void)
{
    return (
        struct store_options){ .path = store_path, .types = types, .type_count = countof(types), .wake = wake };
}

struct err open_with(const struct store_options *o, struct store **out)
{
    struct text complaint = TEXT_IN(store_said);
    struct err  e         = store_open(o, out, &complaint);
    text_z(&complaint);
    return e;
}

struct store *opened(void)
{
    struct store_options o = store_options();
    struct store        *s = NULL;
    struct err           e = open_with(&o, &s);
    if (e.code) print_error("%s: %s\n", e.why, store_said);
    assert_int_equal(e.code, ERR_NONE);
    return s;
}

void put(struct store *s, const struct record_type *type, const void *record)
{
    assert_int_equal(store_put(s, type, record).code, ERR_NONE);
}

void put_tally(struct store *s, uint64_t number, uint64_t value)
{
    put(s, &tally_type, &(struct tally){ number, value });
}

void commit(struct store *s)
{
    assert_int_equal(store_commit_now(s).code, ERR_NONE);
}

struct err keep_machine(void *context, const void *record)
{
    struct loaded *l = context;
    check(l->machine_count < countof(l->machines));
    l->machines[l->machine_count++] = *(const struct machine *)record;
    return OK;
}

static struct err keep_tally(void *context, const void *record)
{
    struct loaded *l = context;
    if (l->tally_count < countof(l->tallies)) l->tallies[l->tally_count] = *(const struct tally *)record;
    l->tally_count++;
    return OK;
}

struct loaded *loaded(struct store *s)
{
    static struct loaded l;
    struct text          complaint = TEXT_IN(store_said);
    l.machine_count = l.tally_count = 0;
    assert_int_equal(store_load(s, &machine_type, keep_machine, &l, &complaint).code, ERR_NONE);
    assert_int_equal(store_load(s, &tally_type, keep_tally, &l, &complaint).code, ERR_NONE);
    return &l;
}

void sql(const char *statements)
{
    sqlite3 *db;
    char    *error = NULL;
    assert_int_equal(sqlite3_open(store_path, &db), SQLITE_OK);
    if (sqlite3_exec(db, statements, NULL, NULL, &error) != SQLITE_OK) fail_msg("%s", error);
    sqlite3_close(db);
}

struct machine a_machine(uint8_t number)
{
    return (struct machine){
        .id         = { { { number } } },
        .name       = "Zoë's",
        .beats      = RECORD_INT_MAX,
        .ask        = { 1500000 },
        .held       = true,
        .mood       = MOOD_WILD,
        .key        = { 0, 1, 0, 255 },
        .load       = 50,
        .gpus       = { { "H100", 81920, 70 }, { "T4", 16384, 60 }, { "A10", 24576, 50 } },
        .gpus_count = 3,
    };
}

void on_done(void *context, struct err result)
{
    struct outcome *o = context;
    o->calls++;
    o->result = result;
}

void await_wake(void)
{
    struct pollfd p = { .fd = woken[0], .events = POLLIN };
    char          byte;
    assert_int_equal(poll(&p, 1, 20000), 1);
    assert_int_equal(read(woken[0], &byte, 1), 1);
}
