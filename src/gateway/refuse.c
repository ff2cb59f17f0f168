#include "refuse_int.h"

#include <stdlib.h>

#define FAREWELL_MS 2000 /* how long a refused reader may take */

struct farewell {
    struct net_raw   *raw;
    struct net_timer *timer;
};

static void farewell_on_end(void *ctx, struct net_raw *r)
{
    (void)ctx;
    net_raw_close(r);
}

static void farewell_on_close(void *ctx, const char *why)
{
    struct farewell *f = ctx;
    (void)why;
    net_timer_stop(f->timer);
    free(f);
}

static void farewell_on_timer(void *ctx)
{
    struct farewell *f = ctx;
    f->timer           = NULL;
    net_raw_close(f->raw);
}

void refuse_raw(struct net *n, struct net_raw *raw, unsigned status, struct str why)
{
    static const struct net_raw_calls calls = { .on_end = farewell_on_end, .on_close = farewell_on_close };
    struct farewell                  *f     = calloc(1, sizeof *f);
    char                              room[1024];
    struct text                       t = TEXT_IN(room);
    check(f);
    f->raw = raw;
    net_raw_set(raw, &calls, f);
    text_add(&t, STR("HTTP/1.1 "));
    text_add_u64(&t, status);
    text_add(&t, status == 503   ? STR(" Service Unavailable")
                 : status == 502 ? STR(" Bad Gateway")
                                 : STR(" Forbidden"));
    text_add(
        &t,
        STR("\r\ncontent-type: text/plain; charset=utf-8\r\ncache-control: no-store\r\nconnection: close\r\n"
            "content-length: "));
    text_add_u64(&t, why.len + 1);
    text_add(&t, STR("\r\n\r\n"));
    text_add(&t, why);
    text_add_char(&t, '\n');
    net_raw_pause(raw, false);
    net_raw_send(raw, text_str(&t));
    net_raw_end(raw);
    if (net_timer_start(n, FAREWELL_MS, 0, farewell_on_timer, f, &f->timer).code) net_raw_close(raw);
}
