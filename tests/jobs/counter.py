"""counter.py TIMES: a detached actor counts, asked twice a second: "NUMBER of TIMES, process ID at NODE, asked from NODE"."""
import os
import sys
import time

import ray

ray.init(address="auto", namespace="counter")


@ray.remote(num_cpus=0.1, max_restarts=-1, resources={"worker": 0.1})
class Counter:
    def __init__(self):
        self.count = 0

    def next(self):
        self.count += 1
        return self.count, os.getpid(), ray.util.get_node_ip_address()


times = int(sys.argv[1])
counter = Counter.options(name="counter", lifetime="detached", get_if_exists=True).remote()
here = ray.util.get_node_ip_address()
longest, last = 0.0, None
for _ in range(times):
    count, process, node = ray.get(counter.next.remote())
    now = time.monotonic()
    longest, last = max(longest, now - (last or now)), now
    print(f"{count} of {times}, process {process} at {node}, asked from {here}", flush=True)
    time.sleep(0.5)
print(f"counted, at most {longest:.1f} s from one to the next", flush=True)
