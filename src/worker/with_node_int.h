/* with_node_int.h: a worker in a test, with one node, 2, that serves. Peers are named by the letter their key is made of. */
#ifndef WORKER_WITH_NODE_INT_H
#define WORKER_WITH_NODE_INT_H

#include "worker.h"

extern struct worker        *w;
extern struct worker_actions out; /* of the last step */
extern uint64_t              now;
extern struct worker_ref     ref;

struct worker_input input(enum worker_input_kind kind);
void                step(struct worker_input in);
void                tick_after(uint64_t ms);

/* "set a, remove b" of the last step; what else was done of peers too. */
const char *done(void);
bool        does(enum worker_action_kind kind);

struct mesh_map new_map(bool reset);
void            add(struct mesh_map *m, char letter, enum mesh_via via, uint32_t wait_ms);
void            tell(const struct mesh_map *m);
/* What the device knows: a letter a peer, where `add` puts it; after it '!' if there was a handshake just now. */
void read_as(const char *peers);

int begin(void **state);
int end(void **state);

#endif
