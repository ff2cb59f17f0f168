/* recipe.h: what a cluster of one kind runs, declared in YAML (recipes/NAME.yaml).
 *
 * ionetd reads a recipe to check and offer it, a worker to run its part; both read the same text, named by
 * its SHA-256. Nothing here, and nothing that uses it, knows the programs that a recipe names.
 *
 * Commands and environments may use these variables, and no others:
 *   ${address} this node's mesh address   ${head} the head's   ${cluster} the cluster's id
 *   ${index} this node's number in it     ${nodes} how many    ${cpus} whole CPUs   ${gpus} GPUs
 *   ${memory} bytes of memory beside /dev/shm
 *   ${shm} bytes of /dev/shm, less a sixteenth that is left to what keeps books in it
 *   ${standby} the mesh address of the node that keeps a copy of the state, for a head that takes a lost one's place;
 *   else nothing
 *   ${secret.NAME} a secret of the cluster that the recipe declares
 * What a service's user sets (`services[].env`) may use secrets, and ${address}: HOST:PORT at which he reaches it.
 * A '$' that no '{' follows stands for itself.
 *
 * The file is plain YAML 1.1, one document, no aliases, every key once. Keys are the names of the members
 * below (counts aside); lists of NAME=VALUE are lists of such texts. May be left out: tmpfs, sysctls, env,
 * secrets, `worker.env`, `head.env`, a service's env (then empty), a service's path, egress: then there is no way
 * out of a node but to the others of its cluster; and state: then a cluster ends with its head.
 *
 * A recipe lives on the heap until recipe_free. */
#ifndef RECIPE_RECIPE_H
#define RECIPE_RECIPE_H

#include "base/arena.h"
#include "base/str.h"

#define RECIPE_BYTES_MAX 65536
#define RECIPE_NODES_MAX 2500
#define RECIPE_ARGS_MAX 64
#define RECIPE_ENV_MAX 64
#define RECIPE_SECRETS_MAX 8
#define RECIPE_SERVICES_MAX 16
#define RECIPE_SERVICE_ENV_MAX 8
#define RECIPE_SERVICE_ENV_TEXT 1024
#define RECIPE_TMPFS_MAX 16
#define RECIPE_EGRESS_PORTS_MAX 8
#define RECIPE_SYSCTLS_MAX 16
#define RECIPE_SECRET_TEXT 65
#define RECIPE_PATH_MAX 127
#define RECIPE_LOST_MAX 159

enum recipe_unit { RECIPE_UNIT_MACHINE, RECIPE_UNIT_GPU }; /* what a quote counts */
enum recipe_role { RECIPE_HEAD, RECIPE_WORKER, RECIPE_ROLE_COUNT };
enum recipe_on { RECIPE_ON_HEAD, RECIPE_ON_WORKER, RECIPE_ON_ANY };
enum recipe_protocol { RECIPE_HTTP, RECIPE_TCP };
enum recipe_owner { RECIPE_OWNER_ROOT, RECIPE_OWNER_USER };

struct recipe_part {
    char   **command; /* argv; the first is a path */
    unsigned command_count;
    char   **env; /* NAME=VALUE, over the recipe's own */
    unsigned env_count;
};

/* A program that is started beside the part in its container and prints, again and again, one line
 * "alive ADDRESS ADDRESS …": the nodes that the cluster's own software says are alive. */
struct recipe_witness {
    char         **command;
    unsigned       command_count;
    enum recipe_on on;
    uint32_t       every_ms; /* a line at least that often */
    uint32_t       grace_ms; /* from its start to its first line */
    char          *through;  /* the service of the head by which the gateway sees a node that is alone */
};

struct recipe_service {
    char                *name; /* a DNS label, unlike any other here */
    char                *title;
    uint16_t             port;
    enum recipe_on       on;
    enum recipe_protocol protocol;
    char                *path; /* where a browser starts, at most RECIPE_PATH_MAX bytes; null: "/" */
    char               **env;  /* NAME=VALUE, for the programs of who uses it from outside */
    unsigned             env_count;
};

/* Each node's way to public addresses: an HTTP proxy, which its programs find by the usual variables (HTTPS_PROXY …).
 * Only on machines whose owners allow it. */
struct recipe_egress {
    uint32_t  mbit;        /* a second, each way, at most */
    uint32_t  connections; /* at once */
    uint16_t *ports;       /* that may be connected to; not 25 */
    unsigned  ports_count;
};

