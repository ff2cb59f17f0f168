#include "store.h"

#include "sys/log.h"
#include "sys/sys.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <sqlite3.h>

enum mood { MOOD_CALM, MOOD_WILD, MOOD_COUNT };
static const char *const moods[MOOD_COUNT] = { "calm", "wild" };

struct chip {
    char name[12];
    uint32_t memory_mib;
    uint32_t heat;
};

struct machine {
    struct device_id id;
    char name[16];
    uint64_t beats;
    struct money ask;
    bool held;
    enum mood mood;
    uint8_t key[4];
    struct cluster_id cluster;
    uint32_t load;
    struct chip gpus[4];
    uint32_t gpus_count;
};

struct tally {
    uint64_t number;
    uint64_t value;
};

static const struct field chip_fields[] = {
    FIELD_TEXT(struct chip, name, SEEN_PUBLIC, STORED, "what its maker calls it"),
    FIELD_U32(struct chip, memory_mib, 1, 1u << 24, SEEN_PUBLIC, STORED, "memory in MiB"),
    FIELD_U32(struct chip, heat, 0, 200, SEEN_PUBLIC, LIVE, "not kept"),
};
static const struct record_type chip_type = RECORD_TYPE("chip", "chips", struct chip, chip_fields, "a GPU");

static const struct field machine_fields[] = {
    FIELD_ID(struct machine, id, SEEN_PUBLIC, STORED | KEY, "its id"),
    FIELD_TEXT(struct machine, name, SEEN_PUBLIC, STORED, "its name"),
    FIELD_U64(struct machine, beats, 0, INT64_MAX, SEEN_PUBLIC, STORED, "a counter"),
    FIELD_MICROS(struct machine, ask, "ask_micros", 0, SEEN_PUBLIC, STORED, "price of an hour"),
    FIELD_BOOL(struct machine, held, SEEN_PUBLIC, STORED, "held or not"),
    FIELD_ENUM(struct machine, mood, moods, SEEN_PUBLIC, STORED, "its mood"),
    FIELD_BYTES(struct machine, key, SEEN_PUBLIC, STORED, "its key"),
    FIELD_ID(struct machine, cluster, SEEN_PUBLIC, STORED, "where it works"),
    FIELD_U32(struct machine, load, 0, 100, SEEN_PUBLIC, LIVE, "not kept"),
    FIELD_LIST(struct machine, gpus, gpus_count, &chip_type, SEEN_PUBLIC, STORED, "its GPUs"),
};
static const struct record_type machine_type =
    RECORD_TYPE("machine", "machines", struct machine, machine_fields, "a machine");

static const struct field tally_fields[] = {
    FIELD_U64(struct tally, number, 0, INT64_MAX, SEEN_PUBLIC, STORED | KEY, "its number"),
    FIELD_U64(struct tally, value, 0, INT64_MAX, SEEN_PUBLIC, STORED, "its value"),
};
static const struct record_type tally_type =
    RECORD_TYPE("tally", "tallies", struct tally, tally_fields, "a count");

static const struct record_type *const types[] = { &machine_type, &tally_type };

/* ---- a folder and a store in it ----------------------------------------------------------------------- */

static char folder[64], path[96], said[512];
static int woken[2]; /* the waker writes a byte into this pipe, as a loop's would */

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/ionet-store-XXXXXX");
    if (!mkdtemp(folder) || pipe(woken) < 0) return -1;
    snprintf(path, sizeof path, "%s/network.db", folder);
    return 0;
}

static int remove_folder(void **state)
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

static struct store_options options(void)
{
    return (
        struct store_options){ .path = path, .types = types, .type_count = countof(types), .wake = wake };
}

static struct err open_with(const struct store_options *o, struct store **out)
{
    struct text complaint = TEXT_IN(said);
    struct err e          = store_open(o, out, &complaint);
    text_z(&complaint);
    return e;
}

static struct store *opened(void)
{
    struct store_options o = options();
    struct store *s        = NULL;
    struct err e           = open_with(&o, &s);
    if (e.code) print_error("%s: %s\n", e.why, said);
    assert_int_equal(e.code, ERR_NONE);
    return s;
}

