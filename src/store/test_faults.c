#include "with_store_int.h"

#include "sys/log.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

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
    if (renew_pipe() < 0) _exit(1);
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
    int      told[2];
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
        uint64_t       told = kill_at_a_random_time(known + 1, (unsigned)rand() % 20000);
        struct store  *s    = opened();
        struct loaded *l    = loaded(s);
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
    const struct CMUnitTest tests[] = {
        STORE_TEST(a_failed_commit_is_told_and_ends_the_store),
        STORE_TEST(nothing_told_is_lost_and_no_turn_is_half_there_after_kills),
    };
    check_print_by(log_check_failed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
