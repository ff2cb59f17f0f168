/* test_api.c: the tables that the API is made of, its description, its lists and its nonces. */
#include "api_int.h"

#include "codec/codec.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- the table of routes -------------------------------------------------------------------------------------- */

static void every_route_is_sound_and_there_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < api_route_count; i++) {
        const struct api_route *r = &api_routes[i];
        assert_true(r->path[0] == '/' && r->doc[0]);
        assert_int_equal(r->handle == NULL, r->answer == ANSWER_LINK);
        assert_true((r->scopes & ~(uint32_t)SCOPE_ALL) == 0);
        bool shaped = r->answer == ANSWER_ONE || r->answer == ANSWER_PAGE || r->answer == ANSWER_EVENTS ||
                      r->answer == ANSWER_EITHER;
        assert_int_equal(shaped, r->shape != NULL);
        if (r->body) {
            assert_true(record_type_is_sound(r->body));
            assert_true(r->body->size <= sizeof(union api_body));
            assert_string_equal(r->method, "POST");
        }
        for (size_t k = 0; k < i; k++)
            assert_false(strcmp(r->path, api_routes[k].path) == 0 &&
                         strcmp(r->method, api_routes[k].method) == 0);
    }
}

static void the_parts_of_a_shape_share_no_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < api_route_count; i++) {
        const struct api_shape *s = api_routes[i].shape;
        for (size_t k = 0; s && k < countof(s->parts) && s->parts[k]; k++)
            assert_true(record_type_is_sound(s->parts[k]));
        /* Two parts stand in one object: no name may be in both. */
        for (uint32_t f = 0; s && s->parts[1] && f < s->parts[1]->field_count; f++)
            assert_null(record_field(s->parts[0], str_from(s->parts[1]->fields[f].name)));
    }
}

static void numbers_are_exact(const struct record_type *type)
{
    for (uint32_t i = 0; type && i < type->field_count; i++) {
        const struct field *f = &type->fields[i];
        if (f->kind != FIELD_KIND_U64 && f->kind != FIELD_KIND_I64) continue;
        if (f->most > RECORD_INT_MAX || f->least < -RECORD_INT_MAX) fail_msg("%s.%s", type->name, f->name);
    }
}

static void no_number_is_beyond_what_json_carries(void **state)
{
    (void)state;
    for (size_t i = 0; i < api_route_count; i++) {
        const struct api_shape *s      = api_routes[i].shape;
        const struct api_shape *all[3] = { s, s ? s->lists[0].of : NULL, s ? s->lists[1].of : NULL };
        numbers_are_exact(api_routes[i].body);
        for (size_t k = 0; k < countof(all); k++)
            for (size_t j = 0; all[k] && j < countof(all[k]->parts); j++) numbers_are_exact(all[k]->parts[j]);
    }
}

static void who_asks_for_no_scope_does_not_get_all(void **state)
{
    static const struct {
        const char *scopes;
        uint32_t    bits; /* 0: refused */
    } rows[] = {
        { "[\"read\"]", SCOPE_READ },
        { "[\"devices\",\"read\"]", SCOPE_READ | SCOPE_DEVICES },
        { "[]", 0 },
        { "[\"moon\"]", 0 },
    };
    (void)state;
    for (size_t k = 0; k < countof(rows); k++) {
        struct session_request b = { .scopes = 0 };
        struct json_fault      fault;
        char                   body[512];
        snprintf(body, sizeof body,
                 "{\"public_key\":\"x\",\"nonce\":\"%032d\",\"signature\":\"%0128d\",\"scopes\":%s}", 0, 0,
                 rows[k].scopes);
        struct err e = json_read(str_from(body), &session_request_type, JSON_REQUEST, &b, &fault);
        assert_int_equal(e.code, rows[k].bits ? ERR_NONE : ERR_INVALID);
        if (rows[k].bits) assert_int_equal(b.scopes, rows[k].bits);
        if (!rows[k].bits) assert_non_null(strstr(fault.detail, "scopes: a list of some of read"));
    }
}

/* ---- the description ------------------------------------------------------------------------------------------- */

static json_t *description(void)
{
    struct text  t = api_describe();
    json_error_t error;
    json_t      *root = json_loadb(t.ptr, t.len, JSON_REJECT_DUPLICATES, &error);
    if (!root) fail_msg("line %d: %s", error.line, error.text);
    free(t.ptr);
    return root;
}

