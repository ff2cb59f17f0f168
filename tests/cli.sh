#!/bin/bash
# The command line against a real ionetd on loopback: what it prints, what it keeps, and its exit status for each kind
# of error.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=${OUT:-build/gcc-release}/bin
scratch=$(mktemp -d)
daemon=
finish() {
    [[ ! $daemon ]] || { kill -TERM "$daemon" 2>/dev/null && wait "$daemon"; } || true
    rm -rf "$scratch"
}
trap finish EXIT
trap 'exit 1' TERM INT

fail() {
    printf 'wrong: %s\n' "$*"
    cat "$scratch/out" "$scratch/err" "$scratch/log" 2>/dev/null
    exit 1
}

# gives STATUS WHO WORDS…: runs `ionet WORDS…` as somebody; its status must be that.
gives() {
    local wanted=$1 who=$2 status=0
    shift 2
    IONET_HOME=$scratch/$who "$bin/ionet" "$@" >"$scratch/out" 2>"$scratch/err" </dev/null || status=$?
    [[ $status == "$wanted" ]] || fail "ionet $* gave $status, not $wanted"
}
printed() { grep -q -- "$1" "$scratch/out" || fail "not printed: $1"; }
told() { grep -q -- "$1" "$scratch/err" || fail "not told: $1"; }
member() { jq -r "$1" "$scratch/out"; }

start() { # PORT
    : >"$scratch/log"
    "$bin/ionetd" --state_dir "$scratch/ionetd" --host 127.0.0.1 --listen 127.0.0.1 --port "$1" --operator "$operator" \
        --recipes_dir recipes --image "ray=127.0.0.1:5000/ray@sha256:$(printf 'a%.0s' {1..64})" --limits small \
        >"$scratch/log" 2>&1 </dev/null &
    daemon=$!
    until grep -q ' ready ' "$scratch/log"; do
        kill -0 "$daemon" 2>/dev/null || fail "ionetd did not start"
        sleep 0.05
    done
}

# --- before there is a network -------------------------------------------------------------------

gives 0 operator --version && printed '^ionet [0-9]'
gives 0 operator cluster create --help && printed '--duration'
gives 2 operator cluster dance && told 'no command "cluster dance"'
gives 3 operator account && told 'ionet login'
gives 0 operator key
operator=$(<"$scratch/out")
[[ $operator =~ ^[1-9A-HJ-NP-Za-km-z]{32,44}$ ]] || fail "no address: $operator"
[[ $(stat -c %a "$scratch/operator/id.json") == 600 ]] || fail "others may read the key"

start 0
port=$(sed -n 's/.* ready .*port=\([0-9]*\).*/\1/p' "$scratch/log")
pin=$(sed -n 's/.* ready .*pin=\([0-9a-f]*\).*/\1/p' "$scratch/log")
network=127.0.0.1:$port

# --- signing in ----------------------------------------------------------------------------------

gives 2 user login --network "$network" && told '--pin is needed'
gives 8 user login --network "$network" --pin "$(printf 'a%.0s' {1..64})" && told "can't be reached" && told 'is --pin what'
gives 0 operator login --network "$network" --pin "$pin"
gives 0 user login --network "$network" --pin "$pin" --json
[[ $(member .operator) == false ]] || fail "anybody is the operator"
[[ $(stat -c %a "$scratch/user/config.json") == 600 ]] || fail "others may read the API key"
gives 0 user account show --json
account=$(member .id)

gives 0 reader login --network "$network" --pin "$pin" --scopes read
gives 3 reader quote --recipe ray --quantity 1 --duration 1h
gives 2 reader login --scopes read,all && told 'commas between'

chmod 644 "$scratch/reader/id.json"
gives 3 reader login && told 'chmod 600'

# --- money ---------------------------------------------------------------------------------------

gives 3 user operator grant "$account" 5
gives 2 operator operator grant "$account" 5.1234567 && told 'six decimals'
gives 0 operator operator grant "$account" 12.5 && printed '^balance 12.50 USDC$'
gives 0 user account && printed '^balance  *12.50 USDC$'
gives 0 user account transfers && printed ' grant '
gives 0 operator operator books --json
[[ $(member .sum_micros) == 0 && $(member .balances_micros) == 12500000 ]] || fail "the books are wrong"

# --- clusters and devices ------------------------------------------------------------------------

gives 0 user recipe list && printed '^ray '
gives 0 user recipe show ray && printed 'dashboard'
gives 2 user quote --recipe ray --quantity three --duration 1h && told 'whole number'
gives 2 user quote --recipe ray --quantity 3 --duration 90 && told '90m, 1h, 2d, 1w'
gives 2 user quote --recipe ray --quantity 0 --duration 1h && told 'from 1 to 20000'
gives 2 user quote --recipe ray --quantity 3 --duration 367d
gives 4 user quote --recipe nothing --quantity 3 --duration 1h && told 'ionet recipe list'
gives 6 user quote --recipe ray --quantity 3 --duration 1h && told 'none is free now'
gives 4 user cluster create --quote 0123456789abcdef
gives 4 user cluster show nothing && told 'no such cluster' && told 'ionet cluster list'
gives 4 user cluster watch nothing
long=$(printf 'a%.0s' {1..600})
gives 2 user cluster watch "$long" && told 'so long a name'
gives 2 user device show "$long"
gives 2 user recipe list --cursor "$long"
gives 4 user cluster forward nothing dashboard
gives 2 user cluster logs nothing --node worker2 && told "worker2: that is no node's id"
gives 0 user cluster list && printed '^ID ' && told 'none yet: .*ionet quote'
gives 0 user cluster list --json && [[ ! -s $scratch/err ]] || fail "more than JSON is told"
gives 2 user device enroll && told '--ask is needed'
gives 2 user device enroll --ask much && told 'six decimals'
! grep -q 'as root' "$scratch/err" || fail "a command is announced that does not come"
gives 0 user device enroll --ask 0.05 && printed "^echo $network\.$pin\.[A-Za-z0-9_-]* | ionet-worker --token_file -\$"
gives 3 user operator gateway-token
gives 0 operator operator gateway-token && printed "^$network\.$pin\."

# --- the network goes away, and the sign-in ends -------------------------------------------------

kill -KILL "$daemon" && { wait "$daemon" || true; } 2>/dev/null
gives 8 user account && told "can't be reached"
start "$port"
gives 0 user account && printed '^balance  *12.50 USDC$'
gives 0 user logout
gives 3 user account && told 'not signed in' && told 'ionet login'
gives 0 user login
echo '{' >"$scratch/user/config.json"
gives 1 user account && told 'delete it'
rm "$scratch/user/config.json"
gives 0 user login --network "$network" --pin "$pin"
echo "the command line says what is, and fails as it says it does"
