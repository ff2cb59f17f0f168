/* test_ionetd.c: the real program, asked over TLS. */
#include "test_world_int.h"

#include <sqlite3.h>

static void a_signed_nonce_opens_an_account_and_the_key_is_shown_once(void **state)
{
    struct world *w = *state;
    char          key[64];
    sign_in(w, 1, "", key);
    assert_int_equal(get(w, "/v1/account", key), 200);
    assert_said(w, "balance_micros", "0");
    assert_null(strstr(w->said, key));

    char account[32];
    snprintf(account, sizeof account, "%s", said(w, "id"));
    sign_in(w, 1, ",\"name\":\"second\"", key);
    assert_said(w, "account", account);
}

static void a_wrong_signature_opens_nothing(void **state)
{
    struct world   *w = *state;
    struct sign_key other;
    char            who[64], stranger[64], signature[129], nonce[64];
    key_of(2, &other, who);
    key_of(3, &other, stranger);
    assert_int_equal(post(w, "/v1/session/nonce", NULL, "{\"public_key\":\"%s\"}", who), 200);
    snprintf(nonce, sizeof nonce, "%s", said(w, "nonce"));
    sign_message(&other, said(w, "message"), signature);
    assert_int_equal(post(w, "/v1/session", NULL,
                          "{\"public_key\":\"%s\",\"nonce\":\"%s\",\"signature\":\"%s\"}", who, nonce,
                          signature),
                     401);
    assert_detail(w, "signature");
    /* Another's nonce does not help either. */
    assert_int_equal(post(w, "/v1/session", NULL,
                          "{\"public_key\":\"%s\",\"nonce\":\"%s\",\"signature\":\"%s\"}", stranger, nonce,
                          signature),
                     401);
    assert_detail(w, "not known for this key");
}

static void a_nonce_is_good_once(void **state)
{
    struct world   *w = *state;
    struct sign_key pair;
    char            who[64], signature[129], nonce[64];
    key_of(4, &pair, who);
    assert_int_equal(post(w, "/v1/session/nonce", NULL, "{\"public_key\":\"%s\"}", who), 200);
    snprintf(nonce, sizeof nonce, "%s", said(w, "nonce"));
    sign_message(&pair, said(w, "message"), signature);
    static const char body[] = "{\"public_key\":\"%s\",\"nonce\":\"%s\",\"signature\":\"%s\"}";
    assert_int_equal(post(w, "/v1/session", NULL, body, who, nonce, signature), 201);
    assert_int_equal(post(w, "/v1/session", NULL, body, who, nonce, signature), 401);
    assert_detail(w, "has been used");
}

static void a_key_ends_when_it_expires_and_when_it_is_ended(void **state)
{
    struct world *w = *state;
    char          key[64];
    sign_in(w, 5, ",\"valid_ms\":1000", key);
    assert_int_equal(get(w, "/v1/account", key), 200);
    world_until(w, false, 1300);
    assert_int_equal(get(w, "/v1/account", key), 401);

    sign_in(w, 5, "", key);
    assert_int_equal(call(w, "DELETE", "/v1/session", key, STR("")), 204);
    assert_int_equal(get(w, "/v1/account", key), 401);
    assert_int_equal(get(w, "/v1/account", NULL), 401);
    assert_int_equal(get(w, "/v1/account", "ionet_none"), 401);
}

static void scopes_and_the_operators_rights_are_kept(void **state)
{
    struct world *w = *state;
    char          reader[64], user[64];
    sign_in(w, 6, ",\"scopes\":[\"read\"]", reader);
    sign_in(w, 6, "", user);
    assert_int_equal(get(w, "/v1/clusters", reader), 200);
    assert_int_equal(post(w, "/v1/quotes", reader, "{\"recipe\":\"web\",\"quantity\":1,\"duration_ms\":60000}"),
                     403);
    assert_int_equal(post(w, "/v1/join-tokens", reader, "{\"for\":\"device\"}"), 403);
    assert_int_equal(post(w, "/v1/join-tokens", user, "{\"for\":\"gateway\"}"), 403);
    assert_int_equal(post(w, "/v1/grants", user, "{\"account\":\"%s\",\"amount_micros\":1}", w->operator_text),
                     403);
    assert_int_equal(get(w, "/v1/books", user), 403);

    char operator[64], narrow[64];
    sign_in(w, OPERATOR_FILL, "", operator);
    sign_in(w, OPERATOR_FILL, ",\"scopes\":[\"read\",\"clusters\"]", narrow);
    assert_int_equal(get(w, "/v1/books", operator), 200);
    assert_int_equal(get(w, "/v1/books", narrow), 403);
}

