# figures.bash: how a figure is told. Sourced by the scripts of bench/.
readonly rounds=${RUNS:-3} # runs of each

median() { sort -n | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : int((v[NR / 2] + v[NR / 2 + 1]) / 2) }'; }

# bench NAME VALUE UNIT [peer=NAME:VALUE ratio=R]; R is our value over the peer's.
figure() { # NAME VALUE UNIT [PEER ITS-VALUE]
    printf 'bench %s %s %s' "$1" "$2" "$3"
    [[ ! ${5:-} ]] || printf ' peer=%s:%s ratio=%s' "$4" "$5" "$(awk "BEGIN { printf \"%.2f\", $2 / $5 }")"
    printf '\n'
}

# The median of what lines NAME=VALUE of the file $results say.
of() { sed -n "s/^$1=//p" "$results" | median; }
