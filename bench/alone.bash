# alone.bash: ionetd by itself on this machine's loopback, and a user who is signed in. Sourced from the project's folder by
# those scripts of bench/ that need no more; `port` says where it listens. All of it goes at the exit.
bin=$PWD/build/bin folder=$(mktemp -d)
export IONET_HOME=$folder/home
network_pid=

stop_network() {
    [[ ! $network_pid ]] || { kill "$network_pid" && wait "$network_pid" || true; }
    network_pid=
}
finish() { # a script may end more before it calls this one
    stop_network
    rm -rf "$folder"
}
trap finish EXIT
trap 'exit 1' INT TERM HUP

answers() { curl -sfk -m 2 -o /dev/null "https://127.0.0.1:$1/healthz"; } # PORT

# Also again, over the same state. Then $pin is its authority's, and $folder/key holds the user's API key.
start_network() { # COMMAND…: under which it runs, if any
    "$@" "$bin/ionetd" --state_dir "$folder/ionetd" --host 127.0.0.1 --listen 127.0.0.1 --port "$port" --log_level error \
        --requests_per_account 1000000 --recipes_dir recipes --image "ray=127.0.0.1:5000/ray@sha256:$(printf 'a%.0s' {1..64})" &
    network_pid=$!
    until answers "$port"; do kill -0 "$network_pid" && sleep 0.1; done
    pin=$(openssl x509 -in "$folder/ionetd/authority.crt" -outform DER | sha256sum | cut -d' ' -f1)
    [[ ! -e $folder/key ]] || return 0
    "$bin/ionet" login --network "127.0.0.1:$port" --pin "$pin" >/dev/null 2>&1
    jq -r .api_key "$IONET_HOME/config.json" >"$folder/key"
}