struct bad {
    const char *body;
    unsigned    status;
    const char *detail;
};

static void bad_requests_are_refused_with_their_place(void **state)
{
    static const struct bad rows[] = {
        { "", 400, "not JSON" },
        { "{\"recipe\":\"web\",", 400, "line 1" },
        { "[1,2]", 400, "an object" },
        { "{\"recipe\":\"web\",\"quantity\":1}", 400, "duration_ms: is missing" },
        { "{\"recipe\":\"web\",\"quantity\":1,\"duration_ms\":60000,\"speed\":9}", 400, "speed" },
        { "{\"recipe\":\"web\",\"quantity\":1,\"duration_ms\":60000,\"total_micros\":0}", 400,
          "not yours to set" },
        { "{\"recipe\":\"web\",\"quantity\":1,\"quantity\":2,\"duration_ms\":60000}", 400, "twice" },
        { "{\"recipe\":\"web\",\"quantity\":\"1\",\"duration_ms\":60000}", 400, "quantity" },
        { "{\"recipe\":\"web\",\"quantity\":1.5,\"duration_ms\":60000}", 400, "quantity" },
        { "{\"recipe\":\"web\",\"quantity\":9007199254740992,\"duration_ms\":60000}", 400, "quantity" },
        { "{\"recipe\":\"web\",\"quantity\":0,\"duration_ms\":60000}", 400, "quantity: a whole number from 1" },
        { "{\"recipe\":\"web\",\"quantity\":1,\"duration_ms\":0}", 400, "duration_ms" },
        { "{\"recipe\":\"web\",\"quantity\":1,\"duration_ms\":32000000000}", 400, "duration_ms" },
        { "{\"recipe\":\"web\",\"quantity\":5,\"duration_ms\":60000}", 400, "more nodes than this recipe" },
        { "{\"recipe\":\"nothing\",\"quantity\":1,\"duration_ms\":60000}", 404, "no such recipe" },
        { "{\"a\":[[[[[[[[[[1]]]]]]]]]]}", 400, "levels" },
        { "{\"recipe\":\"w\\u0000eb\",\"quantity\":1,\"duration_ms\":60000}", 400, "" },
    };
    struct world *w = *state;
    char          key[64];
    sign_in(w, 7, "", key);
    for (size_t k = 0; k < countof(rows); k++) {
        unsigned status = call(w, "POST", "/v1/quotes", key, str_from(rows[k].body));
        if (status != rows[k].status || !strstr(said(w, "detail"), rows[k].detail))
            fail_msg("row %zu: %u %s", k, status, w->said);
        assert_int_equal(said_number(w, "status"), status);
        assert_true(str_starts(str_from(said(w, "type")), STR("about:blank#")));
    }
    static char large[API_BODY_BYTES_MAX + 1];
    memset(large, ' ', sizeof large);
    assert_int_equal(call(w, "POST", "/v1/quotes", key, (struct str){ large, sizeof large }), 413);
    assert_int_equal(said_number(w, "status"), 413);
    assert_string_equal(said(w, "type"), "about:blank#limit");
    assert_int_equal(get(w, "/v1/account", key), 200);
}

static void who_asks_too_often_is_told_to_wait_and_a_key_has_a_rate_of_its_own(void **state)
{
    struct world *w = *state;
    char          key[64];
    sign_in(w, 9, "", key);
    assert_int_equal(world_stop(w, SIGTERM), 0);
    snprintf(w->extra, sizeof w->extra, "--requests_per_address=2");
    world_start(w);
    unsigned served = 0;
    while (served < 100 && get(w, "/healthz", NULL) == 200) served++;
    assert_in_range(served, 20, 60); /* ten seconds' worth, and two more for each second that this took */
    assert_int_equal(w->status, 429);
    assert_detail(w, "too often without a key");
    assert_int_equal(get(w, "/v1/account", "ionet_none"), 429); /* a key that is none is no key */
    assert_int_equal(get(w, "/v1/account", key), 200);
    world_until(w, false, 600);
    assert_int_equal(get(w, "/healthz", NULL), 200);

    assert_int_equal(world_stop(w, SIGTERM), 0);
    snprintf(w->extra, sizeof w->extra, "--requests_per_account=2");
    world_start(w);
    for (served = 0; served < 100 && get(w, "/v1/account", key) == 200;) served++;
    assert_in_range(served, 20, 60);
    assert_detail(w, "this account asks too often");
    assert_int_equal(get(w, "/healthz", NULL), 200);
    w->extra[0] = 0;
    assert_int_equal(world_stop(w, SIGTERM), 0);
    world_start(w);
}

