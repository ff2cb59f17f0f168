#!/bin/bash
# openapi: a network is asked everything that GET /openapi.json says it can be asked, and much that it says it can't, by
# schemathesis with all its checks on: no 5xx, no answer that is not described, nothing valid refused, nothing invalid
# taken, nothing given without a key. SEED=N tries others; EXAMPLES=N so many for each operation.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly bin=$PWD/build/bin tools=$PWD/build/tools seed=${SEED:-1} examples=${EXAMPLES:-25}
hooks=$PWD/tests/api/hooks.py folder=$(mktemp -d)
export IONET_HOME=$folder/home
network_pid=
[[ -x $tools/schemathesis-venv/bin/schemathesis ]] || { echo "tools/setup installs schemathesis" && exit 1; }

finish() {
    [[ ! $network_pid ]] || { kill "$network_pid" && wait "$network_pid" || true; }
    rm -rf "$folder"
}
trap finish EXIT
trap 'exit 1' INT TERM HUP

"$bin/ionetd" --state_dir "$folder/state" --host 127.0.0.1 --listen 127.0.0.1 --port 0 --recipes_dir recipes \
    --limits small --operator "$("$bin/ionet" key 2>/dev/null)" --image "ray=127.0.0.1:5000/ray@sha256:$(printf 'a%.0s' {1..64})" \
    --sign_ins_per_address 100000 --requests_per_address 1000000 --requests_per_account 1000000 2>"$folder/log" &
network_pid=$!
until grep -q ' pin=' "$folder/log"; do kill -0 "$network_pid" && sleep 0.05; done
port=$(sed -n 's/.* port=\([0-9]*\).*/\1/p' "$folder/log" | head -n 1)
pin=$(sed -n 's/.* pin=\([0-9a-f]*\).*/\1/p' "$folder/log" | head -n 1)

# Signed in anew for each run: one of the operations ends the key.
try() { # OPTIONS OF SCHEMATHESIS…
    "$bin/ionet" login --network "127.0.0.1:$port" --pin "$pin" >/dev/null
    (cd "$folder" && SCHEMATHESIS_HOOKS=$hooks "$tools/schemathesis-venv/bin/schemathesis" run \
        "https://127.0.0.1:$port/openapi.json" --tls-verify=false --checks all --seed "$seed" \
        --header "Authorization: Bearer $(jq -r .api_key "$IONET_HOME/config.json")" \
        --max-examples "$examples" --request-timeout 10 --suppress-health-check all "$@")
}

try --exclude-operation-id delete_session
try --include-operation-id delete_session
kill -0 "$network_pid"
