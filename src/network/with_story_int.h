/* with_story_int.h: the one world of a test program whose tests are stories, each from its beginning. */
#ifndef NETWORK_WITH_STORY_INT_H
#define NETWORK_WITH_STORY_INT_H

#include "with_world_int.h"

extern struct world w;

int story_open(void **state);
int story_close(void **state);
#define TEST(name) cmocka_unit_test_setup_teardown(name, story_open, story_close)

const struct cluster *at(struct id cluster); /* it must be there */
struct device        *device(int i);

#endif