static void paths_and_methods_that_are_none_are_told(void **state)
{
    struct world *w = *state;
    char          key[64];
    sign_in(w, 8, "", key);
    assert_int_equal(get(w, "/v1/nothing", key), 404);
    assert_int_equal(call(w, "DELETE", "/v1/account", key, STR("")), 405);
    assert_int_equal(get(w, "/v1/link", key), 426);
    assert_int_equal(get(w, "/v1/clusters?limit=0", key), 400);
    assert_int_equal(get(w, "/v1/clusters?limit=201", key), 400);
    assert_int_equal(get(w, "/v1/clusters?order=up", key), 400);
    assert_int_equal(get(w, "/v1/clusters/", key), 404);
    assert_int_equal(get(w, "/v1/clusters/none", key), 404);
    assert_int_equal(get(w, "/v1/devices/0000000000000000", key), 404);
}

static void a_quote_says_how_many_there_are(void **state)
{
    struct world  *w = *state;
    struct machine m = { .lie = false };
    char           supplier[64], user[64];
    sign_in(w, 9, "", supplier);
    sign_in(w, 10, "", user);
    static const char body[] = "{\"recipe\":\"web\",\"quantity\":%d,\"duration_ms\":3600000}";
    assert_int_equal(post(w, "/v1/quotes", user, body, 2), 409);
    assert_said(w, "available", "0");
    device_ready(&m, w, supplier, 0x21);
    assert_int_equal(post(w, "/v1/quotes", user, body, 2), 409);
    assert_said(w, "available", "1");
    assert_said(w, "type", "about:blank#capacity");
    assert_int_equal(post(w, "/v1/quotes", user, body, 1), 201);
    assert_said(w, "total_micros", "3600000");

    char id[32], path[64];
    snprintf(id, sizeof id, "%s", said(w, "id"));
    snprintf(path, sizeof path, "/v1/quotes/%s", id);
    assert_int_equal(get(w, path, user), 200);
    assert_int_equal(get(w, path, supplier), 404);
    assert_int_equal(post(w, "/v1/clusters", user, "{\"quote\":\"%s\"}", id), 409);
    assert_detail(w, "gateway");
    machine_leave(&m);
}

static void who_holds_too_many_open_quotes_is_told_so(void **state)
{
    static const char body[] = "{\"recipe\":\"web\",\"quantity\":1,\"duration_ms\":60000}";
    struct world     *w      = *state;
    struct machine    m      = { .lie = false };
    char              user[64], other[64];
    sign_in(w, 16, "", user);
    sign_in(w, 17, "", other);
    device_ready(&m, w, other, 0x23);
    for (int k = 0; k < ACCOUNT_QUOTES_MAX; k++) assert_int_equal(post(w, "/v1/quotes", user, body), 201);
    assert_int_equal(post(w, "/v1/quotes", user, body), 429);
    assert_detail(w, "too many open quotes");
    assert_int_equal(said_number(w, "most"), ACCOUNT_QUOTES_MAX);
    assert_int_equal(post(w, "/v1/quotes", other, body), 201);
    machine_leave(&m);
}

static void another_ones_device_does_not_exist(void **state)
{
    struct world  *w = *state;
    struct machine m = { .lie = false };
    char           owner[64], other[64], path[96];
    sign_in(w, 11, "", owner);
    sign_in(w, 12, "", other);
    device_ready(&m, w, owner, 0x22);
    assert_int_equal(get(w, "/v1/devices", owner), 200);
    const char *at = strstr(w->said, "\"id\":\"");
    assert_non_null(at);
    snprintf(path, sizeof path, "/v1/devices/%.16s", at + 6);
    assert_int_equal(get(w, path, owner), 200);
    assert_int_equal(get(w, path, other), 404);
    assert_int_equal(call(w, "DELETE", path, other, STR("")), 404);
    assert_int_equal(get(w, "/v1/devices", other), 200);
    assert_null(strstr(w->said, "machine-22"));

    assert_int_equal(call(w, "DELETE", path, owner, STR("")), 200);
    assert_said(w, "state", "retired");
    world_wait_for(w, m.closed);
    assert_non_null(strstr(m.why, "retired"));
}

