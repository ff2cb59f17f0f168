#include "recipe.h"
#include "secret.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A whole recipe, its lines numbered; the mistakes below are each one change of it. */
static const char base[] =
    /*  1 */ "name: pair\n"
             /*  2 */ "title: Pair\n"
             /*  3 */ "about: Two that talk.\n"
             /*  4 */ "image: pair\n"
             /*  5 */ "unit: machine\n"
             /*  6 */ "nodes_max: 10\n"
             /*  7 */ "cpus_min: 1\n"
             /*  8 */ "memory_min_mib: 512\n"
             /*  9 */ "shm_percent: 25\n"
             /* 10 */ "user: { name: user, uid: 20001, gid: 20002, home: /home/user }\n"
             /* 11 */ "tmpfs:\n"
             /* 12 */ "  - { path: /tmp, size_mib: 64, mode: 01777, exec: true, owner: root }\n"
             /* 13 */ "  - { path: /home/user, size_mib: 32, mode: 0755, exec: false, owner: user }\n"
             /* 14 */ "sysctls:\n"
             /* 15 */ "  - net.ipv4.tcp_retries2=6\n"
             /* 16 */ "  - net.core.somaxconn=512\n"
             /* 17 */ "env:\n"
             /* 18 */ "  - HOME=/home/user\n"
             /* 19 */ "  - MODE=calm\n"
             /* 20 */ "  - TOKEN=${secret.token}\n"
             /* 21 */ "secrets: [token, other]\n"
             /* 22 */ "head:\n"
             /* 23 */ "  command:\n"
             /* 24 */ "    - /bin/head\n"
             /* 25 */ "    - --at=${address}:1 of ${nodes} in ${cluster}\n"
             /* 26 */ "    - cost$5 ${cpus} ${gpus} ${memory} ${shm} $\n"
             /* 27 */ "  env:\n"
             /* 28 */ "    - MODE=wild ${secret.other}\n"
             /* 29 */ "worker:\n"
             /* 30 */ "  command: [/bin/worker, \"${head}:1\", \"${index}\"]\n"
             /* 31 */ "witness:\n"
             /* 32 */ "  command: [/bin/alive, \"${head}\"]\n"
             /* 33 */ "  on: head\n"
             /* 34 */ "  every_ms: 1000\n"
             /* 35 */ "  grace_ms: 5000\n"
             /* 36 */ "  through: web\n"
             /* 37 */ "services:\n"
             /* 38 */ "  - { name: web, title: A page, port: 80, on: head, protocol: http, path: /a }\n"
             /* 39 */ "  - { name: talk, title: Talk, port: 81, on: any, protocol: tcp,\n"
             /* 40 */ "      env: [\"AT=talk://${address}/$\", \"KEY=${secret.other}\"] }\n"
             /* 41 */ "loss: { witness_ms: 3000, link_ms: 4000 }\n"
             /* 42 */ "ready: { timeout_ms: 60000 }\n";

static char said[512];

static struct err read_text(const char *text, struct recipe **out)
{
    struct text complaint = TEXT_IN(said);
    struct err  e         = recipe_read(str_from(text), "pair.yaml", out, &complaint);
    text_z(&complaint);
    return e;
}

static struct recipe *the_recipe(void)
{
    struct recipe *r = NULL;
    struct err     e = read_text(base, &r);
    if (e.code) print_error("%s: %s\n", e.why, said);
    assert_int_equal(e.code, ERR_NONE);
    return r;
}

/* The base with the first `from` replaced. */
static const char *changed(const char *from, const char *to)
{
    static char room[8192];
    const char *at = strstr(base, from);
    assert_non_null(at);
    snprintf(room, sizeof room, "%.*s%s%s", (int)(at - base), base, to, at + strlen(from));
    return room;
}

