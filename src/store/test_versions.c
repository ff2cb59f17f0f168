#include "with_store_int.h"

#include "sys/log.h"
#include "sys/sys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define OLD_TALLIES "CREATE TABLE tallies (number INTEGER PRIMARY KEY NOT NULL) STRICT;"
#define OLD_MACHINES                                                                                   \
    "CREATE TABLE machines (id TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL, beats INTEGER NOT NULL," \
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
    struct store_options o = store_options();
    struct store        *s = NULL;
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
    struct store_options o         = store_options();
    struct text          complaint = TEXT_IN(store_said);
    o.migrations                   = migrations;
    o.migration_count              = countof(migrations);
    assert_int_equal(store_check_migrations(&o, OLD_TALLIES OLD_MACHINES, 0, &complaint).code, ERR_NONE);
    o.migration_count = 1;
    assert_int_equal(store_check_migrations(&o, OLD_TALLIES OLD_MACHINES, 0, &complaint).code, ERR_CORRUPT);
    text_z(&complaint);
    assert_string_equal(store_said,
                        "the store has \"tallies.number INTEGER not null key 1\" where the program has "
                        "\"machines_gpus.at INTEGER not null key 2\"");
}

static void a_migration_that_fails_changes_nothing(void **state)
{
    (void)state;
    static const char *const broken[] = { "DELETE FROM tallies; SELECT * FROM nowhere" };
    struct store            *s        = opened();
    put_tally(s, 1, 1);
    commit(s);
    store_close(s);
    struct store_options o = store_options();
    o.migrations           = broken;
    o.migration_count      = 1;
    assert_int_not_equal(open_with(&o, &s).code, ERR_NONE);
    assert_string_equal(store_said, "no such table: nowhere");
    s = opened();
    assert_int_equal(loaded(s)->tally_count, 1);
    store_close(s);
}

static void a_newer_store_is_refused(void **state)
{
    (void)state;
    struct store_options o = store_options();
    struct store        *s = opened();
    store_close(s);
    sql("UPDATE schema SET version = 7");
    struct err e = open_with(&o, &s);
    assert_int_equal(e.code, ERR_CONFLICT);
    assert_string_equal(e.why, "the store was written by a newer version of this program");
}

static void a_file_that_is_no_store_is_refused_and_left_alone(void **state)
{
    (void)state;
    struct store_options o = store_options();
    struct store        *s = NULL;
    sql("CREATE TABLE mine (a TEXT)");
    assert_int_equal(open_with(&o, &s).code, ERR_CORRUPT);
    sql("INSERT INTO mine VALUES ('still here')");

    static char noise[8192];
    memset(noise, 'x', sizeof noise);
    assert_int_equal(sys_write_file(store_path, (struct str){ noise, sizeof noise }, 0600).code, ERR_NONE);
    assert_int_equal(open_with(&o, &s).code, ERR_CORRUPT);
}

static void a_damaged_file_is_refused(void **state)
{
    (void)state;
    struct store_options o = store_options();
    struct store        *s = opened();
    for (uint64_t i = 0; i < 4000; i++) put_tally(s, i, i);
    commit(s);
    store_close(s);
    FILE *f = fopen(store_path, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, -12000, SEEK_END), 0);
    for (int i = 0; i < 8000; i++) fputc(0xa5, f);
    fclose(f);
    assert_int_equal(open_with(&o, &s).code, ERR_CORRUPT);
    assert_int_not_equal(store_said[0], 0);
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
        { "UPDATE machines_gpus SET memory_mib = 0 WHERE at = 1", "chips.memory_mib: a number is too small" },
        { "INSERT INTO machines_gpus SELECT parent, at + 10, name, memory_mib FROM machines_gpus",
          "machines.gpus: a list is too long" },
    };
    struct store_options o = store_options();
    struct machine       m = a_machine(1);
    for (size_t i = 0; i < countof(rows); i++) {
        struct store *s = opened();
        put(s, &machine_type, &m);
        commit(s);
        store_close(s);
        sql(rows[i].change);
        struct loaded l         = { .machine_count = 0 };
        struct text   complaint = TEXT_IN(store_said);
        assert_int_equal(open_with(&o, &s).code, ERR_NONE);
        assert_int_equal(store_load(s, &machine_type, keep_machine, &l, &complaint).code, ERR_CORRUPT);
        text_z(&complaint);
        assert_string_equal(store_said, rows[i].complaint);
        assert_int_equal(store_put(s, &machine_type, &m).code,
                         ERR_CORRUPT); /* and nothing is served after that */
        store_close(s);
        sql("DELETE FROM machines; DELETE FROM machines_gpus");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(an_older_store_is_brought_forward),
        STORE_TEST(migrations_must_lead_to_the_tables_of_the_types),
        STORE_TEST(a_migration_that_fails_changes_nothing),
        STORE_TEST(a_newer_store_is_refused),
        STORE_TEST(a_file_that_is_no_store_is_refused_and_left_alone),
        STORE_TEST(a_damaged_file_is_refused),
        STORE_TEST(a_row_that_its_table_does_not_allow_is_refused),
    };
    check_print_by(log_check_failed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