/* ---- what anybody may see ------------------------------------------------------------------------------------------- */

static void recipes_are_shown_and_given_by_their_hash(void **state)
{
    struct world *w = *state;
    char          path[128];
    assert_int_equal(get(w, "/v1/recipes", NULL), 200);
    assert_non_null(strstr(w->said, "\"name\":\"pages\""));
    assert_int_equal(get(w, "/v1/recipes/web", NULL), 200);
    assert_said(w, "image", WORLD_IMAGE);
    snprintf(path, sizeof path, "/v1/recipes/%s", said(w, "hash"));
    assert_int_equal(get(w, path, NULL), 200);
    assert_string_equal(w->said, world_recipe);
    assert_int_equal(get(w, "/v1/recipes/nothing", NULL), 404);
}

/* Each line is a comment or NAME{LABEL="VALUE"} NUMBER, and every name has its HELP and TYPE before. */
static void metrics_are_what_prometheus_reads(void **state)
{
    struct world *w         = *state;
    char          type[128] = "";
    unsigned      lines     = 0;
    assert_int_equal(get(w, "/metrics", NULL), 200);
    for (char *line = strtok(w->said, "\n"); line; line = strtok(NULL, "\n")) {
        if (sscanf(line, "# TYPE %127s", type) == 1 || strncmp(line, "# HELP ", 7) == 0) continue;
        size_t name = strcspn(line, "{ ");
        assert_int_equal(strncmp(line, type, name), 0);
        assert_int_equal(strlen(type), name);
        char *end;
        strtoull(strrchr(line, ' ') + 1, &end, 10);
        assert_string_equal(end, "");
        lines++;
    }
    assert_true(lines > 20);
}

static int64_t accounts_shown(struct world *w)
{
    assert_int_equal(get(w, "/metrics", NULL), 200);
    const char *line = strstr(w->said, "\nionet_accounts ");
    assert_non_null(line);
    return strtoll(line + strlen("\nionet_accounts "), NULL, 10);
}

static void tables_are_counted_once_a_second_however_many_ask(void **state)
{
    struct world *w    = *state;
    uint64_t      from = net_now_ms(w->net);
    int64_t       last = accounts_shown(w), shown, first = last;
    uint64_t      counted = 1;
    char          key[64];
    for (uint8_t k = 0; k < 30; k++) {
        sign_in(w, (uint8_t)(0x80 + k), "", key);
        shown = accounts_shown(w);
        counted += shown != last;
        last = shown;
    }
    assert_true(counted <= 2 + (net_now_ms(w->net) - from) / 1000);
    world_until(w, (shown = accounts_shown(w)) == first + 30, WORLD_PATIENCE_MS);
    assert_int_equal(shown, first + 30);
}

static void health_names_the_epoch_and_it_grows(void **state)
{
    struct world *w = *state;
    assert_int_equal(get(w, "/healthz", NULL), 200);
    int64_t epoch = said_number(w, "epoch");
    assert_int_equal(world_stop(w, SIGTERM), 0);
    world_start(w);
    assert_int_equal(get(w, "/healthz", NULL), 200);
    assert_int_equal(said_number(w, "epoch"), epoch + 1);
}

/* ---- money, and what was told ------------------------------------------------------------------------------------------ */

static void grants_move_money_and_are_listed_page_by_page(void **state)
{
    struct world *w = *state;
    char          operator[64], user[64], account[32];
    sign_in(w, OPERATOR_FILL, "", operator);
    sign_in(w, 13, "", user);
    snprintf(account, sizeof account, "%s", said(w, "account"));
    for (int k = 1; k <= 5; k++)
        assert_int_equal(
            post(w, "/v1/grants", operator, "{\"account\":\"%s\",\"amount_micros\":%d}", account, k), 200);
    assert_said(w, "balance_micros", "15");
    assert_int_equal(post(w, "/v1/grants", operator, "{\"account\":\"%s\",\"amount_micros\":0}", account), 400);
    assert_int_equal(post(w, "/v1/grants", operator, "{\"account\":\"zzzz\",\"amount_micros\":1}"), 404);

    char cursor[32] = "", path[96];
    int  seen       = 0;
    do {
        snprintf(path, sizeof path, "/v1/account/transfers?limit=2%s%s", cursor[0] ? "&cursor=" : "", cursor);
        assert_int_equal(get(w, path, user), 200);
        for (char *at = w->said; (at = strstr(at, "\"change_micros\":")); at++)
            assert_int_equal(atoi(at + 16), 5 - seen++);
        snprintf(cursor, sizeof cursor, "%s", said(w, "next"));
    } while (cursor[0]);
    assert_int_equal(seen, 5);
    assert_int_equal(get(w, "/v1/books", operator), 200);
    assert_said(w, "sum_micros", "0");
}

