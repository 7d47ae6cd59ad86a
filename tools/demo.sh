#!/usr/bin/env bash
# Weft - the demo: a server that composes tasks, asked by curl and by Weft's own client, with a picture
# SPDX-License-Identifier: Apache-2.0
#
# usage: tools/demo.sh [--keep] [--build DIR]
# Needs a built tree (build/release unless told) and curl. Ends with one line, "demo: OK" or
# "demo: FAILED: why", and with a status that says the same.
set -u

root=$(cd "$(dirname "$0")/.." && pwd)
build=$root/build/release
keep=no

usage() {
    echo "usage: tools/demo.sh [--keep] [--build DIR]"
    echo "  --keep       leave the server running until Ctrl-C, to try it by hand"
    echo "  --build DIR  the built tree, build/release unless told"
}

while [ $# -gt 0 ]; do
    case $1 in
    --keep) keep=yes ;;
    --build)
        [ $# -ge 2 ] || { usage >&2; exit 2; }
        build=$2
        shift
        ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
    esac
    shift
done

demo=$build/bin/weft_demo
work=$(mktemp -d)
backends_pid=
front_pid=

cleanup() {
    for pid in $front_pid $backends_pid; do
        kill -TERM "$pid" 2>/dev/null
    done
    wait 2>/dev/null
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

fail() {
    echo
    echo "demo: FAILED: $1"
    exit 1
}

# The first line that a program writes to file $1 and that begins with $2; 10 s at most.
first_line() {
    for _ in $(seq 200); do
        if line=$(grep -m1 "^$2 " "$1" 2>/dev/null); then
            echo "$line"
            return 0
        fi
        sleep 0.05
    done
    return 1
}

row() { printf '  %-8s %-18s %6s %7s  %-5s %s\n' "$@"; }

# One request by curl; leaves the number of the request in $number.
ask_curl() {
    local path=$1 times
    times=$(curl -sS --noproxy '*' --max-time 10 -D "$work/head" -o "$work/body" \
        -w '%{http_code} %{time_total}' "$url$path") || fail "curl got no answer for $path"
    number=$(sed -n 's/^X-Request: \([0-9]*\).*/\1/p' "$work/head")
    row curl "$path" "${times% *}" "$(awk '{printf "%.0f", $2 * 1000}' <<<"$times")" new \
        "$(head -c 200 "$work/body")"
    [ "${times% *}" = 200 ] || fail "status ${times% *} for $path"
}

ask_weft() {
    local path=$1 count=$2
    "$demo" call "$url$path" "$count" >"$work/calls" || fail "the client saw a failure for $path"
    while IFS=$'\t' read -r status ms connection body; do
        row weft "$path" "$status" "$ms" "$connection" "$body"
    done <"$work/calls"
}

[ -x "$demo" ] || fail "$demo is not built"
command -v curl >/dev/null || fail "curl is missing"

"$demo" backends >"$work/backends" &
backends_pid=$!
ports=$(first_line "$work/backends" backends) || fail "the back ends do not start"
# shellcheck disable=SC2086  # three ports are three arguments
"$demo" front 0 ${ports#backends } >"$work/front" &
front_pid=$!
port=$(first_line "$work/front" front) || fail "the server does not start"
url=http://127.0.0.1:${port#front }

cat <<TEXT

A server on $url answers /quote/ITEM. For each request it builds a graph:
three back ends (in a process of their own) are asked at the same time, a compute thread
weighs what they said, and a limit of 150 ms makes sure that an answer leaves.

TEXT
row client request status ms conn answer
ask_curl /quote/tea
ask_curl /quote/coffee
ask_weft /quote/tea 3
ask_curl '/quote/tea?slow'
ask_weft '/quote/tea?slow' 1

"$demo" load "$url/quote/tea" 64 3 >"$work/load" || fail "the load saw failures: $(cat "$work/load")"
read -r requests failures rate p50 p99 longest <"$work/load"
cat <<TEXT

Load by Weft's client, 64 calls in flight for 3 s:
  $requests requests, $failures failures, $rate per second; ms: median $p50, p99 $p99, longest $longest
  (each request is four more tasks and at least 50 ms of waiting for the slowest back end)

What one request did (w: workers, c: compute threads; bars above each other ran side by side):

TEXT
picture() {
    curl -sS --noproxy '*' "$url/timeline/$1" || fail "no timeline of request $1"
}

curl -sS --noproxy '*' "$url/trace/start" >/dev/null || fail "the server does not record"
# The load has pushed the first requests out of the server's memory: ask once more for pictures.
ask_curl /quote/tea >/dev/null
good=$number
ask_curl '/quote/tea?slow' >/dev/null
slow=$number
picture "$good"
echo
echo "The same with a back end that takes 400 ms; the limit answers for it:"
echo
# Ask until the slow back end has come back, so that its whole bar can be drawn.
for _ in $(seq 100); do
    picture "$slow" >"$work/picture"
    grep -q 'choose.*too late' "$work/picture" && break
    sleep 0.05
done
cat "$work/picture"
grep -q 'choose.*too late' "$work/picture" || fail "the late back end never came back"

# The same requests as the engine has recorded them, each task with its waits and phases.
for kind in html json; do
    curl -sS --noproxy '*' -o "$build/demo-timeline.$kind" "$url/trace.$kind" || fail "no timeline as $kind"
done
for step in limit facts stock price rating; do
    grep -q "$step" "$build/demo-timeline.html" || fail "the timeline lacks $step"
done
cat <<TEXT

All that the engine did for these two, each task with its waits and phases:
  $build/demo-timeline.html        a page; open it in a browser
  $build/demo-timeline.json        for https://ui.perfetto.dev or chrome://tracing
TEXT

if [ $keep = yes ]; then
    cat <<TEXT

The server goes on. Try it from another terminal:
  curl -i $url/quote/cheese
  curl $url/quote/cheese?slow
  curl $url/timeline/NUMBER        (the number is in the header X-Request)
  $demo load $url/quote/tea 100 5
Ctrl-C ends it.
TEXT
    trap : INT TERM
    wait $front_pid
fi

kill -INT $front_pid 2>/dev/null
wait $front_pid
front_status=$?
kill -INT $backends_pid 2>/dev/null
wait $backends_pid
backends_status=$?
front_pid=
backends_pid=
[ "$front_status" = 0 ] || fail "the server ended with status $front_status"
[ "$backends_status" = 0 ] || fail "the back ends ended with status $backends_status"

if [ $keep = no ]; then
    echo
    echo "To keep the server up and try it by hand: tools/demo.sh --keep"
fi
echo "demo: OK"