static void the_description_is_json_and_names_every_route(void **state)
{
    json_t *root = description(), *paths = json_object_get(root, "paths");
    size_t  operations = 0;
    (void)state;
    assert_string_equal(json_string_value(json_object_get(root, "openapi")), "3.1.0");
    for (size_t i = 0; i < api_route_count; i++) {
        const struct api_route *r = &api_routes[i];
        char                    method[8], status[8];
        if (r->answer == ANSWER_LINK) continue; /* OpenAPI knows no WebSocket */
        for (size_t k = 0; k <= strlen(r->method); k++)
            method[k] = r->method[k] ? (char)(r->method[k] | 0x20) : 0;
        snprintf(status, sizeof status, "%u", r->status);
        json_t *operation = json_object_get(json_object_get(paths, r->path), method);
        assert_non_null(operation);
        assert_string_equal(json_string_value(json_object_get(operation, "summary")), r->doc);
        assert_int_equal(json_object_get(operation, "requestBody") != NULL, r->body != NULL);
        assert_non_null(json_object_get(json_object_get(operation, "responses"), status));
    }
    const char *path;
    json_t     *item;
    json_object_foreach(paths, path, item) operations += json_object_size(item);
    assert_int_equal(operations + 1, api_route_count);
    json_decref(root);
}

static void operations_have_names_of_their_own(void **state)
{
    json_t     *root = description(), *seen = json_object(), *item, *operation;
    const char *path, *method;
    (void)state;
    json_object_foreach(json_object_get(root, "paths"), path, item) json_object_foreach(item, method, operation)
    {
        const char *id = json_string_value(json_object_get(operation, "operationId"));
        assert_non_null(id);
        if (json_object_get(seen, id)) fail_msg("%s is there twice", id);
        json_object_set_new(seen, id, json_true());
    }
    json_decref(seen);
    json_decref(root);
}

static json_t *resolve(json_t *root, const char *reference)
{
    char copy[256];
    assert_int_equal(strncmp(reference, "#/", 2), 0);
    snprintf(copy, sizeof copy, "%s", reference + 2);
    for (char *piece = strtok(copy, "/"); piece && root; piece = strtok(NULL, "/"))
        root = json_object_get(root, piece);
    return root;
}

static unsigned check_references(json_t *root, json_t *at)
{
    unsigned    count = 0;
    const char *name;
    json_t     *value;
    size_t      index;
    json_object_foreach(at, name, value)
    {
        if (strcmp(name, "$ref") == 0) {
            if (!resolve(root, json_string_value(value)))
                fail_msg("%s leads nowhere", json_string_value(value));
            count++;
        }
        count += check_references(root, value);
    }
    if (json_is_array(at)) json_array_foreach(at, index, value) count += check_references(root, value);
    return count;
}

static void references_lead_somewhere_and_secrets_are_not_described(void **state)
{
    (void)state;
    json_t *root = description();
    assert_true(check_references(root, root) > 20);
    json_t *cluster = resolve(root, "#/components/schemas/cluster");
    json_t *fields  = json_object_get(json_array_get(json_object_get(cluster, "allOf"), 0), "properties");
    assert_non_null(json_object_get(fields, "charged_micros"));
    assert_null(json_object_get(fields, "secret"));
    assert_null(json_object_get(fields, "owner"));
    json_decref(root);
}

/* ---- nonces ------------------------------------------------------------------------------------------------------ */

struct desk {
    struct nonces nonces;
    struct nonce  made;
};

static struct err make(struct desk *d, const char *peer, int64_t now_ms)
{
    struct public_key who = { { 7 } };
    return nonce_make(&d->nonces, who, str_from(peer), 3, (struct instant){ now_ms }, &d->made);
}

static int desk_make(void **state)
{
    struct desk *d = calloc(1, sizeof *d);
    d->nonces.ring = calloc(API_NONCES_MAX, sizeof *d->nonces.ring);
    *state         = d;
    return 0;
}

static int desk_end(void **state)
{
    struct desk *d = *state;
    free(d->nonces.ring);
    free(d);
    return 0;
}

static void an_address_gets_so_many_nonces_and_later_more(void **state)
{
    struct desk *d = *state;
    for (int k = 0; k < 3; k++) assert_int_equal(make(d, "192.0.2.1", 1000).code, ERR_NONE);
    assert_int_equal(make(d, "192.0.2.1", 1000).code, ERR_LIMIT);
    assert_int_equal(make(d, "192.0.2.2", 1000).code, ERR_NONE);
    assert_int_equal(make(d, "192.0.2.1", 1000 + API_NONCE_MS - 1).code, ERR_LIMIT);
    assert_int_equal(make(d, "192.0.2.1", 1000 + API_NONCE_MS).code, ERR_NONE);
}

