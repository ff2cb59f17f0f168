"""Sends something small every 50 ms, for as long as it runs, and writes down what came.

pulse.py mesh LOG ADDRESS PEER…    numbered datagrams to every peer, which runs the same: "MS PEER NUMBER" each that came
pulse.py tunnel LOG HOST PORT      a byte to a service that says it again, on one connection after the other:
                                   "MS tunnel NUMBER" each echo

MS is of the system's clock, as bash's EPOCHREALTIME has it. On SIGUSR1 it rests, on SIGUSR2 it goes on.
"""
import selectors
import signal
import socket
import sys
import time

EVERY = 0.05
PORT = 7100
PATIENCE = 1.0  # a tunnel that says nothing for so long is opened anew

resting = False


def rest(number, _):
    global resting
    resting = number == signal.SIGUSR1


def now_ms():
    return time.time_ns() // 1_000_000


def mesh(log, address, peers):
    own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    own.bind((address, PORT))
    own.setblocking(False)
    selector = selectors.DefaultSelector()
    selector.register(own, selectors.EVENT_READ)
    number, due = 0, time.monotonic()
    while True:
        selector.select(max(0.0, due - time.monotonic()))
        while True:
            try:
                said, (peer, _) = own.recvfrom(64)
            except BlockingIOError:
                break
            log.write(f"{now_ms()} {peer} {said.decode()}\n")
        if time.monotonic() < due:
            continue
        due += EVERY
        if resting:
            continue
        number += 1
        for peer in peers:
            try:
                own.sendto(str(number).encode(), (peer, PORT))
            except OSError:
                pass  # no way there just now: the gap tells


def tunnel(log, host, port):
    number = 0
    while True:
        try:
            with socket.create_connection((host, port), PATIENCE) as far:
                far.settimeout(PATIENCE)
                while True:
                    far.sendall(b".")
                    if not far.recv(1):
                        break
                    number += 1
                    log.write(f"{now_ms()} tunnel {number}\n")
                    time.sleep(EVERY)
        except OSError:
            pass
        time.sleep(EVERY)


def main():
    signal.signal(signal.SIGUSR1, rest)
    signal.signal(signal.SIGUSR2, rest)
    with open(sys.argv[2], "w", buffering=1, encoding="ascii") as log:
        if sys.argv[1] == "mesh":
            mesh(log, sys.argv[3], sys.argv[4:])
        else:
            tunnel(log, sys.argv[3], int(sys.argv[4]))


main()
