#include "record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum mood { MOOD_CALM, MOOD_LOST, MOOD_WILD, MOOD_COUNT };
static const char *const moods[MOOD_COUNT] = { [MOOD_CALM] = "calm", [MOOD_WILD] = "wild" };
static const char *const foods[]           = { "hay", "oats", "salt" };

struct leg {
    char     shoe[8];
    uint32_t toes;
    bool     sore;
};

struct beast {
    struct device_id  id;
    char              name[16];
    char              song[32];
    uint32_t          teeth;
    uint64_t          hairs;
    int64_t           debt;
    struct money      price;
    struct instant    born;
    bool              tame;
    enum mood         mood;
    uint32_t          diet;
    uint8_t           print[4];
    struct cluster_id herd;
    char              secret[8];
    uint32_t          heat;
    struct leg        legs[3];
    uint32_t          leg_count;
};

static const struct field leg_fields[] = {
    FIELD_TEXT(struct leg, shoe, SEEN_PUBLIC, STORED, "what it wears"),
    FIELD_U32(struct leg, toes, 1, 5, SEEN_PUBLIC, STORED, "how many"),
    FIELD_BOOL(struct leg, sore, SEEN_OWNER, LIVE, "does it hurt"),
};
static const struct record_type leg_type = RECORD_TYPE("leg", "legs", struct leg, leg_fields, "a leg");

static const struct field beast_fields[] = {
    FIELD_ID(struct beast, id, SEEN_PUBLIC, STORED | KEY, "its id"),
    FIELD_NAMED(struct beast, "name", name, FIELD_KIND_TEXT, 1, 10, SEEN_PUBLIC, STORED | WRITABLE, "its name"),
    FIELD_LINES(struct beast, song, SEEN_PUBLIC, STORED, "what it sings"),
    FIELD_U32(struct beast, teeth, 2, 40, SEEN_PUBLIC, STORED, "teeth"),
    FIELD_U64(struct beast, hairs, 0, RECORD_INT_MAX, SEEN_PUBLIC, STORED, "hairs"),
    FIELD_I64(struct beast, debt, -5, 5, SEEN_OWNER, STORED, "what it owes"),
    FIELD_MICROS(struct beast, price, "price_micros", 0, SEEN_PUBLIC, STORED, "its price"),
    FIELD_MS(struct beast, born, "born_ms", SEEN_PUBLIC, STORED, "when it was born"),
    FIELD_BOOL(struct beast, tame, SEEN_PUBLIC, STORED, "can it be stroked"),
    FIELD_ENUM(struct beast, mood, moods, SEEN_PUBLIC, STORED, "its mood"),
    FIELD_SET(struct beast, diet, foods, SEEN_PUBLIC, STORED, "what it eats"),
    FIELD_BYTES(struct beast, print, SEEN_OPERATOR, STORED, "its paw's print"),
    FIELD_ID(struct beast, herd, SEEN_PUBLIC, STORED, "whom it follows"),
    FIELD_TEXT(struct beast, secret, SEEN_NOBODY, STORED, "nobody's business"),
    FIELD_U32(struct beast, heat, 0, 99, SEEN_PUBLIC, LIVE, "not kept"),
    FIELD_LIST(struct beast, legs, leg_count, &leg_type, SEEN_PUBLIC, STORED, "its legs"),
};
static const struct record_type beast_type =
    RECORD_TYPE("beast", "beasts", struct beast, beast_fields, "an animal");

static const struct field *at(const char *name)
{
    const struct field *f = record_field(&beast_type, str_from(name));
    assert_non_null(f);
    return f;
}

static struct beast a_beast(void)
{
    return (struct beast){
        .id        = { { { 1, 2, 3 } } },
        .name      = "Ox",
        .song      = "moo\n\tmoo",
        .teeth     = 32,
        .hairs     = 1u << 31,
        .price     = { 1500000 },
        .born      = { 77 },
        .tame      = true,
        .mood      = MOOD_WILD,
        .diet      = 5,
        .print     = { 0xde, 0xad, 0, 1 },
        .secret    = "x",
        .heat      = 3,
        .legs      = { { "boot", 5, true }, { "", 1, false } },
        .leg_count = 2,
    };
}

static void the_table_of_a_record_is_sound(void **state)
{
    (void)state;
    assert_true(record_type_is_sound(&beast_type));
    assert_ptr_equal(record_key(&beast_type), &beast_fields[0]);
}