/* Grants of one micro, one after another, until the program is killed: afterwards the balance is at least what was
 * acknowledged and at most what was sent. */
static void what_was_told_survives_kill_9(void **state)
{
    struct world *w = *state;
    char          operator[64], user[64], account[32];
    sign_in(w, OPERATOR_FILL, "", operator);
    sign_in(w, 14, "", user);
    snprintf(account, sizeof account, "%s", said(w, "account"));
    int told = 0;
    for (int round = 0; round < 3; round++) {
        pid_t killer = fork();
        if (killer == 0) {
            usleep(200000 + 70000 * (useconds_t)round);
            kill(w->pid, SIGKILL);
            _exit(0);
        }
        int sent = told;
        for (;;) {
            sent++;
            if (post(w, "/v1/grants", operator, "{\"account\":\"%s\",\"amount_micros\":1}", account) != 200)
                break;
            told++;
        }
        assert_true(told > 0);
        assert_int_equal(world_wait(w), -1);
        waitpid(killer, NULL, 0);
        world_start(w);
        assert_int_equal(get(w, "/v1/account", user), 200);
        int64_t balance = said_number(w, "balance_micros");
        assert_true(balance >= told && balance <= sent);
        told = (int)balance;
    }
    assert_int_equal(get(w, "/v1/books", operator), 200);
    assert_said(w, "sum_micros", "0");
}

static void change_store(const struct world *w, const char *sql)
{
    char     path[128];
    sqlite3 *db = NULL;
    snprintf(path, sizeof path, "%s/state/network.db", w->dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_changes(db), 1);
    sqlite3_close(db);
}

static void a_store_that_does_not_add_up_is_not_served(void **state)
{
    struct world *w = *state;
    char          operator[64], user[64];
    sign_in(w, OPERATOR_FILL, "", operator);
    sign_in(w, 15, "", user);
    assert_int_equal(
        post(w, "/v1/grants", operator, "{\"account\":\"%s\",\"amount_micros\":5000}", said(w, "account")),
        200);
    assert_int_equal(world_stop(w, SIGTERM), 0);
    change_store(w, "UPDATE ledger_accounts SET balance_micros = 5001 WHERE balance_micros = 5000");
    world_spawn(w);
    assert_int_equal(world_wait(w), 1);
    assert_true(world_log_has(w, "the books do not sum to zero", NULL, 0));
    /* Money taken from another: the sum is zero again, but no transfer says so. */
    change_store(w, "UPDATE ledger_accounts SET balance_micros = balance_micros - 1 WHERE kind = 'outside'");
    world_spawn(w);
    assert_int_equal(world_wait(w), 1);
    assert_true(world_log_has(w, "does not hold what was transferred", NULL, 0));
    change_store(w, "UPDATE ledger_accounts SET balance_micros = balance_micros + 1 WHERE kind = 'outside'");
    change_store(w, "UPDATE ledger_accounts SET balance_micros = 5000 WHERE balance_micros = 5001");
    world_start(w);
    assert_int_equal(get(w, "/v1/account", user), 200);
    assert_said(w, "balance_micros", "5000");
}

static void two_never_share_a_state_folder(void **state)
{
    struct world *w     = *state;
    struct world  other = *w;
    world_spawn(&other);
    assert_int_equal(world_wait(&other), 1);
    assert_true(world_log_has(w, "another ionetd uses this state_dir", NULL, 0));
    assert_int_equal(get(w, "/healthz", NULL), 200);
}

/* ---- mistakes of who starts it ---------------------------------------------------------------------------------------------- */

static void a_wrong_recipe_is_refused_with_its_line(void **state)
{
    struct world *w = *state;
    assert_int_equal(world_stop(w, SIGTERM), 0);
    world_write(w, "recipes/zzz.yaml", "name: zzz\ntitle: Z\nunit: moons\n");
    world_spawn(w);
    assert_int_equal(world_wait(w), 1);
    assert_true(world_log_has(w, "recipes/zzz.yaml:", NULL, 0));
    char path[96];
    snprintf(path, sizeof path, "%s/recipes/zzz.yaml", w->dir);
    unlink(path);
    world_start(w);
}

