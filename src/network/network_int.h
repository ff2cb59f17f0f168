/* network_int.h: what the parts of the network share. A step is one input being taken in; everything it changes and
 * causes is noted here. */
#ifndef NETWORK_NETWORK_INT_H
#define NETWORK_NETWORK_INT_H

#include "network.h"

struct step {
    struct network     *n;
    struct instant      now, before; /* of the step before this one */
    const struct input *in;
    struct effects     *out;
};

/* network.c */
/* The base images, each once: what devices are told to hold ahead and must hold to be ready. Those of recipes beyond
 * ASSIGN_IMAGES_MAX are fetched when a node needs them. */
uint32_t network_images(const struct network *n, const char *out[ASSIGN_IMAGES_MAX]);
bool     network_holds_ahead(const struct network *n, const char *image); /* it is one of them */

/* step.c */
void           step_changed(struct step *s, const struct record_type *type, const void *record);
void           step_removed(struct step *s, const struct record_type *type, struct table *table, void *row);
struct effect *step_effect(struct step *s, enum effect_kind kind, struct id subject);
void           step_reply(struct step *s, struct err e, struct id subject, uint64_t count);
struct id      step_id(struct step *s, struct str kind); /* a new one */
/* Whether the end of one more cluster would fit. What comes with time waits for the next tick when it would not; what
 * somebody asks for alone in a step always fits. */
bool step_has_room(const struct step *s);
/* Moves money, and notes the two accounts and the transfer. */
struct err step_post(struct step *s, struct ledger_account *from, struct ledger_account *to,
                     struct money amount, enum ledger_cause cause, struct id subject);

/* accounts.c */
void on_sign_in(struct step *s);
void on_key_end(struct step *s);
void on_grant(struct step *s);
void on_token(struct step *s);
/* Quotes, API keys and join tokens count against their account: from when they are made or loaded until they are taken,
 * used or removed, and account_lets_go comes before that. account_holds is false if there is no such account. */
bool account_holds(struct network *n, const struct record_type *type, const void *record);
void account_lets_go(struct network *n, const struct record_type *type, const void *record);
/* ERR_LIMIT if it may open no more of these; *most says how many it may. ERR_MISSING: there is no such account. */
struct err account_may_open(const struct network *n, struct account_id id, enum account_open what,
                            uint64_t *most);

/* links.c */
void on_link_up(struct step *s);
void on_link_down(struct step *s);
void on_observed(struct step *s);
void on_retire(struct step *s);
void on_release(struct step *s);
/* The device's desired state is another one now. */
void device_tell(struct step *s, struct device *d);
void device_changed(struct step *s, struct device *d); /* stored, and its watchers told */
/* It was hired, told, and did not begin: too often in a row, and it is held. */
void device_was_idle(struct step *s, struct device *d);
/* All linked devices are to hear of it, as many in this step as TELL_A_STEP_MAX, the others in the ticks to come. */
void devices_tell_all(struct step *s);
void devices_tell_more(struct step *s);

/* orders.c */
void on_quote(struct step *s);
void on_create(struct step *s);
void on_extend(struct step *s);
void on_terminate(struct step *s);

/* life.c */
struct node *cluster_node(const struct network *n, const struct cluster *c,
                          const struct node *after); /* walks */
bool         node_is_live(const struct node *x); /* placed or serving: it is in its device's desired state */
void         cluster_changed(struct step *s, struct cluster *c); /* stored, and its watchers told */
void         cluster_event(struct step *s, struct cluster *c);   /* only told */
struct node *cluster_add_node(struct step *s, struct cluster *c, struct device *d, enum node_role role,
                              uint32_t index, uint32_t units);
void         cluster_advance(struct step *s, struct cluster *c); /* what its nodes have reached */
void         cluster_end(struct step *s, struct cluster *c, bool failed, struct str why);
void         node_close(struct step *s, struct cluster *c, struct node *x); /* nothing counts any more */
void         node_ended(struct step *s, struct cluster *c, struct node *x, const struct observed_node *o);
void         node_settle(struct step *s, struct cluster *c, struct node *x);

/* heads.c */
struct node *cluster_head(const struct network *n,
                          const struct cluster *c); /* that lives; null: its place is empty */
struct node *cluster_keeper(const struct network *n,
                            const struct cluster *c); /* of a whole copy of the state; null */
void         standby_appoint(struct step *s, struct cluster *c);
/* Its head is closed. Null if another may take the place, else why not. */
const char *head_is_gone_for_good(const struct step *s, const struct cluster *c);
void        head_was_lost(struct step *s, struct cluster *c, const struct node *head);
/* A device for the head where none is free: a worker's, who gives up its place. Null: none can. */
struct device *head_takes_a_workers(struct step *s, struct cluster *c);
/* A new head gives those that it has not seen yet time to come back to it. */
bool head_waits_for(const struct step *s, const struct node *head, const struct node *x);

/* places.c */
void places_fill(struct step *s, struct cluster *c);
void place_failed(struct step *s, struct cluster *c,
                  const struct node *x);                             /* it took one and did not come up */
void cluster_say(struct step *s, struct cluster *c, struct str why); /* what its owner reads while it goes on */

/* watch.c */
void witness_appoint(struct step *s, struct cluster *c);
void on_tick(struct step *s);
void on_witnessed(struct step *s);
void on_gw_probed(struct step *s);

/* meshes.c */
void               on_silent(struct step *s);
void               on_reached(struct step *s);
void               on_gw_up(struct step *s);
void               on_gw_seen(struct step *s);
struct mesh_member node_member(const struct node *x);
void               node_met(struct step *s, struct cluster *c, struct node *x); /* its key or place is new */
void node_moved_at_home(struct step *s, struct cluster *c, struct node *x); /* or has first said where it is */
void node_leaves_mesh(struct step *s, struct cluster *c, struct node *x);
void cluster_leaves_mesh(struct step *s, struct cluster *c); /* all its nodes at once */
void cluster_owe_maps(struct step *s, struct cluster *c); /* sends whole maps that are owed, if all are known */
bool node_is_unheard(const struct network *n, const struct node *x);
void relays_try(struct step *s); /* those whose time has come */
const struct relay *pair_find(const struct network *n, const struct node *a, const struct node *b);

#endif
