#!/usr/bin/env bash
# Weft - checks the models of the kernel's threads exhaustively: each must hold, and must fail when a step is left out
# SPDX-License-Identifier: Apache-2.0
set -u -o pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) || exit 1
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
seconds=180 # per model; each takes less than a minute alone

# check <name> <holds|fails> <model> <defines...>: one verifier in a directory of its own; prints ok or what failed
check() {
    local name=$1 expected=$2 model=$3 found
    shift 3
    mkdir "$dir/$name" && cd "$dir/$name" && cp "$here"/*.pml . || return 1
    if ! spin "$@" -a "$model.pml" >log 2>&1 ||
        ! gcc -O2 -w -DSAFETY -DNOFAIR -DCOLLAPSE -o pan pan.c >>log 2>&1; then
        found="does not compile"
    else
        timeout "$seconds" ./pan -m20000 -w22 >log 2>&1
        # Only a search that was not cut short says anything.
        if grep -q "max search depth too small\|out of memory\|Search not completed" log &&
            ! grep -q "errors: 1" log; then
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

# Name, what is expected, model, then defines. KIND:SITE is the next job, its site 0 (inline), 1 (queued), or
# either; KIND alone is a deferred job.
list() {
    cat <<'RUNS'
lease holds lease
lease-exchange holds lease EXCHANGE
lease-without-membarrier fails lease BUG_NO_MEMBARRIER
lease-without-last-look fails lease BUG_NO_LAST_LOOK
inbox holds inbox
inbox-without-second-look fails inbox BUG_NO_SECOND_LOOK
inbox-sleep-by-plain-store fails inbox BUG_PLAIN_PUBLISH
permits-known-wait holds permits NP=1 NW=3 H=2 WAITS:either SHORT:either
permits-one-handler holds permits NP=1 NW=3 H=1 WAITS:either WAITS:either
permits-false-relays holds permits FALSE_RELAYS NP=1 NW=3 H=1 SHORT:0 SHORT:either
permits-two-pollers holds permits NP=2 NW=4 H=1 APPENDS:0 SHORT:0
permits-blocked-queued holds permits NP=1 NW=4 H=2 BLOCKS:1 APPENDS:0 SHORT:0
permits-foreign-threads holds permits NP=1 NW=3 H=2 FOREIGN=1 SHORT:0 BLOCKS:1 SHORT:1
permits-queue-before-greeting fails permits BUG_QUEUE_BEFORE_GREETING NP=1 NW=5 H=2 BLOCKS:1 WAITS:0 SHORT:0
permits-no-watch-for-queue fails permits BUG_NO_WATCH_FOR_QUEUE NP=1 NW=4 H=2 BLOCKS:1 APPENDS:0 SHORT:0
permits-one-look-before-sleep fails permits BUG_ONE_LOOK NP=1 NW=4 H=2 FOREIGN=1 SHORT:0 BLOCKS:1 SHORT:1
permits-read-before-counting fails permits BUG_READ_PERMITS_FIRST NP=1 NW=4 H=2 FOREIGN=1 SHORT:0 BLOCKS:1 SHORT:1
exit-robbed holds exit NP=1 NW=4 H=1 BLOCKS:0 APPENDS
exit-waiting holds exit NP=1 NW=3 H=1 WAITS:1 APPENDS
exit-two-pollers holds exit NP=2 NW=3 H=1 SHORT:1 SHORT
exit-false-relays holds exit FALSE_RELAYS NP=1 NW=3 H=1 AFTER1=2 SHORT:0 YIELDS SHORT
exit-yields holds exit NP=1 NW=3 H=1 AFTER1=2 SHORT:1 YIELDS SHORT
exit-orphan holds exit FAR NP=2 NW=3 H=1 AFTER0=2 YIELDS:1 SHORT SHORT
exit-interrupted holds exit INTERRUPTS=1 NP=1 NW=3 H=1 SHORT:1 SHORT
exit-no-rest-no-driver fails exit BUG_NO_WAIT_REST LOSS_ONLY NP=1 NW=3 H=1 SHORT:1 SHORT
exit-no-rest-no-watch fails exit BUG_NO_WAIT_REST LOSS_ONLY NP=1 NW=5 H=1 BLOCKS:0 APPENDS
exit-one-look-for-rest fails exit BUG_ONE_LOOK_FOR_REST LOSS_ONLY NP=1 NW=3 H=1 AFTER1=2 SHORT:1 YIELDS SHORT
exit-turns-not-compared fails exit BUG_TURNS_NOT_COMPARED NP=1 NW=3 H=1 AFTER1=2 SHORT:1 YIELDS SHORT
exit-turn-after-inbox fails exit BUG_TURN_AFTER_INBOX NP=2 NW=3 H=1 SHORT:1 SHORT
exit-watch-at-rest fails exit BUG_WATCH_TAKES_AT_REST LOSS_ONLY FALSE_RELAYS NP=1 NW=3 H=1 AFTER1=2 SHORT:0 YIELDS SHORT
exit-unseen fails exit BUG_ORPHANS_UNSEEN LOSS_ONLY FAR NP=2 NW=3 H=1 AFTER0=2 AFTER1=3 YIELDS:1 SHORT SHORT SHORT
exit-close-without-look fails exit BUG_CLOSE_WITHOUT_LOOK NP=2 NW=3 H=1 SHORT:1 SHORT
exit-sleep-past-stop fails exit BUG_SLEEP_PAST_STOP INTERRUPTS=1 NP=1 NW=3 H=1 SHORT:1 SHORT
RUNS
}

one() {
    local words word defines=() jobs=0
    read -r -a words <<<"$1"
    for word in "${words[@]:3}"; do
        case $word in
        SHORT | BLOCKS | WAITS | YIELDS | APPENDS) defines+=("-DK$jobs=$word") && jobs=$((jobs + 1)) ;;
        *:*) defines+=("-DK$jobs=${word%:*}" "-DS$jobs=${word#*:}") && jobs=$((jobs + 1)) ;;
        *) defines+=("-D$word") ;;
        esac
    done
    [ "$jobs" -eq 0 ] || defines+=("-DNJ=$jobs")
    check "${words[@]:0:3}" ${defines[@]+"${defines[@]}"} >"$dir/${words[0]}.out" 2>&1
}

for tool in spin gcc; do
    command -v "$tool" >/dev/null || { echo "model: $tool is missing"; exit 1; }
done
while read -r run; do
    while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n; done
    one "$run" </dev/null &
done < <(list) # two at a time; the lines come out in order
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
