#!/bin/bash
# A module sees the public headers of the modules that src/layers.mk gives it, and no others.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${OUT:-build/gcc-release}
cc=${CC:-gcc}
make --no-print-directory OUT="$out" views >/dev/null

# sees MODULE HEADER: whether a source of the module can include it.
sees() { echo "#include \"$2\"" | "$cc" -std=gnu17 -D_GNU_SOURCE -I"$out/view/$1" -fsyntax-only -x c - 2>/dev/null; }

fail() {
    echo "$*" >&2
    exit 1
}

sees record base/str.h || fail "record can't include what it may: base/str.h"
sees network ledger/ledger.h || fail "network can't include what it may: ledger/ledger.h"
! sees base record/record.h || fail "base could include record/record.h"
! sees ledger sys/sys.h || fail "the ledger, which is pure, could include sys/sys.h"
! sees api runtime/runtime.h || fail "api could include runtime/runtime.h"
! sees ionetd network/network_int.h || fail "a private header of network could be included from outside"
! grep -nE '#include +"\.\./' src/*/*.[ch] || fail "a path upwards goes round the views"

# No module is named before it stands in the list: that is why there can be no cycle.
# In the order of the list: "module what it includes".
makefile='include src/layers.mk
order: ; @$(foreach m,$(MODULES) $(PROGRAMS),echo $(m) $($(m));) :'
seen=' '
while read -r module names; do
    for name in $names; do
        [[ $seen == *" $name "* ]] || fail "src/layers.mk: $module includes $name, which stands after it"
    done
    seen+="$module "
done < <(make -s --no-print-directory -f - order <<<"$makefile")
[[ $seen == *" ionetd "* ]] || fail "src/layers.mk could not be read"