static void a_recipe_is_read_whole(void **state)
{
    (void)state;
    struct recipe *r = the_recipe();
    assert_string_equal(said, "");
    assert_string_equal(r->name, "pair");
    assert_int_equal(r->unit, RECIPE_UNIT_MACHINE);
    assert_int_equal(r->nodes_max, 10);
    assert_int_equal(r->user.gid, 20002);
    assert_int_equal(r->tmpfs_count, 2);
    assert_int_equal(r->tmpfs[0].mode, 01777);
    assert_true(r->tmpfs[0].exec);
    assert_false(r->tmpfs[1].exec);
    assert_int_equal(r->tmpfs[1].owner, RECIPE_OWNER_USER);
    assert_string_equal(r->sysctls[1], "net.core.somaxconn=512");
    assert_int_equal(r->services_count, 2);
    assert_int_equal(recipe_service(r, STR("talk"))->port, 81);
    assert_null(recipe_service(r, STR("talk"))->path);
    assert_string_equal(recipe_service(r, STR("web"))->path, "/a");
    assert_null(recipe_service(r, STR("we")));
    assert_int_equal(r->loss.link_ms, 4000);
    assert_true(recipe_is_on(r->witness.on, RECIPE_HEAD));
    assert_false(recipe_is_on(r->witness.on, RECIPE_WORKER));
    assert_true(recipe_is_on(RECIPE_ON_ANY, RECIPE_WORKER));
    recipe_free(r);
}

static void what_may_be_left_out_is_then_empty(void **state)
{
    (void)state;
    struct recipe *r = NULL;
    assert_int_equal(
        read_text("name: pair\ntitle: Pair\nabout: x\nimage: pair\nunit: gpu\nnodes_max: 1\ncpus_min: 1\n"
                  "memory_min_mib: 64\nshm_percent: 1\n"
                  "user: { name: user, uid: 1, gid: 1, home: /h }\n"
                  "head: { command: [/a] }\nworker: { command: [/b] }\n"
                  "witness: { command: [/c], on: any, every_ms: 100, grace_ms: 1000, through: s }\n"
                  "services: [{ name: s, title: S, port: 1, on: any, protocol: tcp }]\n"
                  "loss: { witness_ms: 500, link_ms: 1000 }\nready: { timeout_ms: 1000 }\n",
                  &r)
            .code,
        ERR_NONE);
    assert_int_equal(r->unit, RECIPE_UNIT_GPU);
    assert_int_equal(r->tmpfs_count + r->sysctls_count + r->env_count + r->secrets_count, 0);
    assert_null(r->services[0].path);
    assert_int_equal(r->head.env_count, 0);
    recipe_free(r);
}

/* The base with a way out. */
static const char *let_out(const char *how)
{
    char line[256];
    snprintf(line, sizeof line, "egress: { %s }\nsysctls:", how);
    return changed("sysctls:", line);
}

static void a_way_out_is_declared_or_there_is_none(void **state)
{
    (void)state;
    struct recipe *r = the_recipe();
    assert_null(r->egress);
    recipe_free(r);
    assert_int_equal(read_text(let_out("mbit: 20, connections: 64, ports: [443, 80]"), &r).code, ERR_NONE);
    assert_int_equal(r->egress->mbit, 20);
    assert_int_equal(r->egress->connections, 64);
    assert_int_equal(r->egress->ports_count, 2);
    assert_int_equal(r->egress->ports[0], 443);
    recipe_free(r);

    static const struct {
        const char *how, *complaint;
    } rows[] = {
        { "mbit: 20, connections: 64", "pair.yaml:14: a key is missing: ports" },
        { "mbit: 20, connections: 64, ports: []", "pair.yaml:14: too few entries (0 of 1 min) in sequence." },
        { "mbit: 0, connections: 64, ports: [443]", "pair.yaml:14: egress.mbit must be 1 to 10000" },
        { "mbit: 20, connections: 513, ports: [443]", "pair.yaml:14: egress.connections must be 1 to 512" },
        { "mbit: 20, connections: 64, ports: [443, 0]", "pair.yaml:14: egress.ports[1] must be 1 to 65535" },
        { "mbit: 20, connections: 64, ports: [25]",
          "pair.yaml:14: egress.ports[0] is for mail, which may not be sent" },
        { "mbit: 20, connections: 64, ports: [443], any: true", "pair.yaml:14: there is no such key: any" },
    };
    for (size_t i = 0; i < countof(rows); i++) {
        assert_int_equal(read_text(let_out(rows[i].how), &r).code, ERR_INVALID);
        assert_string_equal(said, rows[i].complaint);
    }
}

#define LONG_63 "0123456789012345678901234567890123456789012345678901234567890123"

/* The base with state, kept by that command. */
static const char *keep_state(const char *command, const char *lost)
{
    char lines[512];
    snprintf(lines, sizeof lines, "state:\n  copy: %s\n  lost: %s\nsysctls:", command, lost);
    return changed("sysctls:", lines);
}

