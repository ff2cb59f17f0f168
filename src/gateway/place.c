#include "place_int.h"

#include "mesh/mesh.h"

#include <arpa/inet.h>
#include <string.h>

socklen_t place_size(const union place *p)
{
    return p->any.sa_family == AF_INET6 ? sizeof p->six : sizeof p->four;
}

bool place_eq(const union place *a, const union place *b)
{
    if (a->any.sa_family != b->any.sa_family) return false;
    if (a->any.sa_family == AF_INET)
        return a->four.sin_port == b->four.sin_port && a->four.sin_addr.s_addr == b->four.sin_addr.s_addr;
    return a->six.sin6_port == b->six.sin6_port && memcmp(&a->six.sin6_addr, &b->six.sin6_addr, 16) == 0;
}

void place_address(const union place *p, uint8_t out[16])
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
    if (p->any.sa_family == AF_INET6) {
        memcpy(out, &p->six.sin6_addr, 16);
    } else {
        memcpy(out, mapped, 12);
        memcpy(out + 12, &p->four.sin_addr, 4);
    }
}

void place_set_port(union place *p, uint16_t port)
{
    if (p->any.sa_family == AF_INET6)
        p->six.sin6_port = htons(port);
    else
        p->four.sin_port = htons(port);
}

struct err place_read(const char *address, uint16_t port, union place *out)
{
    *out       = (union place){ .any.sa_family = strchr(address, ':') ? AF_INET6 : AF_INET };
    void *into = out->any.sa_family == AF_INET6 ? (void *)&out->six.sin6_addr : (void *)&out->four.sin_addr;
    place_set_port(out, port);
    return inet_pton(out->any.sa_family, address, into) == 1 ? OK : ERR(INVALID, "an address is not numeric");
}

bool place_read_address(const char *endpoint, uint8_t out[16])
{
    char        host[MESH_ENDPOINT_TEXT];
    union place p;
    const char *colon = strrchr(endpoint, ':');
    if (!colon) return false;
    struct str part = { endpoint, (size_t)(colon - endpoint) };
    if (str_starts(part, STR("[")) && str_ends(part, STR("]")))
        part = (struct str){ part.ptr + 1, part.len - 2 };
    if (str_copy(part, host, sizeof host).code || place_read(host, 0, &p).code) return false;
    place_address(&p, out);
    return true;
}
