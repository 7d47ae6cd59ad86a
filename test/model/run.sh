#!/usr/bin/env bash
# Weft - checks the models of the kernel's threads exhaustively: each must hold, and must fail when a step is left out
# SPDX-License-Identifier: Apache-2.0
set -u -o pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) || exit 1
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
seconds=180 # per model; each takes less than a minute alone

# check <name> <holds|fails> <model> <defines...>: one verifier in a directory of its own; prints "ok" or what went wrong
check() {
    local name=$1 expected=$2 model=$3 found
    shift 3
    mkdir "$dir/$name" && cd "$dir/$name" && cp "$here"/*.pml . || return 1
    if ! spin "$@" -a "$model.pml" >log 2>&1 || ! gcc -O2 -w -DSAFETY -DNOFAIR -DCOLLAPSE -o pan pan.c >>log 2>&1; then
        found="does not compile"
    else
        timeout "$seconds" ./pan -m20000 -w22 >log 2>&1
        # Only a search that was not cut short says anything.
        if grep -q "max search depth too small\|out of memory\|Search not completed" log && ! grep -q "errors: 1" log; then
            found="was cut short"
        elif grep -q "errors: 0" log; then
            found=holds
        elif grep -q "^pan:1: \(invalid end state\|assertion violated\)" log; then
            found=fails
        else
            found="did not finish"
        fi
    fi
    if [ "$found" = "$expected" ]; then
        echo "ok   $name: $found, as it must ($(awk '/states, stored/ { print $1; exit }' log) states)"
    else
        echo "FAIL $name: $found, must be: $expected"
        tail -n 20 log | sed 's/^/     /'
    fi
}

# Two at a time; the lines come out in order.
list() {
    cat <<'RUNS'
lease holds lease
lease-exchange holds lease -DEXCHANGE
lease-without-membarrier fails lease -DBUG_NO_MEMBARRIER
lease-without-last-look fails lease -DBUG_NO_LAST_LOOK
inbox holds inbox
inbox-without-second-look fails inbox -DBUG_NO_SECOND_LOOK
inbox-sleep-by-plain-store fails inbox -DBUG_PLAIN_PUBLISH
permits-known-wait holds permits -DNP=1 -DNW=3 -DNJ=2 -DH=2 -DK0=WAITS -DK1=SHORT -DS0=either -DS1=either
permits-one-handler holds permits -DNP=1 -DNW=3 -DNJ=2 -DH=1 -DK0=WAITS -DK1=WAITS -DS0=either -DS1=either
permits-false-relays holds permits -DFALSE_RELAYS -DNP=1 -DNW=3 -DNJ=2 -DH=1 -DK0=SHORT -DK1=SHORT -DS0=0 -DS1=either
permits-two-pollers holds permits -DNP=2 -DNW=4 -DNJ=2 -DH=1 -DK0=APPENDS -DK1=SHORT -DS0=0 -DS1=0
permits-blocked-queued holds permits -DNP=1 -DNW=4 -DNJ=3 -DH=2 -DK0=BLOCKS -DK1=APPENDS -DK2=SHORT -DS0=1 -DS1=0 -DS2=0
permits-foreign-threads holds permits -DNP=1 -DNW=3 -DNJ=3 -DH=2 -DFOREIGN=1 -DK0=SHORT -DK1=BLOCKS -DK2=SHORT -DS0=0 -DS1=1 -DS2=1
permits-queue-before-greeting fails permits -DBUG_QUEUE_BEFORE_GREETING -DNP=1 -DNW=5 -DNJ=3 -DH=2 -DK0=BLOCKS -DK1=WAITS -DK2=SHORT -DS0=1 -DS1=0 -DS2=0
permits-no-watch-for-queue fails permits -DBUG_NO_WATCH_FOR_QUEUE -DNP=1 -DNW=4 -DNJ=3 -DH=2 -DK0=BLOCKS -DK1=APPENDS -DK2=SHORT -DS0=1 -DS1=0 -DS2=0
permits-one-look-before-sleep fails permits -DBUG_ONE_LOOK -DNP=1 -DNW=4 -DNJ=3 -DH=2 -DFOREIGN=1 -DK0=SHORT -DK1=BLOCKS -DK2=SHORT -DS0=0 -DS1=1 -DS2=1
permits-read-before-counting fails permits -DBUG_READ_PERMITS_FIRST -DNP=1 -DNW=4 -DNJ=3 -DH=2 -DFOREIGN=1 -DK0=SHORT -DK1=BLOCKS -DK2=SHORT -DS0=0 -DS1=1 -DS2=1
exit-robbed holds exit -DNP=1 -DNW=4 -DH=1 -DK0=BLOCKS -DS0=0
exit-waiting holds exit -DNP=1 -DNW=3 -DH=1 -DK0=WAITS -DS0=1
exit-queued holds exit -DNP=1 -DNW=3 -DH=1 -DK0=SHORT -DS0=1
exit-two-pollers holds exit -DNP=2 -DNW=3 -DH=1 -DK0=SHORT -DS0=1
exit-drivers-leave-for-good fails exit -DBUG_LEAVE_FOR_GOOD -DNP=1 -DNW=4 -DH=1 -DK0=SHORT -DS0=1
exit-watch-leaves-first fails exit -DBUG_WATCH_LEAVES_FIRST -DNP=1 -DNW=5 -DH=1 -DK0=BLOCKS -DS0=0
exit-late-birth-sleeps fails exit -DBUG_LATE_BIRTH_SLEEPS -DNP=2 -DNW=4 -DH=1 -DK0=SHORT -DS0=0
RUNS
}

one() {
    local line
    read -r -a line <<<"$1"
    check "${line[@]}" >"$dir/${line[0]}.out" 2>&1
}

for tool in spin gcc; do
    command -v "$tool" >/dev/null || { echo "model: $tool is missing"; exit 1; }
done
while read -r run; do
    while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n; done
    one "$run" </dev/null &
done < <(list)
wait

passed=0 failed=0
while read -r name _; do
    cat "$dir/$name.out"
    if grep -q "^ok " "$dir/$name.out"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
    fi
done < <(list)
echo "model: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