static void what_outlives_its_node_is_declared_with_who_keeps_it_and_what_is_lost(void **state)
{
    (void)state;
    struct recipe *r = the_recipe();
    assert_null(r->state);
    recipe_free(r);
    assert_int_equal(read_text(keep_state("[/bin/copy, \"${head}:1\"]", "jobs on the head"), &r).code,
                     ERR_NONE);
    assert_int_equal(r->state->copy_count, 2);
    assert_string_equal(r->state->lost, "jobs on the head");
    recipe_free(r);

    static const struct {
        const char *copy, *lost, *complaint;
    } rows[] = {
        { "[/bin/copy, \"${heads}\"]", "jobs",
          "pair.yaml:15: state.copy[1] uses a variable that is not there: heads" },
        { "[copy]", "jobs", "pair.yaml:15: state.copy[0] must be an absolute path" },
        { "[]", "jobs", "pair.yaml:15: too few entries (0 of 1 min) in sequence." },
        { "[/bin/copy]", LONG_63 LONG_63 "012345678901234567890123456789123",
          "pair.yaml:16: state.lost must be a line of at most 159 bytes" },
        { "[/bin/copy]\n  kept: 1", "jobs", "pair.yaml:16: there is no such key: kept" },
    };
    for (size_t i = 0; i < countof(rows); i++) {
        assert_int_equal(read_text(keep_state(rows[i].copy, rows[i].lost), &r).code, ERR_INVALID);
        assert_string_equal(said, rows[i].complaint);
    }
}

