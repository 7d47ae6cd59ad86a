# Weft - rows that are counted, not timed: system calls, allocations, instructions, memory, start-up
# SPDX-License-Identifier: Apache-2.0

import os
import re
import resource
import signal
import socket
import struct
import subprocess
import time

from bench import Row, median, number
from cases_http import have
from processes import Failed, free_port

READS = {"read", "readv", "recvfrom", "recvmsg", "recvmmsg", "pread64"}
WRITES = {"write", "writev", "sendto", "sendmsg", "sendmmsg", "pwrite64"}
NAMES = ("bare", "nginx", "weft")


def subjects(bench, threads=1):
    found = {"bare": have(lambda: bench.bare(threads)), "nginx": have(lambda: bench.nginx(threads)),
             "weft": have(lambda: bench.weft(threads))}
    return {name: subject for name, subject in found.items() if subject}


# System calls ----------------------------------------------------------------------------

def trace(bench, subject, pin):
    """Counts the system calls of a server while 64 connections keep it busy."""
    path = os.path.join(bench.out, f"strace-{subject.label}.txt")
    with bench.start(subject, bench.server_cpu if pin else None) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as first:
            first.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            first.recv(4096)
        command = [bench.tool("strace"), "-f", "-c", "-o", path]
        for pid in server.pids():
            command += ["-p", str(pid)]
        tracer = subprocess.Popen(command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        try:
            wait_attached(tracer, server.threads())
            result = bench.load(server, ["-c", 64], cpu=bench.load_cpu if pin else None,
                                seconds=2 * bench.seconds)
        finally:
            tracer.send_signal(signal.SIGINT)
            try:
                tracer.wait(20)
            except subprocess.TimeoutExpired:
                tracer.kill()
                tracer.wait()
            tracer.stderr.close()
    return per_request(path, result["total"])


def wait_attached(tracer, threads):
    """Until strace has said of each thread that it is attached, or three seconds."""
    os.set_blocking(tracer.stderr.fileno(), False)
    said, end = b"", time.monotonic() + 3
    while time.monotonic() < end and said.count(b"attached") < threads:
        if tracer.poll() is not None:
            raise Failed(f"strace ended: {said.decode()[-200:]}")
        said += tracer.stderr.read() or b""
        time.sleep(0.05)
    time.sleep(0.1)


def per_request(path, requests):
    calls = {}
    with open(path) as f:
        for line in f:
            m = re.match(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)\s*$", line)
            if m and m.group(2) != "total":
                calls[m.group(2)] = int(m.group(1)) / requests
    if not calls:
        raise Failed("strace counted nothing")
    # A connection is accepted once and then stays; what that took is no part of a request, but it
    # is not subtracted: 64 connections weigh little among so many requests.
    return {"reads": sum(n for name, n in calls.items() if name in READS),
            "writes": sum(n for name, n in calls.items() if name in WRITES),
            "futex": calls.get("futex", 0.0),
            "others": sum(n for name, n in calls.items() if name not in READS | WRITES),
            "requests": requests, "calls": {k: round(v, 4) for k, v in calls.items()}}


def trace_others(bench, subject, pin):
    """Counts the calls that are neither reads nor writes. Those are let through unseen, so the
    server runs at its own speed: one whose every call is stopped has other reasons to wait."""
    path = os.path.join(bench.out, f"strace-others-{subject.label}.txt")
    wrap = [bench.tool("strace"), "-f", "-c", "--seccomp-bpf", "-o", path, "-e",
            "trace=!" + ",".join(sorted(READS | WRITES))]
    server = bench.start(subject, bench.server_cpu if pin else None, wrap=wrap)
    try:
        result = bench.load(server, ["-c", 64], cpu=bench.load_cpu if pin else None,
                            seconds=2 * bench.seconds)
        for pid in server.pids()[1:]:  # strace itself does not listen to signals
            os.kill(pid, signal.SIGTERM)
    finally:
        server.stop()
    return per_request(path, result["total"])


def trace_all(bench, subject, pin):
    counts = trace(bench, subject, pin)
    others = trace_others(bench, subject, pin)
    return {**counts, "futex": others["futex"], "others": others["others"],
            "others at full speed": others["calls"]}


def system_calls(bench):
    pinned = {name: trace_all(bench, s, True) for name, s in subjects(bench).items()}
    bench.keep("system-calls", pinned)

    def show(name):
        c = pinned.get(name)
        return f"{c['reads']:.2f}+{c['writes']:.2f}+{c['others']:.2f}" if c else "-"

    row = Row("structure", "system calls per request, 64 connections, pinned",
              "read+write+other", "1 + 1 + < 0.1", *map(show, NAMES))
    wakes = Row("structure", "thread wakes (futex) per request, pinned", "calls", "< 0.01",
                *(number(round(pinned[n]["futex"], 4)) if n in pinned else "-" for n in NAMES))
    if "weft" in pinned:
        ours = pinned["weft"]
        row.met = ours["reads"] <= 1.03 and ours["writes"] <= 1.03 and ours["others"] < 0.1
        wakes.met = ours["futex"] < 0.01
    bench.add(row)
    bench.add(wakes)
    if "weft" in pinned:
        free = trace_others(bench, bench.weft(2), False)
        bench.keep("system-calls-unpinned", free)
        bench.add(Row("structure", "thread wakes (futex) per request, unpinned, 2 pollers", "calls",
                      "< 0.01", weft=number(round(free["futex"], 4)), met=free["futex"] < 0.01))


# Heap ----------------------------------------------------------------------------

def allocations(bench):
    library = os.path.join(bench.lib, "libbench_alloc_count.so")
    if not os.path.exists(library):
        raise Failed("bench_alloc_count is not built")
    found = {}
    for name, subject in subjects(bench).items():
        counts = os.path.join(bench.out, f"allocations-{name}")
        if os.path.exists(counts):
            os.remove(counts)
        with bench.start(subject, env={"LD_PRELOAD": library, "WEFT_ALLOC_FILE": counts}) as server:
            bench.load(server, ["-c", 64], 0.2, warm=0.1)
            before = read_counts(counts)
            result = bench.load(server, ["-c", 64], bench.seconds, warm=0.1)
            after = read_counts(counts)
        found[name] = {"calls": (after[0] - before[0]) / result["total"],
                       "bytes": (after[1] - before[1]) / result["total"]}
    bench.keep("allocations", found)
    row = Row("speed", "heap allocations per request", "calls", "<= 2",
              *(number(round(found[n]["calls"], 3)) if n in found else "-" for n in NAMES))
    if "weft" in found:
        row.met = found["weft"]["calls"] <= 2.02
        row.note = f"{found['weft']['bytes']:.0f} bytes"
    bench.add(row)


def read_counts(path):
    with open(path, "rb") as f:
        return struct.unpack("=QQ", f.read(16))


# Instructions ----------------------------------------------------------------------------

def instructions_of(bench, subject):
    """User instructions per request: the difference of two runs, so that start-up and connecting
    drop out."""
    runs = []
    for seconds in (0.3, 2.0):
        wrap = [bench.tool("valgrind"), "--tool=callgrind", "--callgrind-out-file=/dev/null"]
        server = bench.start(subject, wrap=wrap, patience=40)
        try:
            result = bench.load(server, ["-c", 64], seconds, warm=0.1)
        finally:
            server.stop()
        m = re.search(r"Collected : (\d+)", server.said())
        if not m:
            raise Failed("callgrind gave no count")
        runs.append((int(m.group(1)), result["total"]))
    return (runs[1][0] - runs[0][0]) / (runs[1][1] - runs[0][1])


def instructions(bench):
    wanted = {"bare": have(bench.bare), "nginx": have(lambda: bench.nginx(single=True)),
              "weft": have(bench.weft)}
    found = {name: instructions_of(bench, s) for name, s in wanted.items() if s}
    bench.keep("instructions", found)
    row = Row("speed", "user instructions per request, 64 connections", "instr", "<= 3,500",
              *(number(found.get(n)) for n in NAMES))
    if "weft" in found:
        row.met = found["weft"] <= 3500
    bench.add(row)


# Memory ----------------------------------------------------------------------------

def open_idle(port, count):
    """Opens connections that have each had one answer, from as many source addresses as it takes."""
    held = []
    for i in range(count):
        s = socket.socket()
        s.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
        s.bind((f"127.0.0.{2 + i // 8000}", 0))
        s.settimeout(10)
        s.connect(("127.0.0.1", port))
        s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        while b"Hello, World!" not in answer:
            more = s.recv(4096)
            if not more:
                raise Failed(f"connection {i} was closed")
            answer += more
        held.append(s)
    return held


def idle_memory(bench):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = min(19000, hard - 500)
    found = {}
    for name, subject in subjects(bench).items():
        with bench.start(subject) as server:
            for s in open_idle(server.port, 8):
                s.close()
            time.sleep(0.3)
            before = server.resident()
            held = open_idle(server.port, count)
            time.sleep(0.5)
            found[name] = (server.resident() - before) / count
            for s in held:
                s.close()
    bench.keep("idle-memory", found)
    for part, limit in (("structure", 460), ("speed", 400)):
        row = Row(part, f"idle keep-alive connection, {count} open", "bytes", f"<= {limit}",
                  *(number(found.get(n)) for n in NAMES))
        if "weft" in found:
            row.met = found["weft"] <= limit
        bench.add(row)


# Start-up ----------------------------------------------------------------------------

def first_answer(subject):
    """Milliseconds from starting a server to its first answer, and its threads then."""
    port = free_port()
    command = subject.command(port)
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                s = socket.create_connection(("127.0.0.1", port), 1)
                break
            except OSError:
                if time.perf_counter() - begin > 10 or process.poll() is not None:
                    raise Failed(f"{subject.label} did not start") from None
                time.sleep(0.0001)
        s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        s.recv(4096)
        spent = (time.perf_counter() - begin) * 1000
        threads = len(os.listdir(f"/proc/{process.pid}/task"))
        s.close()
        return spent, threads
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def start_up(bench):
    found = {name: [] for name in subjects(bench)}
    wanted = subjects(bench)
    for _ in range(41 if bench.full else 15):
        for name, subject in wanted.items():
            found[name].append(first_answer(subject))
    bench.keep("start-up", found)
    times = {name: median([t for t, _ in runs]) for name, runs in found.items()}
    row = Row("structure", "first answer after start", "ms", "<= 3",
              *(number(times.get(n)) for n in NAMES))
    if "weft" in times:
        row.met = times["weft"] <= 3
        row.note = f"threads: {found['weft'][-1][1]}"
    bench.add(row)


CASES = [system_calls, idle_memory, start_up, allocations, instructions]
