/* test_slow.c: the real program with a disk that stands still and a reader who is behind. */
#include "test_world_int.h"

#include <sqlite3.h>

/* ---- a slow disk ------------------------------------------------------------------------------------------------------- */

static char slow_path[512]; /* while there is such a file, nothing is read by a connection that only reads */
static int (*slow_real_open)(sqlite3_vfs *, const char *, sqlite3_file *, int, int *);
static sqlite3_io_methods slow_methods, slow_real;

static int slow_lock(sqlite3_file *file, int offset, int count, int flags)
{
    while (access(slow_path, F_OK) == 0) usleep(1000);
    return slow_real.xShmLock(file, offset, count, flags);
}

static int slow_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags)
{
    int code = slow_real_open(vfs, name, file, flags, out_flags);
    if (code != SQLITE_OK || !(flags & SQLITE_OPEN_READONLY) || !(flags & SQLITE_OPEN_MAIN_DB)) return code;
    snprintf(slow_path, sizeof slow_path, "%s.slow", name);
    slow_real             = *file->pMethods;
    slow_methods          = slow_real;
    slow_methods.xShmLock = slow_lock; /* every look at a WAL begins with one */
    file->pMethods        = &slow_methods;
    return code;
}

/* In the program: what SQLite knows of the disk, with a brake. */
static void slow_disk(void)
{
    static sqlite3_vfs slow;
    slow           = *sqlite3_vfs_find(NULL);
    slow_real_open = slow.xOpen;
    slow.zName     = "slow";
    slow.xOpen     = slow_open;
    if (sqlite3_vfs_register(&slow, 1) != SQLITE_OK) abort();
}

static uint32_t count_status(const struct stream *all, unsigned status)
{
    uint32_t count = 0;
    for (size_t k = 0; k <= API_READS_MAX; k++) count += all[k].over && all[k].status == status;
    return count;
}

static void a_slow_disk_holds_up_only_who_reads_from_it(void **state)
{
    struct world  *w   = *state;
    struct stream *all = calloc(API_READS_MAX + 1, sizeof *all);
    char           operator[64], user[64], account[32], path[128];
    sign_in(w, OPERATOR_FILL, "", operator);
    sign_in(w, 18, "", user);
    snprintf(account, sizeof account, "%s", said(w, "account"));
    world_write(w, "state/network.db.slow", "");
    for (size_t k = 0; k <= API_READS_MAX; k++) (void)stream_open(&all[k], w, "/v1/account/transfers", user);
    world_wait_for(w, count_status(all, 503) == 1); /* one more than may wait */
    assert_int_equal(post(w, "/v1/grants", operator, "{\"account\":\"%s\",\"amount_micros\":7}", account), 200);
    assert_int_equal(get(w, "/v1/account", user), 200);
    assert_said(w, "balance_micros", "7");
    assert_int_equal(count_status(all, 200), 0);

    snprintf(path, sizeof path, "%s/state/network.db.slow", w->dir);
    assert_int_equal(unlink(path), 0);
    world_wait_for(w, count_status(all, 200) == API_READS_MAX);
    for (size_t k = 0; k <= API_READS_MAX; k++)
        if (all[k].status == 200) assert_non_null(strstr(all[k].said, "\"change_micros\":7"));
    free(all);
}

static void who_asks_of_a_slow_disk_may_leave_and_the_program_end(void **state)
{
    struct world *w = *state;
    struct stream stays, leaves, watches;
    char          user[64], path[128];
    sign_in(w, 19, "", user);
    world_write(w, "state/network.db.slow", "");
    struct net_call *c = stream_open(&leaves, w, "/v1/account/transfers", user);
    (void)stream_open(&stays, w, "/v1/account/transfers", user);
    (void)stream_open(&watches, w, "/v1/devices/events", user);
    world_wait_for(w, watches.status == 200);
    net_call_cancel(c);
    assert_int_equal(get(w, "/v1/account", user), 200);
    kill(w->pid, SIGTERM);
    world_wait_for(w, stays.over && watches.over);
    snprintf(path, sizeof path, "%s/state/network.db.slow", w->dir);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(world_wait(w), 0);
    world_start(w);
}

/* ---- a large fleet ----------------------------------------------------------------------------------------------------- */

#define FLEET 1000 /* with what each says of itself, more than a reader may be behind */

