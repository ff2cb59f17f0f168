"""Looks out of every container of a cluster, and fails if there is anything to be seen or done that should not be.

fences.py NODES ADDRESS:PORT…      each node tries the addresses; none may even have a route
fences.py --outside ADDRESS:PORT…  tries them from where it is started, and fails unless all are reached: that the
                                   probe finds what is there
"""
import ctypes
import errno
import os
import socket
import sys

STATUS = {"CapInh": "0" * 16, "CapPrm": "0" * 16, "CapEff": "0" * 16, "CapBnd": "0" * 16, "CapAmb": "0" * 16,
          "NoNewPrivs": "1", "Seccomp": "2"}
DEVICES = {"null", "zero", "full", "random", "urandom", "tty", "console", "ptmx", "pts", "shm", "mqueue", "fd", "core",
           "stdin", "stdout", "stderr"}


def outcome(target, kind):
    """What a packet to there comes to: reached (or refused there), silence, or the reason it can't leave."""
    address, port = target.rsplit(":", 1)
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind) as s:
        s.settimeout(2)
        try:
            s.connect((address, int(port)))
            s.send(b"?")
        except ConnectionRefusedError:
            return "reached"
        except TimeoutError:
            return "silence"
        except OSError as e:
            return errno.errorcode[e.errno]
    return "reached"


def can(call, *arguments):
    """Whether the kernel lets it be done; tried in a process of its own."""
    child = os.fork()
    if child == 0:
        os._exit(0 if getattr(ctypes.CDLL(None), call)(*arguments) == 0 else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def can_write(path):
    try:
        with open(path, "w"):
            return True
    except OSError:
        return False


def raw_sockets():
    for family in (socket.AF_PACKET, socket.AF_INET):
        try:
            socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()
            yield f"a raw socket of family {family} can be had"
        except OSError:  # not permitted, or by the seccomp list not there at all
            pass


def devices_of_the_net():
    with open("/proc/net/dev") as table:
        return sorted(line.split(":")[0].strip() for line in table if ":" in line)


def wrongs_of_the_net(targets):
    devices = devices_of_the_net()
    if len(devices) != 2 or "lo" not in devices:
        yield f"it has the network devices {devices}, not only lo and the mesh's"
    for target in targets:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            if (what := outcome(target, kind)) not in ("ENETUNREACH", "EADDRNOTAVAIL"):
                yield f"{kind.name} to {target}: {what}"
    try:
        yield f"it knows names: {socket.getaddrinfo('example.com', 80)}"
    except socket.gaierror:
        pass
    yield from raw_sockets()


def wrongs_of_the_process():
    with open("/proc/self/status") as status:
        found = dict(line.rstrip("\n").split(":\t", 1) for line in status)
    for key, wanted in STATUS.items():
        if found[key] != wanted:
            yield f"{key} is {found[key]}"
    with open("/proc/self/uid_map") as mapped:
        for line in mapped:
            _, outside, count = map(int, line.split())
            if outside < 100000 or count > 65536:
                yield f"it has ids of the host's: {line.strip()}"
    if os.getuid() == 0:
        yield "it runs as root"
    if can("unshare", 0x10000000):
        yield "it can make user namespaces"
    if can("mount", b"none", b"/tmp", b"tmpfs", 0, None):
        yield "it can mount"
    if can("klogctl", 10, None, 0):
        yield "it can ask for the kernel's log"
    for each in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{each}/cmdline") as line:
                if "ionet-" in line.read():
                    yield f"it sees the worker's process {each}"
        except OSError:
            pass  # it has ended


def wrongs_of_the_files():
    for path in ("/x", "/usr/bin/x", "/etc/x", "/etc/passwd", "/etc/resolv.conf", "/proc/sysrq-trigger",
                 "/proc/sys/kernel/core_pattern", "/sys/fs/cgroup/x"):
        if can_write(path):
            yield f"it can write {path}"
    with open("/proc/mounts") as mounts:
        root = next(line for line in mounts if line.split()[1] == "/")
    if "ro" not in root.split()[3].split(","):
        yield f"its root is not read-only: {root.strip()}"
    if more := set(os.listdir("/dev")) - DEVICES:
        yield f"it has devices: {sorted(more)}"


def look(targets):
    import ray
    wrongs = [*wrongs_of_the_net(targets), *wrongs_of_the_process(), *wrongs_of_the_files()]
    return ray.util.get_node_ip_address(), wrongs


def look_from_all(count, targets):
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    ray.init(address="auto")
    nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"]]
    if len(nodes) != count:
        sys.exit(f"{len(nodes)} nodes are alive, not {count}")
    task = ray.remote(num_cpus=0.5)(look)
    seen = ray.get([task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(targets)
                    for node in nodes])
    for address, wrongs in seen:
        for wrong in wrongs:
            print(f"{address}: {wrong}")
    if any(wrongs for _, wrongs in seen):
        sys.exit("a container is not fenced in")
    print(f"{count} nodes are fenced in, {len(targets)} addresses were tried")


def main():
    targets = sys.argv[2:]
    if sys.argv[1] != "--outside":
        look_from_all(int(sys.argv[1]), targets)
        return
    for target in targets:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            if (what := outcome(target, kind)) != "reached":
                sys.exit(f"{kind.name} to {target}: {what}")


main()
