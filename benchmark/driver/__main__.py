# Weft - the benchmark command: runs the cases and prints the table
# SPDX-License-Identifier: Apache-2.0

import argparse
import os
import sys
import time

import cases_channel
import cases_counts
import cases_http
import cases_tasks
import cases_tls
import table
from bench import Bench, Row
from processes import Failed

GROUPS = (cases_http, cases_channel, cases_counts, cases_tls, cases_tasks)


def read_arguments():
    p = argparse.ArgumentParser(prog="benchmark/run.sh", description="Measures Weft beside a bare "
                                "epoll loop and nginx, in turn, and prints one table.")
    p.add_argument("--root", required=True, help=argparse.SUPPRESS)
    p.add_argument("--build", help="the build to measure (default build/release)")
    p.add_argument("--out", help="where the raw results go (default build/bench)")
    p.add_argument("--full", action="store_true", help="longer runs and more of them")
    p.add_argument("--quick", action="store_true", help="the default")
    p.add_argument("--only", default="", help="cases whose name contains one of these, by commas")
    p.add_argument("--list", action="store_true", help="names the cases and ends")
    p.add_argument("--strict", action="store_true",
                   help="fails where a goal of the part 'structure' is not met")
    return p.parse_args()


def chosen(only):
    words = [w for w in only.split(",") if w]
    for group in GROUPS:
        for case in group.CASES:
            if not words or any(w in case.__name__ for w in words):
                yield case


def summary(bench, failures, seconds):
    parts = []
    for part, word in (("structure", "structure"), ("speed", "speed"), ("kernel", "timers"),
                       ("compose", "composition"), ("protocols", "protocols")):
        met, judged, missing = table.score(bench.rows, part)
        if judged or missing:
            parts.append(f"{word} {met} of {judged} met" +
                         (f" ({missing} not measured)" if missing else ""))
    if bench.noisy:
        parts.append(f"{bench.noisy} runs while others used the machine: repeat on a quiet one")
    if failures:
        parts.append(f"{failures} cases failed")
    return f"bench: {'; '.join(parts) or 'nothing measured'}. " \
           f"{seconds:.0f} s, raw results in {os.path.relpath(bench.out)}"


def main():
    options = read_arguments()
    cases = list(chosen(options.only))
    if options.list:
        print("\n".join(case.__name__ for case in cases))
        return 0
    bench = Bench(options.root, options.build or os.path.join(options.root, "build", "release"),
                  options.out or os.path.join(options.root, "build", "bench"), options.full)
    begin, failures = time.monotonic(), 0
    print(f"Measuring {len(cases)} groups of cases, {'full' if options.full else 'quick'} mode. "
          "Figures are medians; ratios are taken within one turn.", flush=True)
    for case in cases:
        print(f"{case.__name__}:", flush=True)
        try:
            case(bench)
        except Failed as reason:
            failures += 1
            bench.add(Row("failed", case.__name__, "", "", note=str(reason).splitlines()[0]))
    bench.save()
    text = table.show(bench.rows)
    with open(os.path.join(bench.out, "table.txt"), "w") as f:
        f.write(text + "\n")
    print("\n" + text + "\n")
    print(summary(bench, failures, time.monotonic() - begin))
    met, judged, missing = table.score(bench.rows, "structure")
    return 1 if failures or (options.strict and (met < judged or missing)) else 0


if __name__ == "__main__":
    sys.exit(main())
