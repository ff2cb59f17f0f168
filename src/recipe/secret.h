/* secret.h: a cluster's secrets, by the names that its recipe declares. The network shows one to the cluster's
 * owner, every worker gives it to its node: both compute it here from the cluster's own secret. */
#ifndef RECIPE_SECRET_H
#define RECIPE_SECRET_H

#include "base/str.h"

/* RECIPE_SECRET_TEXT - 1 letters: hex of secret_derive(cluster_secret, name, 0). */
void recipe_secret(const uint8_t cluster_secret[32], struct str name, struct text *out);

#endif
