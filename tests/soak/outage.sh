#!/bin/bash
# The network is away for five minutes under a cluster that works: nothing stops, and nobody pays twice.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../network.bash"

readonly away_seconds=${AWAY:-300}

lives() { for node in $(node_ids); do life_of "$node"; echo; done | sort; }

# Every worker keeps on trying, but ever more seldom.
attempts() { grep -c 'link.down' "$folder/logs/worker$1" || true; }

state_is_right() {
    cluster_is ".state == \"ready\" and .lost == 0 and .nodes_alive == $nodes and
        ([.nodes[] | select(.phase == \"running\" and .state == \"serving\")] | length == $nodes)"
}

without_the_network_nothing_stops_and_nobody_pays_twice() {
    local before lives tried down_ms up_ms
    lives=$(lives)
    start_job long $((6 * (away_seconds / 10 + 6))) 10
    await 60000 "the job did not begin" job_has_done long 6
    tried=$(attempts 1)
    kill -KILL "$(pid_of ionetd)"
    down_ms=$(now_ms)
    for _ in $(seq $((away_seconds / 30))); do
        before=$(done_tasks long)
        sleep 30
        (($(done_tasks long) > before)) || fail "the job stood still while ionetd was away"
        ray_has "$nodes" || fail "Ray lost nodes while ionetd was away"
    done
    tried=$(($(attempts 1) - tried))
    ((tried > 2 && tried < 70)) || fail "worker 1 tried $tried times"
    up_ms=$(now_ms)
    start_network
    await 35000 "its state is $(show)" state_is_right
    echo "    ionetd was away for $(seconds $((up_ms - down_ms))) s; a worker tried $tried times; all was right $(seconds $(($(now_ms) - up_ms))) s after its start"
    [[ $(lives) == "$lives" ]] || fail "a container was started anew"
    end_job long "^sum "
    user cluster terminate "$cluster" --wait || fail "it did not end"
    bill_is_settled || fail "the bill is wrong: $(show)"
    # All the time is paid for, that of the outage too, but for the seconds of a start and of an end.
    cluster_is "all(.nodes[]; (.closed_ms - .passed_ms) as \$ms
        | .charged_micros <= \$ms * .units * $(ask .price_micros_per_hour) / 3600000
        and .charged_micros >= (\$ms - 15000) * .units * $(ask .price_micros_per_hour) / 3600000)" ||
        fail "its nodes are $(ask .nodes)"
    [[ $(operator operator books --json | jq .sum_micros) == 0 ]] || fail "the books are not zero"
}

bring_up
hire
jobs=$root/demo/jobs
check without_the_network_nothing_stops_and_nobody_pays_twice