static void put(struct store *s, const struct record_type *type, const void *record)
{
    assert_int_equal(store_put(s, type, record).code, ERR_NONE);
}

static void put_tally(struct store *s, uint64_t number, uint64_t value)
{
    put(s, &tally_type, &(struct tally){ number, value });
}

static void commit(struct store *s)
{
    assert_int_equal(store_commit_now(s).code, ERR_NONE);
}

struct loaded {
    struct machine machines[8];
    struct tally tallies[4096];
    uint32_t machine_count, tally_count;
};

static struct err keep_machine(void *context, const void *record)
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

static struct loaded *loaded(struct store *s)
{
    static struct loaded l;
    struct text complaint = TEXT_IN(said);
    l.machine_count = l.tally_count = 0;
    assert_int_equal(store_load(s, &machine_type, keep_machine, &l, &complaint).code, ERR_NONE);
    assert_int_equal(store_load(s, &tally_type, keep_tally, &l, &complaint).code, ERR_NONE);
    return &l;
}

/* As somebody else with SQLite would. */
static void sql(const char *statements)
{
    sqlite3 *db;
    char *error = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, statements, NULL, NULL, &error) != SQLITE_OK) fail_msg("%s", error);
    sqlite3_close(db);
}

static struct machine a_machine(uint8_t number)
{
    return (struct machine){
        .id         = { { { number } } },
        .name       = "Zoë's",
        .beats      = INT64_MAX,
        .ask        = { 1500000 },
        .held       = true,
        .mood       = MOOD_WILD,
        .key        = { 0, 1, 0, 255 },
        .load       = 50,
        .gpus       = { { "H100", 81920, 70 }, { "T4", 16384, 60 }, { "A10", 24576, 50 } },
        .gpus_count = 3,
    };
}

/* ---- tests -------------------------------------------------------------------------------------------- */

static void records_come_back_with_their_lists(void **state)
{
    (void)state;
    struct machine m = a_machine(2), n = a_machine(1);
    n.cluster.id    = (struct id){ { 7 } };
    n.gpus_count    = 0;
    struct store *s = opened();
    put(s, &machine_type, &m);
    put(s, &machine_type, &n);
    put_tally(s, 5, 6);
    commit(s);
    store_close(s);

    s                = opened();
    struct loaded *l = loaded(s);
    assert_int_equal(l->machine_count, 2);
    assert_true(record_stored_eq(&machine_type, &l->machines[0], &n));
    assert_true(record_stored_eq(&machine_type, &l->machines[1], &m));
    assert_int_equal(l->machines[1].load, 0);
    assert_int_equal(l->machines[1].gpus[0].heat, 0);
    assert_int_equal(l->tally_count, 1);
    assert_int_equal(l->tallies[0].value, 6);
    store_close(s);
}

static void a_changed_record_replaces_its_row_and_its_list(void **state)
{
    (void)state;
    struct machine m = a_machine(1);
    struct store *s  = opened();
    put(s, &machine_type, &m);
    commit(s);
    m.gpus_count         = 1;
    m.gpus[0].memory_mib = 40960;
    m.held               = false;
    put(s, &machine_type, &m);
    commit(s);
    store_close(s);
    s                = opened();
    struct loaded *l = loaded(s);
    assert_int_equal(l->machine_count, 1);
    assert_true(record_stored_eq(&machine_type, &l->machines[0], &m));
    store_close(s);
}

static void of_several_puts_of_a_key_the_last_counts(void **state)
{
    (void)state;
    struct store *s  = opened();
    struct machine m = a_machine(1);
    put_tally(s, 1, 1);
    put_tally(s, 2, 1);
    put_tally(s, 1, 2);
    put(s, &machine_type, &m);
    assert_int_equal(store_delete(s, &machine_type, &m).code, ERR_NONE);
    assert_int_equal(store_delete(s, &tally_type, &(struct tally){ 2, 0 }).code, ERR_NONE);
    put_tally(s, 2, 9);
    commit(s);
    struct loaded *l = loaded(s);
    assert_int_equal(l->machine_count, 0);
    assert_int_equal(l->tally_count, 2);
    assert_int_equal(l->tallies[0].value, 2);
    assert_int_equal(l->tallies[1].value, 9);
    store_close(s);
}

