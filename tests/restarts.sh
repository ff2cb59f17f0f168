#!/bin/bash
# What outlives what: workers and the gateway are killed and started again under a cluster that works, a machine is lost
# before its cluster is ready, and one is alone while its gateway is away. On one network with four workers.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/network.bash"

nothing_is_lost() { cluster_is ".state == \"ready\" and .lost == 0 and .nodes_alive == $nodes"; }

adopted() { grep -q "node.runs node=$2 adopted=1" "$folder/logs/worker$1"; }

# The job is asked after, since what its client waits for goes through the head's worker.
job_api() { # NAME/PATH
    in_place user curl -sf -m 5 -H "Authorization: Bearer $forward_token" "http://127.0.0.1:$forward_port/api/jobs/$1"
}
job_prints() { job_api long/logs | jq -r .logs | grep "$1" >/dev/null; }
job_is() { [[ $(job_api long | jq -r .status) == "$1" ]]; }

begin_job() {
    user cluster forward "$cluster" dashboard -- "${submit[@]}" --working-dir "$jobs" --no-wait \
        --submission-id long -- python long.py "$1" 1 >"$folder/logs/submit" 2>&1 || fail "the job can't be submitted"
    await 60000 "the job did not begin" job_prints "^[1-9][0-9]* of $1"
}

# The head's worker and that of the one behind the symmetric NAT, during a job.
killed_workers_start_again_and_adopt_what_they_ran() {
    local node machine lives=()
    local hired=("$(node_with '.role == "head"')" "$(node_with '.device_name == "worker4"')")
    for node in "${hired[@]}"; do lives+=("$(life_of "$node")"); done
    begin_job 90
    for node in "${hired[@]}"; do
        machine=$(machine_of "$node")
        kill -KILL "$(pid_of "worker$machine")"
        sleep 1
        run_worker "$machine"
        await 10000 "worker $machine adopted nothing" adopted "$machine" "$node"
    done
    await 90000 "the job did not end well: $(job_api long)" job_is SUCCEEDED
    job_prints '^sum ' || fail "the job printed no sum"
    for node in "${hired[@]}"; do
        [[ $(life_of "$node") == "${lives[0]}" ]] || fail "node $node does not run as before"
        lives=("${lives[@]:1}")
    done
    await 10000 "its state is $(show)" nothing_is_lost
    await 10000 "Ray does not report $nodes nodes" ray_has "$nodes"
}

a_gateway_that_starts_again_lets_through_again_and_direct_pairs_do_not_notice() {
    local one other down_ms up_ms
    one=$(node_with '.role == "head"')
    other=$(ask "[.nodes[] | select(.id != \"$one\" and .device_name != \"worker4\")][0].address")
    start user-direct core nsenter --net="/proc/$(container_of "$one")/ns/net" ping -i 0.1 -W 1 -c 50 "$other"
    sleep 1
    kill -KILL "$(pid_of gateway)"
    down_ms=$(now_ms)
    ! ray_has "$nodes" || fail "the gateway was killed, and something is let through"
    sleep 1
    start_gateway
    up_ms=$(now_ms)
    await 10000 "nothing is let through 10 s after the gateway's start" ray_has "$nodes"
    echo "    it was away for $(seconds $((up_ms - down_ms))) s, and let through $(seconds $(($(now_ms) - up_ms))) s after its start"
    await 10000 "the ping did not end" grep -q 'packets transmitted' "$folder/logs/user-direct"
    grep -q ' 0% packet loss' "$folder/logs/user-direct" || fail "a direct pair: $(grep 'packet loss' "$folder/logs/user-direct")"
    sleep 5 # longer than it takes to find a node lost
    nothing_is_lost || fail "its state is $(show)"
}

the_heads_log_can_be_read() {
    user cluster logs "$cluster" >"$folder/logs/head" || fail "the log can't be read"
    grep -q 'Ray runtime started' "$folder/logs/head" || fail "it is not the head's: $(head -c 300 "$folder/logs/head")"
}

