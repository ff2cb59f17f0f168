#include "json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <jansson.h>

enum mood { MOOD_CALM, MOOD_WILD, MOOD_COUNT };
static const char *const moods[MOOD_COUNT] = { "calm", "wild" };

struct chip {
    char     name[12];
    uint32_t memory_mib;
};

struct machine {
    struct device_id  id;
    char              name[16];
    char              notes[64];
    uint64_t          beats;
    struct money      ask;
    int64_t           drift;
    bool              held;
    enum mood         mood;
    uint8_t           key[4];
    struct cluster_id cluster;
    char              owner_note[8];
    char              ip[16];
    char              hash[8];
    struct chip       gpus[3];
    uint32_t          gpus_count;
};

static const struct field chip_fields[] = {
    FIELD_TEXT(struct chip, name, SEEN_PUBLIC, WRITABLE, "what its maker calls it"),
    FIELD_U32(struct chip, memory_mib, 1, 1u << 24, SEEN_PUBLIC, WRITABLE, "memory in MiB"),
};
static const struct record_type chip_type = RECORD_TYPE("chip", "chips", struct chip, chip_fields, "a GPU");

static const struct field machine_fields[] = {
    FIELD_ID(struct machine, id, SEEN_PUBLIC, STORED | KEY, "its id"),
    FIELD_NAMED(struct machine, "name", name, FIELD_KIND_TEXT, 1, 15, SEEN_PUBLIC, WRITABLE, "its name"),
    FIELD_LINES(struct machine, notes, SEEN_PUBLIC, WRITABLE | OPTIONAL, "lines"),
    FIELD_U64(struct machine, beats, 0, RECORD_INT_MAX, SEEN_PUBLIC, LIVE, "a counter"),
    FIELD_MICROS(struct machine, ask, "ask_micros", 0, SEEN_PUBLIC, WRITABLE | OPTIONAL, "price of an hour"),
    FIELD_I64(struct machine, drift, -10, 10, SEEN_PUBLIC, LIVE, "signed"),
    FIELD_BOOL(struct machine, held, SEEN_PUBLIC, WRITABLE | OPTIONAL, "held or not"),
    FIELD_ENUM(struct machine, mood, moods, SEEN_PUBLIC, WRITABLE | OPTIONAL, "its mood"),
    FIELD_BYTES(struct machine, key, SEEN_PUBLIC, LIVE, "its key"),
    FIELD_ID(struct machine, cluster, SEEN_PUBLIC, WRITABLE | OPTIONAL, "where it works"),
    FIELD_TEXT(struct machine, owner_note, SEEN_OWNER, OPTIONAL, "for its owner"),
    FIELD_TEXT(struct machine, ip, SEEN_OPERATOR, OPTIONAL, "for the operator"),
    FIELD_TEXT(struct machine, hash, SEEN_NOBODY, OPTIONAL, "for nobody"),
    FIELD_LIST(struct machine, gpus, gpus_count, &chip_type, SEEN_PUBLIC, WRITABLE | OPTIONAL, "its GPUs"),
};
static const struct record_type machine_type =
    RECORD_TYPE("machine", "machines", struct machine, machine_fields, "a machine");

static struct machine a_machine(void)
{
    return (struct machine){
        .id         = { { { 1 } } },
        .name       = "Zoë \"7\"\\",
        .notes      = "a\n\tb\r",
        .beats      = (uint64_t)JSON_INT_MAX,
        .ask        = { 1500000 },
        .drift      = -10,
        .held       = true,
        .mood       = MOOD_WILD,
        .key        = { 0xde, 0xad, 0xbe, 0xef },
        .owner_note = "own",
        .ip         = "::1",
        .hash       = "h",
        .gpus       = { { "H100", 81920 }, { "T4", 16384 } },
        .gpus_count = 2,
    };
}

#define PUBLIC_JSON                                                                                    \
    "{\"id\":\"0400000000000000\",\"name\":\"Zoë \\\"7\\\"\\\\\",\"notes\":\"a\\n\\tb\\r\","          \
    "\"beats\":9007199254740991,\"ask_micros\":1500000,\"drift\":-10,\"held\":true,\"mood\":\"wild\"," \
    "\"key\":\"deadbeef\",\"cluster\":null,"
#define GPUS_JSON "\"gpus\":[{\"name\":\"H100\",\"memory_mib\":81920},{\"name\":\"T4\",\"memory_mib\":16384}]}"

static char room[8192];

static void assert_text(const struct text *t, const char *expected)
{
    assert_false(t->full);
    assert_int_equal(t->len, strlen(expected));
    assert_memory_equal(t->ptr, expected, t->len);
}

