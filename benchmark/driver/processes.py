# Weft - starting, watching and ending the programs that the benchmarks measure
# SPDX-License-Identifier: Apache-2.0
"""Every process is started here and ended here; end_all() runs at exit, so nothing is left behind."""

import atexit
import os
import re
import signal
import socket
import subprocess
import time

TICKS = os.sysconf("SC_CLK_TCK")
alive = []


class Failed(Exception):
    """A measurement that could not be made; the table says why."""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def tree(pid):
    """The process and its descendants, found by parent ids."""
    children = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat") as f:
                parent = int(f.read().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(name))
    found, todo = [], [pid]
    while todo:
        at = todo.pop()
        found.append(at)
        todo += children.get(at, [])
    return found


def pinned(command, cpu):
    return command if cpu is None else ["taskset", "-c", str(cpu)] + command


class Server:
    """A server process that answers on a port of this machine."""

    def __init__(self, command, port, cpu=None, env=None, patience=10):
        self.port, self.program = port, os.path.basename(command[0])
        whole = dict(os.environ, **env) if env else None
        self.process = subprocess.Popen(pinned(command, cpu), env=whole, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        os.set_blocking(self.process.stderr.fileno(), False)
        self.errors = b""
        alive.append(self)
        self.wait_until_open(patience)

    def wait_until_open(self, patience):
        end = time.monotonic() + patience
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                pass
            if self.process.poll() is not None:
                raise Failed(f"{self.name()} ended at once: {self.said()[:200]}")
            time.sleep(0.002)
        self.stop()
        raise Failed(f"{self.name()} never opened port {self.port}")

    def name(self):
        return self.program

    def said(self):
        """What it has written to stderr."""
        try:
            self.errors += self.process.stderr.read() or b""
        except (OSError, ValueError):
            pass
        return self.errors.decode(errors="replace")

    def pids(self):
        return tree(self.process.pid)

    def resident(self):
        """Bytes of memory of the whole tree, pages shared by its processes counted once."""
        total = 0
        for pid in self.pids():
            try:
                with open(f"/proc/{pid}/smaps_rollup") as f:
                    total += int(re.search(r"Pss:\s+(\d+)", f.read()).group(1)) * 1024
            except OSError:
                pass
        return total

    def threads(self):
        total = 0
        for pid in self.pids():
            try:
                total += len(os.listdir(f"/proc/{pid}/task"))
            except OSError:
                pass
        return total

    def stop(self):
        """Asks it to end, then ends it; returns how long the ending took, in seconds."""
        begin = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                for pid in self.pids():
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except OSError:
                        pass
                self.process.wait()
        if self in alive:
            alive.remove(self)
        self.said()
        self.process.stderr.close()
        return time.monotonic() - begin

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


@atexit.register
def end_all():
    for server in list(alive):
        server.stop()


def run(command, cpu=None, patience=120):
    """Runs a program to its end and returns what it printed."""
    try:
        done = subprocess.run(pinned(command, cpu), capture_output=True, text=True,
                              timeout=patience, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise Failed(f"{os.path.basename(command[0])} did not end in {patience} s") from None
    if done.returncode != 0:
        raise Failed(f"{os.path.basename(command[0])}: exit {done.returncode}: "
                     f"{(done.stderr.strip() or done.stdout.strip())[-200:]}")
    return done.stdout


def busy_seconds():
    """Processor time that the whole machine has used."""
    with open("/proc/stat") as f:
        field = [int(x) for x in f.readline().split()[1:]]
    return (field[0] + field[1] + field[2] + field[5] + field[6]) / TICKS


def wait_for_quiet(most=0.2, patience=2.0):
    """Waits until others use less than `most` of a core; gives up after `patience` seconds."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        before = busy_seconds()
        time.sleep(0.1)
        if (busy_seconds() - before) / 0.1 < most:
            return True
    return False
