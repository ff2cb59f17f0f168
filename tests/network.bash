# network.bash: what the tests of the whole stand on: the demo's small internet with a network on it, brought up once,
# then checks one after the other. Sourced by tests/*.sh, which call bring_up, and check for each; all goes at the exit.
source "$(dirname "${BASH_SOURCE[0]}")/../demo/run"
jobs=$root/tests/jobs
passed=0 failed=0

# Within a check: what is wrong, and its end.
fail() {
    printf '    %s\n' "$*" >&2
    exit 1
}

# A check's name is a sentence, its function's name with blanks. It runs by itself: what it sets is gone afterwards.
check() { # FUNCTION ARGUMENTS…
    local status began_ms
    began_ms=$(now_ms)
    set +e
    (
        set -e
        "$@"
    )
    status=$?
    set -e
    if ((status == 0)); then
        passed=$((passed + 1))
        printf 'ok      %6s s  %s\n' "$(seconds $(($(now_ms) - began_ms)))" "${1//_/ }"
    else
        failed=$((failed + 1))
        printf 'not ok  %6s s  %s\n' "$(seconds $(($(now_ms) - began_ms)))" "${1//_/ }"
    fi
}

# Also after a signal: all is removed, and that nothing remains is the last check.
finish() {
    local status=$?
    trap '' INT TERM HUP
    exec >&3 2>&4 # whatever was being waited for without a word
    if ((status)); then
        failed=$((failed + 1))
        echo "not ok: it did not come to its end"
    fi
    ((failed == 0)) || tell_logs >&2
    check nothing_remains_of_the_run
    printf '%d passed, %d failed\n' "$passed" "$failed"
    ((failed == 0)) || exit 1
}

nothing_remains_of_the_run() { remove_run "$folder"; }

bring_up() {
    ((EUID == 0)) || { echo "it needs root, for namespaces and containers" && exit 1; }
    exec 3>&1 4>&2
    open_run
    trap finish EXIT
    trap 'exit 1' INT TERM HUP
    add_recipes
    build
    "$root/demo/net" up "$folder"
    shape_net
    start_services
    for i in $(seq "$workers"); do start_worker "$i"; done
    for i in $(seq "$workers"); do await "$step_limit_ms" "worker $i did not become ready" worker_is_ready "$i"; done
}

shape_net() { :; } # for whoever wants another internet than the demo's

# A second recipe, whose containers end at once.
add_recipes() {
    recipes=$folder/recipes
    mkdir "$recipes"
    cp "$root/recipes/ray.yaml" "$root/tests/broken.yaml" "$recipes"
}

# --- what a cluster's nodes are on their machines ------------------------------------------------

node_ids() { ask '.nodes[].id'; }
machine_of() { ask ".nodes[] | select(.id == \"$1\") | .device_name | ltrimstr(\"worker\")"; }
container_of() { cat "$run_dir/$(machine_of "$1")/nodes/$1/pid"; } # its first process's id
node_with() { ask "[.nodes[] | select(.state != \"closed\" and ($1))][0].id"; }

# A container's first process, by its beginning as well.
life_of() {
    local pid
    pid=$(container_of "$1")
    printf '%s %s' "$pid" "$(began "$pid")"
}

in_net_of() { # NODE COMMAND…: in the network that its container sees
    local pid
    pid=$(container_of "$1")
    nsenter --net="/proc/$pid/ns/net" "${@:2}"
}

bill_is_settled() { show | bill_is_right >/dev/null; }
