# Weft - rows of timers, tasks and the parser, from programs that measure themselves
# SPDX-License-Identifier: Apache-2.0

import json

from bench import Row, number
from processes import run

# name of the benchmark -> case, goal in ns per item (None: reported only)
COMPOSE = {
    "go_many": ("a million empty go tasks from one thread", 150),
    "go_chain": ("chain of go tasks, one in flight", 80),
    "series_counters": ("series of counters, build and run", 45),
    "parallel_go": ("1000-wide parallel of go tasks", 90),
    "parallel_empty": ("1000-wide parallel of empty tasks", 40),
    "graph_tree": ("graph, tree of 1,023 go nodes, build and run", 150),
    "graph_wavefront": ("graph, 32 x 32 wavefront, build and run", 150),
    "counter_count": ("count() of a counter", None),
    "counter_by_name": ("count_by_name()", None),
}


def google_benchmark(bench, program, keep):
    """Runs a Google Benchmark program; returns the medians by name."""
    text = run([program, "--benchmark_format=json", "--benchmark_repetitions=3",
                f"--benchmark_min_time={0.5 if bench.full else 0.1}",
                "--benchmark_report_aggregates_only=true"], patience=300)
    data = json.loads(text[text.index("{"):])
    bench.keep(keep, data)
    return {b["run_name"]: b for b in data["benchmarks"] if b.get("aggregate_name") == "median"}


def compose(bench):
    found = google_benchmark(bench, bench.program("bench_compose"), "compose")
    found = {name.split("/")[0]: figures for name, figures in found.items()}  # without arguments
    for name, (case, goal) in COMPOSE.items():
        if name not in found:
            continue
        ns = 1e9 / found[name]["items_per_second"]
        bench.add(Row("compose", case, "ns/task", f"<= {goal}" if goal else "", weft=number(ns),
                      met=ns <= goal if goal else None))


def goal_row(bench, part, case, unit, value, limit, bare=None):
    bench.add(Row(part, case, unit, f"<= {limit}", weft=number(value), met=value <= limit,
                  bare=number(bare), ratio=f"{value / bare:.2f} x bare" if bare else "-"))


def timers(bench):
    program = bench.program("bench_timer")
    late = json.loads(run([program, "late", "10" if bench.full else "3"], bench.server_cpu))
    arm = json.loads(run([program, "arm"]))
    million = json.loads(run([program, "million"]))
    bench.keep("timers", {"late": late, "arm": arm, "million": million})
    part = "kernel"
    goal_row(bench, part, "a million at random over 10 s: create, arm, fire", "us CPU",
             million["us"], 1.0)
    goal_row(bench, part, "start() of a timer task, from a callback", "us CPU", arm["us"], 0.15)
    goal_row(bench, part, "start() of a timer task, from a foreign thread", "us CPU",
             arm["foreign_us"], 0.15)
    goal_row(bench, part, "a started timer task with its series", "bytes", arm["bytes"], 320)
    goal_row(bench, part, "lateness at 1,000/s: p50 (bare: timerfd)", "us", late["weft_p50"], 45,
             late["bare_p50"])
    goal_row(bench, part, "lateness at 1,000/s: p99 (bare: timerfd)", "us", late["weft_p99"], 100,
             late["bare_p99"])
    bench.add(Row(part, "the same: processor time (bare: timerfd)", "us/timer", "<= bare",
                  bare=number(late["bare_us"]), weft=number(late["weft_us"]),
                  ratio=f"{late['weft_us'] / late['bare_us']:.2f} x bare",
                  met=late["weft_us"] <= late["bare_us"]))


def parse(bench):
    found = google_benchmark(bench, bench.program("http_parse_bench", "bench_http_parse"), "parse")
    for name, case, limit in (
            ("parser/browser", "parse of a request of a browser's size, 9 headers", 150),
            ("parser/small", "parse of the shortest request", None),
            ("message/small", "the same, message object included", None),
            ("answer", "building and encoding an answer", None)):
        if name in found:
            ns = found[name]["real_time"]
            bench.add(Row("protocols", case, "ns", f"<= {limit}" if limit else "", weft=number(ns),
                          met=ns <= limit if limit else None))


CASES = [timers, compose, parse]
