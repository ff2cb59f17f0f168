#!/bin/bash
# What a container can't reach, what the wire doesn't show, what is not left behind and what is not charged: on one
# network with four workers, tried from inside a real cluster.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/network.bash"

wire_bytes_least=50000000

a_container_sees_only_the_loopback_and_its_mesh() {
    local i targets=()
    local services=(203.0.113.1:8443 203.0.113.2:8443 "$registry")
    for i in $(seq "$workers"); do
        targets+=("10.10.$i.1:80" "10.10.$i.2:22" "203.0.113.1$i:22")
        in_place "worker$i" python3 "$jobs/fences.py" --outside 203.0.113.1:8443 "$registry" "10.10.$i.1:80" ||
            fail "the probe does not find what is there"
    done
    targets+=(169.254.169.254:80 10.20.0.2:22 1.1.1.1:53 8.8.8.8:443 172.17.0.1:80 192.168.0.1:80 2001:4860:4860::8888:53)
    start_job fences "$nodes" "${services[@]}" "${targets[@]}"
    end_job fences "$nodes nodes are fenced in"
}

the_wire_shows_nothing_of_what_a_job_sends() {
    local marker wire=$run_dir/wire inside=$run_dir/inside head pid
    marker=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')
    head=$(node_with '.role == "head"')
    pid=$(container_of "$head")
    start watch-wire inet tcpdump -i bridge -Z root -B 65536 -s 0 -U -w "$wire" "not host ${registry%:*}"
    start watch-inside core nsenter --net="/proc/$pid/ns/net" tcpdump -i any -Z root -s 0 -U -c 4000 -w "$inside"
    await 10000 "the wire can't be watched" test -s "$wire"
    await 10000 "the mesh can't be watched" test -s "$inside"
    start_job marked "$nodes" 96 "$marker"
    end_job marked "parts arrived"
    sleep 1
    end_processes 'watch-*'
    grep -q -a -F "$marker" "$inside" || fail "not even inside the mesh is the job's data found: the search is wrong"
    (($(stat -c %s "$wire") > wire_bytes_least)) || fail "only $(stat -c %s "$wire") bytes went over the wire"
    ! grep -q -a -F "$marker" "$wire" || fail "the job's data went over the wire in the clear"
    rm -f "$wire" "$inside"
}

# What there is of a node on its machine, a line each.
traces_of() { # NODE NETNS PROCESSES
    local node=$1 netns=$2 pid born
    while read -r pid born; do ! is_alive "$pid" "$born" || echo "process $pid"; done <<<"$3"
    pgrep -af -- "${node:0:12}" | sed 's/^/program /' || true
    awk -v id="$node" 'index($0, id) { print "mount " $2 }' /proc/self/mounts
    find /sys/fs/cgroup -type d -path "*$run_name-*" -name "$node" -printf 'cgroup %p\n'
    find "$run_dir" -path '*/images/*' -prune -o -name "*${node:0:12}*" -printf 'file %p\n'
    find /proc/[0-9]*/ns/net -lname "$netns" -printf 'namespace %p\n' 2>/dev/null || true
}

processes_of() { # NODE: all in its control group, with their beginnings
    local pid
    find /sys/fs/cgroup -path "*$run_name-*/$1/*" -name cgroup.procs -exec cat {} + | sort -un | while read -r pid; do
        printf '%s %s\n' "$pid" "$(began "$pid" || echo 0)"
    done
}

no_traces_of() { [[ ! $(traces_of "$@") ]]; }

an_ended_cluster_leaves_nothing_on_its_workers() {
    local node kind traces
    declare -A netns processes
    for node in $(node_ids); do
        netns[$node]=$(readlink "/proc/$(container_of "$node")/ns/net" | tr '[]' '??') # as a pattern
        processes[$node]=$(processes_of "$node")
        traces=$(traces_of "$node" "${netns[$node]}" "${processes[$node]}")
        for kind in process program mount cgroup file namespace; do
            grep -q "^$kind " <<<"$traces" || fail "no $kind of a running node is found: the search is wrong"
        done
    done
    end_processes 'user-*'
    user cluster terminate "$cluster" --wait || fail "the cluster did not end"
    for node in "${!netns[@]}"; do
        await 20000 "left of node $node: $(traces_of "$node" "${netns[$node]}" "${processes[$node]}" | head -n 5)" \
            no_traces_of "$node" "${netns[$node]}" "${processes[$node]}"
    done
    for node in $(seq "$workers"); do await 20000 "worker $node is not ready again" worker_is_ready "$node"; done
    bill_is_settled || fail "the bill is wrong"
}

balance() { user account show --json | jq .balance_micros; }

a_container_that_ends_at_once_fails_its_cluster_with_its_last_words_and_costs_nothing() {
    local before status=0
    before=$(balance)
    cluster=$(user cluster create --recipe broken --quantity 2 --duration 1h --name broken --json | jq -r .id)
    user cluster watch "$cluster" --ready || status=$?
    ((status != 0)) || fail "it became ready"
    await 60000 "it did not fail, but is $(ask .state)" cluster_is '.state == "failed"'
    user cluster show "$cluster" | tee "$folder/logs/shown" | grep 'no such model' >/dev/null ||
        fail "it does not say its last words: $(cat "$folder/logs/shown")"
    cluster_is '.failed and .why != "" and (.log_end | contains("no such model"))' || fail "why: $(ask .why)"
    cluster_is '.charged_micros == 0 and .refunded_micros == .escrow_micros and .escrow_micros > 0' ||
        fail "it cost $(ask .charged_micros), and $(ask .refunded_micros) came back"
    [[ $(balance) == "$before" ]] || fail "the balance was $before and is $(balance)"
}

bring_up
hire
check a_container_sees_only_the_loopback_and_its_mesh
check the_wire_shows_nothing_of_what_a_job_sends
check an_ended_cluster_leaves_nothing_on_its_workers
check a_container_that_ends_at_once_fails_its_cluster_with_its_last_words_and_costs_nothing
