# stage.sh: what the demo stands on: a folder for each run, processes in places of demo/net, and the removal of
# all of it. Sourced by demo/run and demo/as.
#
# A run's folder holds lists of what it made: `driver` (who drives it), `processes`, `workers`, `net`. They are
# written before the thing is made, so whoever finds the folder later can remove what it names, also after a SIGKILL.
# A process is named by its id and the moment it began, so that no other that got the same id is ever ended.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bin=${IONET_BIN:-$root/build/bin}
runs=$root/build/demo
export PATH=$bin:$root/build/tools/bin:$PATH LC_ALL=C
export PYTHONUNBUFFERED=1 # what Ray's client says of a job is read while the job runs

# A run's folder, and what is named after it: its folder under /run, its mount, its control groups.
name_run() {
    folder=$1
    run_name=$(basename "$folder")
    run_dir=/run/$run_name
}

now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }

# --- processes -----------------------------------------------------------------------------------

# The moment a process began, in ticks since the boot: the 22nd field, counted behind the name in brackets.
began() {
    local line
    line=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    set -- ${line##*) }
    echo "${20}"
}

is_alive() { [[ $(began "$1") == "$2" ]] && [[ $(ps -o stat= -p "$1" 2>/dev/null) != Z* ]]; }

in_place() { # PLACE COMMAND…: in that place, in the foreground
    local name
    name=$("$root/demo/net" name "$folder" "$1")
    shift
    nsenter --net="/run/netns/$name" "$@"
}

# Starts a process of its own session in a place, so that a Ctrl-C reaches the driver alone; $started is its id.
start() { # NAME PLACE COMMAND…
    local name=$1 place
    place=$("$root/demo/net" name "$folder" "$2")
    shift 2
    setsid nsenter --net="/run/netns/$place" "$@" >>"$folder/logs/$name" 2>&1 </dev/null 3>&- 4>&- &
    started=$!
    printf '%s %s %s\n' "$started" "$(began "$started" || echo 0)" "$name" >>"$folder/processes"
    disown "$started"
}

is_running() { # NAME: the last that was started by it
    local pid born
    read -r pid born < <(awk -v name="$1" '$3 == name { last = $1 " " $2 } END { print last }' "$folder/processes")
    [[ $pid ]] && is_alive "$pid" "$born"
}

pid_of() { awk -v name="$1" '$3 == name { pid = $1 } END { print pid }' "$folder/processes"; }

# Asks those of that name (a pattern) to end, and ends those that have not after ten seconds.
end_processes() { # PATTERN
    local pid born name deadline=$(($(now_ms) + 10000)) left=yes signal=TERM
    [[ -e $folder/processes ]] || return 0
    while [[ $left ]]; do
        left=
        while read -r pid born name; do
            [[ $name == $1 ]] && is_alive "$pid" "$born" || continue
            [[ ! $signal ]] || kill "-$signal" "$pid" 2>/dev/null || true
            left=yes
        done <"$folder/processes"
        signal=
        (($(now_ms) < deadline)) || signal=KILL
        [[ ! $left ]] || sleep 0.05
    done
}

# --- removal -------------------------------------------------------------------------------------

# Workers end what they run themselves; a killed one's is ended by starting it once more for that.
end_workers() {
    local number state dir cgroup
    [[ -e $folder/workers ]] || return 0
    end_processes 'worker*'
    while read -r number state dir cgroup; do
        in_place "worker$number" timeout 60 ionet-worker --state_dir "$state" --run_dir "$dir" --cgroup "$cgroup" \
            --stop-all >>"$folder/logs/stop$number" 2>&1 </dev/null || true
    done < <(sort -u "$folder/workers") # one that was started twice is named twice
}

# What of a run is still there, a line each.
remains() {
    local pid born name
    if [[ -e $folder/processes ]]; then
        while read -r pid born name; do
            ! is_alive "$pid" "$born" || echo "process $pid ($name)"
        done <"$folder/processes"
    fi
    # What others started in turn (a worker's downloads, a mesh device) bears the run's name among its arguments.
    pgrep -af -- "$run_name" | sed 's/^/process /' || true
    awk -v name="$run_name" 'index($0, name) { print "mount " $2 }' /proc/self/mounts
    find /sys/fs/cgroup -type d -name "$run_name*" -printf 'cgroup %p\n' 2>/dev/null || true
    [[ ! -e $folder/net ]] || echo "the namespaces of $folder/net"
    [[ ! -e $run_dir ]] || echo "folder $run_dir"
}

# Removes a whole run. Says what it could not; then the folder stays for the next try.
remove_run() { # FOLDER
    local folder run_name run_dir left
    name_run "$1"
    [[ -d $folder ]] || return 0
    end_processes 'user*'
    end_workers
    end_processes '*'
    "$root/demo/net" down "$folder"
    ! mountpoint -q "$run_dir" || umount "$run_dir" || true
    rm -rf --one-file-system "$run_dir"
    for _ in {1..30}; do # what was told to end may take a moment for it
        left=$(remains)
        [[ $left ]] || break
        sleep 0.1
    done
    if [[ $left ]]; then
        printf '%s\n' "$left" >&2
        return 1
    fi
    [[ ! ${KEEP_LOGS:-} ]] || cp -r "$folder/logs" "$KEEP_LOGS"
    rm -rf --one-file-system "$folder"
}

# Runs whose driver is gone, and that nobody asked to keep.
remove_dead_runs() {
    local each pid born
    for each in "$runs"/*/; do
        [[ -e ${each}driver && ! -e ${each}kept ]] || continue
        read -r pid born <"${each}driver" || continue
        is_alive "$pid" "$born" || remove_run "${each%/}" || true
    done
}