static void a_deleted_record_leaves_nothing_of_its_list(void **state)
{
    (void)state;
    struct store *s  = opened();
    struct machine m = a_machine(1);
    put(s, &machine_type, &m);
    commit(s);
    assert_int_equal(store_delete(s, &machine_type, &m).code, ERR_NONE);
    commit(s);
    m.gpus_count = 0;
    put(s, &machine_type, &m); /* a list left behind would come back with it */
    commit(s);
    assert_int_equal(loaded(s)->machines[0].gpus_count, 0);
    store_close(s);
    sql("CREATE TABLE x (n INTEGER CHECK (n = 0)); INSERT INTO x SELECT count(*) FROM machines_gpus; DROP "
        "TABLE x");
}

static void a_large_turn_is_kept_whole(void **state)
{
    (void)state;
    struct store *s = opened();
    for (uint64_t i = 0; i < 4096; i++) put_tally(s, i, i);
    for (uint64_t i = 0; i < 4096; i++) put_tally(s, i, i * i);
    commit(s);
    struct loaded *l = loaded(s);
    assert_int_equal(l->tally_count, 4096);
    for (uint64_t i = 0; i < 4096; i++) assert_int_equal(l->tallies[i].value, i * i);
    store_close(s);
}

struct outcome {
    int calls;
    struct err result;
};

static void on_done(void *context, struct err result)
{
    struct outcome *o = context;
    o->calls++;
    o->result = result;
}

static void await_wake(void)
{
    struct pollfd p = { .fd = woken[0], .events = POLLIN };
    char byte;
    assert_int_equal(poll(&p, 1, 20000), 1);
    assert_int_equal(read(woken[0], &byte, 1), 1);
}

static void the_loop_is_woken_when_a_commit_is_durable(void **state)
{
    (void)state;
    struct store *s  = opened();
    struct outcome o = { 0 };
    for (uint64_t turn = 1; turn <= 50; turn++) {
        put_tally(s, 1, turn);
        assert_int_equal(store_commit(s, on_done, &o).code, ERR_NONE);
        assert_true(store_is_busy(s));
        put_tally(s, 2, turn); /* the next turn's, while this one is written */
        await_wake();
        assert_int_equal(o.calls, (int)turn - 1); /* only in store_finish, on this thread */
        store_finish(s);
        assert_false(store_is_busy(s));
        assert_int_equal(o.calls, (int)turn);
        assert_int_equal(o.result.code, ERR_NONE);
        store_finish(s);
        assert_int_equal(o.calls, (int)turn);
    }
    store_close(s); /* what was put but not committed is gone */
    s                = opened();
    struct loaded *l = loaded(s);
    assert_int_equal(l->tally_count, 2);
    assert_int_equal(l->tallies[0].value, 50);
    assert_int_equal(l->tallies[1].value, 49);
    store_close(s);
}

static void closing_waits_for_a_commit_that_runs(void **state)
{
    (void)state;
    struct outcome o = { 0 };
    struct store *s  = opened();
    for (uint64_t i = 0; i < 2000; i++) put_tally(s, i, i);
    assert_int_equal(store_commit(s, on_done, &o).code, ERR_NONE);
    store_close(s);
    assert_int_equal(o.calls, 0);
    s = opened();
    assert_int_equal(loaded(s)->tally_count, 2000);
    store_close(s);
}

static void a_store_is_open_in_one_place_only(void **state)
{
    (void)state;
    struct store_options o = options();
    struct store *s = opened(), *other = NULL;
    struct err e = open_with(&o, &other);
    assert_int_equal(e.code, ERR_CONFLICT);
    assert_string_equal(e.why, "another process holds the store");
    store_close(s);
    store_close(opened());
}