#define OTHER_IMAGE \
    "registry.test:5000/web@sha256:abcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcd"

static void configuration_says_what_is_wrong(void **state)
{
    struct world *w         = *state;
    static char  *rows[][4] = {
        { "ionetd", "--state_dir", "x", NULL },
        { "ionetd", "--port=99999", NULL, NULL },
        { "ionetd", "--moon=1", NULL, NULL },
        { "ionetd", "--image=ray=plain:tag", NULL, NULL },
        { "ionetd", "--config=/nowhere/ionetd.conf", NULL, NULL },
        { "ionetd", "--host=h", "--state_dir=s", "--operator=0OIl" },
        { "ionetd", "--host=h", "--state_dir=s", "--log_level=loud" },
        { "ionetd", "--host=h", "--state_dir=s", "--limits=none" },
        { "ionetd", "--host=h", "--state_dir=s", "--domain=.a" },
    };
    (void)w;
    for (size_t k = 0; k < countof(rows); k++) {
        static struct config c;
        char                 room[256];
        struct text          complaint = TEXT_IN(room);
        int                  count     = 0;
        while (count < 4 && rows[k][count]) count++;
        assert_int_not_equal(config_read(&c, count, rows[k], &complaint).code, ERR_NONE);
        assert_true(complaint.len > 0);
    }
    char file[96], flag[128];
    snprintf(file, sizeof file, "%s/ionetd.conf", w->dir);
    snprintf(flag, sizeof flag, "--config=%s", file);
    world_write(w, "ionetd.conf",
                "# a network\nhost = gpu.example\nstate_dir=/s\n\nport = 7000\nimage = web=" WORLD_IMAGE "\n");
    static struct config c;
    char                 room[256];
    struct text          complaint = TEXT_IN(room);
    char                *argv[]    = { "ionetd", "--port", "7001", flag };
    assert_int_equal(config_read(&c, 4, argv, &complaint).code, ERR_NONE);
    assert_int_equal(c.port, 7001);
    assert_string_equal(c.host, "gpu.example");
    assert_string_equal(config_image(&c, "web"), WORLD_IMAGE);
    char *argv_image[] = { "ionetd", "--image", "web=" OTHER_IMAGE, flag };
    assert_int_equal(config_read(&c, 4, argv_image, &complaint).code, ERR_NONE);
    assert_string_equal(config_image(&c, "web"), OTHER_IMAGE);
    world_write(w, "ionetd.conf", "host = h\nstate_dir = s\nport 5\n");
    assert_int_equal(config_read(&c, 4, argv, &complaint).code, ERR_INVALID);
    assert_true(str_ends(text_str(&complaint), STR("ionetd.conf:3")));
}

int main(int argc, char **argv)
{
    int status;
    if (world_is_program(argc, argv, &status)) return status;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signed_nonce_opens_an_account_and_the_key_is_shown_once),
        cmocka_unit_test(a_wrong_signature_opens_nothing),
        cmocka_unit_test(a_nonce_is_good_once),
        cmocka_unit_test(a_key_ends_when_it_expires_and_when_it_is_ended),
        cmocka_unit_test(scopes_and_the_operators_rights_are_kept),
        cmocka_unit_test(bad_requests_are_refused_with_their_place),
        cmocka_unit_test(who_asks_too_often_is_told_to_wait_and_a_key_has_a_rate_of_its_own),
        cmocka_unit_test(paths_and_methods_that_are_none_are_told),
        cmocka_unit_test(a_quote_says_how_many_there_are),
        cmocka_unit_test(who_holds_too_many_open_quotes_is_told_so),
        cmocka_unit_test(another_ones_device_does_not_exist),
        cmocka_unit_test(recipes_are_shown_and_given_by_their_hash),
        cmocka_unit_test(metrics_are_what_prometheus_reads),
        cmocka_unit_test(tables_are_counted_once_a_second_however_many_ask),
        cmocka_unit_test(health_names_the_epoch_and_it_grows),
        cmocka_unit_test(grants_move_money_and_are_listed_page_by_page),
        cmocka_unit_test(what_was_told_survives_kill_9),
        cmocka_unit_test(a_store_that_does_not_add_up_is_not_served),
        cmocka_unit_test(two_never_share_a_state_folder),
        cmocka_unit_test(a_wrong_recipe_is_refused_with_its_line),
        cmocka_unit_test(configuration_says_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, world_make, world_end);
}
