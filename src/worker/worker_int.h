/* worker_int.h: what the files of this module share. */
#ifndef WORKER_WORKER_INT_H
#define WORKER_WORKER_INT_H

#include "worker.h"

/* Null when the list is full: nothing may be marked as asked then, the next step asks again. */
struct worker_action *worker_act(struct worker_actions *out, enum worker_action_kind kind,
                                 const struct worker *w, const struct worker_node *n);

void worker_node_move(struct worker *w, struct worker_node *n, enum worker_step to);
bool worker_is_wanted(const struct worker *w, const struct worker_node *n);
bool worker_is_final(struct err e); /* it will not be there later either */
void worker_node_end(struct worker *w, struct worker_node *n, uint64_t now_ms, struct str why);
void worker_node_count_served(struct worker_node *n, uint64_t now_ms);

/* Text of any length into a record's field, cut at a whole letter; controls become blanks but, if `lines`,
 * line ends. */
void worker_text_fit(struct str s, char *room, size_t size, bool lines);

void worker_peers_take_map(struct worker *w, uint64_t now_ms, const struct mesh_map *map);
void worker_peers_take_seen(struct worker_node *n, uint64_t now_ms, const struct worker_input *in);
void worker_peers_take_reached(struct worker_node *n, const uint8_t key[MESH_KEY_BYTES]);
void worker_peers_link_up(struct worker_node *n);
void worker_peers_act(struct worker *w, struct worker_node *n, uint64_t now_ms, struct worker_actions *out);
bool worker_peers_are_waiting(const struct worker_node *n); /* for a moment, or for an answer */

/* A peer is set: at the head's address it may be another than before. */
void worker_witness_peer(struct worker *w, struct worker_node *n, const struct mesh_peer *peer);
void worker_witness_take_line(struct worker_node *n, uint64_t now_ms, struct str line);
void worker_witness_act(struct worker *w, struct worker_node *n, uint64_t now_ms, struct worker_actions *out);

void worker_copy_take_line(struct worker *w, struct worker_node *n, struct str line);
void worker_copy_ended(struct worker *w, struct worker_node *n, uint64_t now_ms);
void worker_copy_act(struct worker *w, struct worker_node *n, uint64_t now_ms, struct worker_actions *out);

void worker_tunnels_take(struct worker_node *n, uint64_t now_ms, enum worker_tunnel what);
void worker_tunnels_act(const struct worker *w, struct worker_node *n, uint64_t now_ms,
                        struct worker_actions *out);

void worker_images_start(struct worker *w, const struct worker_input *in);
/* Those of the desired state and of the nodes are wanted from now on. */
void                       worker_images_want(struct worker *w, struct worker_actions *out);
void                       worker_images_take(struct worker *w, uint64_t now_ms, const struct worker_input *in);
void                       worker_images_act(struct worker *w, uint64_t now_ms, struct worker_actions *out);
const struct worker_image *worker_image_find(const struct worker *w, const char *image);

void worker_restore(struct worker *w, uint64_t now_ms, const struct worker_input *in);

#endif