static void a_table_that_breaks_a_rule_is_found(void **state)
{
    (void)state;
    struct field       fields[countof(beast_fields)];
    struct record_type type = beast_type;
    type.fields             = fields;

#define BROKEN(index, change)                        \
    do {                                             \
        memcpy(fields, beast_fields, sizeof fields); \
        assert_true(record_type_is_sound(&type));    \
        fields[index].change;                        \
        assert_false(record_type_is_sound(&type));   \
    } while (0)
    BROKEN(1, name = "Name");
    BROKEN(1, name = "");
    BROKEN(1, name = "song");
    BROKEN(1, doc = NULL);
    BROKEN(1, flags |= KEY);
    BROKEN(0, flags = KEY);
    BROKEN(1, most = 16);
    BROKEN(3, size = 8);
    BROKEN(3, least = -1);
    BROKEN(3, most = (int64_t)1 << 32);
    BROKEN(3, offset = sizeof(struct beast));
    BROKEN(4, least = 5; fields[4].most = 4);
    BROKEN(4, most = RECORD_INT_MAX + 1);
    BROKEN(5, least = -RECORD_INT_MAX - 1);
    BROKEN(9, names = NULL);
    BROKEN(10, names = NULL);
    BROKEN(10, names = moods); /* a bit without a word */
    BROKEN(10, most = 5);
    BROKEN(15, most = 2);
    BROKEN(15, count_offset = sizeof(struct beast));
#undef BROKEN
}

static void every_kind_comes_back_as_it_was_set(void **state)
{
    (void)state;
    struct beast  b      = { 0 };
    struct id     id     = { { 9, 8, 7 } };
    const uint8_t four[] = { 1, 2, 3, 4 };
    static const struct {
        const char *name;
        int64_t     value;
    } numbers[] = { { "teeth", 2 },
                    { "teeth", 40 },
                    { "hairs", RECORD_INT_MAX },
                    { "debt", -5 },
                    { "price_micros", MONEY_MICROS_MAX },
                    { "born_ms", 1 },
                    { "tame", 1 },
                    { "mood", MOOD_WILD },
                    { "diet", 7 } };
    for (size_t i = 0; i < countof(numbers); i++) {
        assert_int_equal(field_set_i64(at(numbers[i].name), &b, numbers[i].value).code, ERR_NONE);
        assert_int_equal(field_i64(at(numbers[i].name), &b), numbers[i].value);
    }
    assert_int_equal(b.price.micros, MONEY_MICROS_MAX);
    assert_int_equal(field_set_id(at("id"), &b, id).code, ERR_NONE);
    assert_true(id_eq(field_id(at("id"), &b), id));
    assert_int_equal(field_set_str(at("name"), &b, STR("Zoë")).code, ERR_NONE);
    assert_true(str_eq(field_str(at("name"), &b), STR("Zoë")));
    assert_int_equal(field_set_str(at("song"), &b, STR("a\r\n\tb")).code, ERR_NONE);
    assert_true(str_eq(field_str(at("song"), &b), STR("a\r\n\tb")));
    assert_int_equal(field_set_str(at("mood"), &b, STR("calm")).code, ERR_NONE);
    assert_true(str_eq(field_str(at("mood"), &b), STR("calm")));
    assert_int_equal(field_set_bytes(at("print"), &b, four, sizeof four).code, ERR_NONE);
    assert_memory_equal(field_bytes(at("print"), &b), four, sizeof four);
}

static void what_is_out_of_its_limits_changes_nothing(void **state)
{
    (void)state;
    struct beast b = a_beast(), before = b;
    assert_int_equal(field_set_i64(at("teeth"), &b, 1).code, ERR_INVALID);
    assert_int_equal(field_set_i64(at("teeth"), &b, 41).code, ERR_INVALID);
    assert_int_equal(field_set_i64(at("hairs"), &b, -1).code, ERR_INVALID);
    assert_int_equal(field_set_i64(at("tame"), &b, 2).code, ERR_INVALID);
    assert_int_equal(field_set_i64(at("mood"), &b, MOOD_LOST).code, ERR_INVALID);
    assert_int_equal(field_set_i64(at("mood"), &b, MOOD_COUNT).code, ERR_INVALID);
    assert_int_equal(field_set_i64(at("diet"), &b, 8).code, ERR_INVALID);
    assert_int_equal(field_set_i64(at("name"), &b, 1).code, ERR_INVALID);
    assert_int_equal(field_set_str(at("name"), &b, STR("")).code, ERR_INVALID);
    assert_int_equal(field_set_str(at("name"), &b, STR("eleven char")).code, ERR_INVALID);
    assert_int_equal(field_set_str(at("name"), &b, STR("a\nb")).code, ERR_INVALID);
    assert_int_equal(field_set_str(at("name"), &b, STR("\xff")).code, ERR_INVALID);
    assert_int_equal(field_set_str(at("song"), &b, STR("a\x1b[2J")).code, ERR_INVALID);
    assert_int_equal(field_set_str(at("song"), &b, STR("a\n\xc3")).code, ERR_INVALID);
    assert_int_equal(field_set_str(at("mood"), &b, STR("sad")).code, ERR_INVALID);
    assert_int_equal(field_set_str(at("teeth"), &b, STR("3")).code, ERR_INVALID);
    assert_int_equal(field_set_id(at("name"), &b, (struct id){ { 1 } }).code, ERR_INVALID);
    assert_int_equal(field_set_bytes(at("print"), &b, (const uint8_t *)"123", 3).code, ERR_INVALID);
    assert_memory_equal(&b, &before, sizeof b);
}

