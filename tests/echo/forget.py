"""A router forgets all it had noted of UDP: its conntrack entries are deleted, one by one, through ctnetlink.

TCP's stay, so that what is seen of it is the mapping's loss alone.
"""
import socket
import struct

NETLINK_NETFILTER = 12
CTNETLINK_GET, CTNETLINK_DELETE = 1 << 8 | 1, 1 << 8 | 2
REQUEST, ACK, DUMP = 1, 4, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
TUPLE_ORIG, TUPLE_PROTO, PROTO_NUM = 1, 2, 1
TYPE_MASK = 0x3FFF  # an attribute's type without its flags


def attributes(data):
    while len(data) >= 4:
        size, kind = struct.unpack_from("=HH", data)
        if size < 4:
            return
        yield kind & TYPE_MASK, data[4:size]
        data = data[(size + 3) & ~3 :]


def find(data, *path):
    for wanted in path:
        data = next((value for kind, value in attributes(data) if kind == wanted), b"")
    return data


def ask(netlink, kind, flags, body):
    general = struct.pack("=BBH", socket.AF_INET, 0, 0)
    message = general + body
    netlink.send(struct.pack("=IHHII", 16 + len(message), kind, REQUEST | flags, 1, 0) + message)


def messages(netlink):
    while True:
        data = netlink.recv(1 << 20)
        while len(data) >= 16:
            size, kind, _, _, _ = struct.unpack_from("=IHHII", data)
            if kind in (NLMSG_DONE, NLMSG_ERROR):
                return
            yield data[20:size]
            data = data[(size + 3) & ~3 :]


def main():
    netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    netlink.bind((0, 0))
    ask(netlink, CTNETLINK_GET, DUMP, b"")
    tuples = [find(entry, TUPLE_ORIG) for entry in messages(netlink)]
    forgotten = 0
    for one in tuples:
        if find(one, TUPLE_PROTO, PROTO_NUM) != bytes([socket.IPPROTO_UDP]):
            continue
        whole = struct.pack("=HH", 4 + len(one), TUPLE_ORIG | 0x8000) + one
        ask(netlink, CTNETLINK_DELETE, ACK, whole)
        for _ in messages(netlink):
            pass
        forgotten += 1
    assert forgotten, "there was nothing to forget"


main()
