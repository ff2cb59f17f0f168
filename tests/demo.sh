#!/bin/bash
# The main job from start to end, watched on the wire: what its job sends between the workers is not to be read there, and
# nothing remains of the run, no process, mount, cgroup, namespace or folder.
set -euo pipefail
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
demo=
finish() {
    [[ ! $demo ]] || { kill -TERM "$demo" 2>/dev/null && wait "$demo"; } || true
    rm -rf "$scratch"
}
trap finish EXIT
trap 'exit 1' TERM INT

fail() {
    cat "$scratch/said" "$scratch/errors"
    echo "$*"
    exit 1
}

# Waits until the command says something, while the demo runs.
await() {
    until "$@" 2>/dev/null | grep -q .; do
        kill -0 "$demo" 2>/dev/null || fail "the demo ended before: $*"
        sleep 0.1
    done
}

demo/run >"$scratch/said" 2>"$scratch/errors" &
demo=$!
# Its folder is the one that names this process as its driver; the names of all it makes are in there.
its_driver() { grep -rl --include=driver "^$demo " build/demo; }
await its_driver
folder=$(dirname "$(its_driver)")
await grep 'netns ionet-.*-worker4$' "$folder/net"
internet=$(sed -n 's/^netns \(ionet-.*-inet\)$/\1/p' "$folder/net")
name=${folder##*/}
echo "$name" >"$scratch/name"
spaces=${internet%-inet}

# All that crosses the bridge but images; of each packet the beginning.
await ip netns exec "$internet" ip -o link show type bridge
ip netns exec "$internet" tcpdump -i any -U -q -s 260 -c 2000000 -w "$scratch/wire" 'not host 203.0.113.3' 2>"$scratch/tcpdump" &
watcher=$!

status=0
wait "$demo" || status=$?
demo=
kill -INT "$watcher" 2>/dev/null || true
wait "$watcher" || true
((status == 0)) || fail "the demo ended with $status"

tail -n 1 "$scratch/said" | grep -Eq \
    '^demo ok: nodes=3 ready_ms=[0-9]+ healed_ms=[0-9]+ resumed_ms=[0-9]+ job=ok charged_micros=[0-9]+ refunded_micros=[0-9]+$' ||
    fail "the last line is not as promised"
for step in 1 2 3 4 5 6 7; do
    grep -Eq "^ +[0-9.]+ s  $step  " "$scratch/said" || fail "step $step was not told"
done

remains() {
    ip netns list | grep "^$spaces-" || true
    grep -F "$name" /proc/mounts || true
    find /sys/fs/cgroup -type d -name "$name*" 2>/dev/null
    # From a file, so that it doesn't find itself.
    grep -laF -f "$scratch/name" /proc/[0-9]*/cmdline 2>/dev/null || true
    find "$folder" "/run/$name" -maxdepth 0 2>/dev/null || true
}
left=$(remains)
[[ -z $left ]] || fail "remains of the demo: $left"

tail -n 1 "$scratch/said"
build/tools/ray-venv/bin/python tests/wire.py "$scratch/wire" 256
