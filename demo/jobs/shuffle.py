"""All to all: every node makes a part for every node, gathers the parts meant for it, and adds them up.

shuffle.py NODES MB moves at least MB between nodes, and fails unless all of it arrived as it was made.
"""
import sys
import time

import numpy as np
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

ray.init(address="auto")
count, megabytes = int(sys.argv[1]), int(sys.argv[2])
nodes = [n["NodeID"] for n in ray.nodes() if n["Alive"]]
if len(nodes) != count:
    sys.exit(f"{len(nodes)} nodes are alive, not {count}")

# Of the parts that a node makes, count - 1 leave it.
part_bytes = -(-megabytes * 1_000_000 // (count * (count - 1)))


@ray.remote(num_cpus=0.5)
def make(source):
    chance = np.random.default_rng(source)
    return [chance.integers(0, 256, part_bytes, dtype=np.uint8) for _ in range(count)]


@ray.remote(num_cpus=0.5)
def gather(*parts):
    return ray.util.get_node_ip_address(), sum(p.nbytes for p in parts), sum(int(p.sum(dtype=np.int64)) for p in parts)


def on(node):
    return NodeAffinitySchedulingStrategy(node, soft=False)


started = time.time()
made = [
    make.options(scheduling_strategy=on(node), num_returns=count).remote(source) for source, node in enumerate(nodes)
]
gathered = ray.get(
    [
        gather.options(scheduling_strategy=on(node)).remote(*(parts[place] for parts in made))
        for place, node in enumerate(nodes)
    ]
)
took = time.time() - started

wanted = [0] * count
for source in range(count):
    chance = np.random.default_rng(source)
    for place in range(count):
        wanted[place] += int(chance.integers(0, 256, part_bytes, dtype=np.uint8).sum(dtype=np.int64))
if [total for _, _, total in gathered] != wanted:
    sys.exit("what arrived is not what was made")
crossed = part_bytes * count * (count - 1)
print(f"{crossed} bytes went from node to node in {took:.1f} s, {crossed / took / 1e6:.0f} MB/s: "
      + ", ".join(address for address, _, _ in gathered))
