#!/bin/bash
# What routers and gateways do to a mesh in the middle of a job, on one network with five workers, in containers that
# start at once: each two send each other something every 50 ms all the time, a user does through a forward, and after
# each fault the longest gap of each is looked at.
#
#   1 and 5   behind one router, which turns nothing round          1 and 2, 5 and 2   direct
#   2         behind one that keeps ports                           3 and 4            two symmetric ones: relayed
#   3, 4      behind symmetric ones, each                           any with 3 or 4    relayed
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/network.bash"
source "$root/tests/echo/stage.bash"

workers=5 nodes=5
places=(1 2 3 4 5)
beats_ms=50 unnoticed_ms=1000 back_ms=5000
gateway_host=203.0.113.2 other_host=203.0.113.4

# --- the stage -----------------------------------------------------------------------------------

start_gateway() { run_gateway "$gateway_host" "$@"; }

run_gateway() { # HOST OPTIONS…
    start gateway gateway ionet-gateway --state_dir "$folder/gateway" --host "$1" --device_name "ig-${run_name##*-}" "${@:2}"
}

place_name() { "$root/demo/net" name "$folder" "$1"; }

# Worker 5 moves in with worker 1; the router of worker 3 becomes a symmetric one; all forget what is idle for 30 s.
shape_net() {
    local home new each
    home=$(place_name router1) new=$(place_name worker5)
    printf 'netns %s\n' "$new" >>"$folder/net"
    ip netns add "$new"
    ip -n "$new" link set lo up
    ip -n "$home" link set lan down
    ip -n "$home" addr flush dev lan
    ip -n "$home" link set lan name port1
    ip -n "$home" link add lan type bridge
    ip -n "$home" addr add 10.10.1.1/24 dev lan
    ip -n "$home" link add port5 type veth peer name eth0 netns "$new"
    for each in port1 port5; do ip -n "$home" link set "$each" master lan up; done
    ip -n "$home" link set lan up
    ip -n "$new" addr add 10.10.1.3/24 dev eth0
    ip -n "$new" link set eth0 up
    ip -n "$new" route add default via 10.10.1.1
    # Where the kernel shows bridged packets to the filter as well, the router would keep the two apart.
    in_place router1 nft insert rule inet filter through iifname lan oifname lan accept
    keep_apart
    masquerade_as 3 'masquerade random,fully-random'
    for each in 1 2 3 4; do
        in_place "router$each" sysctl -qw net.netfilter.nf_conntrack_udp_timeout=30 net.netfilter.nf_conntrack_udp_timeout_stream=30
    done
}

masquerade_as() { # ROUTER RULE
    in_place "router$1" nft -f - <<TEXT
flush chain ip nat outward
add rule ip nat outward oifname "wan" $2
TEXT
}

# --- what flows ----------------------------------------------------------------------------------

declare -A node_at address_at

hire_all() {
    local i
    sign_in user user
    account=$(user account show --json | jq -r .id)
    operator operator grant "$account" 5 >/dev/null
    cluster=$(user cluster create --recipe echo --quantity "$nodes" --duration 1h --name pulse --json | jq -r .id)
    user cluster watch "$cluster" --ready || fail "the cluster did not become ready"
    for i in "${places[@]}"; do
        node_at[$i]=$(node_with ".device_name == \"worker$i\"")
        address_at[$i]=$(ask ".nodes[] | select(.id == \"${node_at[$i]}\") | .address")
    done
}

begin_to_flow() {
    local i port
    for i in "${places[@]}"; do
        start "pulse$i" core nsenter --net="/proc/$(container_of "${node_at[$i]}")/ns/net" \
            python3 "$root/tests/echo/pulse.py" mesh "$folder/beats$i" "${address_at[$i]}" $(others_than "$i")
    done
    start user-forward user env IONET_HOME="$folder/user" ionet cluster forward "$cluster" echo --json
    await 10000 "the gateway lets nothing through" forward_line
    port=$(grep '"port"' "$folder/logs/user-forward" | jq -r .port)
    start user-pulse user python3 "$root/tests/echo/pulse.py" tunnel "$folder/beats-tunnel" 127.0.0.1 "$port"
}

others_than() {
    local i
    for i in "${places[@]}"; do ((i == $1)) || echo "${address_at[$i]}"; done
}

