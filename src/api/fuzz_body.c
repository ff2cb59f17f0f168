/* fuzz_body.c: the bodies of requests, one route's after the other by the first byte. What is taken is within its record's
 * limits, and only what a request may set was set. */
#include "api_int.h"
#include "base/fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static union api_body     body;
    struct str                in    = fuzz_all(data, size);
    struct json_fault         fault = { "" };
    const struct record_type *type  = api_routes[fuzz_u8(&in) % api_route_count].body;
    if (!type) return 0;
    memset(&body, 0, sizeof body);
    if (json_read(in, type, JSON_REQUEST, &body, &fault).code) {
        check(str_is_utf8(str_from(fault.detail)));
        return 0;
    }
    static const union api_body none;
    for (uint32_t i = 0; i < type->field_count; i++) {
        const struct field *f = &type->fields[i];
        if (f->flags & WRITABLE) continue;
        check(memcmp((const char *)&body + f->offset, (const char *)&none + f->offset, f->size) == 0);
    }
    return 0;
}
