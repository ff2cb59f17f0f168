/* runtime.h: what a supplier's machine does for the network: OCI containers of strangers, their images, their
 * network namespaces, and what the machine itself is.
 *
 *   machine.h    what there is: CPUs, memory, GPUs; what is missing before the machine can serve
 *   image.h      images by digest, fetched by skopeo, unpacked by umoci, whole or not there
 *   netns.h      a network namespace a node, and a way to connect to something in it
 *   container.h  a container a node, by runc or crun: start, watch, adopt, execute in, stop, clean
 *
 * Everything runs on net's loop, in callbacks; nothing blocks it. Programs (runc, skopeo …) are child processes
 * in groups of their own, with a deadline and bounded output; large trees are removed by libuv's threads. A
 * callback comes from the loop, never from inside the call that asked for it. Every call of this module is made
 * on the loop's thread. Strings given to a call are copied unless said otherwise.
 *
 * What must outlive the process is in files: a container has a keeper, a small process of its own that owns its
 * output and its exit status, so the worker may be killed and started anew, and adopt what still runs.
 *
 *   STATE/images/HEX/            an unpacked image: rootfs/, and image.json, written last
 *   RUN/nodes/NODE/              a node: its namespaces (mounts), bundle, log, keeper's lock and facts
 *   RUN/oci/                     the state of runc or crun
 *   /sys/fs/cgroup/…/CGROUP/NODE its limits
 *
 * RUN is on a tmpfs (/run/ionet): a boot leaves nothing of the nodes before it. Containers run in user
 * namespaces, whose root is nobody here: every folder above STATE and RUN must be open for others to pass
 * (0711); runtime_open refuses if it is not. One process a STATE and RUN: the caller holds the lock. */
#ifndef RUNTIME_RUNTIME_H
#define RUNTIME_RUNTIME_H

#include "base/id.h"
#include "base/str.h"
#include "net/net.h"

#define RUNTIME_PATH_TEXT 512 /* paths of this module, zero-ended */
#define RUNTIME_NODES_MAX 16  /* nodes held at once, with those still being cleaned */
#define RUNTIME_WHY_TEXT 256  /* a sentence for the owner of a node or a machine, zero-ended */

struct runtime;

struct runtime_options {
    const char *state_dir;           /* absolute; made if it is not there */
    const char *run_dir;             /* absolute; null: "/run/ionet" */
    const char *cgroup;              /* the parent of all our cgroups, one label; null: "ionet" */
    const char *oci;                 /* runc or crun, a name or a path; null: runc if it is there, else crun */
    const char *wireguard_go;        /* for machine_check: a name or a path; null: "wireguard-go" */
    bool        plain_registries;    /* images may come over HTTP, and from certificates nobody knows: they are
                                      named by digest, so nothing but what was asked for is accepted */
    uint64_t    image_bytes_max;     /* of one image, packed and again unpacked; 0: 64 GiB */
    uint64_t    image_files_max;     /* of one image, unpacked; 0: 1,048,576 */
    uint32_t    image_fetch_ms_max;  /* 0: 6 hours */
    uint32_t    image_unpack_ms_max; /* 0: half an hour */
    uint64_t    disk_bytes_spare;    /* never filled by images; 0: 2 GiB */
    uint32_t    uid_base; /* the first of RUNTIME_NODES_MAX × 65,537 user ids that nobody else here uses; 0:
                             0x70000000, which systemd's table of ids (UIDS-GIDS.md) leaves free */
};

/* First thing in main, of every program that opens a runtime: the program starts itself anew as a container's
 * keeper and for work inside namespaces. Returns if this start is none of these. */
void runtime_child_main(int argc, char **argv);

must_check struct err runtime_open(struct net *n, const struct runtime_options *o, struct runtime **out);

/* Ends what it runs but the containers: they live on. No callback comes any more but this one, when all is over
 * and r is freed; a clean that has begun is finished before. net_stop has to wait for it. */
typedef void (*runtime_on_closed)(void *ctx);
void runtime_close(struct runtime *r, runtime_on_closed call, void *ctx);

/* "runc" or "crun", as chosen. */
const char *runtime_oci(const struct runtime *r);

#endif
