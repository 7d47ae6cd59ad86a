# Weft - HTTP rows: processor time per request beside the bare loop and nginx, client, proxy
# SPDX-License-Identifier: Apache-2.0

import json

from bench import Row, Subject, middle, number, ratio
from processes import Failed, run


def have(make):
    """A subject, or None where its program is not there."""
    try:
        return make()
    except Failed:
        return None


def contest(bench, name, args, pin, seconds=None, rounds=None, threads=1, body=13, closing=False):
    """Bare loop, nginx and Weft in turn under one load. Those that are missing are left out."""
    subjects = [bench.bare(threads, body, closing),
                have(lambda: bench.nginx(threads, body)),
                have(lambda: bench.weft(threads, body=body))]
    contenders = [(s.label, s, args) for s in subjects if s]
    return bench.compare(name, contenders, pin, rounds, seconds)


def us_row(part, case, results, target, limit, against="bare", also_below=None):
    """A row of processor time per request, judged by the ratio to `against`."""
    row = Row(part, case, "us/req", target, *(number(middle(results, who, "us"))
                                            for who in ("bare", "nginx", "weft")))
    share = ratio(results, "weft", against, "us")
    if share is None:
        return row
    row.ratio = f"{share:.2f} x {against}"
    row.met = share <= limit
    if also_below:
        other = ratio(results, "weft", also_below, "us")
        row.met = row.met and (other is None or other < 1)
        if other is not None:
            row.ratio += f", {other:.2f} x {also_below}"
    return row


def hello_pinned(bench):
    for conns in (64, 16, 256):
        results = contest(bench, f"hello-pinned-{conns}", ["-c", conns], True)
        if conns == 64:
            bench.add(us_row("structure", "hello, 64 connections, pinned", results,
                             "<= 1.25 x bare, < nginx", 1.25, also_below="nginx"))
        bench.add(us_row("speed", f"hello, {conns} connections, pinned", results,
                         "<= 1.03 x bare", 1.03))


def hello_browser(bench):
    results = contest(bench, "hello-browser", ["-c", 64, "-H"], True)
    bench.add(us_row("speed", "the same, request of a browser's size", results,
                     "<= 1.05 x bare", 1.05))


def hello_unpinned(bench):
    results = contest(bench, "hello-unpinned-64", ["-c", 64], False, threads=2)
    bench.add(us_row("structure", "hello, 64 connections, unpinned, 2 pollers", results,
                     "<= 1.25 x bare", 1.25))
    bench.add(us_row("speed", "hello, 64 connections, unpinned, 2 pollers", results,
                     "<= 1.05 x bare", 1.05))
    row = Row("speed", "the same: p99", "ms", "<= bare",
              *(number(scaled(middle(results, who, "p99"))) for who in ("bare", "nginx", "weft")))
    share = ratio(results, "weft", "bare", "p99")
    if share is not None:
        row.ratio, row.met = f"{share:.2f} x bare", share <= 1.0
    bench.add(row)
    results = contest(bench, "hello-unpinned-1024", ["-c", 1024], False, threads=2)
    bench.add(us_row("speed", "hello, 1,024 connections, unpinned, 2 pollers", results,
                     "<= 1.05 x bare", 1.05))


def scaled(us):
    return None if us is None else us / 1000


def fresh_connections(bench):
    results = contest(bench, "connection-per-request", ["-c", 64, "-k"], True, closing=True)
    bench.add(us_row("structure", "connection per request, 64 clients", results,
                     "<= 1.3 x nginx", 1.3, against="nginx"))
    bench.add(us_row("speed", "connection per request, 64 clients", results,
                     "<= nginx", 1.0, against="nginx"))


def large_bodies(bench):
    for size, name, conns in ((65536, "64 KiB", 64), (1 << 20, "1 MiB", 16)):
        results = contest(bench, f"body-{size}", ["-c", conns], True, body=size)
        bench.add(us_row("speed", f"{name} body from memory, {conns} connections (nginx: sendfile)",
                         results, "<= 1.05 x bare", 1.05))