/* What outlives the head's machine. On one worker, the standby, a program keeps a copy of the head's state. When the head
 * is lost another machine takes its place, at its mesh address; its command finds the copy at ${standby}, and fails rather
 * than begin with less.
 *
 * The copying program says again and again, once a second or so, how it stands: a line "copied" while its copy is whole,
 * "copying" while it is not (yet). A head that is gone makes no copy less whole, and the copy is needed just then. What it
 * keeps is taken for lost when it ends; it is then started again, and as well beside an earlier one that lost sight of its
 * worker: that one ends of SIGPIPE when it next says something, so the two must be able to keep one copy. */
struct recipe_state {
    char   **copy; /* argv; the first is a path */
    unsigned copy_count;
    char    *lost; /* what is gone with a head all the same, for its user: at most RECIPE_LOST_MAX bytes */
};

struct recipe_tmpfs {
    char             *path; /* absolute */
    uint32_t          size_mib;
    uint16_t          mode; /* written in octal: 0755 */
    bool              exec;
    enum recipe_owner owner;
};

struct recipe {
    char            *name; /* a DNS label */
    char            *title;
    char            *about;
    char            *image; /* a label: the network's configuration maps it to a repository and digest */
    enum recipe_unit unit;
    uint32_t         nodes_max;
    uint32_t         cpus_min; /* of one node */
    uint32_t         memory_min_mib;
    uint32_t         shm_percent; /* /dev/shm's share of the node's memory */

    struct recipe_user {
        char    *name;
        uint32_t uid, gid;
        char    *home;
    } user;
    struct recipe_tmpfs  *tmpfs;
    unsigned              tmpfs_count;
    struct recipe_egress *egress;  /* null: none */
    struct recipe_state  *state;   /* null: none */
    char                **sysctls; /* net.NAME=VALUE, in the node's own network namespace */
    unsigned              sysctls_count;
    char                **env; /* NAME=VALUE, of every part and its witness */
    unsigned              env_count;
    char                **secrets; /* names; each cluster has its own values */
    unsigned              secrets_count;

    struct recipe_part     head, worker;
    struct recipe_witness  witness;
    struct recipe_service *services;
    unsigned               services_count;

    struct recipe_loss {
        uint32_t witness_ms; /* unseen by the witness for so long: lost */
        uint32_t link_ms;    /* its worker silent for so long: lost */
    } loss;
    struct recipe_ready {
        uint32_t timeout_ms; /* from the first start to all seen alive */
    } ready;
};

/* Reads and checks a recipe. `complaint` then holds "FILE:LINE: reason", fit to be shown to its author. */
must_check struct err recipe_read(struct str yaml, const char *file_name, struct recipe **out,
                                  struct text *complaint);
void                  recipe_free(struct recipe *r); /* null is fine */

const struct recipe_service *recipe_service(const struct recipe *r, struct str name); /* null if none */
/* A service's env, a line each, with this cluster's secrets; ${address} stays, for who knows it. Always fits into
 * RECIPE_SERVICE_ENV_TEXT. */
void     recipe_service_env(const struct recipe_service *s, const uint8_t cluster_secret[32], struct text *out);
bool     recipe_is_on(enum recipe_on on, enum recipe_role role);
uint64_t recipe_shm_bytes(const struct recipe *r, uint64_t memory_bytes); /* of /dev/shm: whole pages */

struct recipe_vars {
    struct str address, head, cluster;
    struct str standby; /* "" but for a head in a lost one's place */
    uint32_t   index, nodes, cpus_milli, gpus;
    uint64_t   memory_bytes;                /* the container's limit, /dev/shm included */
    struct str secrets[RECIPE_SECRETS_MAX]; /* in the order of the recipe's names */
};

/* What a container is started with; each list ends in null, for exec. */
struct recipe_run {
    const char *const *argv;
    const char *const *env;          /* the recipe's, then the part's; of one name only the last */
    const char *const *witness_argv; /* null if the witness isn't for this role */
    const char *const *copy_argv;    /* null but for a worker of a recipe with state */
};

must_check struct err recipe_expand(const struct recipe *r, enum recipe_role role,
                                    const struct recipe_vars *vars, struct arena *arena,
                                    struct recipe_run *out);

#endif
