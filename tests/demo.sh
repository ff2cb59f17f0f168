#!/bin/bash
# The main job from start to end, and nothing of it remains: no process, mount, cgroup or namespace.
set -euo pipefail
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# What a run of the demo makes bears its name.
leftovers() {
    ip netns list | grep -o 'ionet-demo[^ ]*' || true
    grep -o 'ionet-demo[^ /]*' /proc/mounts || true
    find /sys/fs/cgroup -maxdepth 4 -type d -name 'ionet-demo*' 2>/dev/null || true
    pgrep -fl 'ionet-demo-' || true
}

leftovers | sort >"$scratch/before"
demo/run | tee "$scratch/said"
leftovers | sort >"$scratch/after"

tail -n 1 "$scratch/said" | grep -Eq \
    '^demo ok: nodes=3 ready_ms=[0-9]+ healed_ms=[0-9]+ resumed_ms=[0-9]+ job=ok charged_micros=[0-9]+ refunded_micros=[0-9]+$'
for step in 1 2 3 4 5 6 7; do
    grep -Eq "^ +[0-9.]+ s  $step  " "$scratch/said" || { echo "step $step was not told" && exit 1; }
done
if comm -13 "$scratch/before" "$scratch/after" | grep .; then
    echo "remains of the demo"
    exit 1
fi
