#include "terminal_int.h"

#include <stdio.h>
#include <unistd.h>

#define PART_MAX 4096

struct guard {
    int                  fd;
    struct terminal_text text;
};

/* What came before and waits for this byte; true if that was all of it. */
static bool take_with_last(struct terminal_text *t, unsigned char c, char *out, size_t *len)
{
    enum terminal_after after = t->after;
    t->after                  = TERMINAL_PLAIN;
    switch (after) {
    case TERMINAL_RETURN: out[(*len)++] = '\n'; return c == '\n';
    case TERMINAL_ESCAPE:
        if (c == '[')
            t->after = TERMINAL_SEQUENCE;
        else
            out[(*len)++] = '?';
        return c == '[';
    case TERMINAL_SEQUENCE: /* ECMA-48: parameters, then a letter */
        if (c >= 0x20 && c <= 0x3f) t->after = TERMINAL_SEQUENCE;
        return c >= 0x20 && c <= 0x7e;
    case TERMINAL_C2: /* U+0080 to U+009F are controls too */
        out[(*len)++] = '?';
        if (c >= 0xa0 && c <= 0xbf) {
            out[*len - 1] = '\xc2';
            out[(*len)++] = (char)c;
        }
        return c >= 0x80 && c <= 0xbf;
    case TERMINAL_PLAIN: break;
    }
    return false;
}

/* A byte that is shown as it is, or else '?'. */
static bool is_shown(struct terminal_text *t, unsigned char c)
{
    bool goes_on = c >= 0x80 && c <= 0xbf && t->more > 0;
    if (goes_on)
        t->more--;
    else
        t->more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;
    if (c >= 0x80 && c <= 0xbf) return goes_on;
    return (c >= ' ' && c != 0x7f) || c == '\n' || c == '\t';
}

size_t terminal_text_take(struct terminal_text *t, struct str bytes, char *out)
{
    size_t len = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char c = (unsigned char)bytes.ptr[i];
        if (take_with_last(t, c, out, &len)) continue;
        if (c == '\r' || c == 0x1b || c == 0xc2) t->more = 0;
        if (c == '\r')
            t->after = TERMINAL_RETURN;
        else if (c == 0x1b)
            t->after = TERMINAL_ESCAPE;
        else if (c == 0xc2)
            t->after = TERMINAL_C2;
        else
            out[len++] = is_shown(t, c) ? (char)c : '?';
    }
    return len;
}

static ssize_t on_write(void *cookie, const char *bytes, size_t size)
{
    struct guard *g = cookie;
    char          room[PART_MAX + 1];
    for (size_t at = 0; at < size;) {
        size_t take = size - at < PART_MAX ? size - at : PART_MAX;
        size_t len  = terminal_text_take(&g->text, (struct str){ bytes + at, take }, room);
        at += take;
        for (size_t done = 0; done < len;) {
            ssize_t written = write(g->fd, room + done, len - done);
            if (written < 0) return 0; /* what stdio takes for an error */
            done += (size_t)written;
        }
    }
    return (ssize_t)size;
}

static FILE *guarded(FILE *plain, struct guard *g, int buffering)
{
    if (!isatty(g->fd)) return plain;
    FILE *f = fopencookie(g, "w", (cookie_io_functions_t){ .write = on_write });
    check(f && setvbuf(f, NULL, buffering, BUFSIZ) == 0);
    return f;
}

void terminal_guard(void)
{
    static struct guard out = { .fd = STDOUT_FILENO }, err = { .fd = STDERR_FILENO };
    stdout = guarded(stdout, &out, _IOLBF);
    stderr = guarded(stderr, &err, _IONBF);
}

void terminal_line_clear(void)
{
    static const char clear[] = "\r\033[K";
    if (write(STDERR_FILENO, clear, sizeof clear - 1) < 0) return; /* then nobody sees the line either */
}
