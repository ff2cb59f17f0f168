"""One packet or connection, said or heard: packet.py udp|tcp hear PORT | say ADDRESS[,ADDRESS] PORT.

The listener prints "ready", then the port the word came from, or exits with 1 after a second of silence.
"""
import socket
import sys

WAIT_S = 1


def hear(kind, port):
    listener = socket.socket(socket.AF_INET, kind)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("0.0.0.0", port))
    listener.settimeout(WAIT_S)
    if kind == socket.SOCK_STREAM:
        listener.listen()
    print("ready", flush=True)
    try:
        _, peer = listener.accept() if kind == socket.SOCK_STREAM else listener.recvfrom(64)
    except TimeoutError:
        sys.exit(1)
    print(peer[1])


def say(kind, addresses, port):
    speaker = socket.socket(socket.AF_INET, kind)
    speaker.settimeout(WAIT_S)
    for address in addresses:
        if kind == socket.SOCK_STREAM:
            speaker.connect((address, port))
        else:
            speaker.sendto(b"here", (address, port))


kinds = {"udp": socket.SOCK_DGRAM, "tcp": socket.SOCK_STREAM}
if sys.argv[2] == "hear":
    hear(kinds[sys.argv[1]], int(sys.argv[3]))
else:
    say(kinds[sys.argv[1]], sys.argv[3].split(","), int(sys.argv[4]))