static void every_mistake_is_refused_with_its_line_and_reason(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *complaint;
    } rows[] = {
        /* no plain YAML */
        { "unit: machine", "unit: [machine", "6: did not find expected ',' or ']'" },
        { "unit: machine", "unit: machine\n\tx: 1", "6: found a tab character that violates indentation" },
        { "unit: machine", "unit: machine\nunit: gpu", "6: a key stands twice: unit" },
        { "on: any, protocol", "on: any, on: head, protocol", "39: a key stands twice: on" },
        { "ready: {", "---\nready: {", "43: a second document" },
        { "title: Pair", "title: \"Pa\\qir\"", "2: found unknown escape character" },
        { "unit: machine", "unit: \xff", "1: invalid leading UTF-8 octet" },
        /* not the shape */
        { "unit: machine", "unti: machine", "5: there is no such key: unti" },
        { "  every_ms: 1000", "  every: 1000", "34: there is no such key: every" },
        { "path: /a }", "path: /a, x: 1 }", "38: there is no such key: x" },
        { "image: pair\n", "", "1: a key is missing: image" },
        { "gid: 20002, ", "", "10: a key is missing: gid" },
        { "title: Talk, ", "", "39: a key is missing: title" },
        { "  every_ms: 1000\n", "", "32: a key is missing: every_ms" },
        { "  command: [/bin/worker, \"${head}:1\", \"${index}\"]", "  env: []",
          "30: a key is missing: command" },
        { "unit: machine", "unit: house", "5: none of the words allowed here: house" },
        { "on: any", "on: both", "39: none of the words allowed here: both" },
        { "exec: false", "exec: perhaps", "13: none of the words allowed here: perhaps" },
        { "port: 80", "port: eighty", "38: no number that fits here: 'eighty'" },
        { "port: 80", "port: 70000", "38: no number that fits here: '70000'" },
        { "uid: 20001", "uid: -1", "10: no number that fits here: '-1'" },
        { "nodes_max: 10", "nodes_max: 99999999999999999999",
          "6: no number that fits here: '99999999999999999999'" },
        { "nodes_max: 10", "nodes_max: 1.5", "6: nodes_max must be 1 to 2500" },
        { "nodes_max: 10", "nodes_max: 10x", "6: nodes_max must be 1 to 2500" },
        { "nodes_max: 10", "nodes_max: 010", "6: nodes_max must be 1 to 2500" },
        { "gid: 20002", "gid: 0x10", "10: user.gid must be 1 to 65534" },
        { "port: 80,", "port: 8e1,", "38: services[0].port must be 1 to 65535" },
        { "size_mib: 64", "size_mib: 64M", "12: tmpfs[0].size_mib must be 1 to 1048576" },
        { "mode: 0755", "mode: 0758", "13: tmpfs[1].mode must be octal, 0 to 01777 with a 0 ahead" },
        { "mode: 0755", "mode: 04755", "13: tmpfs[1].mode must be octal, 0 to 01777 with a 0 ahead" },
        { "secrets: [token, other]", "secrets: token", "21: expected SEQUENCE, got event: SCALAR" },
        { "title: Pair", "title: [Pair]", "2: expected STRING, got event: SEQUENCE_START" },
        { "title: Pair", "title:", "2: a text is shorter than 1: " },
        { "loss: { witness_ms: 3000, link_ms: 4000 }", "loss: 3000",
          "41: expected MAPPING, got event: SCALAR" },
        { "[/bin/alive, \"${head}\"]", "[]", "32: too few entries (0 of 1 min) in sequence." },
        { "secrets: [token, other]", "secrets: [token, other, a, b, c, d, e, f, g]",
          "21: too many entries (8 max) in sequence." },
        /* not the rules */
        { "name: pair", "name: Pair", "1: name must be a DNS label of at most 31 letters" },
        { "name: pair", "name: a0123456789012345678901234567890",
          "1: name must be a DNS label of at most 31 letters" },
        { "title: Pair", "title: \"a\\nb\"", "2: title must be a line of at most 63 bytes" },
        { "title: Pair", "title: " LONG_63, "2: title must be a line of at most 63 bytes" },
        { "about: Two that talk.", "about: |\n  Two\n  that", "3: about must be one line of text" },
        { "image: pair", "image: pair/latest", "4: image must be a DNS label of at most 31 letters" },
        { "nodes_max: 10", "nodes_max: 0", "6: nodes_max must be 1 to 2500" },
        { "nodes_max: 10", "nodes_max: 2501", "6: nodes_max must be 1 to 2500" },
        { "shm_percent: 25", "shm_percent: 91", "9: shm_percent must be 1 to 90" },
        { "uid: 20001", "uid: 0", "10: user.uid must be 1 to 65534" },
        { "home: /home/user", "home: home", "10: user.home must be an absolute path" },
        { "path: /tmp", "path: /tmp/../etc", "12: tmpfs[0].path must be an absolute path" },
        { "path: /tmp", "path: /", "12: tmpfs[0].path must be an absolute path" },
        { "path: /tmp", "path: /proc/x", "12: tmpfs[0].path would hide what the system needs" },
        { "path: /home/user, size", "path: /tmp, size", "13: tmpfs[1].path is there already" },
        { "size_mib: 32", "size_mib: 0", "13: tmpfs[1].size_mib must be 1 to 1048576" },
        { "mode: 01777", "mode: 1777", "12: tmpfs[0].mode must be octal, 0 to 01777 with a 0 ahead" },
        { "net.ipv4.tcp_retries2=6", "kernel.panic=6", "15: sysctls[0] must be net.NAME=VALUE" },
        { "net.ipv4.tcp_retries2=6", "net..x=6", "15: sysctls[0] must be net.NAME=VALUE" },
        { "net.core.somaxconn=512", "net.ipv4.tcp_retries2=7",
          "16: sysctls[1] sets a name that is set already" },
        { "MODE=calm", "MODE calm", "19: env[1] must be NAME=VALUE" },
        { "MODE=calm", "2MODE=calm", "19: env[1] must be NAME=VALUE" },
        { "MODE=calm", "HOME=/", "19: env[1] sets a name that is set already" },
        { "${secret.token}", "${secret.tokens}",
          "20: env[2] uses a variable that is not there: secret.tokens" },
        { "${secret.other}", "${other}", "28: head.env[0] uses a variable that is not there: other" },
        { "[token, other]", "[token, token]", "21: secrets[1] is there already" },
        { "[token, other]", "[token, other, a-b]", "21: secrets[2] must be letters, digits and '_'" },
        { "/bin/head", "head", "24: head.command[0] must be an absolute path" },
        { "${address}", "${adress}", "25: head.command[1] uses a variable that is not there: adress" },
        { "${address}", "${}", "25: head.command[1] uses a variable that is not there: " },
        { "${shm} $", "${shm", "26: head.command[2] uses a variable that is not there: shm" },
        { "${index}", "a\\tb", "30: worker.command[2] holds control characters or is not UTF-8" },
        { "/bin/alive", "alive", "32: witness.command[0] must be an absolute path" },
        { "every_ms: 1000", "every_ms: 50", "34: witness.every_ms must be 100 to 60000" },
        { "every_ms: 1000", "every_ms: 2000",
          "41: loss.witness_ms must be twice witness.every_ms at least: one line may be late" },
        { "timeout_ms: 60000", "timeout_ms: 2000",
          "42: ready.timeout_ms must be no less than witness.grace_ms" },
        { "name: talk", "name: ta--lk",
          "39: services[1].name must be a DNS label of at most 31 letters without \"--\"" },
        { "name: talk", "name: web", "39: services[1].name is there already" },
        { "port: 81", "port: 80", "39: services[1].port is another service's already" },
        { "port: 81", "port: 0", "39: services[1].port must be 1 to 65535" },
        { "protocol: tcp", "protocol: tcp, path: /", "39: services[1].path is for http only" },
        { "path: /a", "path: a", "38: services[0].path must start with '/'" },
        { "path: /a", "path: /" LONG_63 LONG_63, "38: services[0].path must be at most 127 bytes" },
        { "  through: web\n", "", "32: a key is missing: through" },
        { "through: web", "through: wed", "36: witness.through must name a service of the head" },
        { "{ name: web, title: A page, port: 80, on: head", "{ name: web, title: A page, port: 80, on: worker",
          "36: witness.through must name a service of the head" },
        { "AT=talk", "A T=talk", "40: services[1].env[0] must be NAME=VALUE" },
        { "KEY=${", "AT=${", "40: services[1].env[1] sets a name that is set already" },
        { "KEY=${secret.other}", "KEY=${head}",
          "40: services[1].env[1] uses a variable that is not there: head" },
        { "KEY=${secret.other}",
          "KEY=" LONG_63 LONG_63 LONG_63 LONG_63 LONG_63 LONG_63 LONG_63 LONG_63 LONG_63 LONG_63 LONG_63 LONG_63
              LONG_63 LONG_63 LONG_63 "${secret.other}",
          "40: services[1].env is longer than 1023 bytes with its secrets" },
    };
    int wrong = 0;
    for (size_t i = 0; i < countof(rows); i++) {
        char           expected[256];
        struct recipe *r = NULL;
        struct err     e = read_text(changed(rows[i].from, rows[i].to), &r);
        snprintf(expected, sizeof expected, "pair.yaml:%s", rows[i].complaint);
        if (e.code == ERR_INVALID && !r && strcmp(said, expected) == 0) continue;
        print_error("\"%s\" for \"%s\":\n is: %s\n not: %s\n", rows[i].to, rows[i].from, said, expected);
        wrong++;
    }
    assert_int_equal(wrong, 0);
}

