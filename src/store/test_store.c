#include "with_store_int.h"

#include "sys/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <sqlite3.h>

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
    struct store  *s = opened();
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
    struct store  *s = opened();
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
    struct store  *s = opened();
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

static void a_turn_changes_so_many_records_and_no_more(void **state)
{
    (void)state;
    struct store *s = opened();
    for (uint64_t i = 0; i < STORE_CHANGES_MAX; i++) put_tally(s, i, i);
    put_tally(s, 0, 1); /* no other key */
    struct tally more = { STORE_CHANGES_MAX, 1 };
    assert_int_equal(store_put(s, &tally_type, &more).code, ERR_LIMIT);
    assert_int_equal(store_commit_now(s).code, ERR_LIMIT); /* and nothing is served after that */
    store_close(s);
    s = opened();
    assert_int_equal(loaded(s)->tally_count, 0);
    store_close(s);
}

static void the_loop_is_woken_when_a_commit_is_durable(void **state)
{
    (void)state;
    struct store  *s = opened();
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

static void a_commit_waits_out_a_tool_that_holds_the_file(void **state)
{
    (void)state;
    struct store  *s = opened();
    struct outcome o = { 0 };
    sqlite3       *tool;
    assert_int_equal(sqlite3_open(store_path, &tool), SQLITE_OK);
    assert_int_equal(sqlite3_exec(tool, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    put_tally(s, 1, 7);
    assert_int_equal(store_commit(s, on_done, &o).code, ERR_NONE);
    usleep(50000); /* a commit that does not wait has failed by then */
    assert_int_equal(sqlite3_exec(tool, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(tool);
    await_wake();
    store_finish(s);
    assert_int_equal(o.result.code, ERR_NONE);
    assert_int_equal(loaded(s)->tallies[0].value, 7);
    store_close(s);
}

static void closing_waits_for_a_commit_that_runs(void **state)
{
    (void)state;
    struct outcome o = { 0 };
    struct store  *s = opened();
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
    struct store_options o = store_options();
    struct store        *s = opened(), *other = NULL;
    struct err           e = open_with(&o, &other);
    assert_int_equal(e.code, ERR_CONFLICT);
    assert_string_equal(e.why, "another process holds the store");
    store_close(s);
    store_close(opened());
}

static void nobody_else_may_read_the_file(void **state)
{
    (void)state;
    struct store *s = opened();
    struct stat   st;
    put_tally(s, 1, 1);
    commit(s);
    assert_int_equal(stat(store_path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    char wal[128];
    snprintf(wal, sizeof wal, "%s-wal", store_path);
    assert_int_equal(stat(wal, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(records_come_back_with_their_lists),
        STORE_TEST(a_changed_record_replaces_its_row_and_its_list),
        STORE_TEST(of_several_puts_of_a_key_the_last_counts),
        STORE_TEST(a_deleted_record_leaves_nothing_of_its_list),
        STORE_TEST(a_large_turn_is_kept_whole),
        STORE_TEST(a_turn_changes_so_many_records_and_no_more),
        STORE_TEST(the_loop_is_woken_when_a_commit_is_durable),
        STORE_TEST(a_commit_waits_out_a_tool_that_holds_the_file),
        STORE_TEST(closing_waits_for_a_commit_that_runs),
        STORE_TEST(a_store_is_open_in_one_place_only),
        STORE_TEST(nobody_else_may_read_the_file),
    };
    check_print_by(log_check_failed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