static void a_record_is_written_as_its_viewer_may_see_it(void **state)
{
    (void)state;
    static const char *const expected[] = {
        [SEEN_PUBLIC]   = PUBLIC_JSON GPUS_JSON,
        [SEEN_OWNER]    = PUBLIC_JSON "\"owner_note\":\"own\"," GPUS_JSON,
        [SEEN_OPERATOR] = PUBLIC_JSON "\"owner_note\":\"own\",\"ip\":\"::1\"," GPUS_JSON,
        [SEEN_NOBODY]   = PUBLIC_JSON "\"owner_note\":\"own\",\"ip\":\"::1\",\"hash\":\"h\"," GPUS_JSON,
    };
    struct machine m = a_machine();
    for (unsigned viewer = SEEN_PUBLIC; viewer <= SEEN_NOBODY; viewer++) {
        struct text t = TEXT_IN(room);
        json_write(&machine_type, &m, (enum field_seen)viewer, &t);
        assert_text(&t, expected[viewer]);
    }
}

/* By field: the holes between them may hold anything. */
static void assert_same(const struct machine *a, const struct machine *b)
{
    static char rooms[2][2048];
    struct text one = TEXT_IN(rooms[0]), other = TEXT_IN(rooms[1]);
    json_write(&machine_type, a, SEEN_NOBODY, &one);
    json_write(&machine_type, b, SEEN_NOBODY, &other);
    assert_false(one.full || other.full);
    assert_true(str_eq(text_str(&one), text_str(&other)));
}

static void a_record_comes_back_from_its_json(void **state)
{
    (void)state;
    struct machine    m = a_machine(), back = { 0 };
    struct text       t = TEXT_IN(room);
    struct json_fault fault;
    json_write(&machine_type, &m, SEEN_NOBODY, &t);
    assert_int_equal(json_read(text_str(&t), &machine_type, JSON_WHOLE, &back, &fault).code, ERR_NONE);
    assert_same(&back, &m);
}

/* `head` opens a whole record that lacks only what a row adds. */
#define REST "\"id\":\"0400000000000000\",\"beats\":1,\"drift\":0,\"key\":\"00000000\""

