"""Sends a marker over and over from every node to every other: marked.py NODES MB MARKER."""
import sys

import numpy as np
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

ray.init(address="auto")
count, megabytes, marker = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"]]
if len(nodes) != count:
    sys.exit(f"{len(nodes)} nodes are alive, not {count}")
times = megabytes * 1_000_000 // (count * (count - 1)) // len(marker)


@ray.remote(num_cpus=0.5)
def make():
    return np.frombuffer((marker * times).encode(), dtype=np.uint8)


@ray.remote(num_cpus=0.5)
def gather(*parts):
    return sum(part.tobytes() == (marker * times).encode() for part in parts)


def on(node):
    return NodeAffinitySchedulingStrategy(node, soft=False)


made = [make.options(scheduling_strategy=on(node)).remote() for node in nodes]
right = sum(ray.get([gather.options(scheduling_strategy=on(node)).remote(*made) for node in nodes]))
if right != count * count:
    sys.exit(f"{right} parts of {count * count} arrived as they were made")
print(f"all {right} parts arrived")