# The longest time from one moment to another in which nothing came: at worker TO from worker FROM, or to the user.
gap_between() { # FROM_MS TO_MS FILE PEER
    awk -v from="$1" -v to="$2" -v peer="$4" '
        BEGIN { last = from }
        $2 == peer && $1 >= from && $1 <= to { if ($1 - last > most) most = $1 - last; last = $1 }
        END { if (to - last > most) most = to - last; print most + 0 }' "$3"
}
gap_of() { gap_between "$1" "$2" "$folder/beats$4" "${address_at[$3]}"; }
gap_of_tunnel() { gap_between "$1" "$2" "$folder/beats-tunnel" tunnel; }

# Where the device of worker A sends what is for worker B.
endpoint_of() { # A B
    local node=${node_at[$1]}
    wg show "iw${node:0:13}" dump | awk -v address="${address_at[$2]}/32" '$4 == address { print $3 }'
}
goes_direct() { [[ $(endpoint_of "$1" "$2") =~ ^(203\.0\.113\.1[1-4]|10\.10\.1\.[23]): ]]; }

is_relayed() { (($1 == 3 || $1 == 4 || $2 == 3 || $2 == 4)); }

# Of all pairs, both ways: none has a gap of more than so many ms. Prints the longest.
gaps_are_within() { # FROM_MS TO_MS all|relayed|others LIMIT_MS
    local i j gap most=0 who=
    for i in "${places[@]}"; do
        for j in "${places[@]}"; do
            ((i != j)) || continue
            [[ $3 != relayed ]] || is_relayed "$i" "$j" || continue
            [[ $3 != others ]] || ! is_relayed "$i" "$j" || continue
            gap=$(gap_of "$1" "$2" "$i" "$j")
            ((gap <= most)) || { most=$gap who="from $i to $j"; }
        done
    done
    echo "    $3 pairs: the longest gap is $most ms, $who"
    ((most <= $4)) || fail "nothing came for $most ms $who"
}

tunnel_gap_is_within() { # FROM_MS TO_MS LIMIT_MS
    local gap
    gap=$(gap_of_tunnel "$1" "$2")
    echo "    the forward: the longest gap is $gap ms"
    ((gap <= $3)) || fail "nothing came through the forward for $gap ms"
}

# --- the checks ----------------------------------------------------------------------------------

everybody_reaches_everybody_as_the_routers_let_them() {
    local from_ms
    sleep 2
    from_ms=$(now_ms)
    sleep 3
    gaps_are_within "$from_ms" "$(now_ms)" all "$unnoticed_ms"
    tunnel_gap_is_within "$from_ms" "$(now_ms)" "$unnoticed_ms"
    [[ $(endpoint_of 1 5) == 10.10.1.3:* ]] || fail "two at one site meet at $(endpoint_of 1 5)"
    [[ $(endpoint_of 5 2) == 203.0.113.12:* ]] || fail "two that could meet do so at $(endpoint_of 5 2)"
    [[ $(endpoint_of 3 4) == "$gateway_host":* ]] || fail "two symmetric ones meet at $(endpoint_of 3 4)"
}

# Worker 1 and 2 are kept apart at first, so that they are relayed.
keep_apart() {
    in_place router1 nft -f - <<'TEXT'
add chain inet filter apart { type filter hook forward priority -1; policy accept; }
add rule inet filter apart ip saddr 10.10.1.2 ip daddr 203.0.113.12 drop
TEXT
}
let_together() { in_place router1 nft delete chain inet filter apart; }

both_go_direct() { goes_direct "$1" "$2" && goes_direct "$2" "$1"; }

# How many of those that FROM numbered and sent meanwhile did not come to TO.
lost_of() { # FROM_MS TO_MS FROM TO
    awk -v from="$1" -v to="$2" -v peer="${address_at[$3]}" '
        $2 == peer && $1 >= from && $1 <= to { if (!n++) first = $3; if ($3 > last) last = $3 }
        END { print last - first + 1 - n }' "$folder/beats$4"
}

a_relayed_pair_that_could_do_without_moves_over_and_loses_nothing() {
    local from_ms lost
    [[ $(endpoint_of 1 2) == "$gateway_host":* ]] || fail "two that are kept apart meet at $(endpoint_of 1 2)"
    from_ms=$(now_ms)
    let_together
    await 45000 "they still meet at $(endpoint_of 1 2)" both_go_direct 1 2
    echo "    it went direct after $(seconds $(($(now_ms) - from_ms))) s"
    sleep 2
    lost=$(($(lost_of "$from_ms" "$(now_ms)" 1 2) + $(lost_of "$from_ms" "$(now_ms)" 2 1)))
    ((lost == 0)) || fail "$lost datagrams were lost"
    gaps_are_within "$from_ms" "$(now_ms)" all "$unnoticed_ms"
}

