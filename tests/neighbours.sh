#!/bin/bash
# Two users' clusters on one network of four workers, with the same addresses in their meshes: neither reaches, sees or
# opens anything of the other's.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/network.bash"

nodes=2
declare -A account cluster_of port_of token_of

rival() { as rival user ionet "$@"; }

# Both knock at the same time, and hear their own alone.
neither_hears_the_other_though_their_addresses_are_the_same() {
    local who
    [[ $(addresses_of user) == "$(addresses_of rival)" ]] || fail "their addresses differ"
    for who in user rival; do
        start "user-knock-$who" user env IONET_HOME="$folder/$who" ionet cluster forward "${cluster_of[$who]}" dashboard -- \
            "${submit[@]}" --working-dir "$jobs" -- python neighbours.py "$nodes" 5555 "$who"
    done
    for who in user rival; do
        await 60000 "the job of $who did not end" grep -Eq "Job '.*' (succeeded|failed)" "$folder/logs/user-knock-$who"
        [[ $(grep -c "^came: $who from 10.99.0.1, $who from 10.99.0.2\$" "$folder/logs/user-knock-$who") == "$nodes" ]] ||
            fail "$who hears: $(grep 'came:' "$folder/logs/user-knock-$who")"
    done
}

addresses_of() { as "$1" user ionet cluster show "${cluster_of[$1]}" --json | jq -c '[.nodes[].address] | sort'; }

exit_of() {
    local status=0
    "$@" >"$folder/logs/refused" 2>&1 || status=$?
    echo "$status"
}

a_cluster_of_another_user_does_not_exist() {
    local mine=${cluster_of[user]} refused
    for refused in "show $mine" "logs $mine" "watch $mine" "terminate $mine" "extend $mine --duration 1h" \
        "forward $mine dashboard" "open $mine dashboard"; do
        # shellcheck disable=SC2086
        [[ $(exit_of timeout 20 nsenter --net="/run/netns/$("$root/demo/net" name "$folder" user)" \
            env IONET_HOME="$folder/rival" ionet cluster $refused) == 4 ]] || fail "cluster $refused: $(cat "$folder/logs/refused")"
    done
    rival cluster list --json >"$folder/logs/list"
    ! grep -q "$mine" "$folder/logs/list" || fail "it is in the other's list"
    grep -q "${cluster_of[rival]}" "$folder/logs/list" || fail "the other's own is not in his list"
}

# A ticket as the API gives it, in $ticket, for the service's name in $host.
take_ticket() { # WHO
    local answer key
    key=$(jq -r .api_key "$folder/$1/config.json")
    answer=$(in_place user curl -sfk -m 5 -H "Authorization: Bearer $key" -H 'Content-Type: application/json' \
        -d '{"service":"dashboard"}' "https://$core/v1/clusters/${cluster_of[$1]}/tickets")
    ticket=$(jq -r .ticket <<<"$answer") host=$(jq -r .host <<<"$answer") gateway=$(jq -r .gateway <<<"$answer")
}

# What the door of the gateway says to that ticket: the status, and who answered.
at_the_door() { # HOST TICKET
    in_place user curl -sk -m 10 -o "$folder/logs/door" -w '%{http_code}' ${2:+-H "Authorization: Bearer $2"} \
        --resolve "$1:${gateway##*:}:${gateway%:*}" "https://$1:${gateway##*:}/api/jobs/"
}

a_ticket_opens_its_own_cluster_alone_and_no_ticket_opens_none() {
    local mine others_host
    take_ticket rival
    others_host=$host
    take_ticket user
    mine=$ticket
    # Behind the door it is Ray that refuses, since the ticket is no token of its own.
    at_the_door "$host" "$mine" >/dev/null
    grep -q 'Invalid authentication token' "$folder/logs/door" || fail "the ticket does not open its own: $(cat "$folder/logs/door")"
    [[ $(at_the_door "$others_host" "$mine") == 403 ]] || fail "the other's: $(cat "$folder/logs/door")"
    ! grep -q 'authentication token' "$folder/logs/door" || fail "it opens the other's"
    [[ $(at_the_door "$host" "") == 403 ]] || fail "without a ticket: $(cat "$folder/logs/door")"
    grep -q 'a ticket is needed' "$folder/logs/door" || fail "it was not the gateway that refused"
}

ray_answers() { # PORT TOKEN
    in_place user curl -s -m 5 -o /dev/null -w '%{http_code}' ${2:+-H "Authorization: Bearer $2"} "http://127.0.0.1:$1/api/jobs/"
}

a_dashboard_asks_for_its_own_clusters_token() {
    [[ $(ray_answers "${port_of[user]}" "${token_of[user]}") == 200 ]] || fail "its own token is refused"
    [[ $(ray_answers "${port_of[user]}" "") == 401 ]] || fail "it answers without a token"
    [[ $(ray_answers "${port_of[user]}" "${token_of[rival]}") == 40[13] ]] || fail "it answers to the other's token"
}

hire_two_of_each() {
    local who
    for who in user rival; do
        sign_in "$who" user
        account[$who]=$(as "$who" user ionet account show --json | jq -r .id)
        operator operator grant "${account[$who]}" 5 >/dev/null
        cluster_of[$who]=$(as "$who" user ionet cluster create --recipe ray --quantity "$nodes" --duration 1h --name mine --json | jq -r .id)
    done
    for who in user rival; do
        as "$who" user ionet cluster watch "${cluster_of[$who]}" --ready || fail "the cluster of $who did not become ready"
        start "user-forward-$who" user env IONET_HOME="$folder/$who" ionet cluster forward "${cluster_of[$who]}" dashboard --json
        await 10000 "the gateway lets nothing through" grep -q '"port"' "$folder/logs/user-forward-$who"
        port_of[$who]=$(grep '"port"' "$folder/logs/user-forward-$who" | jq -r .port)
        token_of[$who]=$(grep '"port"' "$folder/logs/user-forward-$who" | jq -r .token)
    done
}

bring_up
hire_two_of_each
check neither_hears_the_other_though_their_addresses_are_the_same
check a_cluster_of_another_user_does_not_exist
check a_ticket_opens_its_own_cluster_alone_and_no_ticket_opens_none
check a_dashboard_asks_for_its_own_clusters_token
