# Weft - what every benchmark case needs: the programs, alternating runs, rows of the table
# SPDX-License-Identifier: Apache-2.0
"""A case asks `Bench` for subjects (bare loop, nginx, Weft), lets them run in turn under the same
load, and adds rows. Figures are compared within one turn and the median of the ratios is taken, so
that the drift of a shared machine does not enter."""

import json
import os
import shutil
import statistics
import time
from dataclasses import asdict, dataclass

from processes import Failed, Server, busy_seconds, free_port, run, wait_for_quiet


@dataclass
class Row:
    part: str  # which part of the goals it belongs to
    case: str
    unit: str
    target: str  # the goal in words
    bare: str = "-"
    nginx: str = "-"
    weft: str = "-"
    ratio: str = "-"
    met: object = None  # True, False, or None where it could not be measured or has no goal
    note: str = ""


@dataclass
class Subject:
    """How to start one of the servers that are compared."""
    label: str
    command: object  # port -> argument list
    env: dict = None


def median(values):
    return statistics.median(values)


def number(value):
    """A figure with as many digits as it deserves."""
    if value is None:
        return "-"
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    if size >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if size >= 20 else f"{value:.2f}" if size >= 0.1 else f"{value:.3f}"


class Bench:
    def __init__(self, root, build, out, full):
        self.root, self.out, self.full = root, out, full
        self.bin = os.path.join(build, "bin")
        self.lib = os.path.join(build, "lib")
        self.rows, self.raw = [], {}
        self.noisy = 0
        two = (os.cpu_count() or 1) > 1
        self.server_cpu, self.load_cpu = (0, 1) if two else (None, None)
        self.rounds = 5 if full else 3
        self.seconds = 3.0 if full else 1.0
        os.makedirs(out, exist_ok=True)

    # Programs ----------------------------------------------------------------------------

    def program(self, *names):
        """The path of a program of ours: of the first of these names that is built."""
        for name in names:
            path = os.path.join(self.bin, name)
            if os.path.exists(path):
                return path
        raise Failed(f"{names[0]} is not built")

    def tool(self, name):
        path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
        if not path:
            raise Failed(f"{name} is not installed")
        return path

    def bare(self, threads=1, body=13, closing=False):
        path = self.program("bench_bare_loop")
        extra = ["-c"] if closing else []
        return Subject("bare", lambda port: [path, "-p", str(port), "-t", str(threads), "-b",
                                             str(body)] + extra)

    def weft(self, pollers=1, handlers=20, body=13, backend=None, label="weft"):
        path = self.program("bench_http_server")
        extra = ["-x", str(backend)] if backend else []
        return Subject(label, lambda port: [path, "-p", str(port), "-t", str(pollers), "-h",
                                            str(handlers), "-b", str(body)] + extra)

    def nginx(self, workers=1, body=13, backend=None, single=False):
        path = self.tool("nginx")

        def command(port):
            home = os.path.join(self.out, "nginx")
            os.makedirs(home, exist_ok=True)
            conf = os.path.join(home, "nginx.conf")
            with open(conf, "w") as f:
                f.write(nginx_conf(home, port, workers, body, backend, single))
            return [path, "-c", conf, "-p", home, "-e", os.path.join(home, "error.log")]

        return Subject("nginx", command)

    def start(self, subject, cpu=None, wrap=(), env=None, patience=10):
        port = free_port()
        return Server(list(wrap) + subject.command(port), port, cpu, env or subject.env, patience)

    # Runs ----------------------------------------------------------------------------

    def load(self, server, args=(), seconds=None, cpu=None, warm=None):
        """One run of the load generator. Notes how much of the machine others used meanwhile."""
        seconds = seconds or self.seconds
        command = [self.program("bench_load"), "-p", str(server.port), "-d", str(seconds), "-w",
                   str(warm if warm is not None else 0.3), "-P",
                   ",".join(str(p) for p in server.pids())] + [str(a) for a in args]
        busy, begin = busy_seconds(), time.monotonic()
        result = json.loads(run(command, cpu, patience=seconds + 60))
        wall = time.monotonic() - begin
        used = (result["cores"] + result["load_cores"]) * wall
        result["foreign"] = round(max(0.0, busy_seconds() - busy - used) / wall, 3)
        if result["errors"]:
            raise Failed(f"{result['errors']} errors from {server.name()}")
        if not result["requests"]:
            raise Failed(f"{server.name()} answered nothing")
        return result

    def compare(self, name, contenders, pin=True, rounds=None, seconds=None):
        """Runs the contenders, a list of (label, subject, load arguments), in turn. Returns, for
        each label, the list of results, one per round; keeps them for the raw results."""
        results = {label: [] for label, _, _ in contenders}
        for turn in range(rounds or self.rounds):
            shift = turn % len(contenders)
            for label, subject, args in contenders[shift:] + contenders[:shift]:
                results[label].append(self.one(subject, args, pin, seconds))
        self.raw[name] = results
        return results

    def duel(self, name, first, second, args):
        """Two subjects that run side by side, pinned, and are loaded in turn, a fifth of a second
        each: for differences that are smaller than the machine's drift between two runs. Begun
        anew several times, since where a process happens to lie in memory matters as much.
        Returns what compare() does, a result for each turn."""
        turns = []
        for _ in range(self.rounds):
            turns += self.one_duel(first, second, args, 2 * self.seconds)
        self.raw[name] = turns
        return {subject.label: [{"us": turn[i]} for turn in turns]
                for i, subject in enumerate((first, second))}

    def one_duel(self, first, second, args, seconds):
        wait_for_quiet(patience=2.0)
        with self.start(first, self.server_cpu) as one, self.start(second, self.server_cpu) as two:
            command = [self.program("bench_load"), "-d", str(seconds)] + [str(a) for a in args]
            for server in (one, two):
                command += ["-p", str(server.port), "-P", ",".join(str(p) for p in server.pids())]
            result = json.loads(run(command, self.load_cpu, patience=seconds + 60))
        if any(result["errors"]):
            raise Failed(f"errors: {result['errors']}")
        turns = [turn for turn in result["turns"] if all(turn)]
        if not turns:
            raise Failed("nothing was answered")
        return turns

    def one(self, subject, args, pin, seconds):
        """One run, taken once more where others were using the machine. Where they always are, it
        is no use to wait for them each time."""
        result, patient = None, self.noisy < 6
        for _ in range(2 if patient else 1):
            wait_for_quiet(patience=2.0 if patient else 0.2)
            with self.start(subject, self.server_cpu if pin else None) as server:
                again = self.load(server, args, seconds, self.load_cpu if pin else None)
            if result is None or again["foreign"] < result["foreign"]:
                result = again
            if result["foreign"] < 0.25:
                return result
        self.noisy += 1
        return result

    # Rows ----------------------------------------------------------------------------

    def add(self, row):
        self.rows.append(row)
        if row.weft == "-" and not row.note:
            row.note = "not measured"
        mark = {True: "met", False: "NOT MET", None: row.note or "no goal"}[row.met]
        print(f"  {row.part}: {row.case}: {row.weft} {row.unit}, ratio {row.ratio} ({mark})",
              flush=True)

    def keep(self, name, value):
        self.raw[name] = value

    def save(self):
        for name, value in self.raw.items():
            with open(os.path.join(self.out, name + ".json"), "w") as f:
                json.dump(value, f, indent=1)
        with open(os.path.join(self.out, "table.json"), "w") as f:
            json.dump([asdict(r) for r in self.rows], f, indent=1)