static void aliases_and_bombs_of_them_are_refused(void **state)
{
    (void)state;
    struct recipe *r = NULL;
    assert_int_equal(read_text(changed("about: Two that talk.", "about: &a Two\nabove: *a"), &r).code,
                     ERR_INVALID);
    assert_int_equal(
        read_text(changed("title: Pair\nabout: Two that talk.", "title: &a Pair\nabout: *a"), &r).code,
        ERR_INVALID);
    assert_true(str_starts(str_from(said), STR("pair.yaml:3: ")));
}

static void an_empty_or_too_large_file_is_refused(void **state)
{
    (void)state;
    static char    large[RECIPE_BYTES_MAX + 2];
    struct recipe *r = NULL;
    assert_int_equal(read_text("", &r).code, ERR_INVALID);
    assert_string_equal(said, "pair.yaml:1: the file is empty");
    assert_int_equal(read_text("# nothing\n", &r).code, ERR_INVALID);
    assert_int_equal(read_text("just words\n", &r).code, ERR_INVALID);
    assert_string_equal(said, "pair.yaml:1: expected MAPPING, got event: SCALAR");

    memset(large, '\n', sizeof large - 1);
    assert_int_equal(read_text(large, &r).code, ERR_LIMIT);
    memset(large, '[', RECIPE_BYTES_MAX);
    large[RECIPE_BYTES_MAX] = 0;
    assert_int_equal(read_text(large, &r).code, ERR_INVALID);
}

