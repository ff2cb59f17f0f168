# stage.bash: the demo's network with containers that start at once instead of Ray. Sourced after demo/run.
recipe=echo recipes=$root/tests/echo

add_recipes() { :; } # for whoever wants other recipes than that one

# The image is one program.
build() {
    local layout=$folder/echo
    [[ ${IONET_BIN:-} ]] || make -s -C "$root" all >&2
    mkdir -p "$layout-root"/{bin,tmp,dev,proc,sys/fs/cgroup}
    cc -std=gnu17 -O1 -Wall -Wextra -Werror -static -o "$layout-root/bin/node" "$root/tests/echo/node.c"
    chmod 0755 "$layout-root" "$layout-root"/{bin,tmp}
    umoci init --layout "$layout"
    umoci new --image "$layout:latest"
    umoci insert --image "$layout:latest" "$layout-root" / >/dev/null
    digest=$(jq -r '.manifests[0].digest' "$layout/index.json")
}

push_image() {
    in_place registry skopeo copy -q --preserve-digests --dest-tls-verify=false "oci:$folder/echo:latest" "docker://$registry/echo:latest"
}

# All that a figure is measured on: the network with these workers, and a user with credit. What there is to be told at
# the end is the `verdict`.
lay_stage() { # WORKER…
    local each
    ((EUID == 0)) || { echo "it needs root, for namespaces and containers" && exit 1; }
    exec 3>&1 4>&2
    trap on_exit EXIT
    trap on_signal INT TERM HUP
    open_run
    add_recipes
    build
    "$root/demo/net" up "$folder"
    start_services
    for each in "$@"; do start_worker "$each"; done
    for each in "$@"; do await "$step_limit_ms" "worker $each did not become ready" worker_is_ready "$each"; done
    sign_in user user
    operator operator grant "$(user account show --json | jq -r .id)" 5 >/dev/null
}
