#include "http_int.h"

#include <string.h>

void str_lower(char *ptr, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (ptr[i] >= 'A' && ptr[i] <= 'Z') ptr[i] = (char)(ptr[i] + 32);
}

bool head_append(struct head *h, struct piece *p, struct str bytes)
{
    if (bytes.len > NET_HEAD_BYTES_MAX - h->text.len) return false;
    if (p->len == 0) p->at = (uint32_t)h->text.len;
    bytes_add(&h->text, bytes);
    p->len += (uint32_t)bytes.len;
    return true;
}

bool head_begin_field(struct head *h)
{
    if (h->count == HEAD_FIELDS_MAX) return false;
    h->count++;
    return true;
}

struct str head_piece(const struct head *h, struct piece p)
{
    return p.len ? (struct str){ h->text.ptr + p.at, p.len } : STR("");
}

struct str head_find(const struct head *h, struct str lower_name)
{
    for (size_t i = 0; i < h->count; i++)
        if (str_eq(head_piece(h, h->fields[i].name), lower_name)) return head_piece(h, h->fields[i].value);
    return STR("");
}

size_t head_count(const struct head *h, struct str lower_name)
{
    size_t count = 0;
    for (size_t i = 0; i < h->count; i++) count += str_eq(head_piece(h, h->fields[i].name), lower_name);
    return count;
}

void head_free(struct head *h)
{
    bytes_free(&h->text);
    h->count = 0;
}

bool http_same(struct str a, struct str lower)
{
    if (a.len != lower.len) return false;
    for (size_t i = 0; i < a.len; i++) {
        char c = a.ptr[i];
        if (c >= 'A' && c <= 'Z') c = (char)(c + 32);
        if (c != lower.ptr[i]) return false;
    }
    return true;
}

bool http_has_token(struct str list, struct str lower_token)
{
    while (list.len) {
        struct str one;
        str_split(list, ',', &one, &list);
        if (http_same(str_trim(one), lower_token)) return true;
    }
    return false;
}

bool http_is_value(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f) return false;
    return true;
}

const char *http_reason(unsigned status)
{
    static const struct {
        unsigned    status;
        const char *reason;
    } reasons[] = {
        { 200, "OK" },
        { 201, "Created" },
        { 202, "Accepted" },
        { 204, "No Content" },
        { 301, "Moved Permanently" },
        { 302, "Found" },
        { 303, "See Other" },
        { 304, "Not Modified" },
        { 307, "Temporary Redirect" },
        { 400, "Bad Request" },
        { 401, "Unauthorized" },
        { 402, "Payment Required" },
        { 403, "Forbidden" },
        { 404, "Not Found" },
        { 405, "Method Not Allowed" },
        { 408, "Request Timeout" },
        { 409, "Conflict" },
        { 410, "Gone" },
        { 413, "Content Too Large" },
        { 415, "Unsupported Media Type" },
        { 421, "Misdirected Request" },
        { 422, "Unprocessable Content" },
        { 426, "Upgrade Required" },
        { 429, "Too Many Requests" },
        { 431, "Request Header Fields Too Large" },
        { 500, "Internal Server Error" },
        { 501, "Not Implemented" },
        { 502, "Bad Gateway" },
        { 503, "Service Unavailable" },
        { 504, "Gateway Timeout" },
    };
    for (size_t i = 0; i < countof(reasons); i++)
        if (reasons[i].status == status) return reasons[i].reason;
    return "";
}
