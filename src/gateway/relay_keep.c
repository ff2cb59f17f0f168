#include "relay_int.h"

#include "codec/codec.h"
#include "sys/sys.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* "SLOT SIDE MAC1_KEY PLACE GIVEN_AT INDEX INDEX INDEX INDEX" */

void relay_known_write(const struct relay_known *k, struct text *out)
{
    text_add_u64(out, k->slot);
    text_add(out, k->is_b ? STR(" b ") : STR(" a "));
    text_add_hex(out, k->mac1_key, sizeof k->mac1_key);
    text_add_char(out, ' ');
    text_add_hex(out, k->place, sizeof k->place);
    text_add_char(out, ' ');
    text_add_u64(out, k->given_at);
    for (size_t i = 0; i < RELAY_GIVEN_MAX; i++) {
        text_add_char(out, ' ');
        text_add_u64(out, k->given[i]);
    }
    text_add_char(out, '\n');
}

static struct err read_u32(struct str *rest, uint32_t *out)
{
    struct str field;
    uint64_t   n;
    str_split(*rest, ' ', &field, rest);
    TRY(str_to_u64(field, &n));
    if (n > UINT32_MAX) return ERR(CORRUPT, "a number is too large");
    *out = (uint32_t)n;
    return OK;
}

struct err relay_known_read(struct str line, struct relay_known *out)
{
    struct str field;
    TRY(read_u32(&line, &out->slot));
    str_split(line, ' ', &field, &line);
    out->is_b = str_eq(field, STR("b"));
    str_split(line, ' ', &field, &line);
    TRY(hex_read(field, out->mac1_key, sizeof out->mac1_key));
    str_split(line, ' ', &field, &line);
    TRY(hex_read(field, out->place, sizeof out->place));
    TRY(read_u32(&line, &out->given_at));
    for (size_t i = 0; i < RELAY_GIVEN_MAX; i++) TRY(read_u32(&line, &out->given[i]));
    return OK;
}

struct err relay_known_save(const char *path, struct str content)
{
    char fresh[4096];
    int  n = snprintf(fresh, sizeof fresh, "%s.new", path);
    if (n <= 0 || n >= (int)sizeof fresh) return ERR(LIMIT, "a path is too long");
    scoped_fd int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, content.ptr, content.len) != (ssize_t)content.len || rename(fresh, path) < 0)
        return ERR(IO, "what the relay knows can't be kept");
    return OK;
}
