"""Small tasks, spread: each says on which node it ran. where.py NODES fails unless they ran on that many."""
import sys
import time
from collections import Counter

import ray

ray.init(address="auto")


@ray.remote(num_cpus=1, scheduling_strategy="SPREAD")
def where():
    time.sleep(1)
    return ray.util.get_node_ip_address()


ran = Counter(ray.get([where.remote() for _ in range(6 * int(sys.argv[1]))]))
for address, tasks in sorted(ran.items()):
    print(f"{tasks} tasks ran on {address}")
if len(ran) != int(sys.argv[1]):
    sys.exit(f"tasks ran on {len(ran)} nodes, not on {sys.argv[1]}")
