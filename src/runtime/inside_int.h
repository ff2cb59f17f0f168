/* inside_int.h: the lives this program leads when it is started under another name (runtime_child_main): each is
 * a process of one thread that owns little and never returns. Arguments are in argv, no environment is read. */
#ifndef RUNTIME_INSIDE_INT_H
#define RUNTIME_INSIDE_INT_H

#define KEEPER_LOCK_FD 3 /* held for the keeper's life: who can't lock it knows that it lives */
#define DIAL_SOCKET_FD 3 /* the connected socket goes back through it */

/* In a node's folder. Each is whole or not there. */
#define KEEPER_FILE_LOCK "lock"
#define KEEPER_FILE_PID "keeper"      /* the keeper's process */
#define KEEPER_FILE_STARTED "started" /* the container's first process */
#define KEEPER_FILE_END "end"         /* "started N code N signal N" */
#define KEEPER_FILE_LOG "log"
#define KEEPER_FILE_LOG_OLDER "log.1"
#define KEEPER_FILE_OCI_LOG "oci.log"
#define NODE_FILE_SLOT "slot" /* which ids are its own */
#define NODE_FILE_USER "user" /* mounts: its namespaces */
#define NODE_FILE_NET "net"

/* ionet-keeper FOLDER OCI OCI_STATE NAME: runs the container of a bundle; is the parent of its first process; takes its
 * output to a log of bounded size, at a bounded rate; writes down how it ended. */
__attribute__((noreturn)) void keeper_main(char **argv);

/* ionet-netns USER_PATH NET_PATH UID_BASE [NAME VALUE]…: makes a user namespace of NETNS_IDS ids from UID_BASE on,
 * and a network namespace that belongs to it, each held at its path, unless they are there; lo up; settings. */
#define NETNS_IDS 65536
__attribute__((noreturn)) void inside_netns_main(int argc, char **argv);

/* ionet-dial PATH ADDRESS PORT TIMEOUT_MS: connects inside. Exit: 0, or one of these. */
enum dial_exit { DIAL_OK, DIAL_MISSING, DIAL_REFUSED, DIAL_TIMEOUT, DIAL_INVALID };
__attribute__((noreturn)) void inside_dial_main(char **argv);

/* ionet-egress PATH UID RULES: listens on the loopback of that namespace, says "ready", and is the way out of who
 * connects there (egress.h), from this machine's own namespace and as a user who is nobody here. */
__attribute__((noreturn)) void inside_out_main(char **argv);

/* ionet-confined FOLDER NETWORK FILE_BYTES PROGRAM ARGUMENT…: becomes that program, which can write into that folder
 * ("": none) and nowhere else, no file of more bytes, open no device there, and, if NETWORK is "alone", reach nobody. */
#define CONFINED_ALONE "alone"
#define CONFINED_WITH_NETWORK "network"
__attribute__((noreturn)) void inside_confined_main(char **argv);

#endif
