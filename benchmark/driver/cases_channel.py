# Weft - rows of channels: long-lived connections that talk at any time
# SPDX-License-Identifier: Apache-2.0

from bench import Subject
from cases_http import us_row


def echo_server(bench, label, name, *extra):
    path = bench.program(name)
    return Subject(label, lambda port: [path, "-p", str(port), *extra])


def channel_echo(bench):
    results = bench.duel("channel-echo", echo_server(bench, "bare", "bench_bare_loop", "-e"),
                         echo_server(bench, "weft", "bench_channel_server"),
                         ["-c", 1000, "-e", 64, "-a"])
    bench.add(us_row("speed", "channel echo, 64 B messages, 1,000 connections, pinned", results,
                     "<= 1.05 x bare", 1.05))


CASES = (channel_echo,)
