/* openapi.c: the API described (OpenAPI 3.1) from the table of routes and the field tables. */
#include "api_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHAPES_MAX 32

static void put(struct json_out *w, const char *key, const char *value)
{
    json_key(w, key);
    json_str(w, str_from(value));
}

static void put_raw(struct json_out *w, const char *key, const char *json)
{
    json_key(w, key);
    json_raw(w, str_from(json));
}

static void put_ref(struct json_out *w, const char *kind, const char *name)
{
    char room[128];
    snprintf(room, sizeof room, "#/components/%s/%s", kind, name);
    json_open_object(w);
    put(w, "$ref", room);
    json_close_object(w);
}

/* ---- shapes as schemas --------------------------------------------------------------------------------------------- */

static void put_lists(struct json_out *w, const struct api_shape *s)
{
    json_open_object(w);
    put(w, "type", "object");
    json_key(w, "properties");
    json_open_object(w);
    for (size_t i = 0; i < countof(s->lists) && s->lists[i].name; i++) {
        json_key(w, s->lists[i].name);
        json_open_object(w);
        put(w, "type", "array");
        put(w, "description", s->lists[i].doc);
        json_key(w, "items");
        put_ref(w, "schemas", s->lists[i].of->name);
        json_close_object(w);
    }
    json_close_object(w);
    json_close_object(w);
}

static void put_shape(struct json_out *w, const struct api_shape *s)
{
    json_open_object(w);
    json_key(w, "allOf");
    json_open_array(w);
    for (size_t i = 0; i < countof(s->parts) && s->parts[i]; i++) json_schema(w, s->parts[i], SEEN_OWNER);
    if (s->lists[0].name) put_lists(w, s);
    json_close_array(w);
    json_close_object(w);
}

/* Every shape that a route answers with, or that is in a list of one, once. */
static size_t shapes_used(const struct api_shape **room)
{
    size_t count = 0;
    for (size_t i = 0; i < api_route_count; i++) {
        const struct api_shape *s      = api_routes[i].shape;
        const struct api_shape *all[3] = { s, s ? s->lists[0].of : NULL, s ? s->lists[1].of : NULL };
        for (size_t k = 0; k < countof(all); k++) {
            bool there = !all[k];
            for (size_t j = 0; j < count; j++) there |= room[j] == all[k];
            if (there) continue;
            check(count < SHAPES_MAX);
            room[count++] = all[k];
        }
    }
    return count;
}

/* ---- operations ----------------------------------------------------------------------------------------------------- */

static void put_content(struct json_out *w, const char *type, const struct api_route *r)
{
    json_key(w, type);
    json_open_object(w);
    json_key(w, "schema");
    if (r && r->answer == ANSWER_PAGE) {
        json_open_object(w);
        put(w, "type", "object");
        json_key(w, "properties");
        json_open_object(w);
        json_key(w, "items");
        json_open_object(w);
        put(w, "type", "array");
        json_key(w, "items");
        put_ref(w, "schemas", r->shape->name);
        json_close_object(w);
        put_raw(w, "next", "{\"type\":[\"string\",\"null\"],\"description\":\"the next page's cursor\"}");
        json_close_object(w);
        json_close_object(w);
    } else if (r && r->answer != ANSWER_EVENTS) {
        put_ref(w, "schemas", r->shape->name);
    } else {
        json_raw(w, STR("{\"type\":\"string\"}"));
    }
    json_close_object(w);
}

static void put_answer_content(struct json_out *w, const struct api_route *r)
{
    if (r->answer == ANSWER_NONE) return;
    json_key(w, "content");
    json_open_object(w);
    if (r->answer == ANSWER_ONE || r->answer == ANSWER_PAGE || r->answer == ANSWER_EITHER)
        put_content(w, "application/json", r);
    if (r->answer == ANSWER_EITHER) put_content(w, "text/yaml", NULL);
    if (r->answer == ANSWER_EVENTS) put_content(w, "text/event-stream", r);
    if (r->answer == ANSWER_TEXT) put_content(w, "text/plain", NULL);
    if (r->answer == ANSWER_JSON) put_raw(w, "application/json", "{\"schema\":{\"type\":\"object\"}}");
    json_close_object(w);
}

static void put_answers(struct json_out *w, const struct api_route *r)
{
    char status[8];
    snprintf(status, sizeof status, "%u", r->status);
    json_key(w, "responses");
    json_open_object(w);
    json_key(w, status);
    json_open_object(w);
    put(w, "description", r->doc);
    put_answer_content(w, r);
    json_close_object(w);
    json_key(w, "default");
    put_ref(w, "responses", "problem");
    json_close_object(w);
}

static void put_path_parameter(struct json_out *w, const char *path)
{
    const char *open = strchr(path, '{'), *close = strchr(path, '}');
    if (!open) return;
    char room[64];
    snprintf(room, sizeof room, "%.*s", (int)(close - open - 1), open + 1);
    json_open_object(w);
    put(w, "name", room);
    put(w, "in", "path");
    json_key(w, "required");
    json_bool(w, true);
    put_raw(w, "schema", "{\"type\":\"string\"}");
    json_close_object(w);
}

static void put_parameters(struct json_out *w, const struct api_route *r)
{
    bool paged = r->answer == ANSWER_PAGE && r->scopes;
    if (!paged && !strchr(r->path, '{')) return;
    json_key(w, "parameters");
    json_open_array(w);
    put_path_parameter(w, r->path);
    if (paged) {
        json_raw(w, STR("{\"name\":\"limit\",\"in\":\"query\",\"schema\":{\"type\":\"integer\",\"minimum\":1,"
                        "\"maximum\":200,\"default\":50}}"));
        json_raw(w,
                 STR("{\"name\":\"cursor\",\"in\":\"query\",\"schema\":{\"type\":\"string\",\"pattern\":\"^(["
                     "1-9][0-9]{0,18}|0)$\"},"
                     "\"description\":\"the last page's `next`\"}"));
    }
    json_close_array(w);
}