static void nobody_else_may_read_the_file(void **state)
{
    (void)state;
    struct store *s = opened();
    struct stat st;
    put_tally(s, 1, 1);
    commit(s);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    char wal[128];
    snprintf(wal, sizeof wal, "%s-wal", path);
    assert_int_equal(stat(wal, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    store_close(s);
}

/* ---- versions ----------------------------------------------------------------------------------------- */

#define OLD_TALLIES "CREATE TABLE tallies (number INTEGER PRIMARY KEY NOT NULL) STRICT;"
#define OLD_MACHINES                                                                                       \
    "CREATE TABLE machines (id TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL, beats INTEGER NOT NULL,"     \
    " ask_micros INTEGER NOT NULL, held INTEGER NOT NULL, mood TEXT NOT NULL, cluster TEXT) STRICT;"

static const char *const migrations[] = {
    "ALTER TABLE tallies ADD COLUMN value INTEGER NOT NULL DEFAULT 3;"
    "ALTER TABLE machines ADD COLUMN key BLOB NOT NULL DEFAULT x'00000000'",
    "CREATE TABLE machines_gpus (parent TEXT NOT NULL, at INTEGER NOT NULL, name TEXT NOT NULL,"
    " memory_mib INTEGER NOT NULL, PRIMARY KEY (parent, at)) STRICT",
};

static void an_older_store_is_brought_forward(void **state)
{
    (void)state;
    struct store_options o = options();
    struct store *s        = NULL;
    o.migrations           = migrations;
    o.migration_count      = countof(migrations);
    sql("PRAGMA application_id = 1768910437; CREATE TABLE schema (version INTEGER NOT NULL) STRICT;"
        "INSERT INTO schema VALUES (0);" OLD_TALLIES OLD_MACHINES "INSERT INTO tallies VALUES (8)");
    assert_int_equal(open_with(&o, &s).code, ERR_NONE);
    assert_int_equal(loaded(s)->tallies[0].value, 3);
    store_close(s);
    assert_int_equal(open_with(&o, &s).code, ERR_NONE); /* and only once */
    store_close(s);
}

static void migrations_must_lead_to_the_tables_of_the_types(void **state)
{
    (void)state;
    struct store_options o = options();
    struct text complaint  = TEXT_IN(said);
    o.migrations           = migrations;
    o.migration_count      = countof(migrations);
    assert_int_equal(store_check_migrations(&o, OLD_TALLIES OLD_MACHINES, 0, &complaint).code, ERR_NONE);
    o.migration_count = 1;
    assert_int_equal(store_check_migrations(&o, OLD_TALLIES OLD_MACHINES, 0, &complaint).code, ERR_CORRUPT);
    text_z(&complaint);
    assert_string_equal(said,
                        "the store has \"tallies.number INTEGER not null key 1\" where the program has "
                        "\"machines_gpus.at INTEGER not null key 2\"");
}

static void a_migration_that_fails_changes_nothing(void **state)
{
    (void)state;
    static const char *const broken[] = { "DELETE FROM tallies; SELECT * FROM nowhere" };
    struct store *s                   = opened();
    put_tally(s, 1, 1);
    commit(s);
    store_close(s);
    struct store_options o = options();
    o.migrations           = broken;
    o.migration_count      = 1;
    assert_int_not_equal(open_with(&o, &s).code, ERR_NONE);
    assert_string_equal(said, "no such table: nowhere");
    s = opened();
    assert_int_equal(loaded(s)->tally_count, 1);
    store_close(s);
}

static void a_newer_store_is_refused(void **state)
{
    (void)state;
    struct store_options o = options();
    struct store *s        = opened();
    store_close(s);
    sql("UPDATE schema SET version = 7");
    struct err e = open_with(&o, &s);
    assert_int_equal(e.code, ERR_CONFLICT);
    assert_string_equal(e.why, "the store was written by a newer version of this program");
}

static void a_file_that_is_no_store_is_refused_and_left_alone(void **state)
{
    (void)state;
    struct store_options o = options();
    struct store *s        = NULL;
    sql("CREATE TABLE mine (a TEXT)");
    assert_int_equal(open_with(&o, &s).code, ERR_CORRUPT);
    sql("INSERT INTO mine VALUES ('still here')");

    static char noise[8192];
    memset(noise, 'x', sizeof noise);
    assert_int_equal(sys_write_file(path, (struct str){ noise, sizeof noise }, 0600).code, ERR_NONE);
    assert_int_equal(open_with(&o, &s).code, ERR_CORRUPT);
}

static void a_damaged_file_is_refused(void **state)
{
    (void)state;
    struct store_options o = options();
    struct store *s        = opened();
    for (uint64_t i = 0; i < 4000; i++) put_tally(s, i, i);
    commit(s);
    store_close(s);
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, -12000, SEEK_END), 0);
    for (int i = 0; i < 8000; i++) fputc(0xa5, f);
    fclose(f);
    assert_int_equal(open_with(&o, &s).code, ERR_CORRUPT);
    assert_int_not_equal(said[0], 0);
}

