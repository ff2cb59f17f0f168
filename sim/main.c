/* ionet-sim: one simulated world after another, each from its seed, until the time is up or a promise is broken. */
#include "sim.h"

#include "base/err.h"
#include "sys/options.h"
#include "sys/sys.h"

#include <stddef.h>
#include <stdio.h>
#include <time.h>

struct config {
    uint64_t seed, seconds;
};

#define NUMBER(member, initial, least, most, doc)                                                            \
    {                                                                                                        \
        #member, OPTION_NUMBER, offsetof(struct config, member), sizeof(uint64_t), initial, least, most, doc \
    }

static const struct option rows[] = {
    NUMBER(seed, "0", 0, INT64_MAX, "of the first world, the next ones follow; 0: drawn by chance"),
    NUMBER(seconds, "0", 0, 1 << 30, "of CPU time; 0: one world"),
};

static double cpu_seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

static bool run(const struct config *c)
{
    struct sim_figures sum  = { 0 };
    double             told = 0;
    for (uint64_t seed = c->seed;; seed++) {
        if (!sim_run(seed, &sum)) return false;
        double now = cpu_seconds();
        if (now >= (double)c->seconds) break;
        if (now < told + 10) continue;
        told = now;
        fprintf(stderr, "seed %lu ", seed);
        sim_print(&sum, now);
    }
    sim_print(&sum, cpu_seconds());
    return true;
}

int main(int argc, char **argv)
{
    static struct config config;
    const struct options o = { rows, countof(rows), &config, NULL };
    char                 room[4096];
    struct text          complaint = TEXT_IN(room);
    if (options_read(&o, argc, argv, &complaint).code) {
        struct text help = TEXT_IN(room);
        options_help(&o, &help);
        fprintf(stderr, "%s", text_z(&help));
        return 2;
    }
    if (!config.seed) sys_random(&config.seed, sizeof config.seed);
    config.seed &= INT64_MAX;
    fprintf(stderr, "ionet-sim: seed %lu\n", config.seed);
    return run(&config) ? 0 : 1;
}