more_time_can_be_paid_for() {
    local before
    before=$(ask .ends_ms)
    user cluster extend "$cluster" --duration 30m >/dev/null || fail "it can't be extended"
    (($(ask .ends_ms) - before == 30 * 60 * 1000)) || fail "it ended at $before, and now at $(ask .ends_ms)"
}

a_quote_of_too_many_says_how_many_there_are() {
    local status=0 said
    said=$(user quote --recipe ray --quantity 9 --duration 1h 2>&1) || status=$?
    ((status == 6)) || fail "its exit status is $status"
    [[ $said == *"--quantity $((workers - nodes))"* ]] || fail "it says $said"
}

# Its worker is killed and its cable cut while the containers start: another machine takes its place.
a_machine_that_is_lost_before_ready_gives_its_place_to_another() {
    local lost
    end_processes 'user-*'
    user cluster terminate "$cluster" --wait || fail "the cluster did not end"
    bill_is_settled || fail "the bill is wrong"
    for i in $(seq "$workers"); do await 20000 "worker $i is not ready" worker_is_ready "$i"; done
    cluster=$(user cluster create --recipe ray --quantity "$nodes" --duration 1h --name again --json | jq -r .id)
    lost=$(ask '[.nodes[] | select(.role == "worker")][0].device_name | ltrimstr("worker")')
    kill -KILL "$(pid_of "worker$lost")"
    "$root/demo/net" cut "$folder" "$lost"
    user cluster watch "$cluster" --ready || fail "it did not become ready"
    cluster_is "[.nodes[] | select(.state == \"serving\") | .device_name] | length == $nodes and (index(\"worker$lost\") == null)" ||
        fail "its nodes are $(ask .nodes)"
    user cluster terminate "$cluster" --wait || fail "it did not end"
    bill_is_settled || fail "the bill is wrong"
    cluster_is "[.nodes[] | select(.device_name == \"worker$lost\") | .charged_micros] == [0]" ||
        fail "the lost machine was paid"
    "$root/demo/net" mend "$folder" "$lost"
    run_worker "$lost"
    await 30000 "the lost machine is not ready again" worker_is_ready "$lost"
}

# No other node sees it: its gateway does, and is away for a while. It began to serve before and goes on after.
a_machine_that_is_alone_is_charged_for_what_the_gateway_saw() {
    local since_ms away_ms
    cluster=$(user cluster create --recipe ray --quantity 1 --duration 1h --name alone --json | jq -r .id)
    user cluster watch "$cluster" --ready || fail "it did not become ready"
    sleep 4
    kill -KILL "$(pid_of gateway)"
    since_ms=$(now_ms)
    sleep 4
    start_gateway
    away_ms=$(($(now_ms) - since_ms))
    sleep 5
    user cluster terminate "$cluster" --wait || fail "it did not end"
    bill_is_settled || fail "the bill is wrong"
    echo "    of $(ask '.nodes[0] | .closed_ms - .passed_ms') ms it reported $(ask '.nodes[0].served_ms'), the gateway was away for $away_ms and saw $(ask '.nodes[0].seen_ms')"
    cluster_is ".nodes[0] as \$n | \$n.seen_ms >= 4000 and \$n.seen_ms <= \$n.closed_ms - \$n.passed_ms - $away_ms" ||
        fail "the node is $(ask .nodes)"
    cluster_is '.charged_micros == (.price_micros_per_hour * .nodes[0].seen_ms / 3600000 | floor)' ||
        fail "its bill is $(show)"
}

bring_up
hire
jobs=$root/demo/jobs
check killed_workers_start_again_and_adopt_what_they_ran
check a_gateway_that_starts_again_lets_through_again_and_direct_pairs_do_not_notice
check the_heads_log_can_be_read
check more_time_can_be_paid_for
check a_quote_of_too_many_says_how_many_there_are
check a_machine_that_is_lost_before_ready_gives_its_place_to_another
check a_machine_that_is_alone_is_charged_for_what_the_gateway_saw
