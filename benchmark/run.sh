#!/bin/sh
# Weft - measures everything beside its yardsticks and prints one table
# SPDX-License-Identifier: Apache-2.0
#
# benchmark/run.sh [--full] [--only TEXT] [--list] [--build DIR] [--out DIR]
#
# Needs a finished build of the release preset (`./dev bench` makes one first). The default takes
# some five minutes; --full takes about four times as long and is what should be quoted.
# Raw results go to build/bench.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
exec python3 "$root/benchmark/driver" --root "$root" "$@"
