/* listener_int.h: plain TCP listeners. */
#ifndef NET_LISTENER_INT_H
#define NET_LISTENER_INT_H

#include "loop_int.h"

void listener_stop_all(struct net *n);

#endif
