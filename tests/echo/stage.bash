# stage.bash: the demo's network with containers that start at once instead of Ray. Sourced after demo/run.
recipe=echo recipes=$root/tests/echo

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