static void a_row_that_its_table_does_not_allow_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *change, *complaint;
    } rows[] = {
        { "UPDATE machines SET ask_micros = -1", "machines.ask_micros: a number is too small" },
        { "UPDATE machines SET mood = 'sad'", "machines.mood: the word is none of those allowed" },
        { "UPDATE machines SET name = char(10)",
          "machines.name: a text holds control characters or is not UTF-8" },
        { "UPDATE machines SET key = x'00'", "machines.key: the number of bytes is another" },
        { "UPDATE machines SET cluster = 'x'", "machines.cluster: an id has 16 letters" },
        { "UPDATE machines_gpus SET memory_mib = 0 WHERE at = 1",
          "chips.memory_mib: a number is too small" },
        { "INSERT INTO machines_gpus SELECT parent, at + 10, name, memory_mib FROM machines_gpus",
          "machines.gpus: a list is too long" },
    };
    struct store_options o = options();
    struct machine m       = a_machine(1);
    for (size_t i = 0; i < countof(rows); i++) {
        struct store *s = opened();
        put(s, &machine_type, &m);
        commit(s);
        store_close(s);
        sql(rows[i].change);
        struct loaded l       = { .machine_count = 0 };
        struct text complaint = TEXT_IN(said);
        assert_int_equal(open_with(&o, &s).code, ERR_NONE);
        assert_int_equal(store_load(s, &machine_type, keep_machine, &l, &complaint).code, ERR_CORRUPT);
        text_z(&complaint);
        assert_string_equal(said, rows[i].complaint);
        assert_int_equal(store_put(s, &machine_type, &m).code,
                         ERR_CORRUPT); /* and nothing is served after that */
        store_close(s);
        sql("DELETE FROM machines; DELETE FROM machines_gpus");
    }
}

/* ---- faults ------------------------------------------------------------------------------------------- */

/* The disk refuses for real: this process may write no file beyond a size. */
static void fill_until_refused(void)
{
    struct store *s = opened();
    struct rlimit l = { 65536, 65536 };
    signal(SIGXFSZ, SIG_IGN);
    put_tally(s, 0, 1);
    commit(s);
    if (setrlimit(RLIMIT_FSIZE, &l) < 0) _exit(2);
    for (uint64_t i = 1; i <= 4000; i++) put_tally(s, i, i);
    struct outcome o = { 0 };
    if (store_commit(s, on_done, &o).code) _exit(3);
    await_wake();
    store_finish(s);
    if (o.calls != 1 || o.result.code != ERR_IO) _exit(4);
    if (store_put(s, &tally_type, &(struct tally){ 9, 9 }).code != ERR_IO) _exit(5);
    if (store_commit(s, on_done, &o).code != ERR_IO) _exit(6);
    if (store_commit_now(s).code != ERR_IO || o.calls != 1) _exit(7);
    _exit(0);
}

static void a_failed_commit_is_told_and_ends_the_store(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) fill_until_refused();
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    struct store *s = opened();
    assert_int_equal(loaded(s)->tally_count, 1); /* the turn before it, and nothing of the failed one */
    store_close(s);
}

