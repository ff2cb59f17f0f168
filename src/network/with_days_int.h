/* with_days_int.h: a cluster whose recipe keeps state, and days that pass over it, in tests. Each second every machine that
 * lives reports what it really served, and every witness what it really saw. */
#ifndef NETWORK_WITH_DAYS_INT_H
#define NETWORK_WITH_DAYS_INT_H

#include "with_story_int.h"

int days_open(void **state);
#define STORY(name) cmocka_unit_test_setup_teardown(name, days_open, story_close)

/* That many machines, and a cluster of some of them that is ready and whose standby's copy is whole. */
struct id days_ready(int machines, uint32_t size, int64_t duration_ms);
void      days_pass(int seconds);

void days_die(const struct node *x);                 /* with its machine: link and mesh are gone */
void days_die_all(void);                             /* all machines */
void days_return(int device);                        /* a machine links again */
void days_unseen(const struct node *x, bool unseen); /* by any witness but its own */
void days_spoil(bool spoilt);                        /* containers that begin from now on end at once */

/* Those that live; null if there are none. */
const struct node    *days_head(void);
const struct node    *days_standby(void);
const struct node    *days_worker(bool witness); /* that is no standby */
const struct cluster *days_cluster(void);
int                   days_placed(void);  /* how many nodes it had in all */
int64_t               days_charged(void); /* micros, by all nodes up to now */

#endif
