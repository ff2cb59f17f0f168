#include "reader.h"
#include "with_store_int.h"

#include "sys/log.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct gift {
    uint64_t          number;
    struct account_id from; /* "from" is a word of SQL's own */
    struct account_id to;
};

static const struct field gift_fields[] = {
    FIELD_U64(struct gift, number, 1, RECORD_INT_MAX, SEEN_PUBLIC, STORED | KEY, "its number"),
    FIELD_ID(struct gift, from, SEEN_PUBLIC, STORED, "who gave"),
    FIELD_ID(struct gift, to, SEEN_PUBLIC, STORED, "who got"),
};
static const struct record_type gift_type = RECORD_TYPE("gift", "gifts", struct gift, gift_fields, "a gift");

static struct account_id person(uint8_t number)
{
    return (struct account_id){ { { number } } };
}

/* Gift n goes from person n % 4 to person n / 4 % 4: some give to themselves, and person 0 is no id. */
static struct store *opened_with_gifts(uint64_t count)
{
    static const struct record_type *const types[]   = { &gift_type };
    static const char *const               indexes[] = {
        "CREATE INDEX IF NOT EXISTS gifts_from ON gifts (\"from\", number)",
        "CREATE INDEX IF NOT EXISTS gifts_to ON gifts (\"to\", number)",
    };
    struct store_options o = store_options();
    struct store        *s = NULL;
    o.types                = types;
    o.type_count           = countof(types);
    o.indexes              = indexes;
    o.index_count          = countof(indexes);
    assert_int_equal(open_with(&o, &s).code, ERR_NONE);
    for (uint64_t n = 1; n <= count; n++)
        put(s, &gift_type, &(struct gift){ n, person(n % 4), person(n / 4 % 4) });
    commit(s);
    return s;
}

static struct store_reader *reader(void)
{
    struct store_reader *r = NULL;
    assert_int_equal(store_reader_open(store_path, &r).code, ERR_NONE);
    return r;
}

struct seen {
    struct gift gifts[64];
    uint32_t    count, most;
};

static struct err see(void *context, const void *record)
{
    struct seen *s = context;
    if (s->count == s->most) return ERR(LIMIT, "enough");
    s->gifts[s->count++] = *(const struct gift *)record;
    return OK;
}

/* What the query should find, counted without SQL. */
static void assert_found(struct store_reader *r, const struct store_query *q, bool (*is_wanted)(uint64_t n))
{
    struct seen s     = { .most = countof(s.gifts) };
    uint32_t    count = 0;
    assert_int_equal(store_read(r, q, see, &s).code, ERR_NONE);
    for (uint64_t n = q->before > 48 ? 48 : q->before - 1; n > 0 && count < q->limit; n--) {
        if (!is_wanted(n)) continue;
        assert_true(count < s.count);
        assert_int_equal(s.gifts[count].number, n);
        assert_true(id_eq(s.gifts[count].from.id, person(n % 4).id));
        assert_true(id_eq(s.gifts[count].to.id, person(n / 4 % 4).id));
        count++;
    }
    assert_int_equal(s.count, count);
}

static bool is_from_1(uint64_t n)
{
    return n % 4 == 1;
}

static bool is_of_1_or_2(uint64_t n)
{
    uint64_t from = n % 4, to = n / 4 % 4;
    return from == 1 || from == 2 || to == 1 || to == 2;
}

static void rows_come_newest_first_and_each_once(void **state)
{
    (void)state;
    static const char *const fields[]  = { "from", "to" };
    struct id                ids[]     = { person(1).id, person(2).id };
    struct store            *s         = opened_with_gifts(48);
    struct store_reader     *r         = reader();
    static const uint64_t    befores[] = { UINT64_MAX, 49, 48, 20, 2, 1 };
    static const uint32_t    limits[]  = { 64, 7, 1 };
    for (size_t b = 0; b < countof(befores); b++)
        for (size_t l = 0; l < countof(limits); l++) {
            struct store_query one = { &gift_type, fields, 1, ids, 1, befores[b], limits[l] };
            struct store_query all = { &gift_type, fields, 2, ids, 2, befores[b], limits[l] };
            assert_found(r, &one, is_from_1);
            assert_found(r, &all, is_of_1_or_2);
        }
    store_reader_close(r);
    store_close(s);
}

static void a_reader_sees_what_is_committed_and_the_store_writes_on(void **state)
{
    (void)state;
    static const char *const fields[] = { "to" };
    struct id                id       = person(9).id;
    struct store            *s        = opened_with_gifts(1);
    struct store_reader     *r        = reader();
    struct store_query       q        = { &gift_type, fields, 1, &id, 1, UINT64_MAX, 10 };
    struct seen              seen     = { .most = 10 };
    put(s, &gift_type, &(struct gift){ 2, person(1), person(9) });
    assert_int_equal(store_read(r, &q, see, &seen).code, ERR_NONE);
    assert_int_equal(seen.count, 0);
    commit(s);
    assert_int_equal(store_read(r, &q, see, &seen).code, ERR_NONE);
    assert_int_equal(seen.count, 1);
    store_reader_close(r);
    store_close(s);
}

static void who_is_given_rows_may_stop_it(void **state)
{
    (void)state;
    static const char *const fields[] = { "from" };
    struct id                id       = person(1).id;
    struct store            *s        = opened_with_gifts(48);
    struct store_reader     *r        = reader();
    struct store_query       q        = { &gift_type, fields, 1, &id, 1, UINT64_MAX, 10 };
    struct seen              seen     = { .most = 3 };
    assert_int_equal(store_read(r, &q, see, &seen).code, ERR_LIMIT);
    assert_int_equal(seen.count, 3);
    store_reader_close(r);
    store_close(s);
}

static void a_store_that_is_not_there_is_not_made_by_looking(void **state)
{
    (void)state;
    struct store_reader *r = NULL;
    assert_int_equal(store_reader_open(store_path, &r).code, ERR_IO);
    assert_null(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(rows_come_newest_first_and_each_once),
        STORE_TEST(a_reader_sees_what_is_committed_and_the_store_writes_on),
        STORE_TEST(who_is_given_rows_may_stop_it),
        STORE_TEST(a_store_that_is_not_there_is_not_made_by_looking),
    };
    check_print_by(log_check_failed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