def client(bench):
    """The client is pinned and measured; the bare loop serves it from the other core. What the load
    generator, which parses nothing, needs per call stands in the column of the bare loop."""
    case, unit = "HTTP client, 64 in flight (bare: the load generator)", "us/call"
    found = {"load": [], "weft": []}
    program = have(lambda: bench.program("bench_http_client"))
    for _ in range(bench.rounds):
        with bench.start(bench.bare(), bench.load_cpu) as server:
            found["load"].append(bench.load(server, ["-c", 64], cpu=bench.server_cpu)["load_us"])
            if program:
                text = run([program, "-p", str(server.port), "-c", "64", "-t", "1", "-d",
                            str(bench.seconds)], bench.server_cpu)
                result = json.loads(text)
                if result["errors"]:
                    raise Failed(f"{result['errors']} calls of the client failed")
                found["weft"].append(result["us"])
    bench.keep("client", found)
    row = Row("speed", case, unit, "<= 6.2", bare=number(sorted(found["load"])[bench.rounds // 2]))
    if program:
        ours = sorted(found["weft"])[bench.rounds // 2]
        row.weft, row.met = number(ours), ours <= 6.2
        row.ratio = f"{ours / sorted(found['load'])[bench.rounds // 2]:.2f} x load"
    bench.add(row)


def proxy_and_fan(bench):
    """A server that is also a client: the back end is the bare loop on the other core."""
    with bench.start(bench.bare(), bench.load_cpu) as back:
        contenders = [(s.label, s, ["-c", 64, "-u", "/proxy"]) for s in (
            have(lambda: bench.nginx(backend=back.port)),
            have(lambda: bench.weft(backend=back.port))) if s]
        weft = [c for c in contenders if c[0] == "weft"]
        results = bench.compare("proxy", contenders, True)
        bench.add(us_row("speed", "proxy, 64 connections, pinned", results, "<= nginx", 1.0,
                         against="nginx"))
        row = Row("speed", "fan-out: 10 calls joined per request, pinned", "us/req", "<= 65")
        if weft:
            fan = [("weft", weft[0][1], ["-c", 64, "-u", "/fan"])]
            ours = middle(bench.compare("fan-out", fan, True), "weft", "us")
            row.weft, row.met = number(ours), ours <= 65
        bench.add(row)


# Handlers that block ----------------------------------------------------------------------------

def blocking_pair(bench, name, conns, path):
    """Weft under one load with and without the requests that block, in turn."""
    weft = bench.weft(2)
    contenders = [("without", weft, ["-c", conns]),
                  ("with", weft, ["-c", conns, "-s", path, "-n", 100])]
    return bench.compare(name, contenders, False)


def judged(case, unit, results, key, target, good, scale=1.0):
    """A row that compares the run with blocking handlers to the one without."""
    share = ratio(results, "with", "without", key)
    return Row("structure", case, unit, target, weft=number(middle(results, "with", key) * scale),
               ratio=f"{share:.2f} x own", met=good(share))


def sleeping(bench):
    results = blocking_pair(bench, "sleeping-64", 64, "/slow")
    name = "1 in 100 sleeps 5 ms, 64 connections"
    bench.add(judged(f"{name}: rate", "1000/s", results, "rate", ">= 0.9 x its own without",
                     lambda x: x >= 0.9, 1e-3))
    bench.add(judged(f"{name}: processor time", "us/req", results, "us", "<= 1.15 x its own",
                     lambda x: x <= 1.15))
    bench.add(judged(f"{name}: p99 of the others", "ms", results, "p99", "<= 1.3 x its own",
                     lambda x: x <= 1.3, 1e-3))
    results = blocking_pair(bench, "sleeping-256", 256, "/slow")
    bench.add(judged("the same, 256 connections: p99 of the others", "ms", results, "p99",
                     "<= 1.5 x its own", lambda x: x <= 1.5, 1e-3))


def sleeping_open_loop(bench):
    args = ["-c", 64, "-r", 10000, "-s", "/slow", "-n", 100]
    results = bench.compare("sleeping-open-loop", [("weft", bench.weft(2), args)], False)
    us, p99 = middle(results, "weft", "us"), middle(results, "weft", "p99") / 1000
    name = "1 in 100 sleeps 5 ms, open loop 10,000/s"
    bench.add(Row("structure", f"{name}: processor time", "us/req", "<= 15", weft=number(us),
                  met=us <= 15))
    bench.add(Row("structure", f"{name}: p99 of the others", "ms", "<= 0.3", weft=number(p99),
                  met=p99 <= 0.3))


def computing(bench):
    """The same server, with its choice of mode and always queued, in turn."""
    args = ["-c", 64, "-s", "/burn", "-n", 100]
    plain = bench.weft(2, label="with")
    queued = Subject("without", lambda port: plain.command(port) + ["-q"])
    row = Row("structure", "1 in 100 computes 5 ms, 64 connections: p99 of the others", "ms",
              "<= 1.2 x its own queued mode")
    try:
        results = bench.compare("computing-64", [("with", plain, args), ("without", queued, args)],
                                False)
    except Failed as reason:
        row.note = str(reason)
        bench.add(row)
        return
    share = ratio(results, "with", "without", "p99")
    row.weft = number(middle(results, "with", "p99") / 1000)
    row.ratio, row.met = f"{share:.2f} x queued", share <= 1.2
    bench.add(row)


CASES = [hello_pinned, hello_unpinned, fresh_connections, sleeping, sleeping_open_loop, computing,
         hello_browser, large_bodies, client, proxy_and_fan]