static void report_gpus(struct machine *m)
{
    struct observed      o = machine_report(m);
    struct device_specs *s = &o.specs[0];
    for (s->gpus_count = 0; s->gpus_count < ASSIGN_GPUS_MAX; s->gpus_count++) {
        struct observed_gpu *g = &s->gpus[s->gpus_count];
        snprintf(g->uuid, sizeof g->uuid, "GPU-00000000-0000-0000-0000-%012u", s->gpus_count);
        snprintf(g->chip, sizeof g->chip, "%s", "NVIDIA H100 80GB HBM3, named as long as can");
        g->memory_mib = 81920;
    }
    machine_send(m, LINK_OBSERVED, &o);
}

/* FLEET more like the only device. */
static void grow_fleet(const struct world *w)
{
    char     path[128], sql[1024];
    sqlite3 *db = NULL;
    snprintf(path, sizeof path, "%s/state/network.db", w->dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "BEGIN; CREATE TEMP TABLE d AS SELECT * FROM devices;"
                                  "CREATE TEMP TABLE g AS SELECT * FROM devices_gpus",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    for (int k = 1; k <= FLEET; k++) {
        snprintf(sql, sizeof sql,
                 "UPDATE d SET id = '%016d', key_tag = '%016d', public_key = randomblob(32);"
                 "UPDATE g SET parent = '%016d';"
                 "INSERT INTO devices SELECT * FROM d; INSERT INTO devices_gpus SELECT * FROM g",
                 k, k, k);
        assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    }
    assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

struct tally {
    uint32_t    events;
    const char *next; /* of the word that begins one */
    bool        over;
};

static void on_tally_head(void *ctx, unsigned status, struct str type)
{
    (void)ctx, (void)type;
    assert_int_equal(status, 200);
}

static void on_tally_body(void *ctx, struct str bytes)
{
    static const char begin[] = "event: device\n";
    struct tally     *t       = ctx;
    for (size_t k = 0; k < bytes.len; k++) {
        t->next = t->next && *t->next == bytes.ptr[k] ? t->next + 1
                  : bytes.ptr[k] == begin[0]          ? begin + 1
                                                      : begin;
        if (*t->next) continue;
        t->events++;
        t->next = begin;
    }
}

static void on_tally_done(void *ctx, struct err e)
{
    ((struct tally *)ctx)->over = true;
    (void)e;
}

static void all_devices_of_a_large_fleet_are_told(void **state)
{
    static const struct net_call_calls calls = { on_tally_head, on_tally_body, on_tally_done };
    struct world                      *w     = *state;
    struct machine                     m     = { .lie = false };
    struct tally                       seen  = { .events = 0 };
    struct net_call                   *c;
    char                               key[64], bearer[128];
    sign_in(w, 20, "", key);
    device_ready(&m, w, key, 0x25);
    report_gpus(&m);
    world_until(w, get(w, "/v1/devices", key) == 200 && strstr(w->said, "H100"), WORLD_PATIENCE_MS);
    machine_leave(&m);
    assert_int_equal(world_stop(w, SIGTERM), 0);
    grow_fleet(w);
    world_start(w);

    struct net_target t = world_target(w);
    snprintf(bearer, sizeof bearer, "Bearer %s", key);
    struct net_header header = { STR("authorization"), str_from(bearer) };
    assert_int_equal(
        net_call(w->net, &t, STR("GET"), STR("/v1/devices/events"), &header, 1, STR(""), &calls, &seen, &c)
            .code,
        ERR_NONE);
    world_wait_for(w, seen.events == FLEET + 1 || seen.over);
    assert_false(seen.over);
    assert_int_equal(call(w, "DELETE", "/v1/devices/0000000000000007", key, STR("")), 200);
    world_wait_for(w, seen.events == FLEET + 2);
    net_call_cancel(c);
}

int main(int argc, char **argv)
{
    int status;
    if (getenv("IONETD_TEST")) slow_disk();
    if (world_is_program(argc, argv, &status)) return status;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slow_disk_holds_up_only_who_reads_from_it),
        cmocka_unit_test(who_asks_of_a_slow_disk_may_leave_and_the_program_end),
        cmocka_unit_test(all_devices_of_a_large_fleet_are_told),
    };
    return cmocka_run_group_tests(tests, world_make, world_end);
}
