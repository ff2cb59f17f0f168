"""Many short tasks that may be tried again: long.py TASKS SECONDS prints how far it is and checks the sum."""
import sys
import time

import ray

ray.init(address="auto")
count, seconds = int(sys.argv[1]), float(sys.argv[2])


@ray.remote(num_cpus=1, max_retries=10, scheduling_strategy="SPREAD")
def square(n):
    time.sleep(seconds)
    return n * n


waiting = [square.remote(n) for n in range(count)]
total = done = 0
while waiting:
    ready, waiting = ray.wait(waiting, num_returns=min(6, len(waiting)), timeout=2)
    total += sum(ray.get(ready))
    done += len(ready)
    print(f"{done} of {count}", flush=True)

if total != sum(n * n for n in range(count)):
    sys.exit("the sum is wrong")
print(f"sum {total}", flush=True)
