/* What a full disk does not take. */
#include "worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct worker      *w;
static struct worker_saved saved;
static uint64_t            now = 1000;

/* Whether the state is to be saved now. */
static bool saves(struct worker_input in)
{
    struct worker_actions out;
    worker_step(w, now, &in, &out);
    if (out.save) worker_save(w, now, &saved);
    return out.save;
}

static bool saves_after(uint64_t ms)
{
    now += ms;
    return saves((struct worker_input){ .kind = IN_TICK });
}

/* Though nothing runs, and so nothing changes that would be saved. */
static void what_the_disk_did_not_take_is_saved_again_until_it_does(void **state)
{
    (void)state;
    static const struct desired nothing = { .epoch = 1, .version = 1 };
    w                                   = calloc(1, sizeof *w);
    assert_non_null(w);
    saves((struct worker_input){ .kind = IN_START, .boot_id = "boot-one" });
    assert_true(saves((struct worker_input){ .kind = IN_DESIRED, .desired = &nothing }));
    for (int i = 0; i < 3; i++) {
        assert_false(saves_after(WORKER_SAVE_MS - 1));
        assert_true(saves_after(1));
    }
    assert_false(saves((struct worker_input){ .kind = IN_SYNCED }));
    assert_false(saves_after(WORKER_SAVE_MS));
    free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_disk_did_not_take_is_saved_again_until_it_does),
    };
    return cmocka_run_group_tests_name("worker saves", tests, NULL, NULL);
}
