/* transfers.c: every movement of an account's money. They are too many for memory, so they are read from the store, by
 * a thread of its own: while a disk is slow, only those wait who ask for them. */
#include "api_int.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

/* A page that was asked for: the loop's, but the thread's from when it is asked for until it is done. */
struct read {
    struct read        *next;
    struct reads       *reads;
    struct net_request *request;           /* null: the client has left; the loop's always */
    struct id           balance, earnings; /* the account's two books */
    struct api_page     page;
    struct err          error;
    uint32_t            count;
    struct transfer     rows[]; /* one more than the page has: it says that there is another */
};

struct read_queue {
    struct read *first, *last;
};

struct reads {
    struct store_reader *reader;
    struct net_waker    *waker;
    uint32_t             count; /* the loop's */
    pthread_t            thread;
    pthread_mutex_t      mutex; /* guards what follows */
    pthread_cond_t       changed;
    struct read_queue    asked, done;
    bool                 ending;
};

static void queue_add(struct read_queue *q, struct read *x)
{
    x->next = NULL;
    if (q->first)
        q->last->next = x;
    else
        q->first = x;
    q->last = x;
}

static struct read *queue_take(struct read_queue *q)
{
    struct read *x = q->first;
    if (x) q->first = x->next;
    return x;
}

/* ---- the thread --------------------------------------------------------------------------------------------------- */

static struct err take_row(void *ctx, const void *record)
{
    struct read *x      = ctx;
    x->rows[x->count++] = *(const struct transfer *)record;
    return OK;
}

static void read_page(struct store_reader *reader, struct read *x)
{
    static const char *const fields[] = { "from", "to" };
    struct id                ids[]    = { x->balance, x->earnings };
    struct store_query       q        = { &transfer_type, fields,         countof(fields),  ids,
                                          countof(ids),   x->page.before, x->page.limit + 1 };
    x->error                          = store_read(reader, &q, take_row, x);
}

static void *read_all(void *ctx)
{
    struct reads *r = ctx;
    pthread_mutex_lock(&r->mutex);
    while (!r->ending) {
        struct read *x = queue_take(&r->asked);
        if (!x) {
            pthread_cond_wait(&r->changed, &r->mutex);
            continue;
        }
        pthread_mutex_unlock(&r->mutex);
        read_page(r->reader, x);
        pthread_mutex_lock(&r->mutex);
        queue_add(&r->done, x);
        net_wake(r->waker);
    }
    pthread_mutex_unlock(&r->mutex);
    return NULL;
}

/* ---- answers -------------------------------------------------------------------------------------------------------- */

static void write_transfer(struct json_out *w, const struct read *x, const struct transfer *row)
{
    struct transfer_now now = { .change = row->amount };
    if (id_eq(row->from, x->balance) || id_eq(row->from, x->earnings)) now.change.micros = -row->amount.micros;
    if (id_eq(row->from, x->earnings) || id_eq(row->to, x->earnings)) now.book = BOOK_EARNINGS;
    json_open_object(w);
    json_fields(w, &transfer_type, row, SEEN_OWNER);
    json_fields(w, &transfer_now_type, &now, SEEN_OWNER);
    json_close_object(w);
}

static void write_page(struct json_out *w, const void *ctx)
{
    const struct read *x    = ctx;
    bool               more = x->count > x->page.limit;
    uint32_t           most = more ? x->page.limit : x->count;
    json_open_object(w);
    json_key(w, "items");
    json_open_array(w);
    for (uint32_t i = 0; i < most; i++) write_transfer(w, x, &x->rows[i]);
    json_close_array(w);
    page_next(w, more ? x->rows[most - 1].number : UINT64_MAX);
    json_close_object(w);
}

static void answer(struct read *x)
{
    if (x->request && x->error.code)
        reply_error(x->request, x->error);
    else if (x->request)
        reply_json(x->request, 200, write_page, x);
    x->reads->count--;
    free(x);
}

static void on_done(void *ctx)
{
    struct reads *r = ctx;
    for (;;) {
        pthread_mutex_lock(&r->mutex);
        struct read *x = queue_take(&r->done);
        pthread_mutex_unlock(&r->mutex);
        if (!x) return;
        answer(x);
    }
}

static void on_gone(void *ctx)
{
    struct read *x = ctx;
    x->request     = NULL;
}

void get_transfers(struct api_ask *q)
{
    struct reads   *r = q->api->reads;
    struct api_page page;
    struct err      e = page_read(q, &page);
    if (e.code) return reply_error(q->request, e);
    size_t       bytes = sizeof(struct read) + (page.limit + 1) * sizeof(struct transfer);
    struct read *x     = r->count < API_READS_MAX ? malloc(bytes) : NULL;
    if (!x) return reply_error(q->request, ERR(LIMIT, "too many requests wait: try again in a moment"));

    r->count++;
    *x = (struct read){
        .reads    = r,
        .request  = q->request,
        .balance  = ledger_id(LEDGER_BALANCE, q->account->id.id),
        .earnings = ledger_id(LEDGER_EARNINGS, q->account->id.id),
        .page     = page,
    };
    net_request_set_ctx(q->request, x, on_gone);
    pthread_mutex_lock(&r->mutex);
    queue_add(&r->asked, x);
    pthread_cond_signal(&r->changed);
    pthread_mutex_unlock(&r->mutex);
}

/* ---- the whole -------------------------------------------------------------------------------------------------------- */

static struct err start(struct reads *r)
{
    sigset_t all, before;
    sigfillset(&all); /* signals are the loop's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&r->thread, NULL, read_all, r);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code ? ERR(LIMIT, "there is no thread for reading the store") : OK;
}

struct err reads_open(struct api *a)
{
    struct reads *r = calloc(1, sizeof *r);
    check(r);
    r->reader = a->o.reader;
    pthread_mutex_init(&r->mutex, NULL);
    pthread_cond_init(&r->changed, NULL);
    struct err e = net_waker_open(a->o.net, on_done, r, &r->waker);
    if (!e.code) e = start(r);
    if (e.code)
        free(r);
    else
        a->reads = r;
    return e;
}

void reads_close(struct api *a)
{
    struct reads *r = a->reads;
    if (!r) return;
    pthread_mutex_lock(&r->mutex);
    r->ending = true;
    pthread_cond_signal(&r->changed);
    pthread_mutex_unlock(&r->mutex);
    pthread_join(r->thread, NULL);
    for (struct read *x; (x = queue_take(&r->done)) || (x = queue_take(&r->asked));) free(x);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->mutex);
    free(r);
}
