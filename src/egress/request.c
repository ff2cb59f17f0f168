/* request.c: the head of a request to a proxy. */
#include "egress.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

static const struct err bad = { ERR_INVALID, "it is no request to a proxy" };

static bool is_same(struct str a, struct str b)
{
    return a.len == b.len && strncasecmp(a.ptr, b.ptr, a.len) == 0;
}

/* The next line of a head, without its end; false at the empty one. */
static bool next_line(struct str *head, struct str *line)
{
    (void)str_split(*head, '\n', line, head);
    if (line->len && line->ptr[line->len - 1] == '\r') line->len--;
    return line->len > 0;
}

/* Letters of names and addresses: nothing that the resolver could take for something else. */
static bool is_host(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
              c == '_' || c == '.' || c == ':'))
            return false;
    }
    return s.len > 0;
}

/* "host", "host:port", "[2001:db8::1]:port". */
static struct err authority_read(struct str text, uint16_t usual_port, struct egress_request *out)
{
    struct str host, port;
    uint64_t   number = usual_port;
    bool       is_v6  = str_starts(text, STR("["));
    if (is_v6) {
        if (!str_split(str_skip(text, 1), ']', &host, &port)) return bad;
        if (port.len && port.ptr[0] != ':') return bad;
        port = str_skip(port, 1);
    } else if (!str_split(text, ':', &host, &port)) {
        port = STR("");
    }
    if (port.len && str_to_u64(port, &number).code) return bad;
    if (!number || number > UINT16_MAX || !is_host(host)) return bad;
    if (!is_v6 && memchr(host.ptr, ':', host.len)) return bad;
    out->port = (uint16_t)number;
    return str_copy(host, out->host, sizeof out->host);
}

struct err egress_request_read(struct str head, struct egress_request *out)
{
    struct str line, method, target, version, rest, authority;
    *out = (struct egress_request){ 0 };
    if (!next_line(&head, &line)) return bad;
    if (!str_split(line, ' ', &method, &rest) || !str_split(rest, ' ', &target, &version)) return bad;
    if (!method.len || !(str_eq(version, STR("HTTP/1.0")) || str_eq(version, STR("HTTP/1.1")))) return bad;
    for (size_t i = 0; i < line.len; i++)
        if ((unsigned char)line.ptr[i] < ' ' || line.ptr[i] == 0x7f) return bad;
    out->connect = str_eq(method, STR("CONNECT"));
    if (out->connect) return authority_read(target, 0, out);

    struct str scheme = { target.ptr, target.len < 7 ? target.len : 7 };
    if (!is_same(scheme, STR("http://"))) return bad;
    target   = str_skip(target, 7);
    size_t n = 0;
    while (n < target.len && target.ptr[n] != '/' && target.ptr[n] != '?' && target.ptr[n] != '#') n++;
    authority = (struct str){ target.ptr, n };
    out->path = str_skip(target, n);
    return authority_read(authority, 80, out);
}

static bool is_for_the_proxy(struct str line)
{
    struct str name, value;
    (void)str_split(line, ':', &name, &value);
    static const char *const names[] = { "connection", "keep-alive", "proxy-connection",
                                         "proxy-authorization" };
    for (size_t i = 0; i < countof(names); i++)
        if (is_same(name, str_from(names[i]))) return true;
    return false;
}

void egress_request_write(struct str head, const struct egress_request *r, struct text *out)
{
    struct str line, method, rest, target, version;
    (void)next_line(&head, &line);
    (void)str_split(line, ' ', &method, &rest);
    (void)str_split(rest, ' ', &target, &version);
    text_add(out, method);
    text_add_char(out, ' ');
    if (!str_starts(r->path, STR("/"))) text_add_char(out, '/');
    text_add(out, r->path);
    text_add_char(out, ' ');
    text_add(out, version);
    text_add(out, STR("\r\n"));
    while (next_line(&head, &line)) {
        if (is_for_the_proxy(line)) continue;
        text_add(out, line);
        text_add(out, STR("\r\n"));
    }
    text_add(out, STR("connection: close\r\n\r\n"));
}

/* Names that no public server answers for: RFC 6761, 6762, 7686, 8375, 9476; ICANN's reserved "internal"; what routers
 * of homes like to call themselves. Asking for one would tell the home that somebody does. */
bool egress_host_is_local(const char *host)
{
    static const char *const ends[] = { "local",   "localhost", "internal", "home.arpa", "lan",
                                        "home",    "corp",      "intranet", "private",   "onion",
                                        "invalid", "test",      "alt",      "fritz.box", "localdomain" };
    size_t                   len    = strlen(host);
    if (len && host[len - 1] == '.') len--;
    if (!memchr(host, '.', len)) return true;
    for (size_t i = 0; i < countof(ends); i++) {
        size_t end     = strlen(ends[i]);
        bool   is_name = len == end || (len > end && host[len - end - 1] == '.');
        if (is_name && strncasecmp(host + len - end, ends[i], end) == 0) return true;
    }
    return false;
}