a_gateway_that_is_killed_and_comes_back_is_not_noticed_by_those_that_need_none() {
    local from_ms up_ms
    from_ms=$(now_ms)
    kill -KILL "$(pid_of gateway)"
    sleep 2
    run_gateway "$gateway_host"
    up_ms=$(now_ms)
    sleep 8
    gaps_are_within "$from_ms" "$(now_ms)" others "$unnoticed_ms"
    gaps_are_within "$up_ms" "$(now_ms)" relayed "$back_ms"
    tunnel_gap_is_within "$up_ms" "$(now_ms)" "$back_ms"
}

# What an operator does: another machine and address, the same state folder. At the old one nothing answers any more.
a_gateway_that_moves_to_another_address_is_followed() {
    local from_ms up_ms
    from_ms=$(now_ms)
    ip -n "$(place_name gateway)" addr del "$gateway_host/24" dev wan
    kill -KILL "$(pid_of gateway)" $(sed -n 's/^pid=//p' "$folder"/gateway/devices/*.device)
    ip -n "$(place_name gateway)" addr add "$other_host/24" dev wan
    sleep 1
    run_gateway "$other_host"
    up_ms=$(now_ms)
    sleep 12
    gaps_are_within "$from_ms" "$(now_ms)" others "$unnoticed_ms"
    gaps_are_within "$up_ms" "$(now_ms)" relayed "$back_ms"
    tunnel_gap_is_within "$up_ms" "$(now_ms)" "$back_ms"
}

# All that the router had noted of UDP is gone, and from now on another port stands outside for the same one inside.
forget_and_use_port() { # ROUTER PORT
    masquerade_as "$1" "meta l4proto udp masquerade to :$2"
    in_place "router$1" nft add rule ip nat outward oifname wan masquerade
    in_place "router$1" python3 "$root/tests/echo/forget.py"
}

a_router_that_takes_another_outside_port_cuts_its_own_pairs_for_moments_only() {
    local from_ms
    from_ms=$(now_ms)
    forget_and_use_port 2 50002
    sleep 12
    gaps_are_within "$from_ms" "$(now_ms)" all "$back_ms"
    tunnel_gap_is_within "$from_ms" "$(now_ms)" "$unnoticed_ms"
    goes_direct 2 1 && goes_direct 1 2 || fail "the pair is relayed now"
}

a_symmetric_router_that_draws_other_ports_is_hardly_noticed() {
    local from_ms
    from_ms=$(now_ms)
    in_place router3 python3 "$root/tests/echo/forget.py"
    sleep 5
    gaps_are_within "$from_ms" "$(now_ms)" all "$unnoticed_ms"
}

# Longer than any router remembers what nobody uses.
a_pair_that_was_silent_for_longer_than_its_routers_remember_speaks_at_once() {
    local i gap from_ms
    for i in "${places[@]}"; do kill -USR1 "$(pid_of "pulse$i")"; done
    sleep 45 # WireGuard itself may say something in the first ten
    from_ms=$(now_ms)
    for i in 1 3; do kill -USR2 "$(pid_of "pulse$i")"; done # the others' routers must know them still
    sleep 3
    for i in 1/2 1/5 3/2 3/4; do
        gap=$(gap_of "$from_ms" "$(now_ms)" "${i%/*}" "${i#*/}")
        echo "    from ${i%/*} to ${i#*/}: the longest gap is $gap ms"
        ((gap <= unnoticed_ms)) || fail "nothing came for $gap ms from ${i%/*} to ${i#*/}"
    done
}

bring_up
hire_all
begin_to_flow
check everybody_reaches_everybody_as_the_routers_let_them
check a_relayed_pair_that_could_do_without_moves_over_and_loses_nothing
check a_gateway_that_is_killed_and_comes_back_is_not_noticed_by_those_that_need_none
check a_gateway_that_moves_to_another_address_is_followed
check a_router_that_takes_another_outside_port_cuts_its_own_pairs_for_moments_only
check a_symmetric_router_that_draws_other_ports_is_hardly_noticed
check a_pair_that_was_silent_for_longer_than_its_routers_remember_speaks_at_once
