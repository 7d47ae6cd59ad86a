# Weft - named steps that are timed, counted and reported together. Sourced by ./dev and .ci/run.
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash

steps_passed=0
steps_failed=0
steps_table=()
steps_said='' # what failed checks said; told again before the table

say() { printf '%s\n' "$*"; }

# report_counts passed failed: how a command tells the step around it that it was more than one check.
report_counts() { [ -z "${WEFT_COUNTS-}" ] || printf '%s %s\n' "$1" "$2" >"$WEFT_COUNTS"; }

# report_failures text: what the failed checks of a command said, kept for the end.
report_failures() { [ -z "${WEFT_SAID-}" ] || [ -z "$1" ] || printf '%s\n' "$1" >>"$WEFT_SAID"; }

# step name command...: runs it, goes on whatever it says.
step() {
    local name=$1 begin=$SECONDS code passed=0 failed=0 counts said
    shift
    printf '\n=== %s\n' "$name"
    counts=$(mktemp)
    said=$(mktemp)
    WEFT_COUNTS=$counts WEFT_SAID=$said "$@"
    code=$?
    if [ -s "$counts" ]; then
        read -r passed failed <"$counts"
    elif [ $code -eq 0 ]; then
        passed=1
    fi
    [ ! -s "$said" ] || steps_said+="--- $name"$'\n'"$(cat "$said")"$'\n'
    rm -f "$counts" "$said"
    [ $code -eq 0 ] || [ "$failed" -gt 0 ] || failed=1
    steps_passed=$((steps_passed + passed))
    steps_failed=$((steps_failed + failed))
    steps_table+=("$(printf '%-28s %6d passed %4d failed %6d s' "$name" "$passed" "$failed" $((SECONDS - begin)))")
    return 0
}

# steps_end [prefix]: the table and the last line; fails when anything did.
steps_end() {
    [ -z "$steps_said" ] || printf '\nWhat failed:\n%s' "$steps_said"
    printf '\n'
    printf '%s\n' "${steps_table[@]}"
    printf '%s%d passed, %d failed\n' "${1-}" "$steps_passed" "$steps_failed"
    report_counts "$steps_passed" "$steps_failed"
    [ "$steps_failed" -eq 0 ]
}
