#!/usr/bin/env bash
# Weft - a seed means the same run each time: replay.sh WEFT_SIM SEED...
# SPDX-License-Identifier: Apache-2.0
set -u -o pipefail
sim=$1
shift
for seed in "$@"; do
    first=$("$sim" --seed "$seed" --trace | cksum) && second=$("$sim" --seed "$seed" --trace | cksum) || exit 1
    steps=$("$sim" --seed "$seed" --trace | wc -l)
    if [ "$first" != "$second" ] || [ "$steps" -lt 20 ]; then
        echo "seed $seed: two runs differ, or show nothing ($steps lines)"
        exit 1
    fi
    echo "seed $seed: $steps lines, twice the same"
done