static void the_second_half_of_an_ipv6_address_is_free_to_choose(void **state)
{
    struct desk *d = *state;
    assert_int_equal(make(d, "2001:db8:1:2::1", 5000).code, ERR_NONE);
    assert_int_equal(make(d, "2001:db8:1:2::2", 5000).code, ERR_NONE);
    assert_int_equal(make(d, "2001:db8:1:2:ffff::3", 5000).code, ERR_NONE);
    assert_int_equal(make(d, "2001:db8:1:2:9::4", 5000).code, ERR_LIMIT);
    assert_int_equal(make(d, "2001:db8:1:3::1", 5000).code, ERR_NONE);
}

static void an_ipv4_address_is_the_same_on_a_socket_of_ipv6(void **state)
{
    struct desk *d = *state;
    for (int k = 0; k < 2; k++) assert_int_equal(make(d, "::ffff:192.0.2.1", 5000).code, ERR_NONE);
    assert_int_equal(make(d, "192.0.2.1", 5000).code, ERR_NONE);
    assert_int_equal(make(d, "::ffff:192.0.2.1", 5000).code, ERR_LIMIT);
    assert_int_equal(make(d, "::ffff:192.0.2.2", 5000).code, ERR_NONE);
}

static void the_table_of_nonces_is_bounded_and_forgets(void **state)
{
    struct desk *d = *state;
    char         peer[32];
    for (unsigned k = 0; k < API_NONCES_MAX; k++) {
        snprintf(peer, sizeof peer, "10.%u.%u.1", k / 256, k % 256);
        assert_int_equal(make(d, peer, 9000).code, ERR_NONE);
    }
    assert_int_equal(make(d, "172.16.0.1", 9000).code, ERR_LIMIT);
    assert_int_equal(make(d, "172.16.0.1", 9000 + API_NONCE_MS).code, ERR_NONE);
    assert_int_equal(d->nonces.count, 1);
}

static void a_nonce_is_for_its_key_for_a_while_and_once(void **state)
{
    struct desk      *d = *state;
    struct nonce      n;
    struct public_key who = { { 7 } }, other = { { 8 } };
    assert_int_equal(make(d, "192.0.2.1", 1000).code, ERR_NONE);
    assert_int_equal(nonce_use(&d->nonces, d->made.bytes, other, (struct instant){ 1001 }, &n).code,
                     ERR_DENIED);
    assert_int_equal(
        nonce_use(&d->nonces, d->made.bytes, who, (struct instant){ 1000 + API_NONCE_MS }, &n).code,
        ERR_DENIED);
    assert_int_equal(nonce_use(&d->nonces, d->made.bytes, who, (struct instant){ 1001 }, &n).code, ERR_NONE);
    assert_int_equal(nonce_use(&d->nonces, d->made.bytes, who, (struct instant){ 1002 }, &n).code, ERR_DENIED);
}

/* Ten seconds' worth at once, then as many as wear off; another client is not touched. */
static void a_client_asks_so_often_and_no_other_is_touched(void **state)
{
    struct rates *r     = rates_create();
    unsigned      first = 0, later = 0;
    (void)state;
    for (int i = 0; i < 100; i++) first += rates_take(r, 1, 5, 1000);
    assert_int_equal(first, 50);
    assert_true(rates_take(r, 2, 5, 1000));
    for (int i = 0; i < 100; i++) later += rates_take(r, 1, 5, 3000);
    assert_int_equal(later, 10);
    /* However many others come, the table does not grow, and who has had its fill is the last to be forgotten. */
    for (uint64_t k = 3; k < 100000; k++) assert_true(rates_take(r, k, 5, 3000));
    assert_false(rates_take(r, 1, 5, 3000));
    free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_is_sound_and_there_once),
        cmocka_unit_test(the_parts_of_a_shape_share_no_name),
        cmocka_unit_test(no_number_is_beyond_what_json_carries),
        cmocka_unit_test(who_asks_for_no_scope_does_not_get_all),
        cmocka_unit_test(the_description_is_json_and_names_every_route),
        cmocka_unit_test(a_client_asks_so_often_and_no_other_is_touched),
        cmocka_unit_test(operations_have_names_of_their_own),
        cmocka_unit_test(references_lead_somewhere_and_secrets_are_not_described),
        cmocka_unit_test_setup_teardown(an_address_gets_so_many_nonces_and_later_more, desk_make, desk_end),
        cmocka_unit_test_setup_teardown(the_second_half_of_an_ipv6_address_is_free_to_choose, desk_make,
                                        desk_end),
        cmocka_unit_test_setup_teardown(an_ipv4_address_is_the_same_on_a_socket_of_ipv6, desk_make, desk_end),
        cmocka_unit_test_setup_teardown(the_table_of_nonces_is_bounded_and_forgets, desk_make, desk_end),
        cmocka_unit_test_setup_teardown(a_nonce_is_for_its_key_for_a_while_and_once, desk_make, desk_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
