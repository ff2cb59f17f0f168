/* What one account may hold open of tables that all share: more is refused, and what is over makes room. */
#include "with_story_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct err ask_quote(struct account_id who, struct id *quote, uint64_t *count)
{
    struct input in = { .kind    = INPUT_QUOTE,
                        .account = who,
                        .quote   = { .recipe = "ray", .quantity = 1, .duration = { MS_PER_HOUR } } };
    return world_ask(&w, &in, quote, count);
}

static struct err ask_key(uint8_t seed, uint32_t number, struct id *key)
{
    struct input in = { .kind = INPUT_SIGN_IN, .sign_in = { .scopes = SCOPE_ALL, .valid = { MS_PER_DAY } } };
    in.sign_in.public_key[0] = seed;
    memcpy(in.sign_in.key_hash + 1, &number, sizeof number);
    in.sign_in.key_hash[0] = seed;
    if (key) *key = network_tag(in.sign_in.key_hash);
    return world_ask(&w, &in, NULL, NULL);
}

static struct err ask_token(struct account_id who, uint32_t number, uint8_t hash[32], uint64_t *count)
{
    struct input in = { .kind    = INPUT_TOKEN,
                        .account = who,
                        .token   = { .purpose = TOKEN_DEVICE, .valid = { MS_PER_DAY } } };
    memcpy(in.token.hash + 4, &number, sizeof number);
    memcpy(in.token.hash + 8, who.id.bytes, sizeof who.id.bytes);
    memcpy(hash, in.token.hash, sizeof in.token.hash);
    return world_ask(&w, &in, NULL, count);
}

static void one_account_does_not_fill_the_quotes_of_all(void **state)
{
    (void)state;
    struct id first, quote, cluster;
    uint64_t  count = 0;
    world_come(&w, 3);
    assert_int_equal(ask_quote(w.user, &first, NULL).code, ERR_NONE);
    for (int i = 1; i < ACCOUNT_QUOTES_MAX; i++)
        assert_int_equal(ask_quote(w.user, &quote, NULL).code, ERR_NONE);
    assert_int_equal(ask_quote(w.user, &quote, &count).code, ERR_LIMIT);
    assert_int_equal(count, ACCOUNT_QUOTES_MAX);
    assert_int_equal(ask_quote(w.supplier, &quote, NULL).code, ERR_NONE);

    assert_int_equal(world_create(&w, first, &cluster, NULL).code, ERR_NONE);
    assert_int_equal(ask_quote(w.user, &quote, NULL).code, ERR_NONE);
    assert_int_equal(ask_quote(w.user, &quote, NULL).code, ERR_LIMIT);
    world_restart(&w); /* counted anew, it is as many */
    for (int i = 0; i < 3; i++) {
        assert_int_equal(world_link(&w, i, 1, false).code, ERR_NONE);
        world_report(&w, i);
    }
    assert_int_equal(ask_quote(w.user, &quote, NULL).code, ERR_LIMIT);
    world_pass(&w, QUOTE_VALID_MS);
    world_pass(&w, 2 * NETWORK_TICK_MS); /* a row that is removed goes with the next step */
    assert_int_equal(w.n.quotes.live, 0);
    assert_int_equal(ask_quote(w.user, &quote, NULL).code, ERR_NONE);
}

static void one_account_does_not_fill_the_keys_of_all(void **state)
{
    (void)state;
    struct id key, other;
    for (uint32_t i = 0; i < ACCOUNT_KEYS_MAX; i++) assert_int_equal(ask_key(77, i, &key).code, ERR_NONE);
    assert_int_equal(ask_key(77, ACCOUNT_KEYS_MAX, &other).code, ERR_LIMIT);
    assert_null(table_find(&w.n.keys, other));
    assert_int_equal(ask_key(78, 0, NULL).code, ERR_NONE);

    const struct api_key *k   = table_find(&w.n.keys, key);
    struct input          end = { .kind = INPUT_KEY_END, .account = k->account, .subject = key };
    assert_int_equal(world_ask(&w, &end, NULL, NULL).code, ERR_NONE);
    assert_int_equal(ask_key(77, ACCOUNT_KEYS_MAX, NULL).code, ERR_NONE);
    assert_int_equal(ask_key(77, ACCOUNT_KEYS_MAX + 1, NULL).code, ERR_LIMIT);
    world_pass(&w, MS_PER_DAY + 400); /* all have expired */
    assert_int_equal(ask_key(77, ACCOUNT_KEYS_MAX + 1, NULL).code, ERR_NONE);
}

static void one_account_does_not_fill_the_join_tokens_of_all(void **state)
{
    (void)state;
    uint8_t  hash[32];
    uint64_t count = 0;
    for (uint32_t i = 0; i < ACCOUNT_TOKENS_MAX; i++)
        assert_int_equal(ask_token(w.user, i, hash, NULL).code, ERR_NONE);
    assert_int_equal(ask_token(w.user, ACCOUNT_TOKENS_MAX, hash, &count).code, ERR_LIMIT);
    assert_int_equal(count, ACCOUNT_TOKENS_MAX);
    assert_int_equal(ask_token(w.supplier, 0, hash, NULL).code, ERR_NONE);

    struct input up = { .kind = INPUT_LINK_UP, .session = 9, .link = { .has_token = true } };
    assert_int_equal(ask_token(w.user, 0, hash, NULL).code,
                     ERR_LIMIT); /* it gives the hash of the first again */
    memcpy(up.link.token_hash, hash, sizeof up.link.token_hash);
    world_step(&w, &up);
    assert_non_null(world_effect(&w, EFFECT_WELCOME));
    assert_int_equal(ask_token(w.user, ACCOUNT_TOKENS_MAX, hash, NULL).code, ERR_NONE);
    assert_int_equal(ask_token(w.user, ACCOUNT_TOKENS_MAX + 1, hash, NULL).code, ERR_LIMIT);
    world_pass(&w, 2 * (int64_t)MS_PER_DAY);
    world_pass(&w, 2 * NETWORK_TICK_MS);
    assert_int_equal(w.n.grants.live, 0);
    assert_int_equal(ask_token(w.user, ACCOUNT_TOKENS_MAX + 1, hash, NULL).code, ERR_NONE);
}

static void who_has_no_account_opens_nothing(void **state)
{
    (void)state;
    struct account_id nobody = { { { 9 } } };
    struct id         quote;
    uint8_t           hash[32];
    world_come(&w, 1);
    assert_int_equal(ask_quote(nobody, &quote, NULL).code, ERR_MISSING);
    assert_int_equal(ask_token(nobody, 0, hash, NULL).code, ERR_MISSING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_account_does_not_fill_the_quotes_of_all),
        TEST(one_account_does_not_fill_the_keys_of_all),
        TEST(one_account_does_not_fill_the_join_tokens_of_all),
        TEST(who_has_no_account_opens_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
