"""Says who its cluster is, and knocks at every address of the mesh that is near: neighbours.py NODES PORT WORD.

Each node of a cluster sends WORD to PORT at the first addresses of the mesh, and prints which words came to itself.
"""
import socket
import sys
import threading
import time

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

ADDRESSES = [f"10.99.0.{i}" for i in range(1, 9)]

ray.init(address="auto")
count, port, word = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"]]
if len(nodes) != count:
    sys.exit(f"{len(nodes)} nodes are alive, not {count}")


@ray.remote(num_cpus=0.5)
def knock():
    came = set()
    ears = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ears.bind(("0.0.0.0", port))
    ears.settimeout(0.2)
    over = time.monotonic() + 10

    def listen():
        while time.monotonic() < over:
            try:
                came.add(ears.recv(100).decode())
            except TimeoutError:
                pass

    thread = threading.Thread(target=listen)
    thread.start()
    while time.monotonic() < over - 1:
        for address in ADDRESSES:
            try:
                ears.sendto(f"{word} from {ray.util.get_node_ip_address()}".encode(), (address, port))
            except OSError:
                pass  # nobody is there, or not for us
        time.sleep(0.2)
    thread.join()
    return sorted(came)


came = ray.get([knock.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote()
                for node in nodes])
for words in came:
    print("came:", ", ".join(words), flush=True)