static void what_is_wrong_in_a_record_is_refused_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *json, *detail;
    } rows[] = {
        { "", "line 1, column 0: '[' or '{' expected near end of file" },
        { "{\"name\":\"a\",\"name\":\"b\"}", "line 1, column 18: duplicate object key near '\"name\"'" },
        { "{\"name\":\"a\" " REST "}", "line 1, column 16: '}' expected near '\"id\"'" },
        { "[]", "an object" },
        { "{" REST "}", "name: is missing" },
        { "{\"name\":\"a\"," REST ",\"colour\":1}", "colour: there is no such field" },
        { "{\"name\":\"a\"," REST ",\"\\u001b[2J\":1}", "?[2J: there is no such field" },
        { "{\"name\":1," REST "}", "name: a text" },
        { "{\"name\":null," REST "}", "name: a text" },
        { "{\"name\":\"\"," REST "}", "name: 1 to 15 bytes of UTF-8 without control characters" },
        { "{\"name\":\"a\\nb\"," REST "}", "name: 1 to 15 bytes of UTF-8 without control characters" },
        { "{\"name\":\"0123456789abcdef\"," REST "}",
          "name: 1 to 15 bytes of UTF-8 without control characters" },
        { "{\"name\":\"a\",\"id\":\"0400000000000000\",\"beats\":9007199254740992,\"drift\":0,\"key\":"
          "\"00000000\"}",
          "beats: a whole number from 0 to 9007199254740991" },
        { "{\"name\":\"a\",\"id\":\"0400000000000000\",\"beats\":1.5,\"drift\":0,\"key\":\"00000000\"}",
          "beats: a whole number from 0 to 9007199254740991" },
        { "{\"name\":\"a\",\"id\":\"0400000000000000\",\"beats\":1e16,\"drift\":0,\"key\":\"00000000\"}",
          "beats: a whole number from 0 to 9007199254740991" },
        { "{\"name\":\"a\",\"id\":\"0400000000000000\",\"beats\":\"1\",\"drift\":0,\"key\":\"00000000\"}",
          "beats: a whole number from 0 to 9007199254740991" },
        { "{\"name\":\"a\",\"id\":\"0400000000000000\",\"beats\":1,\"drift\":11,\"key\":\"00000000\"}",
          "drift: a whole number from -10 to 10" },
        { "{\"name\":\"a\",\"id\":null,\"beats\":1,\"drift\":1,\"key\":\"00000000\"}",
          "id: an id of 16 letters" },
        { "{\"name\":\"a\",\"id\":\"0400\",\"beats\":1,\"drift\":1,\"key\":\"00000000\"}",
          "id: an id of 16 letters" },
        { "{\"name\":\"a\",\"id\":\"0400000000000000\",\"beats\":1,\"drift\":1,\"key\":\"0000000\"}",
          "key: 8 lower-case hex digits" },
        { "{\"name\":\"a\",\"id\":\"0400000000000000\",\"beats\":1,\"drift\":1,\"key\":\"0000000G\"}",
          "key: 8 lower-case hex digits" },
        { "{\"name\":\"a\",\"held\":1," REST "}", "held: true or false" },
        { "{\"name\":\"a\",\"mood\":\"sad\"," REST "}", "mood: one of calm wild" },
        { "{\"name\":\"a\",\"mood\":1," REST "}", "mood: one of calm wild" },
        { "{\"name\":\"a\",\"cluster\":7," REST "}", "cluster: an id of 16 letters" },
        { "{\"name\":\"a\",\"cluster\":\"0000000000000000\"," REST "}", "cluster: an id of 16 letters" },
        { "{\"name\":\"a\",\"id\":\"0000000000000000\",\"beats\":1,\"drift\":1,\"key\":\"00000000\"}",
          "id: an id of 16 letters" },
        { "{\"name\":\"a\",\"gpus\":{}," REST "}", "gpus: a list" },
        { "{\"name\":\"a\",\"gpus\":[1]," REST "}", "gpus[0]: an object" },
        { "{\"name\":\"a\",\"gpus\":[{\"name\":\"x\"}]," REST "}", "gpus[0].memory_mib: is missing" },
        { "{\"name\":\"a\",\"gpus\":[{\"name\":\"x\",\"memory_mib\":1},{\"name\":\"x\",\"memory_mib\":0}]"
          "," REST "}",
          "gpus[1].memory_mib: a whole number from 1 to 16777216" },
        { "{\"name\":\"a\",\"gpus\":[{\"name\":\"x\",\"memory_mib\":1},{\"name\":\"x\",\"memory_mib\":1},"
          "{\"name\":\"x\",\"memory_mib\":1},{\"name\":\"x\",\"memory_mib\":1}]," REST "}",
          "gpus: at most 3" },
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct machine    m = { 0 };
        struct json_fault fault;
        struct err        e = json_read(str_from(rows[i].json), &machine_type, JSON_WHOLE, &m, &fault);
        assert_int_not_equal(e.code, ERR_NONE);
        assert_string_equal(fault.detail, rows[i].detail);
    }
}

static void json_that_is_too_deep_or_too_large_is_refused(void **state)
{
    (void)state;
    struct json_doc   doc = { { NULL } };
    struct json_fault fault;
    assert_int_equal(json_parse(STR("[[[[[[[[1]]]]]]]]"), &doc, &fault).code, ERR_NONE);
    json_free(&doc);
    assert_int_equal(json_parse(STR("[[[[[[[[[1]]]]]]]]]"), &doc, &fault).code, ERR_INVALID);
    assert_int_equal(json_parse(STR("[\"[[[[[[[[[[\",\"\\\"[[[[[[[[[\"]"), &doc, &fault).code, ERR_NONE);
    json_free(&doc);
    static char large[JSON_BYTES_MAX + 1];
    memset(large, ' ', sizeof large);
    large[0] = '[';
    large[1] = ']';
    assert_int_equal(json_parse((struct str){ large, JSON_BYTES_MAX }, &doc, &fault).code, ERR_NONE);
    json_free(&doc);
    assert_int_equal(json_parse((struct str){ large, sizeof large }, &doc, &fault).code, ERR_LIMIT);
}

static void a_request_sets_what_is_writable_and_keeps_the_rest(void **state)
{
    (void)state;
    struct machine    m = a_machine();
    struct json_fault fault;
    struct str        request = STR("{\"name\":\"b\",\"gpus\":[{\"name\":\"A10\",\"memory_mib\":3}]}");
    assert_int_equal(json_read(request, &machine_type, JSON_REQUEST, &m, &fault).code, ERR_NONE);
    assert_string_equal(m.name, "b");
    assert_string_equal(m.notes, "a\n\tb\r");
    assert_int_equal(m.gpus_count, 1);
    assert_string_equal(m.gpus[0].name, "A10");

    assert_int_equal(
        json_read(STR("{\"name\":\"b\",\"beats\":1}"), &machine_type, JSON_REQUEST, &m, &fault).code,
        ERR_INVALID);
    assert_string_equal(fault.detail, "beats: is not yours to set");
    assert_int_equal(json_read(STR("{}"), &machine_type, JSON_REQUEST, &m, &fault).code, ERR_INVALID);
    assert_string_equal(fault.detail, "name: is missing");
}