static const struct recipe_vars vars = {
    .address      = { "10.99.0.2", 9 },
    .head         = { "10.99.0.1", 9 },
    .cluster      = { "0400000000000000", 16 },
    .index        = 2,
    .nodes        = 3,
    .cpus_milli   = 2500,
    .gpus         = 1,
    .memory_bytes = 100 * 4096,
    .secrets      = { { "s3cret", 6 }, { "${head}", 7 } },
};

static void assert_list(const char *const *list, const char *const *expected)
{
    for (; *expected; list++, expected++) {
        assert_non_null(*list);
        assert_string_equal(*list, *expected);
    }
    assert_null(*list);
}

static void a_head_is_expanded_with_its_environment_over_the_recipes(void **state)
{
    (void)state;
    char              memory[4096];
    struct arena      arena = ARENA_IN(memory, sizeof memory);
    struct recipe    *r     = the_recipe();
    struct recipe_run run;
    assert_int_equal(recipe_expand(r, RECIPE_HEAD, &vars, &arena, &run).code, ERR_NONE);
    recipe_free(r); /* what was expanded stands alone */
    assert_list(run.argv, (const char *const[]){ "/bin/head", "--at=10.99.0.2:1 of 3 in 0400000000000000",
                                                 "cost$5 2 1 307200 96000 $", NULL });
    /* a secret's value is not looked into again */
    assert_list(run.env, (const char *const[]){ "HOME=/home/user", "TOKEN=s3cret", "MODE=wild ${head}", NULL });
    assert_list(run.witness_argv, (const char *const[]){ "/bin/alive", "10.99.0.1", NULL });
}

static void a_worker_is_expanded_without_a_witness_that_is_not_for_it(void **state)
{
    (void)state;
    char              memory[4096];
    struct arena      arena = ARENA_IN(memory, sizeof memory);
    struct recipe    *r     = the_recipe();
    struct recipe_run run;
    assert_int_equal(recipe_expand(r, RECIPE_WORKER, &vars, &arena, &run).code, ERR_NONE);
    assert_list(run.argv, (const char *const[]){ "/bin/worker", "10.99.0.1:1", "2", NULL });
    assert_list(run.env, (const char *const[]){ "HOME=/home/user", "MODE=calm", "TOKEN=s3cret", NULL });
    assert_null(run.witness_argv);

    struct recipe_vars small = vars;
    small.cpus_milli         = 500; /* part of a CPU is one to programs */
    arena.used               = 0;
    assert_int_equal(recipe_expand(r, RECIPE_HEAD, &small, &arena, &run).code, ERR_NONE);
    assert_string_equal(run.argv[2], "cost$5 1 1 307200 96000 $");
    recipe_free(r);
}

static void a_worker_copies_the_state_and_a_head_in_a_lost_ones_place_is_told_where_it_is(void **state)
{
    (void)state;
    char               memory[4096];
    struct arena       arena = ARENA_IN(memory, sizeof memory);
    struct recipe     *r     = NULL;
    struct recipe_run  run;
    struct recipe_vars moved = vars;
    const char        *text  = keep_state("[/bin/copy, \"${head}:1\"]", "jobs on the head");
    char               both[4096];
    snprintf(both, sizeof both, "%s", text);
    char *cost = strstr(both, "cost$5 ${cpus}");
    assert_non_null(cost);
    memcpy(cost, "<${standby}>  ", strlen("cost$5 ${cpus}"));
    assert_int_equal(read_text(both, &r).code, ERR_NONE);

    assert_int_equal(recipe_expand(r, RECIPE_WORKER, &vars, &arena, &run).code, ERR_NONE);
    assert_list(run.copy_argv, (const char *const[]){ "/bin/copy", "10.99.0.1:1", NULL });
    assert_int_equal(recipe_expand(r, RECIPE_HEAD, &vars, &arena, &run).code, ERR_NONE);
    assert_null(run.copy_argv);
    assert_true(str_starts(str_from(run.argv[2]), STR("<> ")));
    moved.standby = STR("10.99.0.3");
    assert_int_equal(recipe_expand(r, RECIPE_HEAD, &moved, &arena, &run).code, ERR_NONE);
    assert_true(str_starts(str_from(run.argv[2]), STR("<10.99.0.3> ")));
    recipe_free(r);
}