static void put_security(struct json_out *w, const struct api_route *r)
{
    json_key(w, "security");
    json_open_array(w);
    for (uint32_t i = 0; i < KEY_SCOPE_COUNT; i++) {
        if (!(r->scopes >> i & 1)) continue;
        json_open_object(w);
        json_key(w, "key");
        json_open_array(w);
        json_str(w, str_from(key_scope_names[i]));
        json_close_array(w);
        json_close_object(w);
    }
    json_close_array(w);
}

/* "get_clusters_cluster_events": the method and the words of the path. */
static void put_operation_id(struct json_out *w, const struct api_route *r)
{
    char   room[128] = "";
    size_t len       = 0;
    for (const char *c = r->method; *c; c++) room[len++] = (char)(*c - 'A' + 'a');
    for (const char *c = strncmp(r->path, "/v1", 3) == 0 ? r->path + 3 : r->path; *c; c++) {
        bool letter = (*c >= 'a' && *c <= 'z');
        if (letter)
            room[len++] = *c;
        else if (len && room[len - 1] != '_')
            room[len++] = '_';
        check(len + 1 < sizeof room);
    }
    while (len && room[len - 1] == '_') len--;
    json_key(w, "operationId");
    json_str(w, (struct str){ room, len });
}

static void put_operation(struct json_out *w, const struct api_route *r)
{
    char method[8] = "";
    for (size_t i = 0; r->method[i] && i + 1 < sizeof method; i++) method[i] = (char)(r->method[i] - 'A' + 'a');
    json_key(w, method);
    json_open_object(w);
    put(w, "summary", r->doc);
    put_operation_id(w, r);
    put_parameters(w, r);
    put_security(w, r);
    if (r->body) {
        json_key(w, "requestBody");
        json_open_object(w);
        json_key(w, "required");
        json_bool(w, true);
        json_key(w, "content");
        json_open_object(w);
        json_key(w, "application/json");
        json_open_object(w);
        json_key(w, "schema");
        json_schema_request(w, r->body);
        json_close_object(w);
        json_close_object(w);
        json_close_object(w);
    }
    put_answers(w, r);
    json_close_object(w);
}

/* Routes of one path stand together in one object, wherever they are in the table. OpenAPI knows no WebSocket. */
static void put_path(struct json_out *w, size_t first)
{
    if (api_routes[first].answer == ANSWER_LINK) return;
    for (size_t i = 0; i < first; i++)
        if (strcmp(api_routes[i].path, api_routes[first].path) == 0) return;
    json_key(w, api_routes[first].path);
    json_open_object(w);
    for (size_t i = first; i < api_route_count; i++)
        if (strcmp(api_routes[i].path, api_routes[first].path) == 0) put_operation(w, &api_routes[i]);
    json_close_object(w);
}

/* ---- the document ------------------------------------------------------------------------------------------------------ */

static void put_components(struct json_out *w)
{
    const struct api_shape *shapes[SHAPES_MAX];
    size_t                  count = shapes_used(shapes);
    json_key(w, "components");
    json_open_object(w);
    json_key(w, "schemas");
    json_open_object(w);
    for (size_t i = 0; i < count; i++) {
        json_key(w, shapes[i]->name);
        put_shape(w, shapes[i]);
    }
    put_raw(
        w, "problem",
        "{\"type\":\"object\",\"required\":[\"type\",\"title\",\"status\",\"detail\"],\"properties\":{"
        "\"type\":{\"type\":\"string\",\"description\":\"about:blank# and the kind of error\"},"
        "\"title\":{\"type\":\"string\"},\"status\":{\"type\":\"integer\"},\"detail\":{\"type\":\"string\"},"
        "\"available\":{\"type\":\"integer\",\"description\":\"how many there are, where more were asked "
        "for\"},"
        "\"missing_micros\":{\"type\":\"integer\",\"description\":\"how much the balance lacks\"},"
        "\"most\":{\"type\":\"integer\",\"description\":\"the most that may be asked for or held\"}}}");
    json_close_object(w);
    put_raw(w, "responses",
            "{\"problem\":{\"description\":\"It did not go well (RFC "
            "9457)\",\"content\":{\"application/problem+json\":"
            "{\"schema\":{\"$ref\":\"#/components/schemas/problem\"}}}}}");
    put_raw(w, "securitySchemes", "{\"key\":{\"type\":\"http\",\"scheme\":\"bearer\"}}");
    json_close_object(w);
}

static void write_description(struct json_out *w, const void *ctx)
{
    (void)ctx;
    json_open_object(w);
    put(w, "openapi", "3.1.0");
    put_raw(w, "info",
            "{\"title\":\"" API_NAME "\",\"version\":\"1\",\"description\":\"One GPU network. Money is whole "
            "micro-USDC, time is milliseconds since 1970, ids are texts of 16 letters. "
            "Workers and gateways hold a WebSocket at /v1/link, which OpenAPI can't describe.\"}");
    json_key(w, "paths");
    json_open_object(w);
    for (size_t i = 0; i < api_route_count; i++) put_path(w, i);
    json_close_object(w);
    put_components(w);
    json_close_object(w);
}

struct text api_describe(void)
{
    struct text t = reply_build(write_description, NULL);
    check(!t.full);
    return t;
}

void get_openapi(struct api_ask *q)
{
    reply_json(q->request, 200, write_description, NULL);
}