static void a_peer_may_say_more_but_not_less(void **state)
{
    (void)state;
    struct machine    m = { 0 };
    struct json_fault fault;
    struct str        more = STR("{\"kind\":\"machine\",\"new\":[1],\"name\":\"a\"," REST "}");
    assert_int_equal(json_read(more, &machine_type, JSON_PEER, &m, &fault).code, ERR_NONE);
    assert_int_equal(m.beats, 1);
    assert_int_equal(json_read(STR("{\"name\":\"a\"}"), &machine_type, JSON_PEER, &m, &fault).code,
                     ERR_INVALID);
    assert_string_equal(fault.detail, "id: is missing");
}

static void a_view_may_lack_what_was_redacted(void **state)
{
    (void)state;
    struct machine    m = { 0 };
    struct json_fault fault;
    assert_int_equal(json_read(STR("{\"name\":\"a\",\"x\":1}"), &machine_type, JSON_VIEW, &m, &fault).code,
                     ERR_NONE);
    assert_string_equal(m.name, "a");
    assert_int_equal(json_read(STR("{\"name\":1}"), &machine_type, JSON_VIEW, &m, &fault).code, ERR_INVALID);
}

static void an_envelope_is_parsed_once(void **state)
{
    (void)state;
    struct machine              m = a_machine(), back = { 0 };
    struct text                 t = TEXT_IN(room);
    struct json_fault           fault;
    scoped_json struct json_doc doc = { { NULL } };
    json_write_kind("machine", &machine_type, &m, SEEN_NOBODY, &t);
    assert_int_equal(json_parse(text_str(&t), &doc, &fault).code, ERR_NONE);
    assert_true(str_eq(json_as_str(json_member(doc.root, "kind")), STR("machine")));
    assert_int_equal(json_read_value(doc.root, &machine_type, JSON_PEER, &back, &fault).code, ERR_NONE);
    assert_same(&back, &m);

    struct json_value gpus = json_member(doc.root, "gpus");
    int64_t           n    = 0;
    assert_int_equal(json_count(gpus), 2);
    assert_int_equal(json_as_i64(json_member(json_at(gpus, 1), "memory_mib"), &n).code, ERR_NONE);
    assert_int_equal(n, 16384);
    assert_false(json_is_there(json_at(gpus, 2)));
    assert_false(json_is_there(json_member(json_at(gpus, 2), "name")));
    assert_true(str_eq(json_as_str(gpus), STR("")));
    assert_int_equal(json_count(doc.root), 0);
    assert_int_equal(json_as_i64(gpus, &n).code, ERR_INVALID);
}

static void outer_objects_get_their_commas_and_escapes(void **state)
{
    (void)state;
    struct text     t = TEXT_IN(room);
    struct json_out w = json_begin(&t);
    json_open_object(&w);
    json_key(&w, "items");
    json_open_array(&w);
    json_i64(&w, -1);
    json_open_array(&w);
    json_close_array(&w);
    json_bool(&w, false);
    json_none(&w);
    json_raw(&w, STR("{\"a\":1}"));
    json_close_array(&w);
    json_key(&w, "n\"");
    json_str(&w, STR("\x01\x1f</script>\x7f\\"));
    json_key(&w, "id");
    json_id(&w, (struct id){ { 0 } });
    json_close_object(&w);
    assert_text(&t, "{\"items\":[-1,[],false,null,{\"a\":1}],\"n\\\"\":\"\\u0001\\u001f</"
                    "script>\x7f\\\\\",\"id\":null}");
}

struct door {
    uint32_t opens;
};
static const char *const  door_words[]  = { "front", "back", "cellar" };
static const struct field door_fields[] = {
    FIELD_SET(struct door, opens, door_words, SEEN_PUBLIC, WRITABLE, "which"),
};
static const struct record_type door_type = RECORD_TYPE("door", "doors", struct door, door_fields, "doors");

