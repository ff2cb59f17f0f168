/* lists.c: pages of a list, by cursors. A cursor is the place (or number) of the last that was shown: what comes or
 * goes meanwhile neither repeats nor hides another. */
#include "api_int.h"

#include <string.h>

static struct err read_piece(struct str name, struct str value, struct api_page *out)
{
    uint64_t n = 0;
    if (str_eq(name, STR("limit"))) {
        if (str_to_u64(value, &n).code || n == 0 || n > API_PAGE_MAX) return ERR(INVALID, "limit: 1 to 200");
        out->limit = (uint32_t)n;
        return OK;
    }
    if (str_eq(name, STR("cursor"))) {
        if (str_to_u64(value, &n).code) return ERR(INVALID, "cursor: as the last page's `next` gave it");
        out->before = n;
        return OK;
    }
    return ERR(INVALID, "a list takes `limit` and `cursor`, nothing else");
}

struct err page_read(const struct api_ask *q, struct api_page *out)
{
    struct str rest = net_request_query(q->request);
    *out            = (struct api_page){ API_PAGE_DEFAULT, UINT64_MAX };
    while (rest.len) {
        struct str piece, name, value;
        str_split(rest, '&', &piece, &rest);
        str_split(piece, '=', &name, &value);
        TRY(read_piece(name, value, out));
    }
    return OK;
}

void page_next(struct json_out *w, uint64_t next)
{
    char        room[24];
    struct text t = TEXT_IN(room);
    json_key(w, "next");
    if (next == UINT64_MAX) return json_none(w);
    text_add_u64(&t, next);
    json_str(w, text_str(&t));
}

/* The live row with the greatest place below *place, which is set to it; null: there is none. */
static const void *row_below(const struct table *t, uint64_t *place)
{
    uint64_t at = *place < t->used ? *place : t->used;
    while (at-- > 0) {
        const char *row = t->rows + at * t->stride;
        struct id   id;
        memcpy(&id, row + t->id_offset, sizeof id);
        if (id_is_none(id)) continue;
        *place = at;
        return row;
    }
    return NULL;
}

struct table_page {
    const struct api_ask *q;
    const struct table   *table;
    size_t                owner_offset;
    api_view              view;
    struct api_page       page;
};

static bool is_own(const struct table_page *p, const void *row)
{
    struct id owner;
    memcpy(&owner, (const char *)row + p->owner_offset, sizeof owner);
    return id_eq(owner, p->q->account->id.id);
}

static void write_page(struct json_out *w, const void *ctx)
{
    const struct table_page *p     = ctx;
    uint64_t                 place = p->page.before, last = UINT64_MAX;
    uint32_t                 shown = 0;
    bool                     more  = false;
    json_open_object(w);
    json_key(w, "items");
    json_open_array(w);
    for (const void *row; (row = row_below(p->table, &place));) {
        if (!is_own(p, row)) continue;
        more = shown == p->page.limit;
        if (more) break;
        p->view(w, p->q->api, row);
        last = place;
        shown++;
    }
    json_close_array(w);
    page_next(w, more ? last : UINT64_MAX);
    json_close_object(w);
}

void reply_page(struct api_ask *q, const struct table *t, size_t owner_offset, api_view view)
{
    struct table_page p = { .q = q, .table = t, .owner_offset = owner_offset, .view = view };
    struct err        e = page_read(q, &p.page);
    if (e.code) return reply_error(q->request, e);
    reply_json(q->request, 200, write_page, &p);
}
