/* seccomp.c: the list of system calls that containers-common keeps, in the form that OCI wants. */
#include "container_int.h"

#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>

#define LIST_PATH "/usr/share/containers/seccomp.json"
#define CLONE_NAMESPACES 2114060288 /* CLONE_NEW*: the flags of clone that make a namespace */
#define ERRNO_ENOSYS 38

/* Sockets of other kinds lead past the network namespace, as those to a virtual machine's host do (AF_VSOCK), or into
 * rarely tried parts of the kernel. */
static const int families[] = { AF_UNIX, AF_INET, AF_INET6 };

/* Allowed there, so that containers can hold containers, or left to the machine's settings, as its kernel's log is; a
 * stranger's needs none of them. */
static const char *const refused[] = {
    "add_key",        "clone",          "clone3",
    "fsconfig",       "fsmount",        "fsopen",
    "fspick",         "io_uring_enter", "io_uring_register",
    "io_uring_setup", "keyctl",         "mount",
    "mount_setattr",  "move_mount",     "modify_ldt",
    "pidfd_getfd",    "open_tree",      "pivot_root",
    "request_key",    "setns",          "socket",
    "socketcall",     "syslog",         "umount",
    "umount2",        "unshare",        "userfaultfd",
};

void json_release(json_t **value)
{
    json_decref(*value);
}

/* As containers-common calls it; the two that we serve. */
static const char *architecture(void)
{
    struct utsname u;
    check(uname(&u) == 0);
    return strcmp(u.machine, "aarch64") == 0 ? "arm64" : "amd64";
}

static bool list_has(const json_t *list, const char *word)
{
    size_t  i;
    json_t *item;
    json_array_foreach(list, i, item)
    {
        if (json_is_string(item) && strcmp(json_string_value(item), word) == 0) return true;
    }
    return false;
}

/* Whether a rule is meant for a container without capabilities on this architecture. */
static bool rule_applies(const json_t *rule, const char *arch)
{
    const json_t *with = json_object_get(rule, "includes"), *without = json_object_get(rule, "excludes");
    const json_t *arches = json_object_get(with, "arches");
    if (json_array_size(json_object_get(with, "caps"))) return false;
    if (json_array_size(arches) && !list_has(arches, arch)) return false;
    return !list_has(json_object_get(without, "arches"), arch);
}

static bool is_refused(const char *name)
{
    for (size_t i = 0; i < countof(refused); i++)
        if (strcmp(refused[i], name) == 0) return true;
    return false;
}

/* A rule without the fields that only containers-common knows, null if nothing is left of it. */
static json_t *rule_copy(const json_t *rule)
{
    const char *action = json_string_value(json_object_get(rule, "action"));
    json_t     *names  = json_array();
    bool        allows = action && strcmp(action, "SCMP_ACT_ALLOW") == 0;
    size_t      i;
    json_t     *name;
    json_array_foreach(json_object_get(rule, "names"), i, name)
    {
        if (json_is_string(name) && !(allows && is_refused(json_string_value(name))))
            json_array_append(names, name);
    }
    if (!action || !json_array_size(names)) {
        json_decref(names);
        return NULL;
    }
    json_t *copy = json_pack("{s:o, s:s}", "names", names, "action", action);
    json_t *args = json_object_get(rule, "args"), *code = json_object_get(rule, "errnoRet");
    if (json_array_size(args)) json_object_set(copy, "args", args);
    if (json_is_integer(code) && !allows) json_object_set(copy, "errnoRet", code);
    return copy;
}

/* Some of what was refused above, under conditions. */
static void add_rules(json_t *rules)
{
    /* Threads and processes, but no namespaces. clone3 hides its flags in memory, so libraries are sent to clone. */
    json_array_append_new(rules,
                          json_pack("{s:[s], s:s, s:[{s:i, s:I, s:i, s:s}]}", "names", "clone", "action",
                                    "SCMP_ACT_ALLOW", "args", "index", 0, "value", (json_int_t)CLONE_NAMESPACES,
                                    "valueTwo", 0, "op", "SCMP_CMP_MASKED_EQ"));
    json_array_append_new(rules, json_pack("{s:[s], s:s, s:i}", "names", "clone3", "action", "SCMP_ACT_ERRNO",
                                           "errnoRet", ERRNO_ENOSYS));
    for (size_t i = 0; i < countof(families); i++)
        json_array_append_new(rules, json_pack("{s:[s], s:s, s:[{s:i, s:i, s:s}]}", "names", "socket", "action",
                                               "SCMP_ACT_ALLOW", "args", "index", 0, "value", families[i], "op",
                                               "SCMP_CMP_EQ"));
    /* By which programs ask for their interfaces, and no other part of the kernel; of its audit the list itself says
     * that there is none. */
    json_array_append_new(rules,
                          json_pack("{s:[s], s:s, s:[{s:i, s:i, s:s}, {s:i, s:i, s:s}]}", "names", "socket",
                                    "action", "SCMP_ACT_ALLOW", "args", "index", 0, "value", AF_NETLINK, "op",
                                    "SCMP_CMP_EQ", "index", 2, "value", NETLINK_ROUTE, "op", "SCMP_CMP_EQ"));
}

struct err seccomp_read(json_t **out)
{
    scoped_json json_t *list = json_load_file(LIST_PATH, JSON_REJECT_DUPLICATES, NULL);
    if (!list) return ERR(MISSING, "the seccomp list of containers-common is not there: install skopeo");
    const char *action = json_string_value(json_object_get(list, "defaultAction"));
    if (!action || strcmp(action, "SCMP_ACT_ERRNO") != 0)
        return ERR(CORRUPT, "the seccomp list of containers-common does not refuse what it does not name");

    const char *arch  = architecture();
    json_t     *rules = json_array();
    size_t      i;
    json_t     *rule;
    json_array_foreach(json_object_get(list, "syscalls"), i, rule)
    {
        json_t *copy = rule_applies(rule, arch) ? rule_copy(rule) : NULL;
        if (copy) json_array_append_new(rules, copy);
    }
    add_rules(rules);
    /* No calls of 32 bits: they make sockets by one call that hides their kind in memory. */
    const char *own = strcmp(arch, "amd64") == 0 ? "SCMP_ARCH_X86_64" : "SCMP_ARCH_AARCH64";
    *out = json_pack("{s:s, s:i, s:[s], s:o}", "defaultAction", action, "defaultErrnoRet", ERRNO_ENOSYS,
                     "architectures", own, "syscalls", rules);
    return *out ? OK : ERR(CORRUPT, "the seccomp list of containers-common can't be used");
}