static void a_set_is_a_list_of_its_words(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        uint32_t    opens;
    } rows[] = {
        { "{\"opens\":[]}", 0 },
        { "{\"opens\":[\"front\",\"cellar\"]}", 5 },
        { "{\"opens\":[\"front\",\"back\",\"cellar\"]}", 7 },
    };
    static const char *const wrong[] = { "{\"opens\":\"front\"}", "{\"opens\":[\"front\",\"front\"]}",
                                         "{\"opens\":[\"roof\"]}", "{\"opens\":[1]}", "{\"opens\":[\"\"]}" };
    struct json_fault        fault;
    for (size_t i = 0; i < countof(rows); i++) {
        struct door d = { rows[i].opens }, back = { 2 };
        struct text t = TEXT_IN(room);
        json_write(&door_type, &d, SEEN_PUBLIC, &t);
        assert_text(&t, rows[i].json);
        assert_int_equal(json_read(text_str(&t), &door_type, JSON_REQUEST, &back, &fault).code, ERR_NONE);
        assert_int_equal(back.opens, rows[i].opens);
    }
    for (size_t i = 0; i < countof(wrong); i++) {
        struct door d = { 2 };
        assert_int_equal(json_read(str_from(wrong[i]), &door_type, JSON_REQUEST, &d, &fault).code, ERR_INVALID);
        assert_string_equal(fault.detail, "opens: a list of front back cellar");
        assert_int_equal(d.opens, 2);
    }
}

static json_t *parsed_schema(const struct text *t)
{
    assert_false(t->full);
    json_t *schema = json_loadb(t->ptr, t->len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(schema);
    return schema;
}

static void a_schema_shows_what_its_viewer_sees(void **state)
{
    (void)state;
    struct text     t = TEXT_IN(room);
    struct json_out w = json_begin(&t);
    json_schema(&w, &machine_type, SEEN_OWNER);
    json_t *schema     = parsed_schema(&t);
    json_t *properties = json_object_get(schema, "properties");
    assert_int_equal(json_object_size(properties), 12);
    assert_int_equal(json_array_size(json_object_get(schema, "required")), 12);
    assert_non_null(json_object_get(properties, "owner_note"));
    assert_null(json_object_get(properties, "ip"));
    json_t *drift = json_object_get(properties, "drift");
    assert_int_equal(json_integer_value(json_object_get(drift, "minimum")), -10);
    json_t *item = json_object_get(json_object_get(properties, "gpus"), "items");
    assert_string_equal(json_string_value(json_object_get(item, "description")), "a GPU");
    json_decref(schema);
}

static void a_schema_of_a_request_shows_what_may_be_set(void **state)
{
    (void)state;
    struct text     t = TEXT_IN(room);
    struct json_out w = json_begin(&t);
    json_schema_request(&w, &chip_type);
    assert_text(&t,
                "{\"type\":\"object\",\"description\":\"a GPU\",\"properties\":{\"name\":{\"type\":\"string\","
                "\"maxLength\":11,\"pattern\":\"^([ -~]*|[^\\\\x00-\\\\x1f\\\\x7f-\\\\x9f]{0,2})$\","
                "\"description\":\"what its maker calls "
                "it\"},\"memory_mib\":{\"type\":\"integer\","
                "\"minimum\":1,\"maximum\":16777216,\"description\":\"memory in MiB\"}},"
                "\"required\":[\"name\",\"memory_mib\"],\"additionalProperties\":false}");
    t.len = 0;
    w     = json_begin(&t);
    json_schema_request(&w, &machine_type);
    json_t *schema = parsed_schema(&t);
    assert_int_equal(json_object_size(json_object_get(schema, "properties")), 7);
    assert_int_equal(json_array_size(json_object_get(schema, "required")), 1);
    json_decref(schema);

    t.len = 0;
    w     = json_begin(&t);
    json_schema_request(&w, &door_type);
    assert_text(&t,
                "{\"type\":\"object\",\"description\":\"doors\",\"properties\":{\"opens\":{\"type\":\"array\","
                "\"uniqueItems\":true,\"items\":{\"type\":\"string\",\"enum\":[\"front\",\"back\",\"cellar\"]},"
                "\"description\":\"which\"}},\"required\":[\"opens\"],\"additionalProperties\":false}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_written_as_its_viewer_may_see_it),
        cmocka_unit_test(a_record_comes_back_from_its_json),
        cmocka_unit_test(what_is_wrong_in_a_record_is_refused_with_its_place),
        cmocka_unit_test(json_that_is_too_deep_or_too_large_is_refused),
        cmocka_unit_test(a_request_sets_what_is_writable_and_keeps_the_rest),
        cmocka_unit_test(a_peer_may_say_more_but_not_less),
        cmocka_unit_test(a_view_may_lack_what_was_redacted),
        cmocka_unit_test(an_envelope_is_parsed_once),
        cmocka_unit_test(outer_objects_get_their_commas_and_escapes),
        cmocka_unit_test(a_set_is_a_list_of_its_words),
        cmocka_unit_test(a_schema_shows_what_its_viewer_sees),
        cmocka_unit_test(a_schema_of_a_request_shows_what_may_be_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