/* Each turn: two counters, a list as long as the turn's number says, and a row of its own. */
static void write_turns(int told, uint64_t turn)
{
    struct outcome o = { 0 };
    if (pipe(woken) < 0) _exit(1); /* its own: who was killed may have left a byte in the old one */
    struct store *s = opened();
    for (;; turn++) {
        struct machine m = a_machine(1);
        m.beats          = turn;
        m.gpus_count     = (uint32_t)(turn % 4);
        if (store_put(s, &machine_type, &m).code) _exit(2);
        m.id.id.bytes[0] = 2;
        if (store_put(s, &machine_type, &m).code) _exit(2);
        if (store_put(s, &tally_type, &(struct tally){ turn, turn }).code) _exit(2);
        if (store_commit(s, on_done, &o).code) _exit(3);
        await_wake();
        store_finish(s);
        if (o.result.code) _exit(4);
        if (write(told, &turn, sizeof turn) != sizeof turn) _exit(5);
    }
}

static uint64_t kill_at_a_random_time(uint64_t first, unsigned wait_us)
{
    int told[2];
    uint64_t turn, last = first - 1;
    assert_int_equal(pipe(told), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(told[0]);
        write_turns(told[1], first);
    }
    close(told[1]);
    /* The first word says that it runs; then any moment may be its last. */
    if (read(told[0], &turn, sizeof turn) == sizeof turn) last = turn;
    usleep(wait_us);
    kill(child, SIGKILL);
    while (read(told[0], &turn, sizeof turn) == sizeof turn) last = turn;
    close(told[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    return last;
}

static void nothing_told_is_lost_and_no_turn_is_half_there_after_kills(void **state)
{
    (void)state;
    unsigned seed  = (unsigned)getpid();
    uint64_t known = 0;
    print_message("seed=%u\n", seed);
    srand(seed);
    for (int kills = 0; kills < 40; kills++) {
        uint64_t told    = kill_at_a_random_time(known + 1, (unsigned)rand() % 20000);
        struct store *s  = opened();
        struct loaded *l = loaded(s);
        assert_int_equal(l->machine_count, 2);
        assert_true(told > known);
        assert_true(l->machines[0].beats >= told);
        assert_true(l->machines[0].beats <= told + 1); /* durable, and killed before it could be told */
        assert_int_equal(l->machines[0].beats, l->machines[1].beats);
        assert_int_equal(l->machines[0].gpus_count, l->machines[0].beats % 4);
        assert_int_equal(l->machines[1].gpus_count, l->machines[0].beats % 4);
        assert_int_equal(l->tally_count, l->machines[0].beats);
        known = l->machines[0].beats;
        store_close(s);
    }
    assert_true(known > 40);
    print_message("kills=40 turns=%llu\n", (unsigned long long)known);
}

int main(void)
{
#define STORE_TEST(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        STORE_TEST(records_come_back_with_their_lists),
        STORE_TEST(a_changed_record_replaces_its_row_and_its_list),
        STORE_TEST(of_several_puts_of_a_key_the_last_counts),
        STORE_TEST(a_deleted_record_leaves_nothing_of_its_list),
        STORE_TEST(a_large_turn_is_kept_whole),
        STORE_TEST(the_loop_is_woken_when_a_commit_is_durable),
        STORE_TEST(closing_waits_for_a_commit_that_runs),
        STORE_TEST(a_store_is_open_in_one_place_only),
        STORE_TEST(nobody_else_may_read_the_file),
        STORE_TEST(an_older_store_is_brought_forward),
        STORE_TEST(migrations_must_lead_to_the_tables_of_the_types),
        STORE_TEST(a_migration_that_fails_changes_nothing),
        STORE_TEST(a_newer_store_is_refused),
        STORE_TEST(a_file_that_is_no_store_is_refused_and_left_alone),
        STORE_TEST(a_damaged_file_is_refused),
        STORE_TEST(a_row_that_its_table_does_not_allow_is_refused),
        STORE_TEST(a_failed_commit_is_told_and_ends_the_store),
        STORE_TEST(nothing_told_is_lost_and_no_turn_is_half_there_after_kills),
    };
    check_print_by(log_check_failed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
