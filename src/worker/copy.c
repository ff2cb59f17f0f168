/* The standby's copy of the head's state: a program of the recipe keeps it, and says how it stands, "copied" or "copying".
 * What it last said holds until it ends: also while the worker is away, since it goes on. */
#include "worker_int.h"

static void is_now(struct worker *w, struct worker_node *n, bool copied)
{
    if (n->copied == copied) return;
    n->copied        = copied;
    w->observe_dirty = w->save_dirty = true;
}

void worker_copy_take_line(struct worker *w, struct worker_node *n, struct str line)
{
    if (!n->copy_runs) return;
    if (str_eq(str_trim(line), STR("copied"))) is_now(w, n, true);
    if (str_eq(str_trim(line), STR("copying"))) is_now(w, n, false);
}

void worker_copy_ended(struct worker *w, struct worker_node *n, uint64_t now_ms)
{
    n->copy_runs     = false;
    n->copy_retry_ms = now_ms + WORKER_COPY_MS;
    is_now(w, n, false);
}

void worker_copy_act(struct worker *w, struct worker_node *n, uint64_t now_ms, struct worker_actions *out)
{
    bool is_to = n->assignment.standby;
    if (is_to && !n->copy_runs && now_ms >= n->copy_retry_ms)
        n->copy_runs = worker_act(out, ACT_START_COPY, w, n) != NULL;
    if (!is_to && n->copy_runs) n->copy_runs = !worker_act(out, ACT_STOP_COPY, w, n);
    if (!is_to) is_now(w, n, false);
}
