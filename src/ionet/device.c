#include "commands_int.h"

#include "human_int.h"
#include "sheet_int.h"

#include "fleet/fleet.h"

#include <string.h>

/* POST /v1/join-tokens; the ask goes along for devices alone. */
static struct err token_ask(struct cli *c, const char *purpose, struct api_reply *out)
{
    char            room[API_BODY_MAX];
    struct text     t      = TEXT_IN(room);
    struct json_out w      = json_begin(&t);
    struct money    ask    = { 0 };
    struct span     valid  = { 0 };
    bool            device = !strcmp(purpose, "device");
    json_open_object(&w);
    json_key(&w, "for");
    json_str(&w, str_from(purpose));
    if (device) {
        const char *given;
        TRY(option_needed(c, "ask", &given));
        TRY(option_usdc(c, "ask", &ask));
        json_key(&w, "ask_micros_per_hour");
        json_i64(&w, ask.micros);
    }
    TRY(option_duration(c, "valid", &valid));
    if (valid.ms) {
        json_key(&w, "valid_ms");
        json_i64(&w, valid.ms);
    }
    json_close_object(&w);
    return api_call(c, "POST", "/v1/join-tokens", text_str(&t), out);
}

/* It may be pasted into a root's shell: what is none could be a command. */
static bool is_token(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c       = s.ptr[i];
        bool is_word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_word && !memchr(".:-_[]", c, 6)) return false;
    }
    return s.len > 0;
}

static struct err token_print(struct cli *c, const char *purpose, const char *note, const char *before,
                              const char *behind)
{
    scoped_reply struct api_reply r = { 0 };
    TRY(token_ask(c, purpose, &r));
    struct str token = json_as_str(json_member(r.doc.root, "token"));
    if (!is_token(token)) return ERR(CORRUPT, "what the network gave is no token");
    if (c->json) {
        print_json((struct str){ r.body, r.len });
        return OK;
    }
    fputs(note, stderr);
    printf("%s%.*s%s\n", before, (int)token.len, token.ptr, behind);
    return OK;
}

struct err command_device_token(struct cli *c)
{
    return token_print(c, "device", "", "", "");
}

struct err command_device_enroll(struct cli *c)
{
    return token_print(c, "device",
                       "on the machine, as root (the token works once, and is in no list of processes):\n",
                       "echo ", " | ionet-worker --token_file -");
}

struct err command_operator_gateway_token(struct cli *c)
{
    return token_print(c, "gateway", "", "", "");
}

struct err command_device_list(struct cli *c)
{
    static struct device device;
    return print_page(c, "/v1/devices", &device_type, &device, NULL,
                      "`ionet device enroll` tells how a machine joins");
}

static struct err device_answer(struct cli *c, const char *method, const char *tail)
{
    static struct device          device;
    char                          path[API_PATH_MAX];
    struct json_fault             fault;
    scoped_reply struct api_reply r = { 0 };
    TRY(api_path(c, "/v1/devices/", c->operands[0], tail, path));
    TRY(api_call(c, method, path, STR(""), &r));
    if (c->json) {
        print_json((struct str){ r.body, r.len });
        return OK;
    }
    memset(&device, 0, sizeof device);
    if (!r.len) return OK;
    TRY(json_read_value(r.doc.root, &device_type, JSON_VIEW, &device, &fault));
    sheet_record(&device_type, &device, stdout);
    return OK;
}

struct err command_device_show(struct cli *c)
{
    return device_answer(c, "GET", "");
}

struct err command_device_retire(struct cli *c)
{
    return device_answer(c, "DELETE", "");
}

struct err command_device_release(struct cli *c)
{
    return device_answer(c, "POST", "/release");
}

/* ---- watching ------------------------------------------------------------------------------------------ */

static struct err on_event(void *ctx, struct json_value device, struct str text, bool *enough)
{
    struct cli *c = ctx;
    (void)enough;
    if (c->json) {
        print_json(text);
        return OK;
    }
    struct str id = json_as_str(json_member(device, "id")), name = json_as_str(json_member(device, "name"));
    struct str state = json_as_str(json_member(device, "state")), why = json_as_str(json_member(device, "why"));
    bool       hired = member_i64(device, "nodes_count") > 0;
    printf("%.*s  %-20.*s %-9.*s %-6s %.*s\n", (int)id.len, id.ptr, (int)name.len, name.ptr, (int)state.len,
           state.ptr, hired ? "hired" : "", (int)why.len, why.ptr);
    fflush(stdout);
    return OK;
}

static const struct api_stream_calls watch_calls = { .on_event = on_event };

struct err command_device_watch(struct cli *c)
{
    TRY(api_stream(c, "/v1/devices/events", &watch_calls, c));
    c->interrupted = true;
    return OK;
}
