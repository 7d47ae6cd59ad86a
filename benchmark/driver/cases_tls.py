# Weft - TLS rows: processor time per request and per handshake beside a bare OpenSSL loop and nginx
# SPDX-License-Identifier: Apache-2.0
"""The load is wrk, and this program itself for handshakes; the processor time is the server's own,
so what the load needs does not enter."""

import os
import re
import resource
import socket
import ssl
import time

from bench import Row, Subject, median, number
from cases_http import have, us_row
from processes import TICKS, Failed, run, wait_for_quiet


def certificate(bench):
    cert, key = (os.path.join(bench.out, name) for name in ("tls-cert.pem", "tls-key.pem"))
    if not os.path.exists(cert):
        run([bench.tool("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:P-256", "-nodes", "-days", "3650", "-subj", "/CN=localhost",
             "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", cert])
    return cert, key


def subjects(bench):
    cert, key = certificate(bench)

    def bare():
        path = bench.program("bench_bare_tls")
        return Subject("bare", lambda port: [path, "-p", str(port), "-c", cert, "-k", key])

    def weft():
        path = bench.program("bench_http_server")
        return Subject("weft", lambda port: [path, "-p", str(port), "-t", "1", "-C", cert, "-K", key])

    def nginx():
        path = bench.tool("nginx")

        def command(port):
            home = os.path.join(bench.out, "nginx-tls")
            os.makedirs(home, exist_ok=True)
            with open(os.path.join(home, "nginx.conf"), "w") as f:
                f.write(nginx_conf(home, port, cert, key))
            return [path, "-c", os.path.join(home, "nginx.conf"), "-p", home, "-e",
                    os.path.join(home, "error.log")]

        return Subject("nginx", command)

    return [s for s in (have(bare), have(nginx), have(weft)) if s]


def nginx_conf(home, port, cert, key):
    user = "user root;" if os.geteuid() == 0 else ""
    temp = "\n    ".join(f"{kind}_temp_path {home}/{kind};" for kind in
                         ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    return f"""{user}
daemon off; worker_processes 1; worker_rlimit_nofile 20000;
pid {home}/nginx.pid; error_log {home}/error.log crit;
events {{ worker_connections 19000; }}
http {{
    {temp}
    access_log off; tcp_nodelay on; keepalive_timeout 600s; keepalive_requests 1000000000;
    ssl_certificate {cert}; ssl_certificate_key {key};
    server {{
        listen 127.0.0.1:{port} ssl backlog=4096;
        location = / {{ default_type text/plain; return 200 "Hello, World!"; }}
    }}
}}
"""


def cpu_of(server):
    """Processor time of the server so far, in microseconds."""
    total = 0.0
    for pid in server.pids():
        try:
            with open(f"/proc/{pid}/stat") as f:
                field = f.read().rsplit(")", 1)[1].split()
            total += (int(field[11]) + int(field[12])) / TICKS * 1e6
        except OSError:
            pass
    return total


def in_turn(bench, one):
    """Runs `one` on each subject in turn; a list of results for each label."""
    found = {}
    for turn in range(bench.rounds):
        all_of_them = subjects(bench)
        shift = turn % len(all_of_them)
        for subject in all_of_them[shift:] + all_of_them[:shift]:
            wait_for_quiet()
            with bench.start(subject, bench.server_cpu) as server:
                found.setdefault(subject.label, []).append(one(server))
    return found


def keep_alive(bench, conns):
    def one(server):
        seconds = max(2, int(2 * bench.seconds))
        before = cpu_of(server)
        text = run(["wrk", "-t", "1", "-c", str(conns), "-d", f"{seconds}s", "--latency",
                    f"https://127.0.0.1:{server.port}/"], bench.load_cpu)
        used = cpu_of(server) - before
        requests = int(re.search(r"(\d+) requests in", text).group(1))
        p99, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", text).groups()
        return {"us": used / requests, "p99": float(p99) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit]}

    return in_turn(bench, one)


def tls_requests(bench):
    for conns in (16, 64):
        results = keep_alive(bench, conns)
        bench.keep(f"tls-{conns}", results)
        bench.add(us_row("kernel", f"TLS 1.3 keep-alive, {conns} connections, pinned", results,
                         "<= 1.1 x bare, < nginx", 1.1, also_below="nginx"))
        if conns != 16:
            continue
        p99 = {who: median([r["p99"] for r in rows]) for who, rows in results.items()}
        row = Row("kernel", "the same: p99", "ms", "<= 0.25",
                  *(number(p99.get(who)) for who in ("bare", "nginx", "weft")))
        if "weft" in p99:
            row.met = p99["weft"] <= 0.25
        bench.add(row)


def client_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def handshakes(bench, resume):
    """Connections with one request each. With TLS 1.3 the ticket for the next one comes behind the
    handshake, so a client that reads nothing would never resume."""
    def one(server):
        context, session = client_context(), None
        own = os.sched_getaffinity(0)
        if bench.load_cpu is not None:
            os.sched_setaffinity(0, {bench.load_cpu})
        count, resumed = 0, 0
        before = cpu_of(server)
        end = time.perf_counter() + max(2, 2 * bench.seconds)
        while time.perf_counter() < end:
            raw = socket.create_connection(("127.0.0.1", server.port), 10)
            with context.wrap_socket(raw, session=session) as s:
                s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                s.recv(4096)
                resumed += s.session_reused
                session = s.session if resume else None
            count += 1
        used = cpu_of(server) - before
        os.sched_setaffinity(0, own)
        if (resumed >= count - 1) != resume:
            raise Failed(f"{resumed} of {count} handshakes were resumed")
        return {"us": used / count}

    return in_turn(bench, one)


def tls_handshakes(bench):
    for resume, name in ((False, "full handshake and a request, ECDSA P-256"),
                         (True, "resumed handshake and a request")):
        results = handshakes(bench, resume)
        bench.keep(f"tls-handshake-{'resumed' if resume else 'full'}", results)
        bench.add(us_row("kernel", name, results, "<= 1.05 x bare", 1.05))


def idle_bytes(server, count):
    """User memory of an idle connection that has had one answer."""
    context = client_context()
    open_ones = []

    def more(n):
        for _ in range(n):
            s = context.wrap_socket(socket.create_connection(("127.0.0.1", server.port), 10))
            s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            s.recv(4096)
            open_ones.append(s)

    more(200)
    before = server.resident()
    more(count)
    used = (server.resident() - before) / count
    for s in open_ones:
        s.close()
    return used


def tls_memory(bench):
    """The bare loop frees OpenSSL's buffers while they are empty, as any server should that has
    many idle connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(19000 if bench.full else 1500, hard - 500)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    found = {}
    for subject in subjects(bench):
        extra = ["-r"] if subject.label == "bare" else []
        plain = subject.command
        subject.command = lambda port, plain=plain, extra=extra: plain(port) + extra
        with bench.start(subject) as server:
            found[subject.label] = idle_bytes(server, count)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    bench.keep("tls-memory", found)
    row = Row("kernel", f"idle TLS connection, {count} open, user bytes", "bytes", "<= 1.15 x bare",
              *(number(found.get(who)) for who in ("bare", "nginx", "weft")))
    if "weft" in found and found.get("bare"):
        share = found["weft"] / found["bare"]
        row.ratio, row.met = f"{share:.2f} x bare", share <= 1.15
    bench.add(row)


CASES = (tls_requests, tls_handshakes, tls_memory)