static void a_shorter_text_leaves_nothing_of_the_longer(void **state)
{
    (void)state;
    struct beast b = a_beast();
    assert_int_equal(field_set_str(at("name"), &b, STR("Bucephalus")).code, ERR_NONE);
    assert_int_equal(field_set_str(at("name"), &b, STR("Ox")).code, ERR_NONE);
    assert_memory_equal(b.name, "Ox\0\0\0\0\0\0\0\0\0\0\0\0\0", sizeof b.name);
}

static void a_list_takes_as_many_as_it_has_room_for(void **state)
{
    (void)state;
    struct beast b    = a_beast();
    void        *item = NULL;
    memset(&b.legs[2], 0xff, sizeof b.legs[2]);
    assert_int_equal(field_push(at("legs"), &b, &item).code, ERR_NONE);
    assert_ptr_equal(item, &b.legs[2]);
    assert_int_equal(b.legs[2].toes, 0);
    assert_int_equal(field_count(at("legs"), &b), 3);
    assert_ptr_equal(field_item(at("legs"), &b, 1), &b.legs[1]);
    assert_int_equal(field_push(at("legs"), &b, &item).code, ERR_LIMIT);
    assert_int_equal(b.leg_count, 3);
}

static void a_check_names_the_field_at_fault(void **state)
{
    (void)state;
    struct beast        b   = a_beast();
    const struct field *bad = NULL;
    assert_int_equal(record_check(&beast_type, &b, &bad).code, ERR_NONE);

#define SPOILT(change, fault)                                                    \
    do {                                                                         \
        b = a_beast();                                                           \
        change;                                                                  \
        assert_int_equal(record_check(&beast_type, &b, NULL).code, ERR_CORRUPT); \
        assert_int_equal(record_check(&beast_type, &b, &bad).code, ERR_CORRUPT); \
        assert_string_equal(bad->name, fault);                                   \
    } while (0)
    SPOILT(b.id.id = (struct id){ { 0 } }, "id");
    SPOILT(b.name[0] = 0, "name");
    SPOILT(memset(b.name, 'x', sizeof b.name), "name");
    SPOILT(b.song[0] = 1, "song");
    SPOILT(b.teeth = 0, "teeth");
    SPOILT(b.hairs = UINT64_MAX, "hairs");
    SPOILT(b.debt = 6, "debt");
    SPOILT(b.price.micros = -1, "price_micros");
    SPOILT(memset(&b.tame, 2, 1), "tame");
    SPOILT(b.mood = MOOD_LOST, "mood");
    SPOILT(b.mood = MOOD_COUNT, "mood");
    SPOILT(b.diet = 8, "diet");
    SPOILT(b.legs[1].toes = 6, "toes");
    SPOILT(b.leg_count = 4, "legs");
#undef SPOILT
}

static void records_are_equal_in_what_is_stored(void **state)
{
    (void)state;
    struct beast a = a_beast(), b = a;
    b.heat         = 50;
    b.legs[0].sore = false;
    b.name[10]     = 'x'; /* behind the text's end */
    assert_true(record_stored_eq(&beast_type, &a, &b));
    b.legs[1].toes = 2;
    assert_false(record_stored_eq(&beast_type, &a, &b));
    b           = a;
    b.leg_count = 1;
    assert_false(record_stored_eq(&beast_type, &a, &b));
    b          = a;
    b.print[3] = 9;
    assert_false(record_stored_eq(&beast_type, &a, &b));
    b         = a;
    b.name[1] = 0;
    assert_false(record_stored_eq(&beast_type, &a, &b));
}

static void a_viewer_sees_what_is_for_him_and_those_before(void **state)
{
    (void)state;
    static const bool sees[4][4] = { { 1, 0, 0, 0 }, { 1, 1, 0, 0 }, { 1, 1, 1, 0 }, { 1, 1, 1, 1 } };
    for (unsigned viewer = SEEN_PUBLIC; viewer <= SEEN_NOBODY; viewer++)
        for (unsigned seen = SEEN_PUBLIC; seen <= SEEN_NOBODY; seen++) {
            struct field f = { .seen = (enum field_seen)seen };
            assert_int_equal(field_is_visible(&f, (enum field_seen)viewer), sees[viewer][seen]);
        }
}