static void a_services_user_is_given_its_secrets_and_a_place_for_the_address(void **state)
{
    (void)state;
    static const uint8_t cluster_secret[32] = { 7 };
    struct recipe       *r                  = the_recipe();
    char                 secret_room[RECIPE_SECRET_TEXT], room[RECIPE_SERVICE_ENV_TEXT], expected[256];
    struct text          secret = TEXT_IN(secret_room), t = TEXT_IN(room);
    recipe_secret(cluster_secret, STR("other"), &secret);
    snprintf(expected, sizeof expected, "AT=talk://${address}/$\nKEY=%s\n", text_z(&secret));
    recipe_service_env(recipe_service(r, STR("talk")), cluster_secret, &t);
    assert_string_equal(text_z(&t), expected);

    t = TEXT_IN(room);
    recipe_service_env(recipe_service(r, STR("web")), cluster_secret, &t);
    assert_string_equal(text_z(&t), "");
    recipe_free(r);
}

static void what_does_not_fit_is_an_error_and_not_cut_off(void **state)
{
    (void)state;
    static char        memory[65536], long_secret[5000];
    struct recipe     *r    = the_recipe();
    struct recipe_run  run  = { NULL, NULL, NULL, NULL };
    struct recipe_vars many = vars;
    for (size_t size = 0; size < 300; size += 16) {
        struct arena arena = ARENA_IN(memory, size);
        assert_int_equal(recipe_expand(r, RECIPE_HEAD, &vars, &arena, &run).code, ERR_LIMIT);
        assert_null(run.argv);
    }
    memset(long_secret, 'x', sizeof long_secret);
    many.secrets[0]    = (struct str){ long_secret, sizeof long_secret };
    struct arena arena = ARENA_IN(memory, sizeof memory);
    assert_int_equal(recipe_expand(r, RECIPE_HEAD, &many, &arena, &run).code, ERR_LIMIT);
    recipe_free(r);
}

/* ---- the recipes that are there ------------------------------------------------------------------------ */

static void read_file(const char *name)
{
    static char room[RECIPE_BYTES_MAX + 1], memory[65536];
    char        path[512];
    snprintf(path, sizeof path, "recipes/%s", name);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    size_t len = fread(room, 1, sizeof room, f);
    fclose(f);

    struct recipe    *r         = NULL;
    struct text       complaint = TEXT_IN(said);
    struct arena      arena     = ARENA_IN(memory, sizeof memory);
    struct err        e         = recipe_read((struct str){ room, len }, name, &r, &complaint);
    struct recipe_run run;
    if (e.code) fail_msg("%s", text_z(&complaint));
    char expected[300];
    snprintf(expected, sizeof expected, "%s.yaml", r->name);
    assert_string_equal(name, expected);
    assert_int_equal(recipe_expand(r, RECIPE_HEAD, &vars, &arena, &run).code, ERR_NONE);
    assert_int_equal(recipe_expand(r, RECIPE_WORKER, &vars, &arena, &run).code, ERR_NONE);
    recipe_free(r);
}

static void every_recipe_in_the_folder_reads(void **state)
{
    (void)state;
    DIR *folder = opendir("recipes");
    int  count  = 0;
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (!str_ends(str_from(entry->d_name), STR(".yaml"))) continue;
        read_file(entry->d_name);
        count++;
    }
    closedir(folder);
    assert_true(count > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_recipe_is_read_whole),
        cmocka_unit_test(what_may_be_left_out_is_then_empty),
        cmocka_unit_test(a_way_out_is_declared_or_there_is_none),
        cmocka_unit_test(what_outlives_its_node_is_declared_with_who_keeps_it_and_what_is_lost),
        cmocka_unit_test(every_mistake_is_refused_with_its_line_and_reason),
        cmocka_unit_test(aliases_and_bombs_of_them_are_refused),
        cmocka_unit_test(an_empty_or_too_large_file_is_refused),
        cmocka_unit_test(a_head_is_expanded_with_its_environment_over_the_recipes),
        cmocka_unit_test(a_worker_is_expanded_without_a_witness_that_is_not_for_it),
        cmocka_unit_test(a_worker_copies_the_state_and_a_head_in_a_lost_ones_place_is_told_where_it_is),
        cmocka_unit_test(a_services_user_is_given_its_secrets_and_a_place_for_the_address),
        cmocka_unit_test(what_does_not_fit_is_an_error_and_not_cut_off),
        cmocka_unit_test(every_recipe_in_the_folder_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
