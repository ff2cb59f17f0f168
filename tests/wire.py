"""wire.py CAPTURE MB: looks in a capture for what demo/jobs/shuffle.py sent between the nodes, and fails if it finds any
of it, or if the capture holds too little to have carried those MB.

The job draws its bytes from seeds, so they can be drawn again here. Every 64th word of eight bytes of them is looked for
at every place of the capture: a packet that carries 72 of the job's bytes in the clear is found.
"""
import struct
import sys

import numpy as np

NODES, STEP, LOW_BITS = 3, 64, np.uint64((1 << 26) - 1)


def made(megabytes):
    part_bytes = -(-megabytes * 1_000_000 // (NODES * (NODES - 1)))
    for source in range(NODES):
        chance = np.random.default_rng(source)
        for _ in range(NODES):
            yield chance.integers(0, 256, part_bytes, dtype=np.uint8)


def words(data, at):
    return data[at:at + (len(data) - at) // 8 * 8].view("<u8")


class Known:
    def __init__(self, megabytes):
        self.words = np.sort(np.concatenate([words(part, 0)[::STEP // 8] for part in made(megabytes)]))
        self.maybe = np.zeros(1 << 26, dtype=bool)  # by a word's low bits: few others pass
        self.maybe[self.words & LOW_BITS] = True

    def count_in(self, data):
        count = 0
        for at in range(8):
            every = words(data, at)
            for start in range(0, len(every), 1 << 22):
                some = every[start:start + (1 << 22)]
                some = some[self.maybe[some & LOW_BITS]]
                place = np.minimum(np.searchsorted(self.words, some), len(self.words) - 1)
                count += int((self.words[place] == some).sum())
        return count


def bytes_that_went_by(capture):
    """Also those that the capture cut off."""
    at, total = 24, 0
    while at + 16 <= len(capture):
        kept, whole = struct.unpack_from("<II", capture, at + 8)
        total += whole
        at += 16 + kept
    return total


def main():
    megabytes = int(sys.argv[2])
    known = Known(megabytes)

    # That it finds what is there: one packet's worth of the job's bytes, from an odd place on.
    packet = next(made(megabytes))[1_000_003:1_000_203]
    if known.count_in(packet) == 0:
        sys.exit("the search finds nothing even in the job's own bytes")

    with open(sys.argv[1], "rb") as file:
        capture = file.read()
    went_by = bytes_that_went_by(capture)
    if went_by < megabytes * 1_000_000:
        sys.exit(f"only {went_by} bytes went by, less than the job sent")
    if count := known.count_in(np.frombuffer(capture, dtype=np.uint8)):
        sys.exit(f"{count} words of the job's bytes went over the wire in the clear")
    print(f"{went_by} bytes went by, and none of the job's {megabytes} MB among them in the clear")


main()