static void assert_sql(const struct text *t, const char *expected)
{
    assert_false(t->full);
    assert_int_equal(t->len, strlen(expected));
    assert_memory_equal(t->ptr, expected, t->len);
}

static void the_sql_of_a_record_is_this(void **state)
{
    (void)state;
    static char room[2048];
    struct text t = TEXT_IN(room);
    record_sql_create(&beast_type, &t);
    assert_sql(
        &t, "CREATE TABLE \"beasts\" (\"id\" TEXT PRIMARY KEY NOT NULL, \"name\" TEXT NOT NULL, "
            "\"song\" TEXT NOT NULL, \"teeth\" INTEGER NOT NULL, \"hairs\" INTEGER NOT NULL, "
            "\"debt\" INTEGER NOT NULL, \"price_micros\" INTEGER NOT NULL, \"born_ms\" INTEGER NOT NULL, "
            "\"tame\" INTEGER NOT NULL, \"mood\" TEXT NOT NULL, \"diet\" INTEGER NOT NULL, \"print\" BLOB NOT "
            "NULL, \"herd\" TEXT, "
            "\"secret\" TEXT NOT NULL) STRICT;\n"
            "CREATE TABLE \"beasts_legs\" (\"parent\" TEXT NOT NULL, \"at\" INTEGER NOT NULL, "
            "\"shoe\" TEXT NOT NULL, \"toes\" INTEGER NOT NULL, PRIMARY KEY (\"parent\", \"at\")) STRICT;\n");
    t.len = 0;
    record_sql_select(&beast_type, &t);
    assert_sql(&t, "SELECT \"id\", \"name\", \"song\", \"teeth\", \"hairs\", \"debt\", \"price_micros\", "
                   "\"born_ms\", \"tame\", \"mood\", \"diet\", \"print\", \"herd\", \"secret\" FROM \"beasts\" "
                   "ORDER BY \"id\"");
    t.len = 0;
    record_sql_delete(&beast_type, &t);
    assert_sql(&t, "DELETE FROM \"beasts\" WHERE \"id\" = ?1");
    t.len = 0;
    record_sql_child_insert(&beast_type, at("legs"), &t);
    assert_sql(&t,
               "INSERT INTO \"beasts_legs\" (\"parent\", \"at\", \"shoe\", \"toes\") VALUES (?1, ?2, ?3, ?4)");
    t.len = 0;
    record_sql_child_select(&beast_type, at("legs"), &t);
    assert_sql(&t, "SELECT \"shoe\", \"toes\" FROM \"beasts_legs\" WHERE \"parent\" = ?1 ORDER BY \"at\"");
    t.len = 0;
    record_sql_child_delete(&beast_type, at("legs"), &t);
    assert_sql(&t, "DELETE FROM \"beasts_legs\" WHERE \"parent\" = ?1");
}

struct pair {
    uint32_t number;
    int64_t  from;
};
static const struct field pair_fields[] = {
    FIELD_U32(struct pair, number, 0, 9, SEEN_PUBLIC, STORED | KEY, "its number"),
    FIELD_I64(struct pair, from, 0, 9, SEEN_PUBLIC, STORED, "a word that SQL takes for itself"),
};

static void an_upsert_sets_all_but_the_key(void **state)
{
    (void)state;
    struct record_type type = RECORD_TYPE("pair", "pairs", struct pair, pair_fields, "two");
    char               room[256];
    struct text        t = TEXT_IN(room);
    record_sql_upsert(&type, &t);
    assert_sql(&t, "INSERT INTO \"pairs\" (\"number\", \"from\") VALUES (?1, ?2) ON CONFLICT (\"number\") "
                   "DO UPDATE SET \"from\" = excluded.\"from\"");
    type.field_count = 1;
    t.len            = 0;
    record_sql_upsert(&type, &t);
    assert_sql(&t, "INSERT INTO \"pairs\" (\"number\") VALUES (?1) ON CONFLICT (\"number\") DO NOTHING");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_of_a_record_is_sound),
        cmocka_unit_test(a_table_that_breaks_a_rule_is_found),
        cmocka_unit_test(every_kind_comes_back_as_it_was_set),
        cmocka_unit_test(what_is_out_of_its_limits_changes_nothing),
        cmocka_unit_test(a_shorter_text_leaves_nothing_of_the_longer),
        cmocka_unit_test(a_list_takes_as_many_as_it_has_room_for),
        cmocka_unit_test(a_check_names_the_field_at_fault),
        cmocka_unit_test(records_are_equal_in_what_is_stored),
        cmocka_unit_test(a_viewer_sees_what_is_for_him_and_those_before),
        cmocka_unit_test(the_sql_of_a_record_is_this),
        cmocka_unit_test(an_upsert_sets_all_but_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
