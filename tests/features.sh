#!/bin/bash
# docs/features.md names only tests, scripts and demo steps that exist, and leaves no promise without a word.
set -euo pipefail
cd "$(dirname "$0")/.."
bad=0 rows=0

wrong() {
    echo "docs/features.md: $*" >&2
    bad=1
}

# One reference of a row: "src/x/test_y.c: name" (or in sim/), "make demo` step N" or a file.
exists() {
    local file=${1%%: *} name=${1#*: }
    case $1 in
    'make demo step '*) grep -q "step ${1##* } \"" demo/run ;;
    src/*': '* | sim/*': '*) [[ -f $file ]] && grep -qE "(TEST|cmocka_unit_test[a-z_]*)\($name\b|^static void $name\(" "$file" ;;
    *) [[ -x $1 ]] ;;
    esac
}

while IFS='|' read -r _ id promise shown _; do
    id=${id// /}
    [[ $id =~ ^[A-Z][0-9]+$ ]] || continue
    rows=$((rows + 1))
    [[ ${promise// /} ]] || wrong "$id promises nothing"
    # The step stands outside of the code marks: "`make demo` step 3".
    references=$(sed 's/`make demo` step \([0-9]\)/`make demo step \1`/g' <<<"$shown" | grep -oE '`[^`]+`' | tr -d '`' || true)
    [[ $references || $shown == *'*not yet*'* ]] || wrong "$id is neither shown nor *not yet*"
    while read -r reference; do
        [[ -z $reference ]] || exists "$reference" || wrong "$id: there is no $reference"
    done <<<"$references"
done <docs/features.md

for id in C{1..23} W{1..7} E{1..6} I{1..4} X{1..5} D{1..9} B{1..11}; do
    grep -q "^| $id |" docs/features.md || wrong "there is no row $id"
done
((rows > 60)) || wrong "only $rows rows could be read"
exit "$bad"