def values(results, label, key):
    return [r[key] for r in results.get(label, [])]


def ratio(results, label, other, key):
    """Median of the ratios within each round; None where either is missing."""
    ours, theirs = values(results, label, key), values(results, other, key)
    pairs = [a / b for a, b in zip(ours, theirs) if b]
    return median(pairs) if pairs else None


def middle(results, label, key):
    found = values(results, label, key)
    return median(found) if found else None


def nginx_conf(home, port, workers, body, backend, single):
    """The peer as its manual would set it up for this: no log, keep-alive without an end, the short
    body from memory, longer ones by sendfile."""
    if body <= 1024:
        text = ("Hello, World!" * (body // 13 + 1))[:body]
        where = f'location = / {{ default_type text/plain; return 200 "{text}"; }}'
    else:
        with open(os.path.join(home, "body"), "wb") as f:
            f.write((b"Hello, World!" * (body // 13 + 1))[:body])
        where = f"location = / {{ default_type text/plain; root {home}; try_files /body =500; }}"
    upstream = proxy = ""
    if backend:
        upstream = f"upstream back {{ server 127.0.0.1:{backend}; keepalive 256; " \
                   "keepalive_requests 1000000000; }"
        proxy = 'location = /proxy { proxy_pass http://back/; proxy_http_version 1.1; ' \
                'proxy_set_header Connection ""; }'
    user = "user root;" if os.geteuid() == 0 else ""
    alone = "master_process off;" if single else ""
    reuse = "reuseport" if workers > 1 else ""
    temp = "\n    ".join(f"{kind}_temp_path {home}/{kind};" for kind in
                         ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    return f"""{user} {alone}
daemon off; worker_processes {workers}; worker_rlimit_nofile 20000;
pid {home}/nginx.pid; error_log {home}/error.log crit;
events {{ worker_connections 19000; }}
http {{
    {temp}
    access_log off; sendfile on; tcp_nodelay on; tcp_nopush on;
    keepalive_timeout 600s; keepalive_requests 1000000000;
    open_file_cache max=100 inactive=600s; open_file_cache_valid 600s;
    {upstream}
    server {{
        listen 127.0.0.1:{port} {reuse} backlog=4096;
        {where}
        {proxy}
    }}
}}
"""
